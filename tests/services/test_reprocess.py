"""An event that was not applied is applied again: read anew, linked, joined; and nobody is told twice."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.choices import Authentication, EventReason
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services.replay import reprocess
from tests.factories import SID, Calls, body_of
from tests.management.conftest import record


@pytest.fixture
def heard(receivers: Callable[..., None]) -> list[tuple[str, Any]]:
    """What receivers were told: (signal, key of the event)."""
    told: list[tuple[str, Any]] = []
    for name in ("call_accepted", "call_ended", "call_updated"):

        def hear(event: Any, name: str = name, **news: Any) -> None:
            told.append((name, None if event is None else event.pk))

        receivers(getattr(signals, name), hear, dispatch_uid=name)
    return told


def kept(call: CallRecord, raw: bytes, reason: str, /, **fields: Any) -> CallEvent:
    """Return an event as an earlier parser left it."""
    given = {"event": "terminal", "fingerprint": uuid.uuid4().hex, "call": call, **fields}
    return CallEvent.objects.create(
        kind="callback",
        authentication=Authentication.SIGNED_URL,
        reference=call.reference,
        raw=raw,
        reason=reason,
        received_at=timezone.now(),
        **given,
    )


def test_what_no_parser_could_read_is_read_by_todays(real_calls: Calls, heard: list[Any]) -> None:
    call = real_calls.accepted()
    heard.clear()
    raw = body_of(call_status="busy", total_talk_time=0)
    event = kept(call, raw, EventReason.UNREADABLE)

    applied = reprocess(event)

    stored = CallEvent.objects.get(pk=event.pk)
    assert (applied.reason, stored.reason, stored.event, stored.fingerprint) == ("", "", "terminal", event.fingerprint)
    assert bytes(stored.raw) == raw
    assert stored.facts["call_sid"] == SID
    found = CallRecord.objects.get()
    assert (found.state, found.outcome, found.talk_time) == ("ended", "busy", 0)
    assert heard == [("call_ended", event.pk)]


def test_what_still_cannot_be_read_stays(real_calls: Calls) -> None:
    call = real_calls.accepted()
    before = record(call)
    event = kept(call, b"<html>", EventReason.NO_CALL)

    assert reprocess(event).reason == EventReason.UNREADABLE
    assert record(call) == before
    assert CallEvent.objects.get(pk=event.pk).reason == EventReason.UNREADABLE


def test_the_word_of_the_url_counts_where_the_body_names_none(real_calls: Calls) -> None:
    call = real_calls.accepted()
    event = kept(call, b'{"CallSid": "%s"}' % SID.encode(), EventReason.UNREADABLE, event="answered")

    reprocess(event)

    assert "answered_seen" in CallRecord.objects.get().facts
    assert CallRecord.objects.get().state == "active"


def test_the_word_of_the_body_beats_that_of_the_url(real_calls: Calls) -> None:
    call = real_calls.accepted()
    event = kept(call, body_of("answered"), EventReason.UNREADABLE, event="terminal")

    reprocess(event)

    assert CallEvent.objects.get(pk=event.pk).event == "answered"
    assert CallRecord.objects.get().state == "active"


def test_an_event_whose_call_is_known_now_is_linked(real_calls: Calls) -> None:
    call = real_calls.requested()
    event = kept(call, body_of(), EventReason.UNKNOWN_CALL, call=None)

    reprocess(event)

    assert CallEvent.objects.get().call_id == call.pk
    assert CallRecord.objects.get().state == "ended"


def test_an_event_whose_call_is_still_unknown_stays(real_calls: Calls) -> None:
    event = kept(CallRecord(reference=uuid.uuid4()), body_of(), EventReason.UNKNOWN_CALL, call=None)

    assert reprocess(event).reason == EventReason.UNKNOWN_CALL
    assert CallEvent.objects.get().facts == {}


def test_a_body_that_was_emptied_is_what_was_read_of_it(real_calls: Calls) -> None:
    call = real_calls.requested()
    emptied = {"call": None, "purged_at": timezone.now()}
    kept(call, b"", EventReason.UNKNOWN_CALL, facts={"talk_time": 42, "status": "completed"}, **emptied)
    unread = kept(call, b"", EventReason.UNKNOWN_CALL, event="answered", **emptied)

    reasons = [reprocess(event).reason for event in CallEvent.objects.order_by("pk")]

    assert reasons == ["", EventReason.UNREADABLE]
    assert CallRecord.objects.get().talk_time == 42
    assert "answered_seen" not in CallRecord.objects.get().facts
    assert reprocess(unread).reason == EventReason.UNREADABLE


@pytest.mark.parametrize("reason", [EventReason.UNVERIFIED, EventReason.UNREADABLE])
def test_what_came_to_the_account_s_own_url_is_no_proof(reason: str, real_calls: Calls) -> None:
    call = real_calls.requested()
    event = kept(call, body_of(), reason)
    CallEvent.objects.update(authentication=Authentication.ACCOUNT_URL)

    assert reprocess(event).reason == reason
    assert CallRecord.objects.get().state == "requested"


def test_an_applied_event_is_left_alone(real_calls: Calls, heard: list[Any]) -> None:
    call = real_calls.accepted()
    real_calls.deliver(call, body_of())
    before, events = record(call), list(CallEvent.objects.order_by("pk").values())
    heard.clear()

    for event in CallEvent.objects.all():
        assert reprocess(event).reason == ""

    assert (record(call), list(CallEvent.objects.order_by("pk").values()), heard) == (before, events, [])


def test_a_stranger_that_has_become_the_call_s_own_is_applied_and_nobody_told_twice(
    real_calls: Calls, heard: list[Any]
) -> None:
    call = real_calls.requested()
    real_calls.deliver(call, body_of(call_status="busy"))
    CallRecord.objects.create(account="default", call_sid="owner", created_at=timezone.now())
    CallRecord.objects.filter(pk=call.pk).update(call_sid=None)
    CallRecord.objects.filter(call_sid="owner").update(call_sid=SID)
    real_calls.deliver(call, body_of(call_status="completed"))
    assert set(CallEvent.objects.values_list("reason", flat=True)) == {EventReason.ANOTHER_CALL}
    assert sorted(set(heard)) == sorted(heard)
    CallRecord.objects.filter(call_sid=SID).delete()
    heard.clear()

    for event in CallEvent.objects.order_by("pk"):
        assert reprocess(event).reason == ""

    found = CallRecord.objects.get()
    assert (found.state, found.outcome, found.call_sid) == ("ended", "completed", SID)
    assert [name for name, _event in heard if name != "call_updated"] == []


def test_facts_that_were_lost_are_found_again_and_nobody_told_twice(real_calls: Calls, heard: list[Any]) -> None:
    call = real_calls.accepted()
    real_calls.deliver(call, body_of(call_status="busy"))
    event = kept(call, body_of(total_talk_time=0, call_status="busy"), EventReason.UNREADABLE)
    CallRecord.objects.update(facts={}, state="requested")
    heard.clear()

    reprocess(event)

    assert (CallRecord.objects.get().state, CallRecord.objects.get().talk_time) == ("ended", 0)
    assert heard == []
    assert Announcement.objects.filter(signal="call_ended").count() == 1
