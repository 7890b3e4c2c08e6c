"""Repeated, concurrent and reordered callbacks, and callbacks with another call's sid: one row, one record."""

from __future__ import annotations

import dataclasses
import itertools
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from django_exotel_ccm import signals
from django_exotel_ccm.choices import EventKind, EventReason, State
from django_exotel_ccm.lifecycle import Projection, join_events
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from tests.exotel.samples import V2_CALLBACK
from tests.factories import SID, Calls, body_of, url_of

OTHER = "b" * 32
FACTS = [one.name for one in dataclasses.fields(Projection)]


def callbacks() -> list[CallEvent]:
    return list(CallEvent.objects.filter(kind=EventKind.CALLBACK).order_by("pk"))


def columns(call: CallRecord) -> dict[str, Any]:
    return {name: getattr(call, name) for name in (*FACTS, "facts", "updated_at")}


def test_repeated_callback_is_stored_once(calls: Calls, receivers: Callable[..., None]) -> None:
    received: list[str] = []
    receivers(signals.call_ended, lambda **kwargs: received.append("ended"))
    call = calls.accepted()
    calls.deliver(call, body_of())
    before = columns(calls.reread(call))

    response = calls.deliver(call, body_of())

    assert response.status_code == 200
    assert (len(callbacks()), received) == (1, ["ended"])
    assert columns(calls.reread(call)) == before


def test_repetition_is_known_when_the_facts_are_lost(calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    call = calls.accepted()
    calls.deliver(call, body_of())
    CallRecord.objects.update(facts={})

    response = calls.deliver(call, body_of())

    assert (response.status_code, len(callbacks())) == (200, 1)
    assert "IntegrityError" in caplog.text


def test_same_content_in_other_order_is_stored_once(calls: Calls) -> None:
    call = calls.accepted()
    shuffled = json.dumps(dict(reversed(list(V2_CALLBACK.items()))), indent=3)

    calls.deliver(call, json.dumps(V2_CALLBACK))
    calls.deliver(call, shuffled, content_type="text/plain")

    assert len(callbacks()) == 1


def test_same_body_at_another_url_is_another_event(calls: Calls) -> None:
    one, other = calls.accepted(), calls.accepted(OTHER)
    body = b'{"call_state": "active"}'

    for call, event in ((one, "answered"), (one, "terminal"), (other, "answered")):
        assert calls.deliver(call, body, event).status_code == 200

    assert [(event.call, event.event) for event in callbacks()] == [
        (one, "answered"),
        (one, "terminal"),
        (other, "answered"),
    ]


def test_repeated_unreadable_body_is_stored_once(calls: Calls) -> None:
    call = calls.accepted()

    for body in (b"<html>", b"<html>", b"<html></html>"):
        calls.deliver(call, body)

    assert [bytes(event.raw) for event in callbacks()] == [b"<html>", b"<html></html>"]


def at_once(*posts: tuple[str, bytes]) -> list[int]:
    """Send all requests in the same moment, each over a connection of its own, and return their statuses."""
    barrier = threading.Barrier(len(posts))

    def send(post: tuple[str, bytes]) -> int:
        url, body = post
        barrier.wait(10)
        return requests.post(url, body, headers={"Content-Type": "application/json"}, timeout=30).status_code

    with ThreadPoolExecutor(len(posts)) as pool:
        return list(pool.map(send, posts))


def test_eight_concurrent_equal_callbacks(live_server: Any, real_calls: Calls, receivers: Callable[..., None]) -> None:
    received: list[str] = []
    receivers(signals.call_ended, lambda **kwargs: received.append("ended"))
    call = real_calls.accepted()

    statuses = at_once(*[(live_server.url + url_of(call), body_of())] * 8)

    assert statuses == [200] * 8
    assert (len(callbacks()), received) == (1, ["ended"])
    assert Announcement.objects.filter(call=call, key="ended").count() == 1
    assert real_calls.reread(call).state == State.ENDED


def test_eight_concurrent_callbacks_of_unknown_call(live_server: Any, real_calls: Calls) -> None:
    call = real_calls.requested()
    url = live_server.url + url_of(call)
    call.delete()

    statuses = at_once(*[(url, body_of())] * 8)

    assert statuses == [200] * 8
    assert [event.reason for event in callbacks()] == [EventReason.UNKNOWN_CALL]


def test_concurrent_different_callbacks_are_all_applied(live_server: Any, real_calls: Calls) -> None:
    call = real_calls.accepted()
    bodies = [body_of("answered"), body_of("terminal", call_status="completed", total_talk_time=42)]
    bodies += [body_of("terminal", recordings=[f"https://r.example.com/{index}.mp3"]) for index in range(6)]

    statuses = at_once(*((live_server.url + url_of(call), body) for body in bodies))

    record = real_calls.reread(call)
    assert statuses == [200] * 8
    assert len(callbacks()) == 8
    assert (record.state, record.outcome, record.talk_time) == (State.ENDED, "completed", 42)
    assert len(record.facts["recordings"]) == 6
    assert record.facts == join_events([event.as_message() for event in record.events.all()])[0]


def test_concurrent_callbacks_claim_one_sid(live_server: Any, real_calls: Calls) -> None:
    both = [real_calls.requested(), real_calls.requested()]
    for call in both:
        real_calls.answer(call, State.UNCONFIRMED, {})

    statuses = at_once(*((live_server.url + url_of(call), body_of()) for call in both))

    assert statuses == [200, 200]
    assert sorted(CallRecord.objects.values_list("state", flat=True)) == [State.ENDED, State.UNCONFIRMED]
    assert sorted(event.reason for event in callbacks()) == ["", EventReason.ANOTHER_CALL]


# Which call a sid belongs to.

STEPS = ("the answer", "its own callback", "a foreign callback")


@pytest.mark.parametrize("order", list(itertools.permutations(STEPS)), ids=", ".join)
def test_sid_of_the_answer_wins_in_any_order(order: tuple[str, ...], calls: Calls) -> None:
    call = calls.requested()

    for step in order:
        if step == "the answer":
            calls.answer(call, State.ACTIVE, {"call_sid": SID})
        elif step == "its own callback":
            calls.deliver(call, body_of("answered"), "answered")
        else:
            calls.deliver(call, body_of("terminal", OTHER, call_status="failed"))

    record = calls.reread(call)
    assert (record.state, record.outcome, record.call_sid) == (State.ACTIVE, "", SID)
    assert record.answered_at is not None
    reasons = {event.facts["call_sid"]: event.reason for event in callbacks()}
    assert reasons == {SID: "", OTHER: EventReason.ANOTHER_CALL}
    assert record.facts == join_events([event.as_message() for event in record.events.all()])[0]


def test_first_sid_is_kept_without_an_answer(calls: Calls) -> None:
    call = calls.requested()
    calls.answer(call, State.UNCONFIRMED, {})

    calls.deliver(call, body_of("answered"), "answered")
    calls.deliver(call, body_of("terminal", OTHER))

    record = calls.reread(call)
    assert (record.state, record.call_sid) == (State.ACTIVE, SID)
    assert [event.reason for event in callbacks()] == ["", EventReason.ANOTHER_CALL]


def test_end_with_foreign_sid_is_undone_by_the_answer(calls: Calls) -> None:
    call = calls.requested()
    details = {"call_status": "completed", "total_talk_time": 5, "end_time": "2026-02-11 11:14:58+05:30"}
    calls.deliver(call, body_of("terminal", OTHER, **details))
    assert calls.reread(call).next_check_at is None

    calls.answer(call, State.ACTIVE, {"call_sid": SID})

    record = calls.reread(call)
    assert (record.state, record.call_sid) == (State.ACTIVE, SID)
    assert record.next_check_at is not None


def test_refused_call_that_is_answered_becomes_active(calls: Calls) -> None:
    call = calls.requested()
    calls.answer(call, State.REFUSED, {}, "10706")
    assert calls.reread(call).state == State.REFUSED

    calls.deliver(call, body_of("answered"), "answered")

    record = calls.reread(call)
    assert (record.state, record.refusal_code) == (State.ACTIVE, "10706")
    assert record.next_check_at is not None


def test_sid_of_another_call_is_not_taken(calls: Calls) -> None:
    owner, call = calls.accepted(), calls.requested()
    calls.answer(call, State.UNCONFIRMED, {})

    response = calls.deliver(call, body_of("terminal", SID))
    later = calls.deliver(call, body_of("answered", OTHER), "answered")

    record = calls.reread(call)
    assert (response.status_code, later.status_code) == (200, 200)
    assert [event.reason for event in callbacks()] == [EventReason.ANOTHER_CALL, ""]
    assert (record.state, record.call_sid) == (State.ACTIVE, OTHER)
    assert calls.reread(owner).state == State.ACTIVE


def test_sids_are_unique_per_account_only(calls: Calls) -> None:
    calls.accepted()
    call = calls.requested(account="mumbai")

    calls.deliver(call, body_of())

    assert calls.reread(call).call_sid == SID


def test_announcements_after_an_end_with_foreign_sid(calls: Calls, receivers: Callable[..., None]) -> None:
    received: list[Any] = []
    for name in ("call_accepted", "call_answered", "call_ended"):
        receivers(getattr(signals, name), lambda name=name, **kwargs: received.append(name), dispatch_uid=name)
    receivers(
        signals.call_updated, lambda call, changed, **kwargs: received.append((call.outcome, "outcome" in changed))
    )
    call = calls.requested()

    calls.deliver(call, body_of("terminal", OTHER, call_status="busy"))
    calls.answer(call, State.ACTIVE, {"call_sid": SID})
    calls.deliver(call, body_of("answered"), "answered")
    calls.deliver(call, body_of("terminal", call_status="completed", total_talk_time=42))

    assert received == ["call_accepted", "call_ended", ("", True), ("completed", True)]
    record = calls.reread(call)
    assert (record.state, record.outcome) == (State.ENDED, "completed")
