"""A flood at one callback URL: what is stored of it, and what it costs."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_exotel_ccm.choices import EventKind, EventReason, State
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services import events
from tests.factories import Calls, body_of


@pytest.fixture(autouse=True)
def low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "QUOTA", 3)
    monkeypatch.setattr(CallRecord, "MAX_EVENTS", 6)


def stored(call: CallRecord) -> int:
    return CallEvent.objects.filter(call=call).count()


def fill(calls: Calls, call: CallRecord, count: int) -> None:
    """Deliver so many different callbacks, each with a recording of its own."""
    for number in range(count):
        url = f"https://recordings.exotel.com/acme/{number}.mp3"
        assert calls.deliver(call, body_of("answered", recordings=[url]), "answered").status_code == 200


def test_only_changes_are_stored_beyond_the_quota(calls: Calls) -> None:
    call = calls.accepted()
    fill(calls, call, 2)

    response = calls.deliver(call, body_of("answered", custom_field="nothing new"), "answered")

    call = calls.reread(call)
    assert response.status_code == 200
    assert (stored(call), call.events_stored, call.events_not_stored) == (3, 3, 1)

    calls.deliver(call, body_of(call_status="busy"))

    call = calls.reread(call)
    assert (call.state, call.outcome) == (State.ENDED, "busy")
    assert (stored(call), call.events_stored, call.events_not_stored) == (4, 4, 1)


def test_call_details_decide_beyond_the_maximum(calls: Calls) -> None:
    call = calls.accepted()
    fill(calls, call, 5)

    response = calls.deliver(call, body_of(call_status="busy"))

    call = calls.reread(call)
    assert response.status_code == 200
    assert (call.state, stored(call), call.events_not_stored) == (State.ACTIVE, 6, 1)
    assert call.details_check_at is not None

    details = CallEvent(
        kind=EventKind.DETAILS, authentication="credentials", reference=call.reference, received_at=call.created_at
    )
    details.facts = {"call_sid": call.call_sid, "state": "terminal", "status": "busy"}
    events.record_event(details)

    call = calls.reread(call)
    assert (call.state, call.outcome, stored(call)) == (State.ENDED, "busy", 7)


def test_answer_is_always_stored(calls: Calls) -> None:
    call = calls.requested()
    fill(calls, call, 8)

    calls.answer(call, State.UNCONFIRMED, {})

    assert CallEvent.objects.filter(call=call, kind=EventKind.ANSWER).exists()


def test_foreign_sid_rebuilds_nothing(real_calls: Calls) -> None:
    call = real_calls.accepted()
    real_calls.deliver(call, body_of(sid="f" * 32))

    with CaptureQueriesContext(connection) as captured:
        real_calls.deliver(call, body_of(sid="e" * 32))

    statements = [query["sql"] for query in captured.captured_queries]
    # BEGIN and COMMIT; the lock, the search for the same message, the event, the count.
    assert len(statements) == 2 + (4 if connection.features.has_select_for_update else 5)
    assert set(CallEvent.objects.filter(kind=EventKind.CALLBACK).values_list("reason", flat=True)) == {
        EventReason.ANOTHER_CALL
    }
    assert real_calls.reread(call).state == State.ACTIVE


def test_foreign_sids_beyond_the_quota_are_counted(calls: Calls) -> None:
    call = calls.accepted()

    for number in range(6):
        assert calls.deliver(call, body_of(sid=f"{number:032}")).status_code == 200

    call = calls.reread(call)
    assert (call.events_stored, call.events_not_stored) == (3, 4)


def test_repeated_callback_is_not_counted(calls: Calls) -> None:
    call = calls.accepted()

    for _time in range(5):
        calls.deliver(call, body_of("answered"), "answered")

    call = calls.reread(call)
    assert (call.events_stored, call.events_not_stored) == (2, 0)
