"""Call Details: what the API says of a call, and how it can fail to (docs/exotel.md 7)."""

from __future__ import annotations

from dataclasses import replace

from django_exotel_ccm.simulator.calls import SimulatedCall
from django_exotel_ccm.simulator.exchange import WEB_PAGE, Answer, Request, json_answer
from django_exotel_ccm.simulator.refusals import RefusedError
from django_exotel_ccm.simulator.switchboard import Switchboard
from django_exotel_ccm.simulator.wire import call_details

CODES = {"not_found": 10744, "unauthorised": 1010, "too_many": 10724}
"""Faults that are refusals, with their codes."""


def details_answer(board: Switchboard, request: Request, call_sid: str) -> Answer:
    """The answer to a request for Call Details, the switched fault put in. RefusedError with Exotel's code."""
    fault = board.options.details_fault
    if fault not in ("none", "stale"):
        board.teller.note(f"details_{fault}", call_sid, "Call Details")
    if fault in CODES:
        raise RefusedError(CODES[fault])
    if fault == "bad_gateway":
        return Answer(502, WEB_PAGE, "text/html")
    call = board.book.calls.get(call_sid)
    if call is None:
        raise RefusedError(10744)
    answer = json_answer(200, _body(board, call, request.request_id))
    if fault == "hang":
        return replace(answer, way="hang")
    return replace(answer, way="reset") if fault == "cut" else answer


def _body(board: Switchboard, call: SimulatedCall, request_id: str) -> dict[str, object]:
    with board.clock.changed:
        link = board.recording_url(call) if board.recording_ready(call) else None
        if _is_stale(board, call):
            board.teller.note("details_stale", call.sid, "Call Details")
            call = replace(call, state="active", status=None, agent_leg=None, customer_leg=None, updated_at=None)
            link = None
        return call_details(call, board.options.details_shape, request_id, link)


def _is_stale(board: Switchboard, call: SimulatedCall) -> bool:
    options = board.options
    if options.details_fault != "stale" or call.state == "active" or call.ended_at is None:
        return False
    return (board.clock.now() - call.ended_at).total_seconds() < options.details_stale_for
