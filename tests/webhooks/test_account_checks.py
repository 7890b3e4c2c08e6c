"""A report to an account's own URL has a call checked, and changes no facts; failures and concurrent reports."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.db import connection
from django.db.utils import OperationalError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_exotel_ccm.choices import EventReason, State, UnverifiedReason
from django_exotel_ccm.models import Announcement, CallRecord, UnverifiedCall
from tests.factories import SID, Calls, body_of, raw_of
from tests.webhooks.test_account_callbacks import SECOND, TWO_MINUTES, account_url, columns, report, stored
from tests.webhooks.test_not_committed import failing
from tests.webhooks.test_repetition import at_once
from tests.webhooks.test_statements import LOCK


def test_known_call_is_checked_in_two_minutes(calls: Calls) -> None:
    call = calls.accepted()
    before = columns(call)
    assert call.details_check_at is not None
    assert call.details_check_at > timezone.now() + 2 * TWO_MINUTES

    assert report(calls, body_of("terminal", call_status="completed")).status_code == 200

    assert columns(call) == before
    [event] = stored()
    assert (event.call, event.reason) == (call, EventReason.UNVERIFIED)
    record = calls.reread(call)
    assert record.details_check_at is not None
    assert abs(record.details_check_at - timezone.now() - TWO_MINUTES) < 5 * SECOND
    assert record.next_check_at == record.details_check_at
    assert not UnverifiedCall.objects.exists()


def test_earlier_check_stays_planned(calls: Calls) -> None:
    call = calls.accepted()
    soon = timezone.now() + datetime.timedelta(seconds=20)
    CallRecord.objects.filter(pk=call.pk).update(details_check_at=soon, next_check_at=soon)
    planned = calls.reread(call).details_check_at

    report(calls)

    assert calls.reread(call).details_check_at == planned


def test_complete_call_is_not_checked(calls: Calls) -> None:
    call = calls.accepted()
    end = {"call_status": "completed", "total_talk_time": 42, "end_time": "2026-02-11 11:14:58+05:30"}
    calls.deliver(call, body_of("terminal", **end))
    assert calls.reread(call).details_check_at is None

    report(calls, body_of("terminal", call_status="failed"))

    record = calls.reread(call)
    assert (record.details_check_at, record.next_check_at, record.outcome) == (None, None, "completed")
    assert stored()[0].call == call


def test_same_sid_in_another_account_is_another_call(calls: Calls, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "ACCOUNTS": {"default": "EXOTEL_URL", "sales": "EXOTEL_SALES"}}
    call = calls.accepted(account="sales")
    plan = call.details_check_at

    report(calls)

    assert stored()[0].call is None
    assert UnverifiedCall.objects.get().account == "default"
    assert calls.reread(call).details_check_at == plan


def test_report_is_not_joined_by_a_rebuild(calls: Calls) -> None:
    call = calls.accepted()
    report(calls, body_of("terminal", call_status="completed", total_talk_time=42))

    # Another sid has all of the call's events joined anew.
    calls.deliver(call, body_of("answered", "b" * 32), "answered")

    record = calls.reread(call)
    assert (record.state, record.outcome, record.talk_time) == (State.ACTIVE, "", None)
    assert stored()[0].reason == EventReason.UNVERIFIED
    assert not Announcement.objects.filter(key="ended").exists()


# A customer who was erased.


@pytest.mark.parametrize("erased", ["the call", "the unverified call"])
def test_report_about_an_erased_customer_is_redacted(erased: str, calls: Calls) -> None:
    if erased == "the call":
        calls.accepted(erased_at=timezone.now())
    else:
        report(calls, body_of("answered"))
        UnverifiedCall.objects.update(code=UnverifiedReason.ERASED, next_check_at=None, gave_up_at=timezone.now())

    report(calls, body_of("terminal", customer_details={"number": "+919000001001"}, call_status="completed"))

    event = stored()[-1]
    assert (raw_of(event), event.facts.get("customer_number"), event.facts["status"]) == (b"", None, "completed")
    assert event.purged_at is not None
    assert not UnverifiedCall.objects.exclude(next_check_at=None).exists()


# Statements, concurrency and failures.


def statements(calls: Calls, body: bytes) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        assert report(calls, body).status_code == 200
    words = [query["sql"].split()[0] for query in captured.captured_queries]
    assert (words[0], words[-1]) == ("BEGIN", "COMMIT")
    return words[1:-1]


def test_statements_for_an_unknown_call(real_calls: Calls) -> None:
    assert statements(real_calls, body_of("answered")) == [*LOCK, *["SELECT"] * 3, "INSERT", "INSERT", "SELECT"]
    assert statements(real_calls, body_of("terminal")) == [*LOCK, *["SELECT"] * 3, "INSERT"]
    assert statements(real_calls, body_of("terminal")) == [*LOCK, "SELECT"]


def test_statements_for_a_known_call(real_calls: Calls) -> None:
    real_calls.accepted()

    assert statements(real_calls, body_of("answered")) == [*LOCK, "SELECT", "SELECT", "INSERT", "UPDATE"]
    assert statements(real_calls, body_of("terminal")) == [*LOCK, "SELECT", "SELECT", "INSERT"]


def test_concurrent_reports_are_one_unverified_call(live_server: Any, real_calls: Calls) -> None:
    bodies = [body_of("terminal", custom_field=str(number // 2)) for number in range(16)]

    statuses = at_once(*((live_server.url + account_url(), body) for body in bodies))

    assert statuses == [200] * 16
    assert len(stored()) == 8
    assert UnverifiedCall.objects.get().call_sid == SID


def test_lasting_failure_is_answered_503(real_calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    with failing(OperationalError("disk full"), 99):
        response = report(real_calls)

    assert (response.status_code, response.json()) == (503, {"detail": "Not stored; send it again."})
    assert (stored(), UnverifiedCall.objects.count()) == ([], 0)
    assert "account 'default'" in caplog.text


@pytest.mark.parametrize("gave_up", [True, False])
def test_call_given_up_is_checked_after_another_report(calls: Calls, *, gave_up: bool) -> None:
    report(calls, body_of("answered"))
    then = timezone.now() - datetime.timedelta(days=2)
    UnverifiedCall.objects.update(next_check_at=None, gave_up_at=then if gave_up else None, reported_at=then)

    report(calls, body_of("terminal"))

    unverified = UnverifiedCall.objects.get()
    assert unverified.gave_up_at is None
    assert unverified.next_check_at is not None
    assert unverified.reported_at == then
