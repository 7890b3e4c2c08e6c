"""The API of the simulated Exotel: Make a Call, Call Details, the lists, the recordings."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django_exotel_ccm.simulator.calls import SimulatedCall
from django_exotel_ccm.simulator.exchange import Answer, Request, json_answer
from django_exotel_ccm.simulator.listings import exophone_page, user_answer, user_page
from django_exotel_ccm.simulator.orders import NotUnderstoodError, understood
from django_exotel_ccm.simulator.recordings import recording
from django_exotel_ccm.simulator.scripts import script_for
from django_exotel_ccm.simulator.switchboard import Order, Switchboard
from django_exotel_ccm.simulator.wire import call_answer, call_details, refusal

CCM = r"/v2/accounts/(?P<sid>[^/]+)"
WEB_PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


class RefusedError(Exception):
    """The API says no, with one of its codes."""

    def __init__(self, code: int, description: str = "") -> None:
        self.code = code
        self.description = description
        super().__init__(code)


class Api:
    """Answers the requests that an application sends to Exotel."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._board = switchboard
        self._routes: tuple[tuple[str, re.Pattern[str], Callable[..., Answer]], ...] = (
            ("POST", re.compile(f"{CCM}/calls/?"), self._make_call),
            ("GET", re.compile(f"{CCM}/calls/(?P<call_sid>[^/]+)/?"), self._call_details),
            ("GET", re.compile(f"{CCM}/users/?"), self._users),
            ("GET", re.compile(f"{CCM}/users/(?P<user_id>[^/]+)/?"), self._user),
            ("GET", re.compile(r"/v2_beta/Accounts/(?P<sid>[^/]+)/IncomingPhoneNumbers/?"), self._exophones),
            ("GET", re.compile(r"/recordings/(?P<sid>[^/]+)/(?P<call_sid>[^/.]+)\.wav"), self._recording),
        )

    def answer(self, request: Request) -> Answer:
        """The answer to a request; a refusal in the documented shape if need be."""
        try:
            return self._routed(request)
        except RefusedError as refused:
            return self._refuse(request, refused.code, refused.description)

    def _routed(self, request: Request) -> Answer:
        matches = [(method, pattern.fullmatch(request.path), view) for method, pattern, view in self._routes]
        found = [(method, match, view) for method, match, view in matches if match]
        for method, match, view in found:
            if method == request.method:
                self._admit(request, match["sid"])
                named = {name: value for name, value in match.groupdict().items() if name != "sid"}
                return view(request, **named)
        status, words = (405, "Method not allowed") if found else (404, "Not found")
        return json_answer(status, {"error": words, "method": request.method, "path": request.path})

    def _admit(self, request: Request, sid: str) -> None:
        if not self._board.account.admits(request.header("Authorization")):
            raise RefusedError(1010)
        if sid != self._board.account.sid:
            raise RefusedError(1017)

    def _refuse(self, request: Request, code: int, description: str = "") -> Answer:
        status, body = refusal(request.method, request.request_id, code, description)
        headers = {"WWW-Authenticate": 'Basic realm="Exotel"'} if code == 1010 else {}
        if code == 10724 and self._board.options.retry_after is not None:
            headers = {"Retry-After": str(self._board.options.retry_after)}
        return json_answer(status, body, headers)

    # Make a Call

    def _make_call(self, request: Request) -> Answer:
        """Exotel: Make a Call, agent to customer (contract 2)."""
        try:
            payload = request.json()
        except ValueError as error:
            raise RefusedError(10725, "the body is not JSON") from error
        if not isinstance(payload, dict):
            raise RefusedError(10725, "the body is not a JSON object")
        if self._board.on_call:
            self._board.on_call(payload)
        if self._board.options.refuse_with:
            raise RefusedError(self._board.options.refuse_with)
        placed = self._board.place(self._order(payload))
        if isinstance(placed, int):
            raise RefusedError(placed)
        if placed.script.rings_anyway and placed.script.refusal:
            raise RefusedError(placed.script.refusal)
        return self._placed_answer(request, placed)

    def _order(self, payload: dict[str, Any]) -> Order:
        directory = self._board.directory
        try:
            words = understood(payload, self._board.options.to_key)
        except NotUnderstoodError as error:
            raise RefusedError(10725, str(error)) from error
        agent = directory.find(words.agent)
        if agent is None:
            raise RefusedError(10731)
        exophone = directory.exophone(words.virtual_number)
        if exophone is None:
            raise RefusedError(10716)
        script = script_for(words.customer_number)
        if script.refusal and not script.rings_anyway:
            raise RefusedError(script.refusal)
        return Order(payload, agent, words.customer_number, exophone)

    def _placed_answer(self, request: Request, call: SimulatedCall) -> Answer:
        options = self._board.options
        body = call_answer(call, options.answer_shape, request.request_id)
        match options.answer_fault:
            case "bad_gateway":
                return Answer(502, WEB_PAGE, "text/html")
            case "html":
                return Answer(200, WEB_PAGE, "text/html")
            case "cut":
                return Answer(200, b"", "text/plain", cut=True)
            case "no_sid":
                return json_answer(200, {**body, "response": {"call_state": "active"}, "call_sid": None})
            case "late":
                return Answer(200, json_answer(200, body).content, "application/json", delay=options.answer_delay)
            case _:
                return json_answer(200, body)

    # Call Details, recordings, lists

    def _call_details(self, request: Request, call_sid: str) -> Answer:
        """Exotel: Call Details (contract 7.1)."""
        call = self._board.book.calls.get(call_sid)
        if call is None:
            raise RefusedError(10744)
        with self._board.clock.changed:
            link = self._board.recording_url(call) if self._board.recording_ready(call) else None
            body = call_details(call, self._board.options.details_shape, request.request_id, link)
        return json_answer(200, body)

    def _recording(self, _request: Request, call_sid: str) -> Answer:
        """A recording: 404 until it is ready (contract 10.3)."""
        return recording_answer(self._board, call_sid)

    def _users(self, request: Request) -> Answer:
        """Exotel: list users (contract 5.2, 5.3)."""
        return json_answer(200, user_page(self._board.directory.agents, request))

    def _user(self, request: Request, user_id: str) -> Answer:
        """Exotel: one user (contract 5.3)."""
        agent = next((agent for agent in self._board.directory.agents if agent.user_id == user_id), None)
        if agent is None:
            raise RefusedError(10731)
        return json_answer(200, user_answer(agent, request))

    def _exophones(self, _request: Request) -> Answer:
        """Exotel: list ExoPhones (contract 6)."""
        return json_answer(200, exophone_page(self._board.directory.exophones))


def recording_answer(board: Switchboard, call_sid: str) -> Answer:
    """The WAV of a call, or 404 while there is none."""
    call = board.book.calls.get(call_sid)
    if call is None or not board.recording_ready(call):
        return Answer(404, b"There is no such recording, or not yet.\n", "text/plain; charset=utf-8")
    return Answer(200, recording(call.talk_time or 0, call.channels), "audio/wav")
