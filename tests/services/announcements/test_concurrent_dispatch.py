"""Several workers at once: no delivery is repeated or out of order, and no callback waits for a slow receiver."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.models import Announcement, CallRecord
from django_exotel_ccm.services.announcements.dispatch import Report, deliver_pending
from tests.factories import record_callback
from tests.helpdesk.models import Customer

pytestmark = pytest.mark.not_on_sqlite("SQLite has one writer at a time")
TIMEOUT = 10.0  # seconds
ORDER = ["call_answered", "call_ended", "recording_ready", "call_updated"]


def no_workers(name: str, arguments: dict[str, Any]) -> None:
    """A queue without workers."""


@pytest.fixture
def workers() -> Any:
    """Run a function in a thread, and close the thread's database connections afterwards."""

    def run_and_close(work: Callable[[], Any]) -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        yield lambda work: pool.submit(run_and_close, work)


def new_call() -> CallRecord:
    return CallRecord.objects.create(account="default", created_at=timezone.now())


def name_of(signal: Any) -> str:
    return next(name for name in ORDER if getattr(signals, name) is signal)


class SlowReceiver:
    """A receiver that stays in its first call until the test lets it go."""

    def __init__(self, *, fails: bool) -> None:
        self.called: list[str] = []
        self.fails = fails
        self.is_in, self.may_go, self.finished_in_time = threading.Event(), threading.Event(), False

    def __call__(self, signal: Any, **kwargs: Any) -> None:
        if self.fails:
            raise LookupError("not yet")
        if not self.called:
            self.is_in.set()
            self.finished_in_time = self.may_go.wait(TIMEOUT)
        self.called.append(name_of(signal))


class Log:
    """A receiver that writes each call into the database and into a list."""

    def __init__(self, uid: str, called: list[tuple[str, int, str]]) -> None:
        self.uid = uid
        self.called = called

    def __call__(self, signal: Any, call: CallRecord, **kwargs: Any) -> None:
        entry = (self.uid, call.pk, name_of(signal))
        Customer.objects.create(name=repr(entry))
        self.called.append(entry)


@pytest.mark.parametrize("runner", ["inline", f"{__name__}.no_workers"])
def test_slow_receiver_delays_no_callback(
    transactional_db: None, receivers: Any, settings: Any, workers: Any, runner: str
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RUNNER": runner}
    call = new_call()
    record_callback(call, "terminal", status="failed")
    Announcement.objects.all().delete()
    slow = SlowReceiver(fails=runner == "inline")
    for name in ORDER:
        receivers(getattr(signals, name), slow)
    record_callback(call, "terminal", status="failed", total_duration=5)
    slow.fails = False
    Announcement.objects.filter(next_try_at__isnull=False).update(next_try_at=timezone.now())

    first: Future[Report] = workers(lambda: deliver_pending(call.pk))
    assert slow.is_in.wait(TIMEOUT)
    record_callback(
        call, "terminal", status="completed", talk_time=42, recordings=("https://s3.example.com/acme1/call.mp3",)
    )
    busy = deliver_pending(call.pk)
    called_meanwhile = list(slow.called)
    slow.may_go.set()
    report = first.result(TIMEOUT)

    assert slow.finished_in_time  # neither the callback nor the second worker waited
    assert (called_meanwhile, busy) == ([], Report(pending=3))
    assert slow.called == ["call_updated", "recording_ready", "call_updated"]
    assert report == Report(delivered=3)
    assert not Announcement.objects.exclude(state="done").exists()
    assert CallRecord.objects.get().announce_at is None


def test_many_workers_deliver_once_and_in_order(
    transactional_db: None, receivers: Any, settings: Any, workers: Any
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RUNNER": f"{__name__}.no_workers"}
    called: list[tuple[str, int, str]] = []
    for uid in ("one", "other"):
        for name in ORDER:
            receivers(getattr(signals, name), Log(uid, called), dispatch_uid=uid)
    calls = [new_call() for _call in range(4)]
    for call in calls:
        record_callback(call, "terminal", status="failed")
        record_callback(call, "terminal", status="failed", recordings=("https://s3.example.com/acme1/call.mp3",))
        record_callback(call, "terminal", status="completed", talk_time=42)
    start = threading.Barrier(8, timeout=TIMEOUT)

    def work() -> None:
        start.wait()
        for call in calls:
            deliver_pending(call.pk)

    for done in [workers(work) for _worker in range(8)]:
        done.result(60)
    for call in calls:
        deliver_pending(call.pk)  # what a worker skipped because another one had locked it

    expected_names = ["call_ended", "recording_ready", "call_updated"]
    expected = [(uid, call.pk, name) for call in calls for uid in ("one", "other") for name in expected_names]
    assert Counter(Customer.objects.values_list("name", flat=True)) == Counter(map(repr, expected))
    assert sorted(called, key=lambda one: (one[1], one[0])) == expected  # a stable sort keeps the order
