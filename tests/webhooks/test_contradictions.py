"""Unreadable, incomplete and contradictory callbacks and answers."""

from __future__ import annotations

import logging

import pytest

from django_exotel_ccm.choices import EventReason, State
from django_exotel_ccm.models import CallEvent
from tests.factories import SID, Calls, body_of


@pytest.mark.parametrize(
    ("body", "reason", "event"),
    [(b"", "empty", "terminal"), (b"\xff\x00", "unreadable", "answered"), (b"[1]", "not_an_object", "terminal")],
)
def test_unreadable_body_proves_the_call(calls: Calls, body: bytes, reason: str, event: str) -> None:
    call = calls.requested()
    calls.answer(call, State.UNCONFIRMED, {})

    calls.deliver(call, body, event)

    record = calls.reread(call)
    assert (record.state, record.outcome, record.answered_at) == (State.ACTIVE, "", None)
    assert CallEvent.objects.get(kind="callback").reason == reason


def test_unreadable_body_survives_a_rebuild(calls: Calls) -> None:
    call = calls.requested()
    calls.deliver(call, b"")
    calls.deliver(call, body_of("answered", sid="a" * 32), "answered")

    calls.deliver(call, body_of("answered", sid="b" * 32), "answered")

    record = calls.reread(call)
    assert (record.state, record.call_sid) == (State.ACTIVE, "a" * 32)
    assert list(CallEvent.objects.order_by("pk").values_list("reason", flat=True)) == [
        EventReason.EMPTY,
        "",
        EventReason.ANOTHER_CALL,
    ]


def test_unknown_event_of_an_active_call_does_not_end_it(calls: Calls) -> None:
    call = calls.accepted()

    calls.deliver(call, body_of("ringing", call_state="active"), "terminal")

    assert calls.reread(call).state == State.ACTIVE


@pytest.mark.parametrize("details", [{"call_state": "terminal"}, {"call_state": None}])
def test_unknown_event_at_the_terminal_url_ends_other_calls(calls: Calls, details: dict[str, str | None]) -> None:
    call = calls.accepted()

    calls.deliver(call, body_of("finished", **details), "terminal")

    assert calls.reread(call).state == State.ENDED


def test_answer_with_a_taken_sid_proves_acceptance(calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    calls.accepted()
    rival = calls.requested()

    with caplog.at_level(logging.ERROR, "django_exotel_ccm"):
        event = calls.answer(rival, State.ACTIVE, {"call_sid": SID})

    record = calls.reread(rival)
    assert (record.state, record.call_sid, event.reason) == (State.ACTIVE, None, "")
    assert str(rival.reference) in caplog.text
