"""Calls without a report are checked with Call Details. They are never dialled again."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.choices import Authentication, EventKind, State
from django_exotel_ccm.exotel.values import clean_moment
from django_exotel_ccm.models import AccountUsage, CallEvent, CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.services.reconciliation.reconcile import Report, reconcile
from django_exotel_ccm.simulator import Simulator
from tests.factories import record_callback
from tests.services.reconciliation.due_calls import end_calls, make_due, requested_sids

COMPLETED = "+919000001001"
MINUTE = datetime.timedelta(minutes=1)


def minutes_until(moment: datetime.datetime | None) -> int | None:
    return None if moment is None else round((moment - timezone.now()) / MINUTE)


@pytest.fixture
def place(host: Any, exotel: Simulator) -> Callable[..., CallRecord]:
    agent = host.agent()
    return lambda to=COMPLETED, **options: place_call(agent=agent, to=to, **options)


def call_without_response(host: Any, **fields: Any) -> CallRecord:
    """Return a call whose process was killed a minute ago, before it recorded an answer."""
    now = timezone.now()
    return CallRecord.objects.create(
        **{
            "account": "default",
            "agent": host.agent(),
            "customer_number": COMPLETED,
            "created_at": now - MINUTE,
            "details_check_at": now,
            "next_check_at": now,
            **fields,
        }
    )


@pytest.mark.books_differ("the simulator never got the request")
def test_call_without_response_becomes_unconfirmed(
    host: Any, exotel: Simulator, posts: Callable[[], list[Any]]
) -> None:
    call = call_without_response(host)

    report = reconcile()

    call.refresh_from_db()
    assert (call.state, report.unconfirmed) == (State.UNCONFIRMED, 1)
    assert posts() == []
    assert requested_sids(exotel) == []
    event = call.events.get()
    assert (event.kind, event.authentication) == (EventKind.NO_RESPONSE, Authentication.OURSELVES)


@pytest.mark.books_differ("the simulator never got the request")
def test_call_without_sid_is_given_up_after_six_hours(host: Any, exotel: Simulator) -> None:
    call = call_without_response(host, created_at=timezone.now() - datetime.timedelta(hours=5, minutes=59))
    reconcile()
    call.refresh_from_db()
    assert minutes_until(call.next_check_at) == 1
    assert call.gave_up_at is None

    make_due()
    report = reconcile()

    call.refresh_from_db()
    assert (call.state, call.next_check_at, report.gave_up) == (State.UNCONFIRMED, None, 1)
    assert call.gave_up_at is not None
    assert requested_sids(exotel) == []


@pytest.mark.books_differ("the callback is not the simulator's")
def test_late_callback_counts_after_giving_up(place: Callable[..., CallRecord], exotel: Simulator) -> None:
    exotel.options.by_hand = True
    exotel.speed = 1.0
    call = place()
    make_due(created_at=timezone.now() - datetime.timedelta(hours=24))
    reconcile()
    call.refresh_from_db()
    assert (call.state, call.next_check_at) == (State.ACTIVE, None)
    assert call.gave_up_at is not None

    record_callback(call, "terminal", status="completed", talk_time=42, call_sid=call.call_sid)

    call.refresh_from_db()
    assert (call.state, call.outcome, call.talk_time, call.gave_up_at) == (State.ENDED, "completed", 42, None)


@pytest.mark.parametrize("shape", ["A", "B", "C"])
def test_unreported_end_is_found_and_announced_once(
    shape: str, place: Callable[..., CallRecord], exotel: Simulator, receivers: Callable[..., None]
) -> None:
    received: list[str] = []
    receivers(signals.call_ended, lambda call, **kwargs: received.append(call.outcome))
    exotel.options.details_shape = shape
    call = place(recording=True)
    call.refresh_from_db()
    assert minutes_until(call.next_check_at) == 5
    end_calls(exotel)

    make_due()
    report = reconcile()

    call.refresh_from_db()
    assert (call.state, call.outcome, call.talk_time) == (State.ENDED, "completed", 42)
    assert call.recording_url
    assert call.next_check_at is None
    assert (report.requests, report.ended) == (1, 1)
    make_due()
    assert not reconcile()
    assert received == ["completed"]
    assert requested_sids(exotel) == [call.call_sid]


def test_checks_of_an_active_call_back_off(place: Callable[..., CallRecord], exotel: Simulator) -> None:
    exotel.options.by_hand = True
    exotel.speed = 1.0
    call = place()

    waits = []
    for _time in range(7):
        make_due()
        reconcile()
        call.refresh_from_db()
        waits.append(minutes_until(call.next_check_at))

    assert waits == [5, 10, 20, 40, 60, 60, 60]
    assert call.state == State.ACTIVE
    # Seven equal answers are one event.
    assert call.events.filter(kind=EventKind.DETAILS).count() == 1
    assert len(requested_sids(exotel)) == 7


@pytest.mark.books_differ("the terminal is not the simulator's")
def test_stale_details_are_fetched_again(place: Callable[..., CallRecord], exotel: Simulator) -> None:
    exotel.options.by_hand = True
    exotel.speed = 1.0
    call = place()
    record_callback(call, "terminal", call_sid=call.call_sid)  # without any other fact
    call.refresh_from_db()
    assert (call.state, call.outcome, minutes_until(call.next_check_at)) == (State.ENDED, "unknown", 2)

    make_due()
    reconcile()  # Exotel still reports an active call
    call.refresh_from_db()
    assert (call.state, call.outcome, minutes_until(call.next_check_at)) == (State.ENDED, "unknown", 5)
    exotel.options.by_hand = False
    exotel.press(call.call_sid, "agent", "answer")
    exotel.press(call.call_sid, "customer", "answer")
    end_calls(exotel)

    make_due()
    reconcile()

    call.refresh_from_db()
    assert (call.outcome, call.next_check_at) == ("completed", None)


def test_complete_call_is_not_checked(
    place: Callable[..., CallRecord], exotel: Simulator, live_server: Any, settings: Any
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CALLBACK_BASE_URL": live_server.url}
    exotel.options.lost_events = frozenset()
    call = place(recording=True)
    end_calls(exotel)

    call.refresh_from_db()
    assert (call.state, call.next_check_at) == (State.ENDED, None)
    assert not reconcile()
    assert requested_sids(exotel) == []


def test_late_recording_is_found_and_announced_once(
    place: Callable[..., CallRecord], exotel: Simulator, live_server: Any, settings: Any, receivers: Callable[..., None]
) -> None:
    received: list[str] = []
    receivers(signals.recording_ready, lambda call, **kwargs: received.append(call.recording_url))
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CALLBACK_BASE_URL": live_server.url}
    exotel.options.lost_events = frozenset()
    exotel.options.recordings_shape = "late"
    call = place(recording=True)
    end_calls(exotel)
    call.refresh_from_db()
    assert (call.state, call.recording_url, minutes_until(call.next_check_at)) == (State.ENDED, "", 2)

    for _time in range(2):
        make_due()
        reconcile()

    call.refresh_from_db()
    assert call.recording_url == exotel.book.calls[call.call_sid].recording_url
    assert received == [call.recording_url]
    assert call.next_check_at is None
    assert len(requested_sids(exotel)) == 1


@pytest.mark.books_differ("the terminal is not the simulator's")
def test_missing_recording_is_given_up_after_the_setting(
    place: Callable[..., CallRecord], exotel: Simulator, settings: Any
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RECORDING_RETRY_FOR": 600}
    exotel.options.by_hand = True
    exotel.speed = 1.0  # the phone rings on, and Exotel has nothing to add
    call = place(recording=True)
    record_callback(call, "terminal", call_sid=call.call_sid, status="completed", talk_time=42)

    make_due()
    reconcile()
    call.refresh_from_db()
    assert minutes_until(call.next_check_at) == 5
    make_due(ended_at=timezone.now() - datetime.timedelta(seconds=301))
    reconcile()

    call.refresh_from_db()
    assert (call.state, call.next_check_at, call.gave_up_at) == (State.ENDED, None, None)


@pytest.mark.books_differ("Exotel forgot the call")
def test_details_not_found_change_no_state(place: Callable[..., CallRecord], exotel: Simulator) -> None:
    call = place()
    CallRecord.objects.update(call_sid="nobody-knows-this")
    make_due()

    report = reconcile()

    call.refresh_from_db()
    assert (call.state, minutes_until(call.next_check_at), report.requests) == (State.ACTIVE, 5, 1)
    details = call.events.get(kind=EventKind.DETAILS)
    assert (details.code, details.http_status, details.facts) == ("10744", 404, {})


def test_stopped_pass_leaves_the_rest_due(place: Callable[..., CallRecord], exotel: Simulator) -> None:
    for _time in range(4):
        place()
        end_calls(exotel)
    make_due()
    seen: list[int] = []

    reconcile(progress=lambda report: seen.append(report.calls), stopped=lambda: len(seen) == 2)

    assert seen == [1, 2]
    assert len(requested_sids(exotel)) == 2
    assert CallRecord.objects.filter(next_check_at__lte=timezone.now()).count() == 2
    assert CallEvent.objects.filter(kind=EventKind.DETAILS).count() == 2


@pytest.mark.books_differ("the callback is not the simulator's")
def test_plan_changed_meanwhile_is_not_overwritten(
    place: Callable[..., CallRecord], exotel: Simulator, receivers: Callable[..., None]
) -> None:
    def fail(**kwargs: Any) -> None:
        raise LookupError("the mail server is gone")

    def progress(report: Report) -> None:
        if report.calls == 1:
            record_callback(call, "answered")

    place()
    end_calls(exotel)
    call = place("+919000001002")
    make_due()
    receivers(signals.call_answered, fail)

    reconcile(progress=progress)

    call.refresh_from_db()
    assert call.announce_at is not None
    assert call.announce_at == call.announcements.get(signal="call_answered").next_try_at
    assert (call.state, reconcile().requests) == (State.ACTIVE, 1)  # it is still due


@pytest.mark.books_differ("the signed address is not the simulator's")
def test_expired_recording_address_is_replaced(place: Callable[..., CallRecord], exotel: Simulator) -> None:
    call = place(recording=True)
    end_calls(exotel)
    fresh = exotel.book.calls[call.call_sid].recording_url
    signed = f"{fresh}?Expires=1700000000"
    record_callback(call, "terminal", call_sid=call.call_sid, status="completed", talk_time=42, recordings=(signed,))
    call.refresh_from_db()
    assert call.recording_url == signed
    CallRecord.objects.update(details_check_at=timezone.now(), next_check_at=timezone.now())  # a user wants to play it

    assert reconcile().requests == 1

    call.refresh_from_db()
    assert (call.recording_url, call.next_check_at) == (fresh, None)


@pytest.mark.books_differ("the test sends another end than the simulator")
def test_wrong_end_is_not_checked_for_years(place: Callable[..., CallRecord], exotel: Simulator) -> None:
    call = place(recording=True)
    record_callback(call, "terminal", status="completed", talk_time=42, ended_at=clean_moment("2125-01-01T00:00:00Z"))
    CallRecord.objects.update(created_at=timezone.now() - datetime.timedelta(days=2))
    make_due(checks=4)

    reconcile()

    call.refresh_from_db()
    assert call.next_check_at is None


@pytest.mark.books_differ("the simulator's call was placed by an account that is gone")
def test_call_of_a_removed_account_is_given_up(place: Callable[..., CallRecord], exotel: Simulator) -> None:
    call = place()
    CallRecord.objects.update(account="gone")
    make_due()
    reconcile()
    call.refresh_from_db()
    assert (minutes_until(call.next_check_at), call.gave_up_at) == (15, None)
    CallRecord.objects.update(created_at=timezone.now() - datetime.timedelta(days=1))
    AccountUsage.objects.update(paused_until=None)
    make_due()

    report = reconcile()

    call.refresh_from_db()
    assert (call.state, call.next_check_at, report.gave_up) == (State.ACTIVE, None, 1)
    assert call.gave_up_at is not None
