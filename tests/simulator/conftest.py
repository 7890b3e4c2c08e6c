"""A running simulator, a client that knows its key, and an application that hears the callbacks."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from django_exotel_ccm import simulator

AUTH = ("sim-key", "sim-token")
ASHA = "+919000000101"
COMPLETED = "+919000001001"
BY_HAND = "+919000001009"


@dataclass
class Heard:
    path: str
    content_type: str
    content: bytes


@dataclass
class Application:
    """An application's callback view; `answers` are given in turn, the last one for ever."""

    url: str = ""
    answers: list[int] = field(default_factory=lambda: [200])
    heard: list[Heard] = field(default_factory=list)
    hang: threading.Event | None = None

    def entries(self) -> list[dict[str, str]]:
        return [{"event": event, "url": f"{self.url}/{event}"} for event in ("answered", "terminal")]

    def paths(self) -> list[str]:
        return [one.path for one in self.heard]


def handler_of(application: Application) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            application.heard.append(Heard(self.path, self.headers["Content-Type"], content))
            if application.hang:
                application.hang.wait(10)
            status = application.answers[0] if len(application.answers) == 1 else application.answers.pop(0)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"{application.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            return

    return Handler


class Receiver(http.server.ThreadingHTTPServer):
    request_queue_size = 128


@pytest.fixture
def application() -> Iterator[Application]:
    heard = Application()
    with Receiver(("127.0.0.1", 0), handler_of(heard)) as server:
        heard.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield heard
        if heard.hang:
            heard.hang.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def exotel() -> Iterator[simulator.Simulator]:
    with simulator.running(speed=1000.0) as running:
        yield running


Place = Callable[..., requests.Response]


@pytest.fixture
def place(exotel: simulator.Simulator) -> Place:
    """Place a call; keywords replace fields of the body, None takes a field out."""

    def _place(customer: str = COMPLETED, timeout: float = 10, **fields: Any) -> requests.Response:
        body: dict[str, Any] = {
            "from": {"user_contact_uri": ASHA},
            "to": {"number": customer},
            "virtual_number": "+918000000700",
            **{("from" if name == "from_" else name): value for name, value in fields.items()},
        }
        body = {name: value for name, value in body.items() if value is not None}
        url = f"{exotel.url}/v2/accounts/simulated1/calls"
        return requests.post(url, json=body, auth=AUTH, timeout=timeout)

    return _place
