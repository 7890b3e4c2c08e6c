"""Several processes that tell at once: nobody is told twice or out of order, and nobody waits for a slow receiver."""

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

pytestmark = pytest.mark.not_on_sqlite("there one writer keeps all others waiting")
PATIENCE = 10.0  # seconds
ORDER = ["call_answered", "call_ended", "recording_ready", "call_updated"]


def nobody_works(name: str, arguments: dict[str, Any]) -> None:
    """A queue whose workers are away."""


@pytest.fixture
def workers() -> Any:
    """Threads with connections of their own, which are closed behind each piece of work."""

    def close_behind(work: Callable[[], Any]) -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        yield lambda work: pool.submit(close_behind, work)


def new_call() -> CallRecord:
    return CallRecord.objects.create(account="default", created_at=timezone.now())


def name_of(signal: Any) -> str:
    return next(name for name in ORDER if getattr(signals, name) is signal)


class SlowReceiver:
    """Stays in its first call until it is let go."""

    def __init__(self, *, fails_at_first: bool) -> None:
        self.heard: list[str] = []
        self.fails = fails_at_first
        self.is_in, self.may_go, self.was_let_go = threading.Event(), threading.Event(), False

    def __call__(self, signal: Any, **kwargs: Any) -> None:
        if self.fails:
            raise LookupError("not yet")
        if not self.heard:
            self.is_in.set()
            self.was_let_go = self.may_go.wait(PATIENCE)
        self.heard.append(name_of(signal))


class Diary:
    """Writes what it hears into the database and into a list."""

    def __init__(self, uid: str, heard: list[tuple[str, int, str]]) -> None:
        self.uid = uid
        self.heard = heard

    def __call__(self, signal: Any, call: CallRecord, **kwargs: Any) -> None:
        entry = (self.uid, call.pk, name_of(signal))
        Customer.objects.create(name=repr(entry))
        self.heard.append(entry)


@pytest.mark.parametrize("runner", ["inline", f"{__name__}.nobody_works"])
def test_a_slow_receiver_keeps_no_callback_waiting_and_its_worker_tells_what_comes_meanwhile(
    transactional_db: None, receivers: Any, settings: Any, workers: Any, runner: str
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RUNNER": runner}
    call = new_call()
    record_callback(call, "terminal", status="failed")
    Announcement.objects.all().delete()
    slow = SlowReceiver(fails_at_first=runner == "inline")
    for name in ORDER:
        receivers(getattr(signals, name), slow)
    record_callback(call, "terminal", status="failed", total_duration=5)
    slow.fails = False
    Announcement.objects.filter(next_try_at__isnull=False).update(next_try_at=timezone.now())

    first: Future[Report] = workers(lambda: deliver_pending(call.pk))
    assert slow.is_in.wait(PATIENCE)
    record_callback(
        call, "terminal", status="completed", talk_time=42, recordings=("https://s3.example.com/acme1/call.mp3",)
    )
    busy = deliver_pending(call.pk)
    heard_meanwhile = list(slow.heard)
    slow.may_go.set()
    report = first.result(PATIENCE)

    assert slow.was_let_go  # neither the callback nor the second worker waited for it
    assert (heard_meanwhile, busy) == ([], Report(pending=3))
    assert slow.heard == ["call_updated", "recording_ready", "call_updated"]
    assert report == Report(delivered=3)
    assert not Announcement.objects.exclude(state="done").exists()
    assert CallRecord.objects.get().announce_at is None


def test_many_workers_tell_each_receiver_once_and_in_order(
    transactional_db: None, receivers: Any, settings: Any, workers: Any
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RUNNER": f"{__name__}.nobody_works"}
    heard: list[tuple[str, int, str]] = []
    for uid in ("one", "other"):
        for name in ORDER:
            receivers(getattr(signals, name), Diary(uid, heard), dispatch_uid=uid)
    calls = [new_call() for _call in range(4)]
    for call in calls:
        record_callback(call, "terminal", status="failed")
        record_callback(call, "terminal", status="failed", recordings=("https://s3.example.com/acme1/call.mp3",))
        record_callback(call, "terminal", status="completed", talk_time=42)
    start = threading.Barrier(8, timeout=PATIENCE)

    def work() -> None:
        start.wait()
        for call in calls:
            deliver_pending(call.pk)

    for done in [workers(work) for _worker in range(8)]:
        done.result(60)
    for call in calls:
        deliver_pending(call.pk)  # what a worker left because another one was at it

    told = ["call_ended", "recording_ready", "call_updated"]
    expected = [(uid, call.pk, name) for call in calls for uid in ("one", "other") for name in told]
    assert Counter(Customer.objects.values_list("name", flat=True)) == Counter(map(repr, expected))
    assert sorted(heard, key=lambda one: (one[1], one[0])) == expected  # a stable sort: in the order of hearing
