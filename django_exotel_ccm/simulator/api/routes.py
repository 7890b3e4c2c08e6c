"""The API of the simulated Exotel: Make a Call, Call Details, account, recordings, users, devices, ExoPhones."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from django_exotel_ccm.simulator.api.account import account_response, balance_response
from django_exotel_ccm.simulator.api.directory import DirectoryApi
from django_exotel_ccm.simulator.api.recordings import faulty_recording_response
from django_exotel_ccm.simulator.api.validation import AGENT, CallRequest, read_call_request
from django_exotel_ccm.simulator.call_flow import SimulatedCall
from django_exotel_ccm.simulator.directory import Agent, as_e164
from django_exotel_ccm.simulator.http_server import HTML, WEB_PAGE, Request, Response, json_response, response
from django_exotel_ccm.simulator.payloads import call_answer, call_details, refusal, rest_exception
from django_exotel_ccm.simulator.refusals import RefusedError
from django_exotel_ccm.simulator.scenarios import script_for

if TYPE_CHECKING:
    from django_exotel_ccm.simulator.simulator import Simulator

CCM = r"/v2/accounts/(?P<sid>[^/]+)"
USER = rf"{CCM}/users/(?P<user_id>[^/]+)"
API = r"/v2_beta/Accounts/(?P<sid>[^/]+)"
ACCOUNT = r"/v1/Accounts/(?P<sid>[^/]+)"
RECORDING = r"/recordings/(?P<sid>[^/]+)/(?P<call_sid>[^/.]+)\.(?P<kind>wav|mp3)"
DETAILS_REFUSALS = {"not_found": 10744, "unauthorised": 1010, "too_many": 10724}


class Api:
    """Answers the requests that an application sends to Exotel."""

    def __init__(self, exotel: Simulator) -> None:
        self._exotel = exotel
        directory = DirectoryApi(exotel)
        self._routes: tuple[tuple[str, str, Callable[..., Response]], ...] = (
            ("POST", f"{CCM}/calls/?", self._make_call),
            ("GET", f"{CCM}/calls/(?P<call_sid>[^/]+)/?", self._call_details),
            ("GET", f"{CCM}/users/?", directory.users),
            ("GET", f"{USER}/?", directory.user),
            ("PUT", f"{USER}/devices/(?P<device_id>[^/]+)/?", directory.update_device),
            ("GET", f"{API}/IncomingPhoneNumbers/?", directory.exophones),
            ("GET", rf"{ACCOUNT}\.json", partial(account_response, exotel)),
            ("GET", rf"{ACCOUNT}/Balance\.json", partial(balance_response, exotel)),
            ("GET", RECORDING, partial(faulty_recording_response, exotel)),
        )

    def respond(self, request: Request) -> Response:
        """Return the response to a request, in the documented shape also when it is refused."""
        status, reason = 404, "Not found"
        for method, pattern, view in self._routes:
            if match := re.fullmatch(pattern, request.path):
                if method == request.method:
                    return self._view(request, view, match.groupdict())
                status, reason = 405, "Method not allowed"
        return json_response(status, {"error": reason, "method": request.method, "path": request.path})

    def _view(self, request: Request, view: Callable[..., Response], parts: dict[str, str]) -> Response:
        account = self._exotel.account
        try:
            if not account.accepts(request.headers.get("Authorization", "")):
                raise RefusedError(1010)
            if parts.pop("sid") != account.sid:
                raise RefusedError(1017)
            return view(request, **parts)
        except RefusedError as refused:
            if re.match(r"/v[^/]+/Accounts/", request.path):
                status, body = rest_exception(refused.code, refused.description)
            else:
                status, body = refusal(request.method, request.request_id, refused.code, refused.description)
            headers = {"WWW-Authenticate": 'Basic realm="Exotel"'} if refused.code == 1010 else {}
            if refused.code == 10724 and self._exotel.options.retry_after is not None:
                headers = {"Retry-After": str(self._exotel.options.retry_after)}
            return json_response(status, body, headers)

    # Make a Call

    def _make_call(self, request: Request) -> Response:
        """Place a call, agent to customer (docs/exotel.md 2)."""
        exotel = self._exotel
        try:
            payload = request.json()
        except ValueError:
            payload = None
        if exotel.on_call and isinstance(payload, dict):
            exotel.on_call(payload)
        if code := exotel.options.refuse_with:
            exotel.notifier.record_fault(f"refused_{code}", "", "Make a Call")
            raise RefusedError(code)
        wanted = read_call_request(payload, exotel.options.to_key)
        agent, exophone = self._agent(wanted), self._exophone(wanted)
        script = script_for(wanted.customer_number)
        if script.refusal and not script.rings_anyway:
            raise RefusedError(script.refusal)
        call = exotel.start_call(payload, agent, wanted.customer_number, exophone)
        if script.refusal:
            raise RefusedError(script.refusal)
        return self._answer(request, call)

    def _agent(self, wanted: CallRequest) -> Agent:
        directory = self._exotel.directory
        agent = directory.find_agent(wanted.agent)
        if agent is None and self._exotel.options.add_unknown and AGENT.fullmatch(wanted.agent):
            agent = directory.add_agent(wanted.agent)
        if agent is None:
            raise RefusedError(10731)
        return agent

    def _exophone(self, wanted: CallRequest) -> str:
        if self._exotel.options.add_unknown:
            return self._exotel.add_exophone(wanted.virtual_number)
        exophone = as_e164(wanted.virtual_number)
        if exophone not in self._exotel.directory.exophones:
            raise RefusedError(10716)
        return exophone

    def _answer(self, request: Request, call: SimulatedCall) -> Response:
        options, notifier = self._exotel.options, self._exotel.notifier
        if options.early_callbacks:
            notifier.wait_for_first(call)
        body = call_answer(call, options.answer_shape, request.request_id)
        fault = options.answer_fault
        if fault != "none":
            notifier.record_fault(f"answer_{fault}", call.sid, "Make a Call")
        if fault == "no_sid":
            body = {**body, "response": {"call_state": "active"}, "call_sid": None}
        if fault in ("bad_gateway", "html"):
            return response(502 if fault == "bad_gateway" else 200, WEB_PAGE, HTML)
        answer = json_response(200, body)
        if fault == "late":
            return replace(answer, delay=options.answer_delay)
        if fault == "cut":
            return replace(answer, transmission="closed")
        return replace(answer, transmission=fault) if fault in ("reset", "hang") else answer

    # Call Details

    def _call_details(self, request: Request, call_sid: str) -> Response:
        """Return Call Details (docs/exotel.md 7.1)."""
        exotel = self._exotel
        fault = exotel.options.details_fault
        if fault not in ("none", "stale"):
            exotel.notifier.record_fault(f"details_{fault}", call_sid, "Call Details")
        if fault in DETAILS_REFUSALS:
            raise RefusedError(DETAILS_REFUSALS[fault])
        if fault == "bad_gateway":
            return response(502, WEB_PAGE, HTML)
        call = exotel.book.calls.get(call_sid)
        if call is None:
            raise RefusedError(10744)
        answer = json_response(200, self._details_body(call, request.request_id))
        if fault == "hang":
            return replace(answer, transmission="hang")
        return replace(answer, transmission="reset") if fault == "cut" else answer

    def _details_body(self, call: SimulatedCall, request_id: str) -> dict[str, Any]:
        exotel, options = self._exotel, self._exotel.options
        with exotel.clock.changed:
            link = call.recording_url if exotel.recording_ready(call) else None
            is_fresh = call.ended is not None and exotel.clock.moment() - call.ended < options.details_stale_for
            if options.details_fault == "stale" and call.state == "terminal" and is_fresh:
                exotel.notifier.record_fault("details_stale", call.sid, "Call Details")
                call = replace(call, state="active", status=None, agent_leg=None, customer_leg=None, updated_at=None)
                link = None
            return call_details(call, options.details_shape, request_id, link)
