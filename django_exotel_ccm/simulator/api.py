"""The API of the simulated Exotel: Make a Call, Call Details, the lists, the recordings."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django_exotel_ccm.simulator.calls import SimulatedCall
from django_exotel_ccm.simulator.details import details_answer
from django_exotel_ccm.simulator.exchange import WEB_PAGE, Answer, Request, Way, json_answer
from django_exotel_ccm.simulator.listening import faulty_recording_answer
from django_exotel_ccm.simulator.listings import exophone_page, user_answer, user_page
from django_exotel_ccm.simulator.options import AnswerFault
from django_exotel_ccm.simulator.orders import NotUnderstoodError, understood
from django_exotel_ccm.simulator.refusals import RefusedError
from django_exotel_ccm.simulator.scripts import script_for
from django_exotel_ccm.simulator.switchboard import Order, Switchboard
from django_exotel_ccm.simulator.wire import call_answer, refusal

PAGES: dict[AnswerFault, int] = {"bad_gateway": 502, "html": 200}
"""Faults that are a web page, with its status."""

WAYS: dict[AnswerFault, Way] = {"cut": "closed", "reset": "reset", "hang": "hang"}
"""Faults of the connection, with the way in which the answer goes out."""

CCM = r"/v2/accounts/(?P<sid>[^/]+)"


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
            ("GET", re.compile(r"/recordings/(?P<sid>[^/]+)/(?P<call_sid>[^/.]+)\.(?P<kind>wav|mp3)"), self._recording),
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
        """Exotel: Make a Call, agent to customer (docs/exotel.md 2)."""
        try:
            payload = request.json()
        except ValueError as error:
            raise RefusedError(10725, "the body is not JSON") from error
        if not isinstance(payload, dict):
            raise RefusedError(10725, "the body is not a JSON object")
        if self._board.on_call:
            self._board.on_call(payload)
        if code := self._board.options.refuse_with:
            self._board.teller.note(f"refused_{code}", "", "Make a Call")
            raise RefusedError(code)
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
        options, teller = self._board.options, self._board.teller
        if options.early_callbacks:
            teller.wait_for_first(call)
        body = call_answer(call, options.answer_shape, request.request_id)
        fault = options.answer_fault
        if fault == "none":
            return json_answer(200, body)
        teller.note(f"answer_{fault}", call.sid, "Make a Call")
        if fault == "no_sid":
            return json_answer(200, {**body, "response": {"call_state": "active"}, "call_sid": None})
        if fault in PAGES:
            return Answer(PAGES[fault], WEB_PAGE, "text/html")
        return replace(json_answer(200, body), way=WAYS.get(fault, "whole"), delay=self._delay())

    def _delay(self) -> float:
        options = self._board.options
        return options.answer_delay if options.answer_fault == "late" else 0.0

    # Call Details, recordings, lists

    def _call_details(self, request: Request, call_sid: str) -> Answer:
        """Exotel: Call Details (docs/exotel.md 7.1)."""
        return details_answer(self._board, request, call_sid)

    def _recording(self, request: Request, call_sid: str, kind: str) -> Answer:
        """A recording: 404 until it is ready (docs/exotel.md 10.3)."""
        return faulty_recording_answer(self._board, request, call_sid, kind)

    def _users(self, request: Request) -> Answer:
        """Exotel: list users (docs/exotel.md 5.2, 5.3)."""
        return json_answer(200, user_page(self._board.directory.agents, request))

    def _user(self, request: Request, user_id: str) -> Answer:
        """Exotel: one user (docs/exotel.md 5.3)."""
        agent = next((agent for agent in self._board.directory.agents if agent.user_id == user_id), None)
        if agent is None:
            raise RefusedError(10731)
        return json_answer(200, user_answer(agent, request))

    def _exophones(self, _request: Request) -> Answer:
        """Exotel: list ExoPhones (docs/exotel.md 6)."""
        return json_answer(200, exophone_page(self._board.directory.exophones))
