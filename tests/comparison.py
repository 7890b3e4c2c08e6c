"""Compares the simulator's book with the database: what happened on the network, and what the application stored."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

from django.db.models import QuerySet

from django_exotel_ccm.choices import Authentication, EventKind, State
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.simulator import Simulator
from django_exotel_ccm.simulator.call_flow import SimulatedCall
from django_exotel_ccm.simulator.recorder import Delivery

#: Exotel's status word -> the record's outcome. Written out, so that nothing of the package's reading is used.
OUTCOMES = {
    "completed": "completed",
    "customer_unanswered": "customer_unanswered",
    "to_leg_unanswered": "customer_unanswered",
    "agent_unanswered": "agent_unanswered",
    "from_leg_unanswered": "agent_unanswered",
    "agent_canceled": "agent_canceled",
    "from_leg_cancelled": "agent_canceled",
    "customer_no_dial": "customer_no_dial",
    "to_leg_no_dial": "customer_no_dial",
    "agent_no_dial": "agent_no_dial",
    "from_leg_no_dial": "agent_no_dial",
    "failed": "failed",
    "customer_busy": "busy",
    "to_leg_busy": "busy",
    "busy": "busy",
    "missed": "unknown",
}


def assert_record_equals_book(exotel: Simulator) -> None:
    """Assert that requests, deliveries and calls in the book are the events and records in the database."""
    records = {record.call_sid: record for record in CallRecord.objects.exclude(call_sid=None).select_related("agent")}
    reported = _reported(exotel)

    _assert_posts_are_stored(exotel)
    _assert_call_callbacks_are_stored(exotel)
    _assert_account_callbacks_are_stored(exotel)
    assert set(records) <= set(exotel.book.calls), "The database names calls that never were."
    assert {sid for sid, _event in reported} <= set(records), "Exotel reported calls that the database does not have."
    for record in records.values():
        _assert_call(exotel, exotel.book.calls[record.call_sid or ""], record, reported)
    for record in CallRecord.objects.filter(call_sid=None):
        assert record.state in (State.REFUSED, State.UNCONFIRMED), record.state


def _reported(exotel: Simulator) -> dict[tuple[str, str], Delivery]:
    """Return the acknowledged deliveries to calls' own URLs, one for each call and event."""
    own = [one for one in exotel.book.deliveries if one.succeeded and one.destination == "call"]
    return {(one.call_sid, one.event): one for one in own}


def _assert_posts_are_stored(exotel: Simulator) -> None:
    posts = [one for one in exotel.book.requests if one.method == "POST" and one.path.endswith("/calls")]
    answers = list(CallEvent.objects.filter(kind=EventKind.ANSWER))

    assert sum(answer.tries for answer in answers) == len(posts)
    for answer in answers:
        assert answer.call is not None
        # The callbacks' addresses name the call; several calls may be about one ticket.
        mine = [one for one in posts if answer.call.reference.hex in one.body["status_callback"][0]["url"]]
        assert len(mine) == answer.tries
        assert {one.body.get("custom_field", "") for one in mine} == {answer.call.custom_field}
        assert answer.http_status == mine[-1].status
        assert answer.request_id in ("", mine[-1].request_id)


def _assert_call_callbacks_are_stored(exotel: Simulator) -> None:
    tries = defaultdict(list)
    for one in exotel.book.deliveries:
        if one.destination == "call":
            tries[one.call_sid, one.event, one.url].append(one)
    stored = list(_callbacks(Authentication.SIGNED_URL).select_related("call"))

    for (sid, event, _url), deliveries in tries.items():
        rows = [row for row in stored if row.facts.get("call_sid") == sid and row.event == event]
        if any(one.succeeded for one in deliveries):
            assert len(rows) == 1, f"{event} of {sid} was acknowledged and is {len(rows)} times in the ledger."
            _assert_stored(rows[0], deliveries)
        elif all(one.status is not None for one in deliveries):
            assert not rows, f"{event} of {sid} was answered with an error and is in the ledger."
    assert {(row.facts.get("call_sid"), row.event) for row in stored} <= {(sid, event) for sid, event, _url in tries}


def _assert_account_callbacks_are_stored(exotel: Simulator) -> None:
    sent = [one for one in exotel.book.deliveries if one.succeeded and one.destination == "account"]
    acknowledged = {(one.call_sid, one.event) for one in sent}
    stored = [(row.facts.get("call_sid"), row.event) for row in _callbacks(Authentication.ACCOUNT_URL)]
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored))


def _callbacks(authentication: Authentication) -> QuerySet[CallEvent]:
    return CallEvent.objects.filter(kind=EventKind.CALLBACK, authentication=authentication)


def _assert_stored(row: CallEvent, deliveries: list[Delivery]) -> None:
    assert row.call is not None
    assert (row.reason, row.call.call_sid) == ("", deliveries[0].call_sid)
    raw = bytes(row.raw)
    assert row.content_type.partition(";")[0] in {one.content_type.partition(";")[0] for one in deliveries}
    if row.content_type == "application/json":
        assert json.loads(raw) == deliveries[0].body
    elif row.content_type == "application/x-www-form-urlencoded":
        assert parse_qs(raw.decode())["CallSid"] == [deliveries[0].call_sid]
    else:
        assert raw.count(b"Content-Disposition") > len(deliveries[0].body) - 2
        assert raw.endswith(b"--\r\n")


def _assert_call(
    exotel: Simulator, truth: SimulatedCall, record: CallRecord, reported: dict[tuple[str, str], Delivery]
) -> None:
    terminal = reported.get((truth.sid, "terminal"))
    answered = reported.get((truth.sid, "answered"))

    assert record.customer_number == truth.customer_number
    assert record.exophone_number == truth.virtual_number
    assert record.agent is not None
    assert record.agent.contact_uri in (truth.agent.uri, None)
    assert record.agent.exotel_user_id in (truth.agent.user_id, "", None)
    assert record.custom_field == (truth.custom_field or "")
    assert ("answered_seen" in record.facts) is (answered is not None)
    details = _details_of(record)
    if terminal is None and not details:
        assert (record.state, record.outcome, record.ended_at) == (State.ACTIVE, "", None)
        assert (record.talk_time, record.total_duration, record.recording_url) == (None, None, "")
        return
    body = terminal.body if terminal is not None else {"call_details": {"call_status": truth.status, "sid": truth.sid}}
    _assert_ended(truth, record, body, has_details=bool(details))
    linked = _link_in(body) or any(one.facts.get("recordings") for one in details)
    assert record.recording_url == ((truth.recording_url or "") if truth.recorded and linked else "")


def _details_of(record: CallRecord) -> list[CallEvent]:
    """Return the terminal answers of Call Details."""
    answers = CallEvent.objects.filter(call=record, kind=EventKind.DETAILS)
    return [event for event in answers if event.facts.get("state") == "terminal"]


def _assert_ended(truth: SimulatedCall, record: CallRecord, body: dict[str, Any], *, has_details: bool) -> None:
    assert truth.ended_at is not None
    flat = "CallSid" in body and not has_details
    assert (record.state, record.outcome) == (State.ENDED, _outcome(truth, body))
    assert record.talk_time == truth.talk_time
    assert record.total_duration == (None if flat else truth.total_duration)
    # Callbacks have whole seconds; Call Details may have fractions.
    assert record.started_at is not None
    assert abs(record.started_at - truth.created_at) < timedelta(seconds=1)
    assert record.ended_at is not None
    assert abs(record.ended_at - truth.ended_at) < timedelta(seconds=1)
    assert not record.ended_at_approximate
    if truth.talk_time:
        assert record.answered_at == record.ended_at - timedelta(seconds=truth.talk_time)
    elif record.answered_at is not None:
        assert record.answered_at <= record.ended_at
    assert (record.answered_at is not None) is (bool(truth.talk_time) or "answered_seen" in record.facts)
    if "sid" not in body.get("call_details", {}):  # v3 has nothing of the legs
        assert record.facts.get("agent_leg", [None])[-1] == truth.agent_leg
        assert record.facts.get("customer_leg", [None])[-1] == truth.customer_leg
    # Call Details are fetched later if they could supply what is missing.
    lacks_recording = truth.recorded and truth.talk_time and not record.recording_url
    if not has_details:
        assert (record.details_check_at is not None) is bool(record.outcome == "unknown" or lacks_recording)


def _outcome(truth: SimulatedCall, body: dict[str, Any]) -> str:
    details = body.get("call_details", {})
    word: str = details.get("call_status") or details.get("status") or body["Status"]
    if word == "no-answer":  # in v1 only the legs show who did not answer
        return "agent_unanswered" if truth.agent_leg == "no-answer" else "customer_unanswered"
    outcome = OUTCOMES[word]
    # An agent who hung up after talking had a conversation.
    return "completed" if outcome == "agent_canceled" and truth.talk_time else outcome


def _link_in(body: dict[str, Any]) -> bool:
    return bool(body.get("call_details", body).get("recordings") or body.get("RecordingUrl"))
