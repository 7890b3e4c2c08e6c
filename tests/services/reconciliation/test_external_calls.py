"""Calls placed elsewhere are recorded once Call Details confirm them."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.choices import EventKind, EventReason, Origin, State, UnverifiedReason
from django_exotel_ccm.models import CallEvent, CallRecord, UnverifiedCall
from django_exotel_ccm.services.budget import RateLimited
from django_exotel_ccm.services.reconciliation import reconcile as reconcile_module
from tests.helpdesk.models import Ticket
from tests.services.reconciliation.unverified_calls import (
    CUSTOMER,
    ENDED,
    HOUR,
    MINUTE,
    SID,
    FakeDetails,
    at,
    make_due,
    minutes_until,
    report,
    reread,
    verify_due,
)

pytestmark = pytest.mark.django_db(transaction=True)


def verified(**facts: Any) -> CallRecord:
    """Return the record that Call Details with these facts make."""
    assert verify_due(FakeDetails(**facts)) == [True]
    return CallRecord.objects.get()


# Confirmed.


def test_confirmed_call_is_recorded(unverified: UnverifiedCall) -> None:
    fetch = FakeDetails()

    assert verify_due(fetch) == [True]

    call = CallRecord.objects.get()
    assert fetch.requests == [("default", SID)]
    assert (call.account, call.call_sid, call.state, call.customer_number) == ("default", SID, State.ACTIVE, CUSTOMER)
    assert (call.origin, call.created_at) == (Origin.EXTERNAL, unverified.reported_at)
    assert (call.agent, call.agent_label, call.placed_by, call.ticket) == (None, "", None, None)
    row = reread(unverified)
    assert (row.call, row.next_check_at, row.gave_up_at, row.code) == (call, None, None, "")
    event = call.events.get()
    assert (event.kind, event.reason, event.reference) == (EventKind.DETAILS, "", call.reference)


def test_external_call_is_announced(unverified: UnverifiedCall, host: Any, receivers: Callable[..., None]) -> None:
    ticket = host.ticket()
    received: list[tuple[str, Any, Any]] = []
    for name in ("call_accepted", "call_ended", "recording_ready"):
        receivers(
            getattr(signals, name),
            lambda call, ticket, name=name, **kwargs: received.append((name, ticket, call.call_sid)),
            sender=Ticket,
            dispatch_uid=name,
        )

    call = verified(**ENDED, custom_field=f"ticket_{ticket.pk}", recordings=("https://r.example.com/1.mp3",))

    assert received == [(name, ticket, SID) for name in ("call_accepted", "call_ended", "recording_ready")]
    assert (call.state, call.outcome, call.talk_time) == (State.ENDED, "completed", 42)
    assert (call.ticket, call.ticket_label) == (ticket, str(ticket))
    assert list(CallRecord.objects.about(ticket)) == [call]


@pytest.mark.parametrize(("ended", "minutes"), [(None, 5), (False, 2), (True, None)])
def test_external_call_is_checked_until_complete(
    ended: bool | None, minutes: int | None, unverified: UnverifiedCall
) -> None:
    facts = {None: {}, False: {"state": "terminal"}, True: {**ENDED, "ended_at": at(timezone.now())}}

    call = verified(**facts[ended])

    assert minutes_until(call.details_check_at) == minutes
    assert call.next_check_at == call.details_check_at


def test_recording_reported_later_is_checked_once(unverified: UnverifiedCall, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {**ENDED, "ended_at": at(timezone.now()), "recordings": ("https://recordings.exotel.com/acme1/late.mp3",)}
    call = verified(**{**facts, "recordings": ()})
    assert call.next_check_at is None

    report(**facts)

    call.refresh_from_db()
    assert (call.recording_url, minutes_until(call.next_check_at)) == ("", 2)
    CallRecord.objects.update(details_check_at=timezone.now(), next_check_at=timezone.now())
    monkeypatch.setattr(reconcile_module, "fetch_call_details", FakeDetails(**facts))
    reconcile_module.reconcile()
    report(**{**facts, "talk_time": 41})
    call.refresh_from_db()
    assert (call.recording_url, call.next_check_at) == (facts["recordings"][0], None)


def test_later_report_is_linked_to_the_record(unverified: UnverifiedCall) -> None:
    call = verified()

    report(status="completed")

    assert list(UnverifiedCall.objects.all()) == [unverified]
    event = CallEvent.objects.filter(account="default").latest("pk")
    assert (event.call, event.reason) == (call, EventReason.UNVERIFIED)
    call.refresh_from_db()
    assert minutes_until(call.details_check_at) == 2


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"agent_uri": "09000000101"}, "Asha"),
        ({"agent_uri": "sip:vik4c1d77e2"}, "Vik"),
        ({"agent_id": "vik", "agent_uri": "+919000000101"}, "Vik"),
        ({"agent_id": "unknown", "agent_uri": "+919000000101"}, "Asha"),
        ({"agent_id": "of-sales"}, ""),
        ({"agent_uri": "+919999999999"}, ""),
    ],
)
def test_agent_is_found_by_id_then_by_device(
    facts: dict[str, str], found: str, unverified: UnverifiedCall, host: Any
) -> None:
    host.agent("Asha", "+919000000101")
    host.agent("Vik", "sip:vik4c1d77e2", exotel_user_id="vik")
    host.agent("Uma", "+919000000103", exotel_user_id="of-sales", account="sales")

    assert verified(**facts).agent_label == found


@pytest.mark.parametrize(
    ("number", "stored"), [("09000001001", CUSTOMER), ("sip:ravi", ""), ("XXXXXX1001", ""), (None, "")]
)
def test_customer_number_is_parsed_or_blank(number: str | None, stored: str, unverified: UnverifiedCall) -> None:
    assert verified(customer_number=number).customer_number == stored


@pytest.mark.parametrize(("began", "placed"), [(-3, -3), (1, 0)])
def test_start_is_exotels_but_not_after_the_report(began: int, placed: int, unverified: UnverifiedCall) -> None:
    call = verified(started_at=at(unverified.reported_at + began * MINUTE))

    assert call.created_at == unverified.reported_at + placed * MINUTE


@pytest.mark.parametrize("custom_field", ["ticket_999999", "nobody_7", "ticket_x"])
def test_custom_field_without_ticket_is_stored(custom_field: str, unverified: UnverifiedCall) -> None:
    call = verified(custom_field=custom_field)

    assert (call.custom_field, call.ticket, call.ticket_label) == (custom_field, None, "")


@pytest.mark.parametrize(
    "broken",
    [
        {"TICKETS": {"helpdesk.Ticket": {"prefix": "ticket"}}},
        {"TICKETS": {"helpdesk.Gone": {"prefix": "ticket", "phone": "x"}}},
        {"WORK_CONTEXT": f"{__name__}.failing_context"},
    ],
)
def test_wrong_settings_cost_only_the_ticket(
    broken: dict[str, Any], unverified: UnverifiedCall, host: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ticket = host.ticket()
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, **broken}

    call = verified(custom_field=f"ticket_{ticket.pk}")

    assert (call.ticket, reread(unverified).code) == (None, "")
    assert "placed elsewhere" in caplog.text


def failing_context(call: CallRecord) -> Any:
    raise RuntimeError("no tenant")


entered: list[tuple[str, str]] = []


@contextlib.contextmanager
def remembering_context(call: CallRecord) -> Iterator[None]:
    entered.append((call.account, call.custom_field))
    yield


def test_ticket_is_found_in_the_work_context(unverified: UnverifiedCall, host: Any, settings: Any) -> None:
    ticket = host.ticket()
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "WORK_CONTEXT": f"{__name__}.remembering_context"}
    entered.clear()

    assert verified(custom_field=f"ticket_{ticket.pk}").ticket == ticket
    assert entered == [("default", f"ticket_{ticket.pk}")]


def test_database_failure_at_the_ticket_is_retried(unverified: UnverifiedCall, host: Any) -> None:
    ticket = host.ticket()
    fetch = FakeDetails(custom_field=f"ticket_{ticket.pk}")

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "helpdesk_ticket" in sql:
            raise OperationalError("away")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail), pytest.raises(OperationalError):
        verify_due(fetch)
    assert not CallRecord.objects.exists()
    assert minutes_until(reread(unverified).next_check_at) == 2

    make_due(unverified)
    assert verify_due(fetch) == [True]
    assert CallRecord.objects.get().ticket == ticket


# Not confirmed.


def test_checks_without_usable_answer_back_off(unverified: UnverifiedCall) -> None:
    fetch = FakeDetails(code="http_502")
    waits = []
    for _check in range(7):
        assert verify_due(fetch) == [False]
        waits.append(minutes_until(reread(unverified).next_check_at))
        make_due(unverified)

    assert waits == [5, 10, 20, 40, 60, 60, 60]
    assert (reread(unverified).checks, reread(unverified).code, len(fetch.requests)) == (7, "http_502", 7)

    make_due(unverified, reported_at=timezone.now() - 23 * HOUR - MINUTE)
    verify_due(fetch)

    row = reread(unverified)
    assert (row.next_check_at, row.code, row.checks, row.gave_up_at is None) == (None, "http_502", 8, False)
    assert not CallRecord.objects.exists()
    assert not CallEvent.objects.filter(kind=EventKind.DETAILS).exists()


@pytest.mark.parametrize("code", ["http_502", "1017"])
def test_outage_is_no_reason_to_give_up(code: str, unverified: UnverifiedCall) -> None:
    make_due(unverified, reported_at=timezone.now() - datetime.timedelta(days=3))  # no reconciler ran for long

    for _check in range(5):
        verify_due(FakeDetails(code=code))
        assert reread(unverified).gave_up_at is None
        make_due(unverified)
    verify_due(FakeDetails(code=code))

    assert (reread(unverified).code, reread(unverified).gave_up_at is None) == (code, False)


@pytest.mark.parametrize("code", ["10744", "http_404"])
def test_call_not_found_is_given_up_for_good(code: str, unverified: UnverifiedCall) -> None:
    verify_due(FakeDetails(code=code))
    report(status="completed")

    row = reread(unverified)
    assert (row.code, row.checks, row.next_check_at) == (UnverifiedReason.NOT_FOUND, 1, None)
    assert row.gave_up_at is not None


def test_answer_about_another_call_confirms_nothing(unverified: UnverifiedCall) -> None:
    assert verify_due(FakeDetails(call_sid="b" * 32)) == [False]

    assert not CallRecord.objects.exists()
    assert (reread(unverified).code, minutes_until(reread(unverified).next_check_at)) == ("no_call_sid", 5)


def test_rate_limit_postpones_the_check(unverified: UnverifiedCall) -> None:
    def limited(account: str, sid: str) -> CallEvent:
        raise RateLimited(timezone.now() + 7 * MINUTE)

    assert verify_due(limited) == [False]

    assert (minutes_until(reread(unverified).next_check_at), reread(unverified).checks) == (7, 0)


def test_call_of_a_removed_account_is_given_up() -> None:
    unverified = make_due(report(account="sales"))
    fetch = FakeDetails()

    assert verify_due(fetch) == [False]

    row = reread(unverified)
    assert (fetch.requests, row.code, row.next_check_at) == ([], UnverifiedReason.NO_ACCOUNT, None)
    assert row.gave_up_at is not None


def test_next_due_is_the_oldest_or_the_newest() -> None:
    now = timezone.now()
    for sid, minutes in {"1": 1, "2": 3, "3": 2, "4": 0}.items():
        report(sid)
        UnverifiedCall.objects.filter(call_sid=sid).update(next_check_at=now - minutes * MINUTE)
    report("later")
    report("sales", account="sales")
    UnverifiedCall.objects.filter(account="sales").update(next_check_at=now - 4 * MINUTE)

    due = [UnverifiedCall.objects.next_due(now, newest=newest, without=["sales"]) for newest in (False, True)]

    assert [row and row.call_sid for row in due] == ["2", "4"]
