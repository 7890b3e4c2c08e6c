"""How often Exotel is asked: the account's budget, pauses, attempts, and when a run gives up."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from django_exotel_ccm.models import AccountUsage, Agent
from django_exotel_ccm.services import sync_agents
from django_exotel_ccm.services.synchronisation import runs
from django_exotel_ccm.services.synchronisation.runs import Change, RunOptions, SyncReport
from django_exotel_ccm.simulator import Simulator

EARLY = datetime.datetime(2026, 11, 23, 10, 0, 5, tzinfo=datetime.UTC)  # a minute that has 55 seconds left


@pytest.fixture(autouse=True)
def early_in_a_minute() -> Iterator[None]:
    """Count all requests of a test in one minute."""
    with time_machine.travel(EARLY, tick=True):
        yield


class Waits(threading.Event):
    """Lets no time pass; ``on_wait`` is called instead."""

    def __init__(self, on_wait: Any = None) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.on_wait = on_wait or (lambda: AccountUsage.objects.update(minute=None, paused_until=None))

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0)
        self.on_wait()
        return self.is_set()


@pytest.fixture
def many(exotel: Simulator) -> Simulator:
    """A simulated Exotel with three pages of agents."""
    for number in range(120):
        exotel.add_agent(f"sip:agent{number}", name=f"Agent {number}")
    return exotel


def test_requests_count_in_half_of_the_budget(many: Simulator, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "REQUESTS_PER_MINUTE": 4}
    used = list[int]()

    def on_wait() -> None:
        used.append(AccountUsage.objects.get().requests_this_minute)
        AccountUsage.objects.update(minute=None)

    waits, seen = Waits(on_wait), list[bool]()

    def progress(report: SyncReport, changes: Sequence[Change]) -> None:
        seen.append(report.waiting_until is not None)

    report = sync_agents("default", RunOptions(stop=waits, progress=progress))

    assert (report.is_complete, report.requests, Agent.objects.count()) == (True, 3, 120)
    assert len(waits.seconds) == 1
    assert 0 < waits.seconds[0] <= 60.1
    assert seen == [False, False, True, False]
    assert used == [2]


def test_too_many_requests_pause_the_account(many: Simulator) -> None:
    many.options.users_refuse_with = 10724
    many.options.retry_after = 7
    many.options.good_pages = 1
    paused = []

    def on_wait() -> None:
        paused.append(AccountUsage.objects.get().paused_until - timezone.now())
        AccountUsage.objects.update(paused_until=None)
        many.options.users_refuse_with = None

    waits = Waits(on_wait)
    report = sync_agents("default", RunOptions(stop=waits))

    assert (report.is_complete, report.requests, Agent.objects.count()) == (True, 4, 120)
    assert datetime.timedelta(seconds=5) < paused[0] <= datetime.timedelta(seconds=7)
    assert len(waits.seconds) == 1
    assert AccountUsage.objects.get().failures == 0


def test_wait_of_a_day_ends_the_run(many: Simulator) -> None:
    many.options.users_refuse_with = 10724
    many.options.retry_after = 24 * 3600
    many.options.good_pages = 1
    waits = Waits()

    report = sync_agents("default", RunOptions(stop=waits))

    assert waits.seconds == []
    assert "Exotel is to be asked again at" in report.problems[0]
    assert Agent.objects.count() == 50


def test_too_many_requests_for_ever(many: Simulator) -> None:
    many.options.users_refuse_with = 10724
    waits = Waits()

    report = sync_agents("default", RunOptions(stop=waits))

    assert report.requests == runs.MAX_ATTEMPTS
    assert "Exotel was asked too often within a minute" in report.problems[0]


@pytest.mark.parametrize("fault", ["bad_gateway", "html", "cut"])
def test_page_is_fetched_again(many: Simulator, fault: Any) -> None:
    many.options.users_fault = fault
    many.options.good_pages = 1

    def on_wait() -> None:
        many.options.users_fault = "none"

    report = sync_agents("default", RunOptions(stop=Waits(on_wait)))

    assert (report.is_complete, report.requests, Agent.objects.count()) == (True, 4, 120)


def test_bad_gateway_for_ever(many: Simulator) -> None:
    many.options.users_fault = "bad_gateway"
    many.options.good_pages = 1
    waits = Waits()

    report = sync_agents("default", RunOptions(stop=waits))

    assert (report.requests, Agent.objects.count(), report.is_complete) == (1 + runs.MAX_ATTEMPTS, 50, False)
    assert "Exotel gave no usable answer. Try again in a few minutes." in report.problems[0]
    assert waits.seconds[:2] == [1.0, 2.0]


def test_hang_ends_with_the_time_limit(many: Simulator) -> None:
    many.options.users_fault = "hang"
    began = time.monotonic()

    report = sync_agents("default", RunOptions(time_limit=0.5))

    assert time.monotonic() - began < 5
    assert not report.is_complete
    assert not Agent.objects.exists()


def test_time_limit_waits_for_no_budget(many: Simulator, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "REQUESTS_PER_MINUTE": 1}
    waits = Waits()

    report = sync_agents("default", RunOptions(stop=waits, time_limit=0.8))

    assert waits.seconds == []
    assert len(report.problems) == 1
    assert Agent.objects.count() == 50


def test_stopped_run_keeps_what_it_read(many: Simulator) -> None:
    stop = threading.Event()

    report = sync_agents("default", RunOptions(stop=stop, progress=lambda *_given: stop.set()))

    assert Agent.objects.count() == 50
    assert report.problems == ["The run was stopped. Run it again to go on."]
    assert sync_agents("default").added == 70
