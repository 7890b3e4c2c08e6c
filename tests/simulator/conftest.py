"""A running simulator, a client that knows its key, and an application that receives the callbacks."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import requests

from django_exotel_ccm import simulator
from django_exotel_ccm.simulator import Simulator

AUTH = ("sim-key", "sim-token")
ASHA = "+919000000101"
COMPLETED = "+919000001001"
CUSTOMER_UNANSWERED = "+919000001002"
AGENT_UNANSWERED = "+919000001003"
BY_HAND = "+919000001009"
TALKS_20_MINUTES = "+919000001014"


@dataclass
class Received:
    path: str
    content_type: str
    content: bytes


@dataclass
class Application:
    """An application's callback view; `answers` are given in turn, the last one for ever."""

    url: str = ""
    answers: list[int] = field(default_factory=lambda: [200])
    received: list[Received] = field(default_factory=list)
    hang: threading.Event | None = None

    def entries(self) -> list[dict[str, str]]:
        return [{"event": event, "url": f"{self.url}/{event}"} for event in ("answered", "terminal")]

    def paths(self) -> list[str]:
        return [one.path for one in self.received]


def handler_of(application: Application) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            application.received.append(Received(self.path, self.headers["Content-Type"], content))
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
    receiving = Application()
    with Receiver(("127.0.0.1", 0), handler_of(receiving)) as server:
        receiving.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield receiving
        if receiving.hang:
            receiving.hang.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def exotel() -> Iterator[Simulator]:
    with simulator.running(speed=1000.0) as running:
        yield running


def post_call(exotel: Simulator, customer: str = COMPLETED, timeout: float = 10, **fields: Any) -> requests.Response:
    """Place a call; keywords replace fields of the body, None takes a field out."""
    body: dict[str, Any] = {
        "from": {"user_contact_uri": ASHA},
        "to": {"number": customer},
        "virtual_number": "+918000000700",
        **{("from" if name == "from_" else name): value for name, value in fields.items()},
    }
    body = {name: value for name, value in body.items() if value is not None}
    return requests.post(f"{exotel.url}/v2/accounts/simulated1/calls", json=body, auth=AUTH, timeout=timeout)


def get_details(exotel: Simulator, sid: str, timeout: float = 5) -> requests.Response:
    """Ask for Call Details."""
    return requests.get(f"{exotel.url}/v2/accounts/simulated1/calls/{sid}", auth=AUTH, timeout=timeout)


Place = Callable[..., requests.Response]


@pytest.fixture
def place(exotel: Simulator) -> Place:
    return partial(post_call, exotel)


def sid_of(answer: requests.Response) -> str:
    """Return the sid of the call that was placed."""
    sid: str = answer.json()["response"]["call_sid"]
    return sid


def post_at_once(exotel: Simulator, application: Application, numbers: list[int]) -> None:
    """Place a call for each number, all at the same time, each of an agent of its own."""
    agents = {number: exotel.add_agent(f"sip:agent{number}").uri for number in sorted(numbers)}
    threads = [
        threading.Thread(
            target=post_call,
            args=(exotel,),
            kwargs={
                "from_": {"user_contact_uri": agents[number]},
                "custom_field": f"ticket_{number}",
                "status_callback": application.entries(),
            },
        )
        for number in numbers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    exotel.wait_until_quiet(timeout=15)
