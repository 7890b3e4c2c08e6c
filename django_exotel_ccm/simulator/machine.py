"""The running simulator: the switchboard, its API and its page, behind one HTTP server."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Self
from urllib.parse import quote

from django_exotel_ccm.simulator.api import Api
from django_exotel_ccm.simulator.book import SeenRequest
from django_exotel_ccm.simulator.exchange import Account, Answer, Request, json_answer
from django_exotel_ccm.simulator.page import Page
from django_exotel_ccm.simulator.server import Server
from django_exotel_ccm.simulator.switchboard import Switchboard
from django_exotel_ccm.simulator.wire import refusal

logger = logging.getLogger("django_exotel_ccm.simulator")


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
        self._page = Page(self)
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
        try:
            answer = self._api.answer(request)
        except Exception:
            logger.exception("The simulator failed to answer %s %s", request.method, request.path)
            answer = json_answer(*refusal(request.method, request.request_id, 1100))
        self._note(request, answer)
        return answer

    def _note(self, request: Request, answer: Answer) -> None:
        try:
            body = request.json() if request.content else None
        except ValueError:
            body = request.content.decode(errors="replace")
        status = None if answer.cut else answer.status
        seen = SeenRequest(request.method, request.path, status, body, self.clock.now(), request.request_id)
        with self.clock.changed:
            self.book.requests.append(seen)
            self.clock.changed.notify_all()

    def _wait_really(self, seconds: float) -> None:
        self.clock.wait(seconds * self.clock.speed)
