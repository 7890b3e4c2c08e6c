"""Commands that are killed, and commands beside callbacks: every call stays whole, and the next run continues."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from django_exotel_ccm.models import Announcement, CallEvent, CallRecord, Removal
from tests.factories import Calls, record_callback
from tests.management.conftest import CUSTOMER, Printed
from tests.subprocesses import child

Run = Callable[..., Printed]

CALLS = 50
FACTS = {"customer_number": CUSTOMER, "recordings": ["https://recordings.exotel.com/a/1.mp3"], "status": "busy"}


def calls_of_the_customer() -> None:
    """Store calls with events that were not applied."""
    now = timezone.now()
    calls = CallRecord.objects.bulk_create(
        CallRecord(account="default", customer_number=CUSTOMER, created_at=now) for _n in range(CALLS)
    )
    CallEvent.objects.bulk_create(
        CallEvent(
            call=call,
            reference=call.reference,
            kind="callback",
            event="terminal",
            facts=FACTS,
            raw=CUSTOMER.encode(),
            fingerprint=call.reference.hex,
            received_at=now,
        )
        for call in calls
    )


def replayed(call: CallRecord) -> tuple[Any, ...]:
    announced = Announcement.objects.filter(call=call).count()
    return call.state, call.outcome, bool(call.facts), bool(call.recording_url), announced


def erased(call: CallRecord) -> tuple[Any, ...]:
    event = CallEvent.objects.get(call=call)
    return call.customer_number, call.erased_at is None, "recordings" in event.facts, bytes(event.raw) != b""


KILLED: dict[str, tuple[list[str], Any, Any, Any]] = {
    "replay": (
        ["exotel_replay"],
        replayed,
        ("requested", "", False, False, 0),
        ("ended", "busy", True, True, 3),
    ),
    "erase": (["exotel_erase", CUSTOMER], erased, (CUSTOMER, True, True, True), ("", False, False, False)),
}


@pytest.mark.parametrize(
    ("name", "how"), [("replay", signal.SIGKILL), ("replay", signal.SIGINT), ("erase", signal.SIGKILL)]
)
def test_killed_command_leaves_every_call_whole(
    how: signal.Signals, name: str, transactional_db: None, run: Run
) -> None:
    command, look, before, after = KILLED[name]
    calls_of_the_customer()

    with child("-m", "django", *command, "--apply") as process:
        until = time.monotonic() + 30
        while look(CallRecord.objects.order_by("pk")[0]) != after:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < until
        process.send_signal(how)
        process.wait(20)

    assert process.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 130)
    found = [look(call) for call in CallRecord.objects.order_by("pk")]
    assert set(found) == {before, after}
    # What was broken off is counted truly, and the next purge goes on with the erasure.
    counted = {"replay": [], "erase": [found.count(after)]}[name]
    assert list(Removal.objects.values_list("removed", flat=True)) == counted
    run(*{"replay": command, "erase": ["exotel_purge"]}[name], "--apply")
    counted = [CALLS] * len(counted)
    assert list(Removal.objects.order_by("pk").values_list("removed", flat=True)) == counted
    assert {look(call) for call in CallRecord.objects.all()} == {after}
    assert run("exotel_replay").status == 0


def test_replay_beside_callbacks_reports_nothing(real_calls: Calls, run: Run) -> None:
    calls = [real_calls.accepted(f"sid{n}") for n in range(15)]
    done = threading.Event()

    def deliver() -> int:
        try:
            for talk_time in range(1, 1000):
                for call in calls:
                    record_callback(call, "terminal", status="completed", talk_time=talk_time)
                if done.is_set():
                    return talk_time
            return 0
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as threads:
        delivered = threads.submit(deliver)
        printed = {run("exotel_replay").out for _n in range(8)}
        done.set()

    assert delivered.result() >= 1
    assert printed == {"15 calls compared with their events: none differs.\n"}
