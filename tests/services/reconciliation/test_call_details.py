"""How often Exotel is asked: a budget shared by all processes, and silence when Exotel wants it."""

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
from django_exotel_ccm.services.reconciliation.call_details import RateLimited, ask
from django_exotel_ccm.services.reconciliation.reconcile import reconcile
from django_exotel_ccm.simulator import Simulator
from tests.children import child
from tests.services.reconciliation.due_calls import asked, make_due
from tests.services.reconciliation.test_processes import COMMAND

EARLY = datetime.datetime(2026, 11, 23, 10, 0, 5, tzinfo=datetime.UTC)  # a minute that has 55 seconds left

Silent = Callable[[int], list[CallRecord]]


@pytest.fixture
def limit(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def limit(requests: int) -> None:
        settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "REQUESTS_PER_MINUTE": requests}

    return limit


def test_more_calls_than_the_budget_wait_for_the_next_minute(
    silent: Silent, exotel: Simulator, limit: Callable[[int], None]
) -> None:
    limit(3)
    with time_machine.travel(EARLY, tick=True):
        silent(5)
        first = reconcile()
        again = reconcile()
    with time_machine.travel(EARLY + datetime.timedelta(minutes=1), tick=True):
        second = reconcile()

    assert (first.asked, first.put_off) == (3, 1)
    assert again.asked == 0
    assert (second.asked, second.put_off) == (2, 0)
    assert set(CallRecord.objects.values_list("state", flat=True)) == {State.ENDED}
    assert len(set(asked(exotel))) == len(asked(exotel)) == 5


@pytest.mark.parametrize("fault", ["none", "too_many"])
def test_a_clock_that_is_put_right_stops_no_questions(fault: str, silent: Silent, exotel: Simulator) -> None:
    (call,) = silent(1)
    exotel.options.details_fault = fault
    with time_machine.travel(timezone.now() + datetime.timedelta(days=30), tick=True), suppress(RateLimited):
        ask("default", call.call_sid or "")
    exotel.options.details_fault = "none"

    assert ask("default", call.call_sid or "").facts["state"] == "terminal"


def test_the_budget_is_shared_by_all_processes(silent: Silent, exotel: Simulator, limit: Callable[[int], None]) -> None:
    silent(8)
    # Should the minute change while they run, each minute has its own budget.
    minute = timezone.now().replace(second=0, microsecond=0)
    with child(*COMMAND, TEST_REQUESTS_PER_MINUTE="3") as one, child(*COMMAND, TEST_REQUESTS_PER_MINUTE="3") as two:
        texts = [process.communicate(timeout=60)[0] for process in (one, two)]

    minutes = 1 + (timezone.now().replace(second=0, microsecond=0) - minute) // datetime.timedelta(minutes=1)
    assert (one.returncode, two.returncode) == (0, 0), texts
    assert 3 <= len(asked(exotel)) <= 3 * minutes


@pytest.mark.parametrize(("retry_after", "pause"), [(90, 90), (7200, 7200), (None, 60)])
def test_too_many_requests_pause_the_whole_account(
    retry_after: int | None, pause: int, silent: Silent, exotel: Simulator
) -> None:
    silent(3)
    exotel.options.details_fault = "too_many"
    exotel.options.retry_after = retry_after
    before = timezone.now()

    report = reconcile()

    assert (report.asked, report.put_off) == (0, 1)
    assert len(asked(exotel)) == 1
    usage = AccountUsage.objects.get()
    assert usage.paused_until is not None
    assert round((usage.paused_until - before).total_seconds()) in range(pause, pause + 5)
    exotel.options.details_fault = "none"
    assert reconcile().asked == 0
    assert len(asked(exotel)) == 1

    with time_machine.travel(usage.paused_until, tick=True):
        assert reconcile().ended == 3


def test_each_refusal_makes_the_pause_longer_and_an_answer_ends_that(silent: Silent, exotel: Simulator) -> None:
    (call,) = silent(1)
    exotel.options.details_fault = "too_many"
    pauses = []
    now = timezone.now()

    for _time in range(6):
        with time_machine.travel(now, tick=False), pytest.raises(RateLimited) as caught:
            ask("default", call.call_sid or "")
        pauses.append(round((caught.value.until - now).total_seconds() / 60))
        now = caught.value.until
    exotel.options.details_fault = "none"
    with time_machine.travel(now, tick=False):
        assert ask("default", call.call_sid or "").facts["state"] == "terminal"

    assert pauses == [1, 2, 4, 8, 15, 15]
    assert AccountUsage.objects.get().failures == 0


def test_a_year_of_failures_does_not_overflow(silent: Silent, exotel: Simulator) -> None:
    (call,) = silent(1)
    AccountUsage.objects.update_or_create(account="default", defaults={"failures": 32_767})
    exotel.options.details_fault = "too_many"

    with pytest.raises(RateLimited):
        ask("default", call.call_sid or "")

    assert AccountUsage.objects.get().failures == 32_767


def test_wrong_credentials_are_not_tried_call_by_call(silent: Silent, exotel: Simulator) -> None:
    silent(3)
    exotel.options.details_fault = "unauthorised"

    reconcile()

    assert len(asked(exotel)) == 1
    assert set(CallRecord.objects.values_list("state", flat=True)) == {State.ACTIVE}


@pytest.mark.parametrize("fault", ["bad_gateway", "cut"])
def test_an_exotel_that_is_away_is_left_alone_after_three_failures(
    fault: str, silent: Silent, exotel: Simulator
) -> None:
    silent(5)
    exotel.options.details_fault = fault

    report = reconcile()

    assert (report.asked, report.unanswered, report.put_off, len(asked(exotel))) == (3, 3, 1, 3)
    assert set(CallRecord.objects.values_list("state", flat=True)) == {State.ACTIVE}
    assert not CallRecord.objects.filter(next_check_at=None).exists()


def test_a_call_that_nobody_may_ask_about_is_given_up_in_sight_and_asked_about_later(
    silent: Silent, exotel: Simulator
) -> None:
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
def test_an_account_that_is_gone_does_not_stop_the_others(silent: Silent, exotel: Simulator) -> None:
    gone, _kept = silent(2)
    CallRecord.objects.filter(pk=gone.pk).update(account="gone")

    report = reconcile()

    assert (report.asked, report.ended, report.put_off) == (1, 1, 1)
    gone.refresh_from_db()
    assert gone.state == State.ACTIVE
    assert gone.next_check_at > timezone.now() + datetime.timedelta(minutes=10)
