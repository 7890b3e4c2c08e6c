"""The web page: two phones to answer or let ring, scenarios, the log, agents' devices, magic numbers, all options."""

from __future__ import annotations

import importlib.resources
import re
import secrets
from collections.abc import Callable
from hmac import compare_digest
from html import escape
from typing import TYPE_CHECKING, Any, get_args

from django_exotel_ccm.simulator.api.recordings import recording_response
from django_exotel_ccm.simulator.directory import DeviceState
from django_exotel_ccm.simulator.http_server import Request, Response, json_response, response
from django_exotel_ccm.simulator.options import FIELDS, FLAG, GROUPS
from django_exotel_ccm.simulator.scenarios import SCENARIOS, SCRIPTS

if TYPE_CHECKING:
    from django_exotel_ccm.simulator.simulator import Simulator

NEWEST = 40  # calls, requests and deliveries at most
MOST_AGENTS = 100  # agents, and ExoPhones
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
        self.token = secrets.token_urlsafe(24)
        self._actions: dict[str, Callable[..., object]] = {
            "/page/press": exotel.press,
            "/page/scenario": exotel.use_scenario,
            "/page/options": self._set_options,
            "/page/speed": lambda speed: setattr(exotel, "speed", float(speed)),
            "/page/device": self._switch,
            "/page/external-call": lambda recording="", **call: exotel.place_external_call(
                recording=bool(recording), **call
            ),
            "/page/restart": lambda seconds, deliveries: exotel.restart_soon(float(seconds), deliveries),
        }
        self._views: dict[str, Callable[[], Response]] = {
            "/": lambda: text_response(self._html(), "text/html"),
            "/page/page.css": lambda: text_response(read("page.css"), "text/css"),
            "/page/page.js": lambda: text_response(read("page.js"), "text/javascript"),
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
            return recording_response(self._exotel, request, call_sid, kind)
        view = self._views.get(path)
        return view() if view else None

    def _html(self) -> str:
        page = read("page.html")
        filled = {
            "token": self.token,
            "account": escape(self._exotel.account.sid),
            "scenarios": "".join(
                f'<li><button type="button" data-post="/page/scenario" data-name="{one.name}" aria-pressed="false">'
                f"<strong>{escape(one.title)}</strong> <span>{escape(one.text)}</span></button></li>"
                for one in SCENARIOS
            ),
            "numbers": "".join(
                f"<tr><td><code>{escape(one.number)}</code></td><td>{escape(one.title)}</td></tr>" for one in SCRIPTS
            ),
            "options": "".join(option_row(name) for name in FIELDS if name != OWN_CONTROL),
        }
        for name, text in filled.items():
            page = page.replace(f"{{{{ {name} }}}}", text)
        return page

    def _state(self) -> dict[str, Any]:
        exotel = self._exotel
        with exotel.clock.changed:
            state = exotel.book.as_json(newest=NEWEST)
            for shown in state["calls"]:
                is_ready = exotel.recording_ready(exotel.book.calls[shown["call_sid"]])
                shown["player"] = f"/page/recordings/{shown['call_sid']}.wav" if is_ready else None
            options, initial, scenario = exotel.options.as_texts(), exotel.initial_options.as_texts(), exotel.scenario()
            return {
                **state,
                "options": options,
                "changed": [name for name in FIELDS if name != OWN_CONTROL and options[name] != initial[name]],
                "scenario": scenario.name if scenario else None,
                "faults": exotel.faults(),
                "speed": exotel.speed,
                "agents": [agent.as_json() for agent in exotel.directory.agents[:MOST_AGENTS]],
                "device_states": get_args(DeviceState),
                "exophones": exotel.directory.exophones[:MOST_AGENTS],
            }

    def _act(self, request: Request, action: Callable[..., object]) -> Response:
        if not compare_digest(request.headers.get("X-Page-Token", "").encode(), self.token.encode()):
            return json_response(403, {"error": "The page is from another run: reload it"}, HEADERS)
        if not request.headers.get("Origin", ""):  # the server has refused a foreign one
            return json_response(403, {"error": "Only the simulator's own page may do this"}, HEADERS)
        try:
            action(**request.json())
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return json_response(400, {"error": str(error.args[0])}, HEADERS)
        return json_response(200, {"done": True}, HEADERS)

    def _switch(self, user_id: str, device: DeviceState, device_id: str = "") -> None:
        agent = self._exotel.agent(user_id)
        found = next((one for one in agent.devices if device_id in ("", str(one.id))), None)
        if found is None:
            raise KeyError(f"{agent.name} has no device {device_id}")
        with self._exotel.clock.changed:
            agent.switch(found, device)

    def _set_options(self, **texts: str) -> None:
        for name, text in texts.items():
            self._exotel.options.set_text(name, text)


def option_row(name: str) -> str:
    """Return an option as HTML, with the heading of its group; the script fills in its value."""
    option = FIELDS[name]
    kind, group = option.metadata["kind"], GROUPS.get(name)
    about = f'id="option-{name}" name="{name}" data-post="/page/options" aria-describedby="text-{name}"'
    if kind is FLAG:
        control = f'<input type="checkbox" {about}>'
    elif kind.texts:
        control = f"<select {about}>{''.join(f'<option>{text}</option>' for text in kind.texts)}</select>"
    else:
        control = f'<input type="text" autocomplete="off" {about}>'
    text = CODE.sub(r"<code>\1</code>", escape(option.metadata["text"], quote=False))
    return (
        f"{f'<h3>{group}</h3>' if group else ''}"
        f'<div class="row"><label for="option-{name}"><code>{name}</code></label>{control}'
        f'<p id="text-{name}">{text}</p></div>'
    )


def read(name: str) -> str:
    """Return a file of the page."""
    return importlib.resources.files("django_exotel_ccm.simulator.web_page").joinpath(name).read_text("utf-8")


def text_response(text: str, content_type: str) -> Response:
    """Return a response that no other page can frame."""
    return response(200, text.encode(), f"{content_type}; charset=utf-8", HEADERS)
