"""Made-up calls reported to an account's own URL: bounded, and neither our calls nor genuine ones wait for them."""

from __future__ import annotations

import datetime
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm import links
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import AccountUsage, CallEvent, CallRecord, UnverifiedCall
from django_exotel_ccm.services.reconciliation import external_calls
from django_exotel_ccm.services.reconciliation.reconcile import Report, reconcile
from django_exotel_ccm.simulator import Simulator
from tests.services.reconciliation.due_calls import asked, finish, make_due
from tests.services.reconciliation.test_external_calls_simulated import hints_due, place_elsewhere, report

pytestmark = pytest.mark.books_differ("another system placed calls, and somebody made up others")

EARLY = datetime.datetime(2026, 11, 23, 10, 0, 5, tzinfo=datetime.UTC)  # a minute that has 55 seconds left
_numbers = itertools.count()


def make_up(count: int) -> None:
    """Report calls that never were."""
    for _call in range(count):
        report(f"{next(_numbers):032x}")


@pytest.fixture
def limit(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def limit(*, requests: int = 60, **bounds: int) -> None:
        settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "REQUESTS_PER_MINUTE": requests}
        for name, bound in bounds.items():
            monkeypatch.setattr(external_calls, name, bound)

    return limit


def test_genuine_calls_before_and_after_a_flood_are_found_at_once(
    host: Any, exotel: Simulator, limit: Callable[..., None]
) -> None:
    limit(requests=8, MAX_OPEN=10)
    first = place_elsewhere(exotel)
    finish(exotel)
    last = place_elsewhere(exotel, to="+919000021001")
    finish(exotel)
    report(first)
    make_up(30)
    report(last)
    assert UnverifiedCall.objects.count() == 10

    with time_machine.travel(EARLY, tick=True):
        hints_due()
        done = reconcile()

    assert (done.confirmed, done.asked) == (2, 4)
    assert set(CallRecord.objects.values_list("call_sid", flat=True)) == {first, last}


def test_made_up_calls_leave_half_of_each_minute_to_ours(
    silent: Callable[[int], list[CallRecord]], exotel: Simulator, limit: Callable[..., None]
) -> None:
    limit(requests=6)
    make_up(10)
    with time_machine.travel(EARLY, tick=True):
        hints_due()
        first = reconcile()
        silent(3)
        second = reconcile()

    assert (first.asked, first.put_off) == (3, 1)
    assert (second.asked, second.ended) == (3, 3)
    assert set(CallRecord.objects.values_list("state", flat=True)) == {State.ENDED}


def test_a_slow_exotel_keeps_no_call_of_ours_waiting_for_all_of_them(
    host: Any, exotel: Simulator, limit: Callable[..., None]
) -> None:
    make_up(5)
    hints_due()
    reports: list[int] = []

    with time_machine.travel(timezone.now(), tick=True) as clock:

        def slow(done: Report) -> None:
            reports.append(done.asked)
            clock.shift(datetime.timedelta(seconds=20))

        reconcile(progress=slow)

    assert reports == [1, 2]


def test_a_call_that_exotel_does_not_know_is_asked_about_once(host: Any, exotel: Simulator) -> None:
    sid = "f" * 32
    for event in ("answered", "terminal"):
        report(sid, event)
        hints_due()
        reconcile()

    assert asked(exotel) == [sid]
    assert UnverifiedCall.objects.get().gave_up_at is not None


@pytest.mark.parametrize("sid", ["../../Accounts", "' or 1=1", "%2e", "a b", "<script>", "é"])
def test_what_is_no_sid_is_never_asked_about(
    sid: str, silent: Callable[[int], list[CallRecord]], exotel: Simulator
) -> None:
    silent(1)
    CallRecord.objects.update(call_sid=sid)
    report(sid + "x")
    make_due()

    done = reconcile()

    assert (asked(exotel), done.errors, UnverifiedCall.objects.count()) == ([], 0, 0)


@pytest.mark.parametrize("sids", ["one", "many", "none"])
def test_reports_beyond_the_bound_are_answered_and_not_stored(
    sids: str, host: Any, exotel: Simulator, limit: Callable[..., None], admin_client: Client
) -> None:
    limit(MAX_STORED=5)
    url = reverse("exotel_ccm:account-callback", args=[links.sign_account("default")])
    sid_of: dict[str, Callable[[int], dict[str, Any]]] = {
        "one": lambda number: {"call_sid": "f" * 32, "total_talk_time": number},
        "many": lambda number: {"call_sid": f"{number:032x}"},
        "none": lambda number: {"total_talk_time": number},
    }

    for number in range(20):
        body = json.dumps({"event_details": {"event_type": "terminal"}, "call_details": sid_of[sids](number)})
        assert Client().post(url, body, content_type="application/json").status_code == 200

    assert CallEvent.objects.filter(authentication="account_url").count() == 5
    assert UnverifiedCall.objects.count() == {"one": 1, "many": 20, "none": 0}[sids]
    assert AccountUsage.objects.get().flooded_at is not None
    page = admin_client.get(reverse("admin:exotel_ccm_unverifiedcall_changelist")).content.decode()
    assert "More was reported to the own callback URL of the account default than is kept" in page


def test_a_flood_of_unknown_calls_costs_a_known_call_no_report(
    silent: Callable[[int], list[CallRecord]], exotel: Simulator, limit: Callable[..., None]
) -> None:
    limit(MAX_STORED=5, MAX_OPEN=5)
    make_up(20)
    [call] = silent(1)

    report(call.call_sid or "")

    assert call.events.filter(authentication="account_url").count() == 1
    assert UnverifiedCall.objects.count() == 5
