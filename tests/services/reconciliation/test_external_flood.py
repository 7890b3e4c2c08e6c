"""A flood of reports to an account's own URL is bounded, and delays neither our calls nor genuine external ones."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.choices import State
from django_exotel_ccm.models import AccountUsage, CallEvent, CallRecord, UnverifiedCall
from django_exotel_ccm.models.unverified_call import UnverifiedCallQuerySet
from django_exotel_ccm.services.reconciliation import external_calls
from django_exotel_ccm.services.reconciliation.reconcile import Report, reconcile
from django_exotel_ccm.simulator import Simulator
from tests.services.reconciliation.due_calls import end_calls, make_due, requested_sids
from tests.services.reconciliation.unverified_calls import make_all_due, place_external_call, post_report

pytestmark = pytest.mark.books_differ("another system placed calls, or they were made up")

EARLY = datetime.datetime(2026, 11, 23, 10, 0, 5, tzinfo=datetime.UTC)  # a minute that has 55 seconds left
_numbers = itertools.count()


def report_made_up(count: int) -> None:
    """Report calls that never were."""
    for _call in range(count):
        post_report(f"{next(_numbers):032x}")


@pytest.fixture
def limit(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the budget of requests per minute, and the bounds."""

    def limit(*, requests: int = 60, waiting: int = 5_000, stored: int = 5_000) -> None:
        settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "REQUESTS_PER_MINUTE": requests}
        monkeypatch.setattr(UnverifiedCallQuerySet, "MAX_WAITING", waiting)
        monkeypatch.setattr(external_calls, "MAX_STORED", stored)

    return limit


def test_genuine_calls_around_a_flood_are_found_soon(host: Any, exotel: Simulator, limit: Callable[..., None]) -> None:
    limit(requests=8, waiting=10)
    first = place_external_call(exotel)
    end_calls(exotel)
    last = place_external_call(exotel, to="+919000021001")
    end_calls(exotel)
    post_report(first)
    report_made_up(30)
    post_report(last)
    assert UnverifiedCall.objects.count() == 10

    with time_machine.travel(EARLY, tick=True):
        make_all_due()
        done = reconcile()

    assert (done.external, done.requests) == (2, 4)
    assert set(CallRecord.objects.values_list("call_sid", flat=True)) == {first, last}


def test_half_of_each_minute_is_left_to_own_calls(
    silent: Callable[[int], list[CallRecord]], exotel: Simulator, limit: Callable[..., None]
) -> None:
    limit(requests=6)
    report_made_up(10)
    with time_machine.travel(EARLY, tick=True):
        make_all_due()
        first = reconcile()
        silent(3)
        second = reconcile()

    assert (first.requests, first.rate_limited) == (3, 1)
    assert (second.requests, second.ended) == (3, 3)
    assert set(CallRecord.objects.values_list("state", flat=True)) == {State.ENDED}


def test_pass_over_external_calls_ends_after_a_while(host: Any, exotel: Simulator) -> None:
    report_made_up(5)
    make_all_due()
    requests: list[int] = []

    with time_machine.travel(timezone.now(), tick=True) as clock:

        def be_slow(report: Report) -> None:
            requests.append(report.requests)
            clock.shift(datetime.timedelta(seconds=20))

        reconcile(progress=be_slow)

    assert requests == [1, 2]


def test_unknown_call_is_requested_once(host: Any, exotel: Simulator) -> None:
    sid = "f" * 32
    for event in ("answered", "terminal"):
        post_report(sid, event)
        make_all_due()
        reconcile()

    assert requested_sids(exotel) == [sid]
    assert UnverifiedCall.objects.get().gave_up_at is not None
    assert not CallRecord.objects.exists()


@pytest.mark.parametrize("sid", ["../../Accounts", "a b"])
def test_unusable_sid_is_never_requested(
    sid: str, silent: Callable[[int], list[CallRecord]], exotel: Simulator
) -> None:
    silent(1)
    CallRecord.objects.update(call_sid=sid)
    post_report(sid + "x")
    make_due()

    done = reconcile()

    assert (requested_sids(exotel), done.errors, UnverifiedCall.objects.count()) == ([], 0, 0)


SIDS: dict[str, Callable[[int], str]] = {
    "one": lambda number: "f" * 32,
    "many": lambda number: f"{number:032x}",
    "none": lambda number: "",
}


@pytest.mark.parametrize(("sids", "waiting"), [("one", 1), ("many", 20), ("none", 0)])
def test_reports_beyond_the_bound_are_not_stored(
    sids: str, waiting: int, host: Any, exotel: Simulator, limit: Callable[..., None], admin_client: Client
) -> None:
    limit(stored=5)
    for number in range(20):
        post_report(SIDS[sids](number), total_talk_time=number)

    assert CallEvent.objects.filter(authentication="account_url").count() == 5
    assert UnverifiedCall.objects.count() == waiting
    assert AccountUsage.objects.get().flooded_at is not None
    page = admin_client.get(reverse("admin:exotel_ccm_unverifiedcall_changelist")).content.decode()
    assert "The own callback URL of account default reported more than is stored" in page


def test_flood_of_reports_about_one_call_is_bounded(
    silent: Callable[[int], list[CallRecord]], exotel: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(external_calls, "MAX_STORED_OF_A_CALL", 5)
    [call] = silent(1)
    reconcile()
    call.refresh_from_db()
    assert call.next_check_at is None

    for number in range(20):
        post_report(call.call_sid or "", recordings=[f"https://recordings.exotel.com/acme1/{number}.mp3"])
        make_due()
        reconcile()

    assert call.events.filter(authentication="account_url").count() == 5
    assert len(requested_sids(exotel)) == 1 + 5
    assert AccountUsage.objects.get().flooded_at is not None


def test_flood_costs_a_known_call_no_report(
    silent: Callable[[int], list[CallRecord]], exotel: Simulator, limit: Callable[..., None]
) -> None:
    limit(stored=5, waiting=5)
    report_made_up(20)
    [call] = silent(1)

    post_report(call.call_sid or "")

    assert call.events.filter(authentication="account_url").count() == 1
    assert UnverifiedCall.objects.count() == 5
