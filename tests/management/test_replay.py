"""``exotel_replay`` reports records that differ from their events, and rebuilds them."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_exotel_ccm.management import progress
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.services import replay as replay_module
from tests.factories import Calls, record_callback
from tests.management.conftest import CUSTOMER, Printed, record

Run = Callable[..., Printed]
Complete = Callable[..., CallRecord]

RECORDING = "https://recordings.exotel.com/exotelrecordings/acme/secret.mp3?Signature=secret"


def test_healthy_database(complete_call: Complete, run: Run) -> None:
    calls = [complete_call(), complete_call(to="+919000001002")]
    before = [record(call) for call in calls]

    dry, applied = run("exotel_replay"), run("exotel_replay", "--apply")

    assert dry == applied == Printed("2 calls compared with their events: none differs.\n", "", 0)
    assert [record(call) for call in calls] == before


@pytest.mark.books_differ("the callbacks are not the simulator's")
def test_repeated_dst_hour_without_time_zones(host: Any, exotel: Any, run: Run, settings: Any) -> None:
    settings.TIME_ZONE, settings.USE_TZ = "Europe/Berlin", False
    exotel.options.by_hand = True
    with time_machine.travel(datetime.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))):
        call = place_call(agent=host.agent(), to=CUSTOMER)
        record_callback(call, "answered")
        record_callback(call, "terminal")

    assert run("exotel_replay").status == 0
    call.refresh_from_db()
    assert (call.answered_at.hour, call.ended_at.hour) == (2, 2)


DAMAGES: dict[str, dict[str, Any]] = {
    "facts emptied": {"facts": {}},
    "facts of a wrong kind": {"facts": ["?"]},
    "facts of a wrong shape": {"facts": {"phase": "ended", "recordings": [1]}},
    "facts beyond what they can mean": {"facts": {"phase": [99]}},
    "more than the events say": {"facts": {"phase": [4], "talk_time": [1, 3, 999]}, "talk_time": 999},
    "one number edited": {"talk_time": 1},
    "a recording put in": {"recording_url": RECORDING},
    "the sid lost": {"call_sid": None},
    "state rolled back": {"state": "active", "outcome": "", "ended_at": None, "facts": {"phase": [3]}},
    "all lost": {
        "state": "requested",
        "outcome": "",
        "call_sid": None,
        "talk_time": None,
        "total_duration": None,
        "started_at": None,
        "answered_at": None,
        "ended_at": None,
        "recording_url": "",
        "facts": {},
    },
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_record_is_reported_and_rebuilt(damage: str, complete_call: Complete, run: Run) -> None:
    call = complete_call()
    whole = record(call)
    CallRecord.objects.update(**DAMAGES[damage])
    damaged = record(call)

    dry = run("exotel_replay")

    assert (dry.status, dry.lines[-1]) == (1, "1 call compared with its events: 1 differs.")
    assert all(line.startswith(f"{call.reference}  ") for line in dry.lines[:-1])
    assert "exotel_replay --apply" in dry.err
    assert record(call) == damaged

    applied = run("exotel_replay", "--apply")

    assert applied.lines == [*dry.lines[:-1], "1 call compared with its events: 1 rebuilt."]
    assert applied.status == 0
    assert record(call) == whole
    assert run("exotel_replay").status == 0


@pytest.mark.books_differ("the record is left damaged")
def test_difference_names_both_values(complete_call: Complete, run: Run) -> None:
    call = complete_call()
    CallRecord.objects.update(talk_time=7, state="active", call_sid=None)

    lines = run("exotel_replay").lines

    assert lines[:-1] == [
        f'{call.reference}  call_sid: nothing -> "{call.call_sid}"',
        f'{call.reference}  state: "active" -> "ended"',
        f"{call.reference}  talk_time: 7 -> 42",
    ]


def test_damaged_calls_are_found_across_batches(real_calls: Calls, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "BATCH", 3)
    calls = [real_calls.accepted(f"sid{n}") for n in range(10)]
    CallRecord.objects.filter(pk__in=[calls[n].pk for n in (0, 2, 3, 9)]).update(facts={})

    assert run("exotel_replay").lines[-1] == "10 calls compared with their events: 4 differ."
    assert run("exotel_replay", "--apply").lines[-1] == "10 calls compared with their events: 4 rebuilt."
    assert run("exotel_replay").lines == ["10 calls compared with their events: none differs."]


@pytest.mark.books_differ("the bodies are purged")
def test_replay_after_purge(complete_call: Complete, run: Run) -> None:
    call = complete_call()
    whole = record(call)
    run("exotel_purge", "--older-than=0", "--apply")
    CallRecord.objects.update(**DAMAGES["all lost"])

    run("exotel_replay", "--apply")

    assert not any(bytes(event.raw) for event in CallEvent.objects.all())
    assert record(call) == whole


def test_output_masks_numbers_and_recordings(real_calls: Calls, run: Run) -> None:
    call = real_calls.accepted(customer_number=CUSTOMER)
    record_callback(call, "terminal", agent_uri=CUSTOMER, recordings=(RECORDING,), status_raw=f"gone to {CUSTOMER}")
    CallRecord.objects.update(facts={}, recording_url="", agent_label="x")

    printed = run("exotel_replay").out

    assert "recordings.exotel.com" in printed
    assert "secret" not in printed
    assert CUSTOMER[3:-2] not in printed
    assert "agent_uri" in printed
    assert "words" in printed


# Announcing.


def test_announced_signals_are_not_repeated(complete_call: Complete, run: Run, received: list[Any]) -> None:
    complete_call()
    received.clear()
    CallRecord.objects.update(**DAMAGES["all lost"])

    run("exotel_replay", "--apply")

    assert received == []


def test_missing_announcements_are_sent_without_event(complete_call: Complete, run: Run, received: list[Any]) -> None:
    complete_call()
    received.clear()
    Announcement.objects.filter(signal__in=["call_ended", "recording_ready"]).delete()
    CallRecord.objects.update(**DAMAGES["all lost"])

    run("exotel_replay", "--apply")

    assert sorted(received) == [("call_ended", None), ("recording_ready", None)]
    assert set(Announcement.objects.filter(event=None).values_list("signal", flat=True)) == {
        "call_ended",
        "recording_ready",
    }


@pytest.mark.books_differ("the record is left damaged")
def test_dry_run_announces_nothing(complete_call: Complete, run: Run, received: list[Any]) -> None:
    complete_call()
    received.clear()
    Announcement.objects.all().delete()
    CallRecord.objects.update(**DAMAGES["all lost"])

    run("exotel_replay")

    assert received == []
    assert not Announcement.objects.exists()


# Which calls, and at what cost.


def test_one_call(real_calls: Calls, run: Run) -> None:
    one, other = real_calls.accepted("one"), real_calls.accepted("other")
    CallRecord.objects.update(facts={})

    printed = run("exotel_replay", f"--call={one.reference}")
    assert printed.err.endswith(f"type: python manage.py exotel_replay --call={one.reference} --apply")

    run("exotel_replay", f"--call={one.reference}", "--apply")

    assert (record(one)["facts"] != {}, record(other)["facts"]) == (True, {})


def test_calls_since_a_day(real_calls: Calls, run: Run, settings: Any) -> None:
    # Midnight in the host's time zone, Asia/Kolkata.
    for moment in ("2026-02-10T18:29:59", "2026-02-10T18:30:00", "2026-03-01T00:00:00"):
        at = datetime.datetime.fromisoformat(moment).replace(tzinfo=datetime.UTC)
        real_calls.requested(created_at=at, talk_time=1)

    assert run("exotel_replay", "--since=2026-02-11").lines[-1] == "2 calls compared with their events: 2 differ."


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ("--call=123", "copy it from the call's page"),
        ("--call=7d1f6a52-0c3e-4b19-9a77-2f5d8e61c0aa", "There is no such call"),
        ("--since=yesterday", "write --since=2026-02-11"),
        ("--since=0001-01-01", "write --since=2026-02-11"),
    ],
)
def test_wrong_options(option: str, advice: str, run: Run, db: None) -> None:
    printed = run("exotel_replay", option)

    assert advice in printed.err
    assert printed.status == 1


def test_statements_of_a_batch(real_calls: Calls, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "BATCH", 5)

    def cost() -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            assert run("exotel_replay").status == 0
        assert not any(connection.ops.quote_name("raw") in query["sql"] for query in queries)
        return [query["sql"].split()[0] for query in queries]

    def more(first: int, last: int) -> None:
        for n in range(first, last):
            call = real_calls.accepted(f"sid{n}")
            for talk_time in range(n % 4):
                record_callback(call, "terminal", call_sid=f"sid{n}", talk_time=talk_time)

    more(0, 5)
    # The events without a call; the first batch and the query for a second; the first batch's events.
    assert cost() == ["SELECT"] * 4
    more(5, 10)
    assert cost() == ["SELECT"] * 6
    more(10, 25)
    assert cost() == ["SELECT"] * 12


def test_long_run_reports_progress(real_calls: Calls, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "BATCH", 1)
    for n in range(2):
        real_calls.accepted(f"sid{n}")

    assert run("exotel_replay").err == ""
    monkeypatch.setattr(progress, "EVERY", 0.0)

    assert run("exotel_replay").err.splitlines() == [
        "So far: 1 call compared with its events: none differs.",
        "So far: 2 calls compared with their events: none differs.",
    ]
