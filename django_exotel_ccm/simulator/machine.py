"""The running simulator: the switchboard, its API and its page, behind one HTTP server."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, Self, cast, get_args
from urllib.parse import quote

from django_exotel_ccm.simulator.api import Api
from django_exotel_ccm.simulator.book import SeenRequest
from django_exotel_ccm.simulator.clock import StoppedError
from django_exotel_ccm.simulator.exchange import Account, Answer, Request, json_answer
from django_exotel_ccm.simulator.page import Page
from django_exotel_ccm.simulator.server import Server
from django_exotel_ccm.simulator.switchboard import Switchboard
from django_exotel_ccm.simulator.wire import refusal

Deliveries = Literal["kept", "lost"]
"""What becomes of pending callbacks in a power cut."""
LONGEST_RESTART = 600  # seconds

logger = logging.getLogger("django_exotel_ccm.simulator")


def checked_deliveries(deliveries: str) -> Deliveries:
    """The word, if it is one of Deliveries; else ValueError."""
    if deliveries not in get_args(Deliveries):
        raise ValueError(f"deliveries={deliveries!r}: write one of {', '.join(get_args(Deliveries))}")
    return cast("Deliveries", deliveries)


class Simulator(Switchboard):
    """A fake Exotel that answers at `url` from the moment it is made until `stop`."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        speed: float = 1.0,
        account: Account | None = None,
        deliver_anywhere: bool = False,
    ) -> None:
        super().__init__(account=account or Account(), speed=speed, deliver_anywhere=deliver_anywhere)
        self._api = Api(self)
        self._page = Page(self, self._restart_soon)
        self._server = Server(host, port, self._respond, self._wait_really)
        self.url = f"http://{self._server.host}:{self._server.port}"

    @property
    def account_url(self) -> str:
        """What to put in EXOTEL_URL."""
        known = self.account
        secret = f"{quote(known.key, safe='')}:{quote(known.token, safe='')}"
        return f"exotel://{secret}@{self.url.removeprefix('http://')}/{quote(known.sid, safe='')}?tls=off"

    def stop(self) -> None:
        """Stop serving, calling and delivering. Afterwards it has no thread and no socket."""
        self.clock.stop()
        self._server.stop()
        super().stop()

    @contextlib.contextmanager
    def power_cut(self, *, deliveries: Deliveries = "kept") -> Iterator[None]:
        """Be away meanwhile: connections break and are refused. Calls go on; the book stays.

        Callbacks that are pending by the end are delivered then ("kept") or never ("lost").
        """
        checked_deliveries(deliveries)
        self._courier.pause()
        self._server.pause()
        self.teller.note("power_cut", "", f"deliveries {deliveries}")
        try:
            yield
        finally:
            if deliveries == "lost":
                for errand in self._courier.forget():
                    self.teller.note("lost", errand.call_sid, errand.event)
            if not self.clock.stopped:
                self._server.resume()
            self._courier.resume()

    def restart(self, seconds: float = 1.0, *, deliveries: Deliveries = "kept") -> None:
        """Be away for real seconds, as after a power cut, and come back at the same address."""
        with self.power_cut(deliveries=deliveries):
            self._wait_really(seconds)

    def _restart_soon(self, seconds: float, deliveries: str) -> None:
        """Restart from a thread of its own, once the request that asks for it has been answered."""
        if not 0 <= seconds <= LONGEST_RESTART:
            raise ValueError(f"seconds={seconds!r}: write a number from 0 to {LONGEST_RESTART}")
        cut = self.power_cut(deliveries=checked_deliveries(deliveries))

        def restart() -> None:
            with contextlib.suppress(StoppedError):
                self._wait_really(0.2)
                with cut:
                    self._wait_really(seconds)

        threading.Thread(target=restart, name="exotel-simulator", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _respond(self, request: Request) -> Answer:
        answer = self._page.answer(request)
        if answer is not None:
            return answer
        asked_at, really_at = self.clock.now(), datetime.now(UTC)
        try:
            answer = self._api.answer(request)
        except Exception:
            logger.exception("The simulator failed to answer %s %s", request.method, request.path)
            answer = json_answer(*refusal(request.method, request.request_id, 1100))
        self._note(request, answer, asked_at, really_at)
        return answer

    def _note(self, request: Request, answer: Answer, asked_at: datetime, really_at: datetime) -> None:
        try:
            body = request.json() if request.content else None
        except ValueError:
            body = request.content.decode(errors="replace")
        seen = SeenRequest(
            method=request.method,
            path=request.path,
            status=answer.status if answer.way == "whole" else None,
            body=body,
            at=asked_at,
            request_id=request.request_id,
            really_at=really_at,
        )
        with self.clock.changed:
            self.book.requests.append(seen)
            self.clock.changed.notify_all()

    def _wait_really(self, seconds: float) -> None:
        self.clock.wait(seconds * self.clock.speed)
