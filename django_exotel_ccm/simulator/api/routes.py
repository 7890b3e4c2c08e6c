"""The API of the simulated Exotel: Make a Call, Call Details, the lists, the recordings."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from django_exotel_ccm.simulator.api.payloads import (
    call_answer,
    call_details,
    envelope,
    exophone_page,
    refusal,
    succeeded,
    user_page,
    user_row,
)
from django_exotel_ccm.simulator.api.recordings import faulty_recording_response
from django_exotel_ccm.simulator.api.validation import AGENT, CallRequest, InvalidBodyError, read_call_request
from django_exotel_ccm.simulator.call_flow import SimulatedCall
from django_exotel_ccm.simulator.directory import Agent
from django_exotel_ccm.simulator.http_types import (
    HTML,
    WEB_PAGE,
    Request,
    Response,
    Transmission,
    json_response,
    response,
)
from django_exotel_ccm.simulator.refusals import RefusedError
from django_exotel_ccm.simulator.scenarios import script_for
from django_exotel_ccm.simulator.state import State

CCM = r"/v2/accounts/(?P<sid>[^/]+)"
TRANSMISSIONS: dict[str, Transmission] = {"cut": "closed", "reset": "reset", "hang": "hang"}
DETAILS_REFUSALS = {"not_found": 10744, "unauthorised": 1010, "too_many": 10724}


class Api:
    """Answers the requests that an application sends to Exotel."""

    def __init__(self, state: State) -> None:
        self._state = state
        directory = state.directory
        self._routes: tuple[tuple[str, re.Pattern[str], Callable[..., Response]], ...] = (
            ("POST", re.compile(f"{CCM}/calls/?"), self._make_call),
            ("GET", re.compile(f"{CCM}/calls/(?P<call_sid>[^/]+)/?"), self._call_details),
            (
                "GET",
                re.compile(f"{CCM}/users/?"),
                lambda request: json_response(200, user_page(directory.agents, request)),
            ),
            ("GET", re.compile(f"{CCM}/users/(?P<user_id>[^/]+)/?"), self._user),
            (
                "GET",
                re.compile(r"/v2_beta/Accounts/(?P<sid>[^/]+)/IncomingPhoneNumbers/?"),
                lambda _request: json_response(200, exophone_page(directory.exophones)),
            ),
            (
                "GET",
                re.compile(r"/recordings/(?P<sid>[^/]+)/(?P<call_sid>[^/.]+)\.(?P<kind>wav|mp3)"),
                partial(faulty_recording_response, state),
            ),
        )

    def respond(self, request: Request) -> Response:
        """Return the response to a request, in the documented shape also when it is refused."""
        status, reason = 404, "Not found"
        for method, pattern, view in self._routes:
            if match := pattern.fullmatch(request.path):
                if method == request.method:
                    return self._view(request, view, match.groupdict())
                status, reason = 405, "Method not allowed"
        return json_response(status, {"error": reason, "method": request.method, "path": request.path})

    def _view(self, request: Request, view: Callable[..., Response], parts: dict[str, str]) -> Response:
        try:
            if not self._state.account.accepts(request.header("Authorization")):
                raise RefusedError(1010)
            if parts.pop("sid") != self._state.account.sid:
                raise RefusedError(1017)
            return view(request, **parts)
        except RefusedError as refused:
            status, body = refusal(request.method, request.request_id, refused.code, refused.description)
            headers = {"WWW-Authenticate": 'Basic realm="Exotel"'} if refused.code == 1010 else {}
            if refused.code == 10724 and self._state.options.retry_after is not None:
                headers = {"Retry-After": str(self._state.options.retry_after)}
            return json_response(status, body, headers)

    # Make a Call

    def _make_call(self, request: Request) -> Response:
        """Place a call, agent to customer (docs/exotel.md 2)."""
        state = self._state
        try:
            payload = request.json()
        except ValueError:
            payload = None
        if state.on_call and isinstance(payload, dict):
            state.on_call(payload)
        if code := state.options.refuse_with:
            state.notifier.note(f"refused_{code}", "", "Make a Call")
            raise RefusedError(code)
        try:
            wanted = read_call_request(payload, state.options.to_key)
        except InvalidBodyError as error:
            raise RefusedError(10725, str(error)) from error
        agent, exophone = self._agent(wanted), self._exophone(wanted)
        script = script_for(wanted.customer_number)
        if script.refusal and not script.rings_anyway:
            raise RefusedError(script.refusal)
        call = state.place(payload, agent, wanted.customer_number, exophone)
        if script.refusal:
            raise RefusedError(script.refusal)
        return self._placed(request, call)

    def _agent(self, wanted: CallRequest) -> Agent:
        directory = self._state.directory
        agent = directory.find_agent(wanted.agent)
        if agent is None and self._state.options.add_unknown and AGENT.fullmatch(wanted.agent):
            agent = directory.add_agent(wanted.agent)
        if agent is None:
            raise RefusedError(10731)
        return agent

    def _exophone(self, wanted: CallRequest) -> str:
        directory = self._state.directory
        if self._state.options.add_unknown:
            return directory.add_exophone(wanted.virtual_number)
        exophone = directory.find_exophone(wanted.virtual_number)
        if exophone is None:
            raise RefusedError(10716)
        return exophone

    def _placed(self, request: Request, call: SimulatedCall) -> Response:
        options, notifier = self._state.options, self._state.notifier
        if options.early_callbacks:
            notifier.wait_for_first(call)
        body = call_answer(call, options.answer_shape, request.request_id)
        fault = options.answer_fault
        if fault == "none":
            return json_response(200, body)
        notifier.note(f"answer_{fault}", call.sid, "Make a Call")
        if fault == "no_sid":
            return json_response(200, {**body, "response": {"call_state": "active"}, "call_sid": None})
        if fault in ("bad_gateway", "html"):
            return response(502 if fault == "bad_gateway" else 200, WEB_PAGE, HTML)
        delay = options.answer_delay if fault == "late" else 0.0
        return replace(json_response(200, body), transmission=TRANSMISSIONS.get(fault, "whole"), delay=delay)

    # Call Details, one user

    def _call_details(self, request: Request, call_sid: str) -> Response:
        """Return Call Details (docs/exotel.md 7.1)."""
        state = self._state
        fault = state.options.details_fault
        if fault not in ("none", "stale"):
            state.notifier.note(f"details_{fault}", call_sid, "Call Details")
        if fault in DETAILS_REFUSALS:
            raise RefusedError(DETAILS_REFUSALS[fault])
        if fault == "bad_gateway":
            return response(502, WEB_PAGE, HTML)
        call = state.book.calls.get(call_sid)
        if call is None:
            raise RefusedError(10744)
        answer = json_response(200, self._details_body(call, request.request_id))
        if fault == "hang":
            return replace(answer, transmission="hang")
        return replace(answer, transmission="reset") if fault == "cut" else answer

    def _details_body(self, call: SimulatedCall, request_id: str) -> dict[str, Any]:
        state = self._state
        with state.clock.changed:
            link = call.recording_url if state.recording_ready(call) else None
            if self._is_stale(call):
                state.notifier.note("details_stale", call.sid, "Call Details")
                call = replace(call, state="active", status=None, agent_leg=None, customer_leg=None, updated_at=None)
                link = None
            return call_details(call, state.options.details_shape, request_id, link)

    def _is_stale(self, call: SimulatedCall) -> bool:
        options = self._state.options
        if options.details_fault != "stale" or call.state == "active" or call.ended is None:
            return False
        return self._state.clock.moment() - call.ended < options.details_stale_for

    def _user(self, request: Request, user_id: str) -> Response:
        """Return one user (docs/exotel.md 5.3)."""
        agent = next((one for one in self._state.directory.agents if one.user_id == user_id), None)
        if agent is None:
            raise RefusedError(10731)
        row = succeeded(user_row(agent, request))
        return json_response(200, envelope("GET", request.request_id, 200, row, metadata=None))
