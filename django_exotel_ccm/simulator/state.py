"""The state of the simulated Exotel, and what its API, its callbacks and its page do with it."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from django_exotel_ccm.simulator.call_flow import UNKNOWN_STATUS, CallFlow, Leg, Press, SimulatedCall
from django_exotel_ccm.simulator.callbacks.delivery import DeliveryQueue
from django_exotel_ccm.simulator.callbacks.notifier import Notifier
from django_exotel_ccm.simulator.clock import Clock, Scheduler
from django_exotel_ccm.simulator.directory import Agent, Directory
from django_exotel_ccm.simulator.http_types import Account
from django_exotel_ccm.simulator.options import Options
from django_exotel_ccm.simulator.recorder import Book
from django_exotel_ccm.simulator.scenarios import BY_HAND, SCENARIOS, Scenario, script_for

KEPT_OPTIONS = ("by_hand", "add_unknown", "account_callback_url")  # they set the simulator up; no scenario changes them


class State:
    """Directory, clock, options, book, calls and callbacks of one simulated account."""

    def __init__(self, *, account: Account, speed: float, options: Mapping[str, Any], deliver_anywhere: bool) -> None:
        self.account = account
        self.options = Options(**options)
        self.clock = Clock(speed)
        self.book = Book()
        self.directory = Directory(self.clock.changed)
        self.on_call: Callable[[dict[str, Any]], None] | None = None
        """Called with the body of each Make a Call, before it is checked and answered. Must not raise."""
        self.url = ""
        self.first_options = Options(**options)
        """The options at the start; every scenario begins with them."""
        self._requested: Counter[str] = Counter()
        self._scheduler = Scheduler(self.clock)
        self._queue = DeliveryQueue(self.clock, self.book, self._scheduler, deliver_anywhere=deliver_anywhere)
        self._flows: dict[str, CallFlow] = {}
        self.notifier = Notifier(self.clock, self.book, self.options, self._queue)

    def place(
        self, request: dict[str, Any], agent: Agent, customer_number: str, exophone: str, *, elsewhere: bool = False
    ) -> SimulatedCall:
        """Start a call; RefusedError if the agent cannot be called."""
        script = BY_HAND if self.options.by_hand else script_for(customer_number)
        with self.clock.changed:
            call = SimulatedCall(
                sid=uuid.uuid4().hex,
                request=request,
                agent=agent,
                customer_number=customer_number,
                virtual_number=exophone,
                script=script,
                created_at=datetime.now(UTC),
                elsewhere=elsewhere,
            )
            self.directory.occupy(agent, call.sid)
            call.draw_key = self._draw_key(call)
            self.book.calls[call.sid] = call
            flow = CallFlow(call, self.clock, self._scheduler, report=self._report, hung_up=self._hung_up)
            self._flows[call.sid] = flow
            flow.go_on()
        return call

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

    def use_scenario(self, name: str) -> None:
        """Set the options of a scenario, and put all others back to what they were at first; KeyError."""
        scenario = next((one for one in SCENARIOS if one.name == name), None)
        if scenario is None:
            raise KeyError(f"There is no scenario {name!r}; there are {', '.join(one.name for one in SCENARIOS)}")
        first = {name: value for name, value in vars(self.first_options).items() if name not in KEPT_OPTIONS}
        with self.clock.changed:
            self.options.sparse_terminal = self.options.conflicting_finals = False  # they exclude each other
            self.options.update({**first, **scenario.options})

    def scenario(self) -> Scenario | None:
        """Return the scenario whose options are in force; None if they are those of none."""
        first, now = vars(self.first_options), vars(self.options)
        kept = {name: now[name] for name in KEPT_OPTIONS}
        return next((one for one in SCENARIOS if {**first, **one.options, **kept} == now), None)

    def is_quiet(self) -> bool:
        """Return True if every call is over and every callback delivered or given up."""
        return not (self._flows or self._queue.open)

    def going_on(self) -> list[str]:
        """Return in words which calls and callbacks are not over."""
        calls = [f"call {sid} is {flow.call.phase}" for sid, flow in self._flows.items()]
        return calls + [str(pending) for pending in self._queue.open]

    def stop(self) -> None:
        """Stop the clock, break off calls and deliveries, and wait for their threads."""
        self.clock.stop()
        self._scheduler.join()
        self._queue.stop()

    def _draw_key(self, call: SimulatedCall) -> str:
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
