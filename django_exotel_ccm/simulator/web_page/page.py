"""The web page: two phones to answer or let ring, scenarios, the log, agents' devices, magic numbers, all options."""

from __future__ import annotations

import importlib.resources
import re
import secrets
from collections.abc import Callable
from dataclasses import Field
from hmac import compare_digest
from html import escape
from typing import TYPE_CHECKING, Any, get_args

from django_exotel_ccm.simulator.api.recordings import recording_response
from django_exotel_ccm.simulator.directory import Agent, Device
from django_exotel_ccm.simulator.http_types import Request, Response, json_response, response
from django_exotel_ccm.simulator.options import FIELDS
from django_exotel_ccm.simulator.scenarios import SCENARIOS, SCRIPTS

if TYPE_CHECKING:
    from django_exotel_ccm.simulator.simulator import Simulator

SHOWN = 40  # calls, requests and deliveries at most
OWN_CONTROL = "by_hand"  # stands at the top of the page
CODE = re.compile(r"`([^`]+)`")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Page:
    """Answers the requests of the page. A change needs this run's token and the page's own origin."""

    def __init__(self, exotel: Simulator) -> None:
        self._exotel = exotel
        self._token = secrets.token_urlsafe(24)
        self._actions: dict[str, Callable[..., object]] = {
            "/page/press": exotel.press,
            "/page/scenario": exotel.use_scenario,
            "/page/options": self._set_options,
            "/page/speed": self._set_speed,
            "/page/device": self._set_device,
            "/page/elsewhere": exotel.place_elsewhere,
            "/page/restart": exotel.restart_soon,
        }
        self._views: dict[str, Callable[[], Response]] = {
            "/": lambda: response(200, self._html(), "text/html; charset=utf-8", HEADERS),
            "/page/page.css": lambda: response(200, read("page.css"), "text/css; charset=utf-8", HEADERS),
            "/page/page.js": lambda: response(200, read("page.js"), "text/javascript; charset=utf-8", HEADERS),
            "/page/state.json": lambda: json_response(200, self._state(), HEADERS),
            "/book.json": lambda: json_response(200, exotel.book.as_json(), HEADERS),
        }

    def respond(self, request: Request) -> Response | None:
        """Return the response, or None if the path is not one of the page's."""
        path = request.path
        if request.method == "POST":
            return self._act(request, self._actions[path]) if path in self._actions else None
        if request.method not in ("GET", "HEAD"):
            return None
        if path.startswith("/page/recordings/"):
            call_sid, _, kind = path.removeprefix("/page/recordings/").partition(".")
            return recording_response(self._exotel, request, call_sid, "mp3" if kind == "mp3" else "wav")
        view = self._views.get(path)
        return view() if view else None

    def _html(self) -> bytes:
        page = read("page.html").decode()
        filled = {
            "token": escape(self._token),
            "account": escape(self._exotel.account.sid),
            "scenarios": "".join(
                f'<li><button type="button" data-scenario="{one.name}" aria-pressed="false">'
                f"<strong>{escape(one.title)}</strong> <span>{escape(one.text)}</span></button></li>"
                for one in SCENARIOS
            ),
            "numbers": "".join(
                f"<tr><td><code>{escape(one.number)}</code></td><td>{escape(one.title)}</td></tr>" for one in SCRIPTS
            ),
            "options": option_groups(self._exotel.first_options.as_texts()),
        }
        for name, text in filled.items():
            page = page.replace(f"{{{{ {name} }}}}", text)
        return page.encode()

    def _state(self) -> dict[str, Any]:
        exotel = self._exotel
        with exotel.clock.changed:
            state = exotel.book.as_json(newest=SHOWN)
            for shown in state["calls"]:
                is_ready = exotel.recording_ready(exotel.book.calls[shown["call_sid"]])
                shown["player"] = f"/page/recordings/{shown['call_sid']}.wav" if is_ready else None
            scenario = exotel.scenario()
            return {
                **state,
                "options": exotel.options.as_texts(),
                "scenario": scenario.name if scenario else None,
                "faults": exotel.faults(),
                "speed": exotel.speed,
                "agents": [agent_json(agent) for agent in exotel.directory.agents],
                "exophones": exotel.directory.exophones,
            }

    def _act(self, request: Request, action: Callable[..., object]) -> Response:
        if not compare_digest(request.header("X-Page-Token").encode(), self._token.encode()):
            return json_response(403, {"error": "The page is from another run: reload it"}, HEADERS)
        if not request.header("Origin"):  # the server has refused a foreign one
            return json_response(403, {"error": "Only the simulator's own page may do this"}, HEADERS)
        try:
            action(**request.json())
        except KeyError as error:
            return json_response(400, {"error": str(error.args[0])}, HEADERS)
        except (TypeError, ValueError, AttributeError) as error:
            return json_response(400, {"error": str(error)}, HEADERS)
        return json_response(200, {"done": True}, HEADERS)

    def _set_options(self, **texts: str) -> None:
        for name, text in texts.items():
            self._exotel.options.read(name, text)

    def _set_speed(self, speed: float) -> None:
        self._exotel.speed = speed

    def _set_device(self, user_id: str, device: Device) -> None:
        self._exotel.agent(user_id).device = device


def agent_json(agent: Agent) -> dict[str, Any]:
    """Return an agent, for the page."""
    return {
        "name": agent.name,
        "uri": agent.uri,
        "user_id": agent.user_id,
        "device": agent.device,
        "devices": get_args(Device),
        "in_call": agent.call_sid is not None,
    }


def option_groups(first: dict[str, str]) -> str:
    """Return the options as HTML, each group to be opened; the script fills in their values."""
    groups: dict[str, str] = {}
    heading = "Directory"
    for name, option in FIELDS.items():
        heading = option.metadata["group"] or heading
        if name != OWN_CONTROL:
            groups[heading] = groups.get(heading, "") + _option_row(option, first[name])
    badge = '<span class="badge wait" hidden></span>'
    return "".join(
        f"<details><summary>{escape(heading)} {badge}</summary>{rows}</details>" for heading, rows in groups.items()
    )


def _option_row(option: Field[Any], first: str) -> str:
    name, kind = option.name, option.metadata["kind"]
    about = f'id="option-{name}" name="{name}" data-first="{escape(first)}" aria-describedby="text-{name}"'
    if isinstance(option.default, bool):
        control = f'<input type="checkbox" {about}>'
    elif kind.words:
        control = f"<select {about}>{''.join(f'<option>{word}</option>' for word in kind.words)}</select>"
    else:
        control = f'<input type="text" autocomplete="off" spellcheck="false" {about}>'
    text = CODE.sub(r"<code>\1</code>", escape(option.metadata["text"], quote=False))
    return (
        f'<div class="row"><label for="option-{name}"><code>{name}</code></label>{control}'
        f'<p id="text-{name}">{text}</p></div>'
    )


def read(name: str) -> bytes:
    """Return a file of the page."""
    return (importlib.resources.files("django_exotel_ccm.simulator") / "web_page" / name).read_bytes()
