"""The running simulator: state, API and web page behind one HTTP server."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Self, get_args
from urllib.parse import quote

from django_exotel_ccm.simulator.api.payloads import refusal
from django_exotel_ccm.simulator.api.routes import Api
from django_exotel_ccm.simulator.call_flow import SimulatedCall
from django_exotel_ccm.simulator.clock import StoppedError
from django_exotel_ccm.simulator.directory import ASHA
from django_exotel_ccm.simulator.http_server import Server
from django_exotel_ccm.simulator.http_types import Account, Request, Response, json_response
from django_exotel_ccm.simulator.recorder import SeenRequest
from django_exotel_ccm.simulator.refusals import REFUSALS, RefusedError
from django_exotel_ccm.simulator.state import State
from django_exotel_ccm.simulator.web_page.page import Page

Pending = Literal["kept", "lost"]
"""What becomes of pending callbacks in a power cut."""
LONGEST_RESTART = 600  # seconds

logger = logging.getLogger("django_exotel_ccm.simulator")


class Simulator(State):
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
        super().__init__(
            account=account or Account(), speed=speed, options=options or {}, deliver_anywhere=deliver_anywhere
        )
        self.add_agent, self.add_exophone = self.directory.add_agent, self.directory.add_exophone
        self.agent = self.directory.agent
        self._api = Api(self)
        self._page = Page(self)
        try:
            self._server = Server(host, port, self._respond, self._wait_really)
        except BaseException:  # the port is taken, for example
            super().stop()
            raise
        self.url = self._server.url

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

    def place_elsewhere(
        self, customer_number: str, *, agent: str = ASHA, recording: bool = False, custom_field: str | None = None
    ) -> SimulatedCall:
        """Have a call that the application did not place; only the account's own URL hears of it.

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
            return self.place(request, called, customer_number, exophone, elsewhere=True)
        except RefusedError as refused:
            reason = f"{REFUSALS[refused.code][1]} ({refused.code})"
            raise ValueError(f"{called.name} cannot be called: {reason}") from refused

    def wait_until_quiet(self, timeout: float = 10.0) -> None:
        """Return when all calls are over and all callbacks delivered; TimeoutError after real seconds."""
        with self.clock.changed:
            if not self.clock.changed.wait_for(self.is_quiet, timeout):
                raise TimeoutError(f"After {timeout:g} s still going on: {'; '.join(self.going_on())}")

    def details_requests(self, call_sid: str | None = None) -> list[SeenRequest]:
        """Return the requests for Call Details so far, of one call or of all, in their order."""
        with self.clock.changed:
            found = [seen for seen in self.book.requests if seen.details_of is not None]
        return [seen for seen in found if call_sid in (None, seen.details_of)]

    def faults(self) -> Counter[str]:
        """Return how often each fault was made so far, by its name."""
        with self.clock.changed:
            return Counter(fault.name for fault in self.book.faults)

    @contextlib.contextmanager
    def power_cut(self, *, deliveries: Pending = "kept") -> Iterator[None]:
        """Be away meanwhile: connections break and are refused. Calls go on; the book stays.

        Callbacks that are pending by the end are delivered then ("kept") or never ("lost").
        """
        _check_power_cut(0, deliveries)
        self._queue.pause()
        self._server.pause()
        self.notifier.note("power_cut", "", f"deliveries {deliveries}")
        try:
            yield
        finally:
            if deliveries == "lost":
                for pending in self._queue.discard():
                    self.notifier.note("lost", pending.delivery.call_sid, pending.delivery.event)
            if not self.clock.stopped:
                self._server.resume()
            self._queue.resume()

    def restart(self, seconds: float = 1.0, *, deliveries: Pending = "kept") -> None:
        """Be away for real seconds, as in a power cut, and come back at the same address."""
        _check_power_cut(seconds, deliveries)
        with contextlib.suppress(StoppedError), self.power_cut(deliveries=deliveries):
            self._wait_really(seconds)

    def restart_soon(self, seconds: float, deliveries: Pending) -> None:
        """Restart in a thread of its own, so that the request that asks for it can still be answered."""
        _check_power_cut(seconds, deliveries)

        def restart() -> None:
            with contextlib.suppress(StoppedError):
                self._wait_really(0.2)
                self.restart(seconds, deliveries=deliveries)

        threading.Thread(target=restart, name="exotel-simulator", daemon=True).start()

    def stop(self) -> None:
        """Stop serving, calling and delivering. Afterwards it has no thread and no socket."""
        self.clock.stop()
        self._server.stop()
        super().stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _respond(self, request: Request) -> Response:
        answer = self._page.respond(request)
        if answer is not None:
            return answer
        at, really_at = self.clock.now(), datetime.now(UTC)
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
        seen = SeenRequest(request.method, request.path, status, body, at, request.request_id, really_at)
        with self.clock.changed:
            self.book.requests.append(seen)
            self.clock.changed.notify_all()
        return answer

    def _wait_really(self, seconds: float) -> None:
        self.clock.wait(seconds * self.clock.speed)


def _check_power_cut(seconds: float, deliveries: str) -> None:
    if deliveries not in get_args(Pending):
        raise ValueError(f"deliveries={deliveries!r}: write one of {', '.join(get_args(Pending))}")
    if not 0 <= seconds <= LONGEST_RESTART:
        raise ValueError(f"seconds={seconds!r}: write a number from 0 to {LONGEST_RESTART}")
