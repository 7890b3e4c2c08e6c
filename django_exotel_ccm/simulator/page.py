"""The web page: two phones to answer or let ring, the log, the agents' devices, the magic numbers."""

from __future__ import annotations

import hmac
import importlib.resources
import secrets
from collections.abc import Callable
from html import escape
from typing import Any, get_args
from urllib.parse import urlsplit

from django_exotel_ccm.simulator.book import call_json, delivery_json, request_json
from django_exotel_ccm.simulator.calls import SimulatedCall
from django_exotel_ccm.simulator.controls import switch_groups
from django_exotel_ccm.simulator.directory import Agent, Device
from django_exotel_ccm.simulator.exchange import Answer, Request, json_answer
from django_exotel_ccm.simulator.listening import recording_answer
from django_exotel_ccm.simulator.options import Options
from django_exotel_ccm.simulator.scripts import SCRIPTS
from django_exotel_ccm.simulator.switchboard import Switchboard
from django_exotel_ccm.simulator.switches import switches_of, text_of

SHOWN_CALLS, SHOWN_LOG = 30, 40
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Page:
    """Answers the requests of the page; a change asks for this run's token and the page's own origin."""

    def __init__(self, switchboard: Switchboard, restart: Callable[[float, str], None]) -> None:
        self._board = switchboard
        self._restart_soon = restart
        self._token = secrets.token_urlsafe(24)
        self._actions: dict[str, Callable[[Any], None]] = {
            "/page/press": self._press,
            "/page/device": self._device,
            "/page/options": self._options,
            "/page/elsewhere": self._elsewhere,
            "/page/restart": self._restart,
        }
        self._views: dict[str, Callable[[], Answer]] = {
            "/": lambda: Answer(200, self._html(), "text/html; charset=utf-8", HEADERS),
            "/page/page.css": lambda: Answer(200, read("page.css"), "text/css; charset=utf-8", HEADERS),
            "/page/page.js": lambda: Answer(200, read("page.js"), "text/javascript; charset=utf-8", HEADERS),
            "/page/state.json": lambda: json_answer(200, self._state(), HEADERS),
            "/book.json": lambda: json_answer(200, self._board.book.as_json(), HEADERS),
        }

    def answer(self, request: Request) -> Answer | None:
        """The answer, or None if the path is not one of the page's."""
        path = request.path
        if request.method == "POST":
            return self._act(request, self._actions[path]) if path in self._actions else None
        if request.method not in ("GET", "HEAD"):
            return None
        if path.startswith("/page/recordings/"):
            call_sid, _, kind = path.removeprefix("/page/recordings/").partition(".")
            return recording_answer(self._board, request, call_sid, "mp3" if kind == "mp3" else "wav")
        view = self._views.get(path)
        return view() if view else None

    def _html(self) -> bytes:
        rows = "".join(
            f"<tr><td><code>{escape(script.number)}</code></td><td>{escape(script.title)}</td></tr>"
            for script in SCRIPTS
        )
        page = read("page.html").decode()
        filled = {
            "token": escape(self._token),
            "numbers": rows,
            "account": escape(self._board.account.sid),
            "switches": switch_groups(),
        }
        for name, text in filled.items():
            page = page.replace(f"{{{{ {name} }}}}", text)
        return page.encode()

    def _state(self) -> dict[str, Any]:
        board = self._board
        with board.clock.changed:
            calls = list(board.book.calls.values())[: -SHOWN_CALLS - 1 : -1]
            return {
                "options": {name: text_of(getattr(board.options, name)) for name in switches_of(Options)},
                "faults": board.faults(),
                "speed": board.speed,
                "now": board.clock.now().isoformat(),
                "calls": [self._call(call) for call in calls],
                "agents": [agent_json(agent) for agent in board.directory.agents],
                "exophones": board.directory.exophones,
                "requests": [request_json(seen) for seen in board.book.requests[-SHOWN_LOG:]],
                "deliveries": [delivery_json(delivery) for delivery in board.book.deliveries[-SHOWN_LOG:]],
            }

    def _call(self, call: SimulatedCall) -> dict[str, Any]:
        ready = self._board.recording_ready(call)
        return {**call_json(call), "player": f"/page/recordings/{call.sid}.wav" if ready else None}

    def _act(self, request: Request, action: Callable[[Any], None]) -> Answer:
        given = request.header("X-Page-Token").encode()
        if not hmac.compare_digest(given, self._token.encode()):
            return json_answer(403, {"error": "The page is from another run: reload it"}, HEADERS)
        origin = urlsplit(request.header("Origin"))
        if origin.scheme != "http" or origin.netloc != request.header("Host"):
            return json_answer(403, {"error": "Only the simulator's own page may do this"}, HEADERS)
        try:
            action(request.json())
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return json_answer(400, {"error": str(error)}, HEADERS)
        return json_answer(200, {"done": True}, HEADERS)

    def _press(self, told: Any) -> None:
        self._board.press(told["call_sid"], told["leg"], told["action"])

    def _device(self, told: Any) -> None:
        self._board.agent(told["user_id"]).device = told["device"]

    def _options(self, told: Any) -> None:
        if "speed" in told:
            self._board.speed = float(told.pop("speed"))
        for name, value in told.items():
            if isinstance(value, str):
                self._board.options.read(name, value)
            else:
                setattr(self._board.options, name, value)

    def _elsewhere(self, told: Any) -> None:
        self._board.place_elsewhere(told["customer_number"], agent=told["agent"], recording=told["recording"])

    def _restart(self, told: Any) -> None:
        self._restart_soon(float(told["seconds"]), told["deliveries"])


def agent_json(agent: Agent) -> dict[str, Any]:
    """An agent, for the page."""
    return {
        "name": agent.name,
        "uri": agent.uri,
        "user_id": agent.user_id,
        "device": agent.device,
        "devices": list(get_args(Device)),
        "in_call": agent.call_sid is not None,
    }


def read(name: str) -> bytes:
    """A file of the page."""
    return (importlib.resources.files("django_exotel_ccm.simulator") / "pages" / name).read_bytes()
