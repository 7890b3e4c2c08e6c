"""Purges at once, and callbacks about the calls that are being purged."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections, transaction
from django.utils import timezone

from django_exotel_ccm.models import CallEvent, CallRecord, DoNotCall, Removal
from django_exotel_ccm.services.events import store
from django_exotel_ccm.services.retention import CLOCKS, purge_due
from tests.factories import Calls, record_callback

RECORDING = "https://recordings.exotel.com/exotelrecordings/acme/secret.mp3"
OLD = timezone.now() - datetime.timedelta(days=91)


@pytest.fixture(autouse=True)
def clocks(settings: Any) -> None:
    """Have all clocks run for 90 days."""
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RETENTION": dict.fromkeys(CLOCKS, 90)}


def old_calls(calls: Calls, count: int) -> list[CallRecord]:
    """Return calls of 91 days ago, each with a recording."""
    made = [calls.accepted(f"sid{number}", recording_requested=True) for number in range(count)]
    for call in made:
        record_callback(call, "terminal", status="completed", talk_time=42, recordings=[RECORDING])
    CallRecord.objects.update(created_at=OLD, details_check_at=None, next_check_at=None)
    CallEvent.objects.update(received_at=OLD)
    return made


def closing(work: Callable[..., Any]) -> Callable[..., Any]:
    """Close the thread's connections behind the work."""

    def run(*arguments: Any) -> Any:
        try:
            return work(*arguments)
        finally:
            connections.close_all()

    return run


def test_event_that_is_stored_while_the_purge_waits_for_its_call(
    host: Any, real_calls: Calls, isolation: str, settings: Any
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RETENTION": {"recordings": 90}}
    [call] = old_calls(real_calls, 1)
    event = CallEvent(kind="callback", authentication="signed_url", reference=call.reference, event="terminal")
    event.facts, event.raw, event.fingerprint, event.received_at = {"talk_time": 43}, b"43", "f", timezone.now()

    with ThreadPoolExecutor(1) as thread:
        with transaction.atomic():
            store(event, "", "default")
            purge = thread.submit(closing(purge_due))
            time.sleep(1)  # it has come as far as the call, which is locked
        removed = purge.result(60)

    after = CallRecord.objects.get()
    assert (after.recording_url, after.talk_time, after.events_stored) == ("", 43, 3)
    assert removed["recordings"] == 1
    call_command("exotel_replay")  # fails if a call differs from its events


def test_purges_and_callbacks_at_once(host: Any, real_calls: Calls, isolation: str) -> None:
    made = old_calls(real_calls, 12)
    DoNotCall.objects.bulk_create(DoNotCall(number=f"+9190000{n:05}", expires_at=OLD) for n in range(700))
    barrier = threading.Barrier(5)

    def purge() -> None:
        barrier.wait(30)
        purge_due()

    def report() -> None:
        barrier.wait(30)
        for call in made:
            record_callback(call, "terminal", status="completed", talk_time=43)

    with ThreadPoolExecutor(5) as threads:
        for done in [*(threads.submit(closing(purge)) for _number in range(4)), threads.submit(closing(report))]:
            done.result(120)
    purge_due()  # what one of them gave up

    counted: dict[str, int] = {}
    for kind, removed in Removal.objects.values_list("kind", "removed"):
        counted[kind] = counted.get(kind, 0) + removed
    assert counted["recordings"] == 12
    assert counted["do_not_call"] == 700
    # The body of the event that brought the recording goes with it, or before.
    assert 12 <= counted["raw_bodies"] <= 24
    assert CallEvent.objects.filter(received_at=OLD).exclude(raw=b"").count() == 0
    assert set(CallRecord.objects.values_list("recording_url", "talk_time")) == {("", 43)}
    call_command("exotel_replay")
