"""The running simulator: directory, options, calls, callbacks and book of one account behind one HTTP server."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Self, get_args
from urllib.parse import quote

from django_exotel_ccm.simulator.api.routes import Api
from django_exotel_ccm.simulator.call_flow import UNKNOWN_STATUS, CallFlow, Leg, Press, SimulatedCall
from django_exotel_ccm.simulator.callbacks.delivery import DeliveryQueue
from django_exotel_ccm.simulator.callbacks.notifier import Notifier
from django_exotel_ccm.simulator.clock import Clock, StoppedError
from django_exotel_ccm.simulator.directory import ASHA, Account, Agent, Directory
from django_exotel_ccm.simulator.http_server import Request, Response, Server, json_response
from django_exotel_ccm.simulator.options import Options
from django_exotel_ccm.simulator.payloads import refusal
from django_exotel_ccm.simulator.recorder import Book, ReceivedRequest
from django_exotel_ccm.simulator.refusals import REFUSALS, RefusedError
from django_exotel_ccm.simulator.scenarios import BY_HAND, SCENARIOS, Scenario, script_for
from django_exotel_ccm.simulator.web_page.page import Page

Pending = Literal["kept", "lost"]
"""What becomes of pending callbacks in a power cut."""
MAX_RESTART = 600  # seconds
KEPT_OPTIONS = ("by_hand", "add_unknown", "account_callback_url")  # they set the simulator up; no scenario changes them

logger = logging.getLogger("django_exotel_ccm.simulator")


class Simulator:
    """A fake Exotel that answers at `url` from the moment it is made until `stop`; a context manager that stops it.

    `speed` is simulated seconds in a real one. Port 0 takes a free port. `options` are set at first, and again by each
    scenario. Callbacks go to loopback addresses only, unless `deliver_anywhere`.
    ValueError for a host that is not loopback, and for an option that cannot be set.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        speed: float = 50.0,
        account: Account | None = None,
        options: Mapping[str, Any] | None = None,
        deliver_anywhere: bool = False,
    ) -> None:
        self.account = account or Account()
        self.options = Options(**(options or {}))
        self.initial_options = dataclasses.replace(self.options)
        """The options at the start; every scenario begins with them."""
        self.clock = Clock(speed)
        self.book = Book()
        self.directory = Directory(self.clock.changed)
        self.agent = self.directory.agent
        self.add_agent, self.add_device = self.directory.add_agent, self.directory.add_device
        self.add_exophone = self.directory.add_exophone
        self.remove_agent, self.remove_exophone = self.directory.remove_agent, self.directory.remove_exophone
        self.on_call: Callable[[dict[str, Any]], object] | None = None
        """Called with the body of each Make a Call, before it is checked and answered."""
        self._requested: Counter[str] = Counter()
        self._flows: dict[str, CallFlow] = {}
        self._api, self._page = Api(self), Page(self)
        # It takes the port. If it cannot, nothing has begun that would have to be stopped.
        self._server = Server(host, port, self._respond, self.clock.wait_real)
        self.url = self._server.url
        self._queue = DeliveryQueue(self.clock, self.book, deliver_anywhere=deliver_anywhere)
        self.notifier = Notifier(self.clock, self.book, self.options, self._queue)
        self.clock.start()
        self._server.start()

    @property
    def account_url(self) -> str:
        """What to put in EXOTEL_URL."""
        account = self.account
        secret = f"{quote(account.key, safe='')}:{quote(account.token, safe='')}"
        return f"exotel://{secret}@{self.url.removeprefix('http://')}/{quote(account.sid, safe='')}?tls=off"

    @property
    def speed(self) -> float:
        """Simulated seconds in a real one; may be changed at any time."""
        return self.clock.speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self.clock.speed = speed

    # Calls

    def start_call(
        self, request: dict[str, Any], agent: Agent, customer_number: str, exophone: str, *, external: bool = False
    ) -> SimulatedCall:
        """Start a call; RefusedError if the agent cannot be called."""
        script = BY_HAND if self.options.by_hand else script_for(customer_number)
        created_at = datetime.now(UTC)
        with self.clock.changed:
            call = SimulatedCall(
                uuid.uuid4().hex, request, agent, customer_number, exophone, script, created_at, external=external
            )
            self.directory.reserve(agent, call.sid)
            call.fault_key = self._fault_key(call)
            self.book.calls[call.sid] = call
            self._flows[call.sid] = CallFlow(call, self.clock, report=self._report, hung_up=self._hung_up)
        return call

    def place_external_call(
        self, customer_number: str, *, agent: str = ASHA, recording: bool = False, custom_field: str | None = None
    ) -> SimulatedCall:
        """Place a call of another application; only the account's own URL hears of it.

        `agent` is a uri or user_id; KeyError if there is none. ValueError if the agent cannot be called.
        """
        called, exophone = self.agent(agent), self.directory.exophones[0]
        request = {
            "from": {"user_contact_uri": called.uri},
            "to": {"number": customer_number},
            "virtual_number": exophone,
            "recording": recording,
            "custom_field": custom_field,
        }
        try:
            return self.start_call(request, called, customer_number, exophone, external=True)
        except RefusedError as refused:
            reason = f"{REFUSALS[refused.code][1]} ({refused.code})"
            raise ValueError(f"{called.name} cannot be called: {reason}") from refused

    def press(self, call_sid: str, leg: Leg = "agent", action: Press = "answer") -> None:
        """Do on a phone what a person would. ValueError if it is not possible, KeyError if there is no such call."""
        with self.clock.changed:
            call = self.book.calls[call_sid]
            if call_sid not in self._flows:
                raise ValueError(f"The call is {call.phase}: one can press nothing")
            self._flows[call_sid].press(leg, action)

    def recording_ready(self, call: SimulatedCall) -> bool:
        """Return True if the recording can be fetched by now."""
        if not call.recorded or call.ended is None:
            return False
        return self.clock.moment() - call.ended >= self.options.recording_delay

    def wait_until_quiet(self, timeout: float = 10.0) -> None:
        """Return when all calls are over and all callbacks delivered; TimeoutError after real seconds."""
        with self.clock.changed:
            if self.clock.changed.wait_for(lambda: not (self._flows or self._queue.open), timeout):
                return
            calls = [f"call {sid} is {flow.call.phase}" for sid, flow in self._flows.items()]
            callbacks = map(str, self._queue.open)
            raise TimeoutError(f"After {timeout:g} s still going on: {'; '.join([*calls, *callbacks])}")

    # Scenarios and the book

    def use_scenario(self, name: str) -> None:
        """Set the options of a scenario, and put all others back to what they were at first; KeyError."""
        scenario = next((one for one in SCENARIOS if one.name == name), None)
        if scenario is None:
            raise KeyError(f"There is no scenario {name!r}; there are {', '.join(one.name for one in SCENARIOS)}")
        with self.clock.changed:
            for option, value in {**vars(self.initial_options), **scenario.options}.items():
                if option not in KEPT_OPTIONS:
                    setattr(self.options, option, value)

    def scenario(self) -> Scenario | None:
        """Return the scenario whose options are in force; None if they are those of none."""
        now = vars(self.options)
        first = {**vars(self.initial_options), **{name: now[name] for name in KEPT_OPTIONS}}
        return next((one for one in SCENARIOS if {**first, **one.options} == now), None)

    def details_requests(self, call_sid: str | None = None) -> list[ReceivedRequest]:
        """Return the requests for Call Details so far, of one call or of all, in their order."""
        with self.clock.changed:
            found = [one for one in self.book.requests if one.details_of is not None]
        return [one for one in found if call_sid in (None, one.details_of)]

    def faults(self) -> Counter[str]:
        """Return how often each fault was made so far, by its name."""
        with self.clock.changed:
            return Counter(fault.name for fault in self.book.faults)

    # Power cuts, and the end

    @contextlib.contextmanager
    def power_cut(self, *, deliveries: Pending = "kept") -> Iterator[None]:
        """Be away meanwhile: connections break and are refused. Calls go on; the book stays.

        Callbacks that are pending by the end are delivered then ("kept") or never ("lost").
        """
        _check_power_cut(0, deliveries)
        self._queue.pause()
        self._server.pause()
        self.notifier.record_fault("power_cut", "", f"deliveries {deliveries}")
        try:
            yield
        finally:
            if deliveries == "lost":
                for pending in self._queue.discard():
                    self.notifier.record_fault("lost", pending.delivery.call_sid, pending.delivery.event)
            if not self.clock.stopped:
                self._server.resume()
            self._queue.resume()

    def restart(self, seconds: float = 1.0, *, deliveries: Pending = "kept") -> None:
        """Be away for real seconds, as in a power cut, and come back at the same address."""
        _check_power_cut(seconds, deliveries)
        with contextlib.suppress(StoppedError), self.power_cut(deliveries=deliveries):
            self.clock.wait_real(seconds)

    def restart_soon(self, seconds: float, deliveries: Pending) -> None:
        """Restart in a thread of its own, so that the request for it can still be answered."""
        _check_power_cut(seconds, deliveries)

        def restart() -> None:
            with contextlib.suppress(StoppedError):
                self.clock.wait_real(0.2)
                self.restart(seconds, deliveries=deliveries)

        threading.Thread(target=restart, name="exotel-simulator", daemon=True).start()

    def stop(self) -> None:
        """Stop serving, calling and delivering. Afterwards it has no thread and no socket."""
        self.clock.stop()
        self._server.stop()
        self._queue.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _respond(self, request: Request) -> Response:
        answer = self._page.respond(request)
        if answer is not None:
            return answer
        at, wall_time = self.clock.now(), datetime.now(UTC)
        try:
            answer = self._api.respond(request)
        except Exception:
            logger.exception("The simulator failed to answer %s %s", request.method, request.path)
            answer = json_response(*refusal(request.method, request.request_id, 1100))
        try:
            body = request.json() if request.content else None
        except ValueError:
            body = request.content.decode(errors="replace")
        status = answer.status if answer.transmission == "whole" else None
        received = ReceivedRequest(
            request.method, request.path, status, body, at, request.request_id, wall_time, request.query
        )
        with self.clock.changed:
            self.book.requests.append(received)
            self.clock.changed.notify_all()
        return answer

    def _fault_key(self, call: SimulatedCall) -> str:
        """Return what the faults of this call are drawn with: what was requested, and the number of such requests.

        When clients place calls at the same time, sids and order differ in each run, but these keys do not.
        """
        requested = f"{call.agent.uri}/{call.customer_number}/{call.custom_field or ''}"
        self._requested[requested] += 1
        return f"{requested}/{self._requested[requested]}"

    def _hung_up(self, call: SimulatedCall) -> None:
        call.agent.call_sid = None
        if call.recorded and self.options.recordings_shape != "never":
            name = f"{call.sid}.{self.options.recording_type}"
            call.recording_url = f"{self.url}/recordings/{self.account.sid}/{name}"

    def _report(self, call: SimulatedCall, event: str) -> None:
        if event == "terminal" and self.options.unknown_status:
            call.status = UNKNOWN_STATUS
        self.notifier.notify(call, event)
        if event == "terminal":
            del self._flows[call.sid]


def _check_power_cut(seconds: float, deliveries: str) -> None:
    if deliveries not in get_args(Pending):
        raise ValueError(f"deliveries={deliveries!r}: write one of {', '.join(get_args(Pending))}")
    if not 0 <= seconds <= MAX_RESTART:
        raise ValueError(f"seconds={seconds!r}: write a number from 0 to {MAX_RESTART}")
