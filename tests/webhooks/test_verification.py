"""Doubtful ends are verified with Call Details, and settled Call Details win."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from django_exotel_ccm.choices import Authentication, EventKind, Outcome, State
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.exotel.values import clean_moment
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services import place_call, record_event
from django_exotel_ccm.services.reconciliation.reconcile import reconcile
from django_exotel_ccm.services.scheduling import is_incomplete
from django_exotel_ccm.simulator import Simulator
from tests.factories import SID, Calls, body_of, url_of

ENDED = "2026-02-11T06:00:51Z"
TALKED: dict[str, Any] = {
    "call_status": "completed",
    "total_talk_time": 42,
    "total_duration": 51,
    "end_time": ENDED,
    "recordings": ["https://recordings.exotel.com/acme/1.mp3"],
}
BUSY: dict[str, Any] = {"call_status": "busy", "total_talk_time": 0, "total_duration": 9, "end_time": ENDED}


def details(call: CallRecord, minutes: float, *, body: bytes = b"", **facts: Any) -> None:
    """Record Call Details that were received so many minutes after the end; each is another answer without ``body``."""
    ended_at = clean_moment(ENDED)
    assert ended_at is not None
    event = CallEvent(
        kind=EventKind.DETAILS,
        authentication=Authentication.CREDENTIALS,
        reference=call.reference,
        received_at=ended_at.at + datetime.timedelta(minutes=minutes),
    )
    event.parsed = CallFacts(call_sid=SID, state="terminal", ended_at=ended_at, **facts)
    record_event(event, canonical=body or f"{minutes}{facts}".encode())


@pytest.mark.parametrize("minutes", [4, 60])
def test_same_details_at_another_moment_are_stored_once(
    minutes: float, calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    call = calls.accepted()

    for moment in (5, minutes):
        details(call, moment, body=b"{}", status="completed")

    assert call.events.filter(kind=EventKind.DETAILS).count() == 1
    assert caplog.text == ""  # no work was repeated


def test_end_at_the_answered_url_is_verified(calls: Calls) -> None:
    call = calls.accepted()

    calls.deliver(call, body_of(**TALKED), "answered")

    call = calls.reread(call)
    soon = timezone.now() + datetime.timedelta(minutes=2, seconds=5)
    assert call.state == State.ENDED
    assert call.details_check_at is not None
    assert timezone.now() < call.next_check_at <= soon


@pytest.mark.parametrize(
    "other",
    [{"call_status": "failed"}, {"total_talk_time": 1}, {"recordings": ["https://recordings.exotel.com/acme/2.mp3"]}],
)
def test_different_terminal_reports_are_verified(other: dict[str, Any], calls: Calls) -> None:
    call = calls.accepted()
    calls.deliver(call, body_of(**TALKED))
    assert calls.reread(call).details_check_at is None

    calls.deliver(call, body_of(**TALKED | other))

    assert calls.reread(call).details_check_at is not None


@pytest.mark.parametrize("left_out", ["recordings", "call_status"])
def test_report_with_less_is_no_difference(left_out: str, calls: Calls) -> None:
    call = calls.accepted()
    calls.deliver(call, body_of(**TALKED))

    calls.deliver(call, body_of(**{name: value for name, value in TALKED.items() if name != left_out}))

    assert calls.reread(call).details_check_at is None


def test_settled_details_win_over_a_forged_end(calls: Calls) -> None:
    call = calls.accepted()
    calls.deliver(call, body_of(**TALKED), "answered")
    calls.deliver(call, body_of(**BUSY))

    details(call, 2, status="busy", status_raw="busy", talk_time=0, total_duration=9)

    call = calls.reread(call)
    assert (call.outcome, call.talk_time, call.total_duration) == (Outcome.BUSY, 0, 9)
    assert not is_incomplete(call)
    assert call.details_check_at is None


def test_early_details_settle_nothing(calls: Calls) -> None:
    call = calls.accepted()
    calls.deliver(call, body_of(**TALKED), "answered")

    details(call, 1.9, status="busy", status_raw="busy", talk_time=0)

    call = calls.reread(call)
    assert call.talk_time == 42
    assert is_incomplete(call)


def test_only_settled_recordings_are_shown(calls: Calls) -> None:
    call = calls.accepted()
    forged = ["https://recordings.exotel.com/acme/0.mp3", *TALKED["recordings"]]
    calls.deliver(call, body_of(**TALKED | {"recordings": forged}), "answered")

    details(call, 5, status="completed", status_raw="completed", talk_time=42, recordings=(forged[1],))

    assert calls.reread(call).recording_url == forged[1]


@pytest.mark.books_differ("the test forges a report")
def test_call_details_replace_a_forged_end(real_calls: Calls, host: Any, exotel: Simulator) -> None:
    exotel.options.by_hand, exotel.speed = True, 1.0
    call = place_call(agent=host.agent(), to="+919000001001")
    exotel.press(call.call_sid, "agent", "decline")
    real_calls.client.post(url_of(call, "answered"), body_of(sid=call.call_sid, **TALKED), "application/json")
    assert real_calls.reread(call).talk_time == 42
    exotel.speed = 20_000.0
    exotel.wait_until_quiet(timeout=60)

    with time_machine.travel(timezone.now() + datetime.timedelta(minutes=5)):
        reconcile()

    call = real_calls.reread(call)
    assert (call.outcome, call.talk_time, call.details_check_at) == (Outcome.AGENT_UNANSWERED, 0, None)
