"""Requests for Call Details: one budget for all processes, and pauses when Exotel refuses or is unreachable."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from django_exotel_ccm.choices import State
from django_exotel_ccm.models import AccountUsage, CallRecord
from django_exotel_ccm.services.budget import RateLimited
from django_exotel_ccm.services.reconciliation.call_details import fetch_call_details
from django_exotel_ccm.services.reconciliation.reconcile import reconcile
from django_exotel_ccm.simulator import Simulator
from tests.services.reconciliation.due_calls import make_due, requested_sids
from tests.services.reconciliation.test_processes import COMMAND
from tests.subprocesses import child

EARLY = datetime.datetime(2026, 11, 23, 10, 0, 5, tzinfo=datetime.UTC)  # a minute that has 55 seconds left

Silent = Callable[[int], list[CallRecord]]


@pytest.fixture
def limit(settings: Any) -> Callable[[int], None]:
    def limit(requests: int) -> None:
        settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "REQUESTS_PER_MINUTE": requests}

    return limit


def fetch(call: CallRecord) -> dict[str, Any]:
    """Fetch the call's details; return the facts."""
    return fetch_call_details("default", call.call_sid or "").facts


def test_calls_beyond_the_budget_wait_a_minute(silent: Silent, exotel: Simulator, limit: Callable[[int], None]) -> None:
    limit(3)
    with time_machine.travel(EARLY, tick=True):
        silent(5)
        first = reconcile()
        again = reconcile()
    with time_machine.travel(EARLY + datetime.timedelta(minutes=1), tick=True):
        second = reconcile()

    assert (first.requests, first.rate_limited) == (3, 1)
    assert again.requests == 0
    assert (second.requests, second.rate_limited) == (2, 0)
    assert set(CallRecord.objects.values_list("state", flat=True)) == {State.ENDED}
    assert len(set(requested_sids(exotel))) == len(requested_sids(exotel)) == 5


def test_budget_is_shared_by_all_processes(silent: Silent, exotel: Simulator, limit: Callable[[int], None]) -> None:
    silent(8)
    # If the minute changes while they run, each minute has its own budget.
    minute = timezone.now().replace(second=0, microsecond=0)
    with child(*COMMAND, TEST_REQUESTS_PER_MINUTE="3") as one, child(*COMMAND, TEST_REQUESTS_PER_MINUTE="3") as two:
        texts = [process.communicate(timeout=60)[0] for process in (one, two)]

    minutes = 1 + (timezone.now().replace(second=0, microsecond=0) - minute) // datetime.timedelta(minutes=1)
    assert (one.returncode, two.returncode) == (0, 0), texts
    assert 3 <= len(requested_sids(exotel)) <= 3 * minutes


@pytest.mark.parametrize("fault", ["none", "too_many"])
def test_corrected_clock_stops_no_requests(fault: str, silent: Silent, exotel: Simulator) -> None:
    (call,) = silent(1)
    exotel.options.details_fault = fault
    with time_machine.travel(timezone.now() + datetime.timedelta(days=30), tick=True), suppress(RateLimited):
        fetch(call)
    exotel.options.details_fault = "none"

    assert fetch(call)["state"] == "terminal"


@pytest.mark.parametrize(("retry_after", "pause"), [(7200, 7200), (10**7, 86_400), (None, 60)])
def test_too_many_requests_pause_the_account(
    retry_after: int | None, pause: int, silent: Silent, exotel: Simulator
) -> None:
    silent(3)
    exotel.options.details_fault = "too_many"
    exotel.options.retry_after = retry_after
    before = timezone.now()

    report = reconcile()

    assert (report.requests, report.rate_limited, len(requested_sids(exotel))) == (0, 1, 1)
    usage = AccountUsage.objects.get()
    assert usage.paused_until is not None
    assert round((usage.paused_until - before).total_seconds()) in range(pause, pause + 5)
    exotel.options.details_fault = "none"
    assert reconcile().requests == 0
    assert len(requested_sids(exotel)) == 1

    with time_machine.travel(usage.paused_until, tick=True):
        assert reconcile().ended == 3


def test_pauses_grow_until_an_answer(silent: Silent, exotel: Simulator) -> None:
    (call,) = silent(1)
    exotel.options.details_fault = "too_many"
    pauses = []
    now = timezone.now()

    for _time in range(6):
        with time_machine.travel(now, tick=False), pytest.raises(RateLimited) as caught:
            fetch(call)
        pauses.append(round((caught.value.until - now).total_seconds() / 60))
        now = caught.value.until
    AccountUsage.objects.update(failures=32_767)  # no more fit into the column
    with time_machine.travel(now, tick=False), pytest.raises(RateLimited) as caught:
        fetch(call)
    exotel.options.details_fault = "none"
    with time_machine.travel(caught.value.until, tick=False):
        assert fetch(call)["state"] == "terminal"

    assert pauses == [1, 2, 4, 8, 15, 15]
    assert AccountUsage.objects.get().failures == 0


def test_refused_credentials_are_tried_once(silent: Silent, exotel: Simulator) -> None:
    silent(3)
    exotel.options.details_fault = "unauthorised"

    reconcile()

    assert len(requested_sids(exotel)) == 1
    assert set(CallRecord.objects.values_list("state", flat=True)) == {State.ACTIVE}


@pytest.mark.parametrize("fault", ["bad_gateway", "cut"])
def test_outage_pauses_the_account_after_three_failures(fault: str, silent: Silent, exotel: Simulator) -> None:
    silent(5)
    exotel.options.details_fault = fault

    report = reconcile()

    assert (report.requests, report.unanswered, report.rate_limited) == (3, 3, 1)
    assert len(requested_sids(exotel)) == 3
    assert set(CallRecord.objects.values_list("state", flat=True)) == {State.ACTIVE}
    assert not CallRecord.objects.filter(next_check_at=None).exists()


def test_paused_account_and_calls_given_up(silent: Silent, exotel: Simulator) -> None:
    (call,) = silent(1)
    exotel.options.details_fault = "unauthorised"
    make_due(created_at=timezone.now() - datetime.timedelta(hours=24))
    given_up = []
    for minutes in (0, 20):
        with time_machine.travel(timezone.now() + datetime.timedelta(minutes=minutes), tick=True):
            given_up.append(reconcile().gave_up)
    call.refresh_from_db()
    assert given_up == [1, 0]
    assert (call.state, call.gave_up_at is None, call.next_check_at is None) == (State.ACTIVE, False, False)

    exotel.options.details_fault = "none"
    with time_machine.travel(call.next_check_at, tick=True):
        report = reconcile()

    call.refresh_from_db()
    assert (call.state, call.gave_up_at, call.next_check_at, report.gave_up) == (State.ENDED, None, None, 0)


@pytest.mark.books_differ("the account is gone from the settings")
def test_removed_account_does_not_stop_the_others(silent: Silent, exotel: Simulator) -> None:
    removed, _kept = silent(2)
    CallRecord.objects.filter(pk=removed.pk).update(account="gone")

    report = reconcile()

    assert (report.requests, report.ended, report.rate_limited) == (1, 1, 1)
    removed.refresh_from_db()
    assert removed.state == State.ACTIVE
    assert removed.next_check_at > timezone.now() + datetime.timedelta(minutes=10)
