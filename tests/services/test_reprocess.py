"""``reprocess`` parses, links and joins an event that was not applied, and announces nothing twice."""

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
def received(receivers: Callable[..., None]) -> list[tuple[str, Any]]:
    """What receivers got: (signal, key of the event)."""
    sent: list[tuple[str, Any]] = []
    for name in ("call_accepted", "call_ended", "call_updated"):

        def receive(event: Any, name: str = name, **kwargs: Any) -> None:
            sent.append((name, None if event is None else event.pk))

        receivers(getattr(signals, name), receive, dispatch_uid=name)
    return sent


def stored_event(call: CallRecord, raw: bytes, reason: str, /, **fields: Any) -> CallEvent:
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


def test_unreadable_event_is_parsed_again(real_calls: Calls, received: list[Any]) -> None:
    call = real_calls.accepted()
    received.clear()
    raw = body_of(call_status="busy", total_talk_time=0)
    event = stored_event(call, raw, EventReason.UNREADABLE)

    applied = reprocess(event)

    stored = CallEvent.objects.get(pk=event.pk)
    assert (applied.reason, stored.reason, stored.event, stored.fingerprint) == ("", "", "terminal", event.fingerprint)
    assert bytes(stored.raw) == raw
    assert stored.facts["call_sid"] == SID
    found = CallRecord.objects.get()
    assert (found.state, found.outcome, found.talk_time) == ("ended", "busy", 0)
    assert received == [("call_ended", event.pk)]


def test_event_that_is_still_unreadable(real_calls: Calls) -> None:
    call = real_calls.accepted()
    before = record(call)
    event = stored_event(call, b"<html>", EventReason.NO_CALL)

    assert reprocess(event).reason == EventReason.UNREADABLE
    assert record(call) == before
    assert CallEvent.objects.get(pk=event.pk).reason == EventReason.UNREADABLE


def test_event_of_the_url_is_the_fallback(real_calls: Calls) -> None:
    call = real_calls.accepted()
    event = stored_event(call, b'{"CallSid": "%s"}' % SID.encode(), EventReason.UNREADABLE, event="answered")

    reprocess(event)

    assert "answered_seen" in CallRecord.objects.get().facts
    assert CallRecord.objects.get().state == "active"


def test_event_of_the_body_wins_over_the_urls(real_calls: Calls) -> None:
    call = real_calls.accepted()
    event = stored_event(call, body_of("answered"), EventReason.UNREADABLE, event="terminal")

    reprocess(event)

    assert CallEvent.objects.get(pk=event.pk).event == "answered"
    assert CallRecord.objects.get().state == "active"


def test_event_of_a_call_known_now_is_linked(real_calls: Calls) -> None:
    call = real_calls.requested()
    event = stored_event(call, body_of(), EventReason.UNKNOWN_CALL, call=None)

    reprocess(event)

    assert CallEvent.objects.get().call_id == call.pk
    assert CallRecord.objects.get().state == "ended"


def test_event_of_a_call_still_unknown(real_calls: Calls) -> None:
    event = stored_event(CallRecord(reference=uuid.uuid4()), body_of(), EventReason.UNKNOWN_CALL, call=None)

    assert reprocess(event).reason == EventReason.UNKNOWN_CALL
    assert CallEvent.objects.get().facts == {}


def test_purged_event_keeps_its_facts(real_calls: Calls) -> None:
    call = real_calls.requested()
    emptied = {"call": None, "purged_at": timezone.now()}
    stored_event(call, b"", EventReason.UNKNOWN_CALL, facts={"talk_time": 42, "status": "completed"}, **emptied)
    unread = stored_event(call, b"", EventReason.UNKNOWN_CALL, event="answered", **emptied)

    reasons = [reprocess(event).reason for event in CallEvent.objects.order_by("pk")]

    assert reasons == ["", EventReason.UNREADABLE]
    assert CallRecord.objects.get().talk_time == 42
    assert "answered_seen" not in CallRecord.objects.get().facts
    assert reprocess(unread).reason == EventReason.UNREADABLE


@pytest.mark.parametrize("reason", [EventReason.UNVERIFIED, EventReason.UNREADABLE])
def test_account_report_is_not_applied(reason: str, real_calls: Calls) -> None:
    call = real_calls.requested()
    event = stored_event(call, body_of(), reason)
    CallEvent.objects.update(authentication=Authentication.ACCOUNT_URL)

    assert reprocess(event).reason == reason
    assert CallRecord.objects.get().state == "requested"


def test_applied_event_is_unchanged(real_calls: Calls, received: list[Any]) -> None:
    call = real_calls.accepted()
    real_calls.deliver(call, body_of())
    before, events = record(call), list(CallEvent.objects.order_by("pk").values())
    received.clear()

    for event in CallEvent.objects.all():
        assert reprocess(event).reason == ""

    assert (record(call), list(CallEvent.objects.order_by("pk").values()), received) == (before, events, [])


def test_foreign_event_that_is_own_now_is_applied(real_calls: Calls, received: list[Any]) -> None:
    call = real_calls.requested()
    real_calls.deliver(call, body_of(call_status="busy"))
    CallRecord.objects.create(account="default", call_sid="owner", created_at=timezone.now())
    CallRecord.objects.filter(pk=call.pk).update(call_sid=None)
    CallRecord.objects.filter(call_sid="owner").update(call_sid=SID)
    real_calls.deliver(call, body_of(call_status="completed"))
    assert set(CallEvent.objects.values_list("reason", flat=True)) == {EventReason.ANOTHER_CALL}
    assert sorted(set(received)) == sorted(received)
    CallRecord.objects.filter(call_sid=SID).delete()
    received.clear()

    for event in CallEvent.objects.order_by("pk"):
        assert reprocess(event).reason == ""

    found = CallRecord.objects.get()
    assert (found.state, found.outcome, found.call_sid) == ("ended", "completed", SID)
    assert [name for name, _event in received if name != "call_updated"] == []


def test_lost_facts_are_rebuilt_without_announcements(real_calls: Calls, received: list[Any]) -> None:
    call = real_calls.accepted()
    real_calls.deliver(call, body_of(call_status="busy"))
    event = stored_event(call, body_of(total_talk_time=0, call_status="busy"), EventReason.UNREADABLE)
    CallRecord.objects.update(facts={}, state="requested")
    received.clear()

    reprocess(event)

    assert (CallRecord.objects.get().state, CallRecord.objects.get().talk_time) == ("ended", 0)
    assert received == []
    assert Announcement.objects.filter(signal="call_ended").count() == 1
