"""``exotel_replay``: a healthy database differs nowhere; whatever a hand or a crash did to a record is mended."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.choices import EventReason
from django_exotel_ccm.management import progress
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.services import replay as replay_module
from tests.factories import SID, Calls, body_of, record_callback
from tests.management.conftest import CUSTOMER, Printed, record

Run = Callable[..., Printed]
Story = Callable[..., CallRecord]

RECORDING = "https://recordings.exotel.com/exotelrecordings/acme/secret.mp3?Signature=secret"


def test_a_healthy_database_differs_nowhere(story: Story, run: Run) -> None:
    calls = [story(), story(to="+919000001002")]
    before = [record(call) for call in calls]

    dry, applied = run("exotel_replay"), run("exotel_replay", "--apply")

    assert dry == applied == Printed("2 calls compared with their events: none differs.\n", "", 0)
    assert [record(call) for call in calls] == before


@pytest.mark.books_differ("the callbacks are not the simulator's")
def test_nor_does_one_without_time_zones_in_the_hour_that_a_clock_shows_twice(
    host: Any, exotel: Any, run: Run, settings: Any
) -> None:
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
    "more than was told": {"facts": {"phase": [4], "talk_time": [1, 3, 999]}, "talk_time": 999},
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
def test_a_damaged_record_is_shown_and_then_mended(damage: str, story: Story, run: Run) -> None:
    call = story()
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
def test_a_difference_says_what_is_stored_and_what_the_events_say(story: Story, run: Run) -> None:
    call = story()
    CallRecord.objects.update(talk_time=7, state="active", call_sid=None)

    lines = run("exotel_replay").lines

    assert lines[:-1] == [
        f'{call.reference}  call_sid: nothing -> "{call.call_sid}"',
        f'{call.reference}  state: "active" -> "ended"',
        f"{call.reference}  talk_time: 7 -> 42",
    ]


def test_every_damaged_call_is_found_however_many_there_are(
    real_calls: Calls, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_module, "BATCH", 3)
    calls = [real_calls.accepted(f"sid{n}") for n in range(10)]
    CallRecord.objects.filter(pk__in=[calls[n].pk for n in (0, 2, 3, 9)]).update(facts={})

    assert run("exotel_replay").lines[-1] == "10 calls compared with their events: 4 differ."
    assert run("exotel_replay", "--apply").lines[-1] == "10 calls compared with their events: 4 rebuilt."
    assert run("exotel_replay").lines == ["10 calls compared with their events: none differs."]


@pytest.mark.books_differ("the bodies are purged")
def test_a_replay_survives_the_purge_of_raw_bodies(story: Story, run: Run) -> None:
    call = story()
    whole = record(call)
    run("exotel_purge", "--older-than=0", "--apply")
    CallRecord.objects.update(**DAMAGES["all lost"])

    run("exotel_replay", "--apply")

    assert not any(bytes(event.raw) for event in CallEvent.objects.all())
    assert record(call) == whole


def test_no_number_and_no_way_to_a_recording_is_printed(real_calls: Calls, run: Run) -> None:
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


@pytest.fixture
def heard(receivers: Callable[..., None]) -> list[tuple[str, Any]]:
    """What receivers of all signals were told: (signal, event)."""
    told: list[tuple[str, Any]] = []
    for name in ("call_accepted", "call_refused", "call_answered", "call_ended", "recording_ready", "call_updated"):
        receivers(
            getattr(signals, name), lambda event, name=name, **news: told.append((name, event)), dispatch_uid=name
        )
    return told


def test_what_was_announced_is_not_announced_again(story: Story, run: Run, heard: list[Any]) -> None:
    story()
    heard.clear()
    CallRecord.objects.update(**DAMAGES["all lost"])

    run("exotel_replay", "--apply")

    assert heard == []


def test_what_was_not_announced_is_announced_without_an_event(story: Story, run: Run, heard: list[Any]) -> None:
    story()
    heard.clear()
    Announcement.objects.filter(signal__in=["call_ended", "recording_ready"]).delete()
    CallRecord.objects.update(**DAMAGES["all lost"])

    run("exotel_replay", "--apply")

    assert sorted(heard) == [("call_ended", None), ("recording_ready", None)]
    assert set(Announcement.objects.filter(event=None).values_list("signal", flat=True)) == {
        "call_ended",
        "recording_ready",
    }


@pytest.mark.books_differ("the record is left damaged")
def test_a_dry_run_announces_nothing(story: Story, run: Run, heard: list[Any]) -> None:
    story()
    heard.clear()
    Announcement.objects.all().delete()
    CallRecord.objects.update(**DAMAGES["all lost"])

    run("exotel_replay")

    assert heard == []
    assert not Announcement.objects.exists()


# Events from before their call was known.


def lost_and_found(real_calls: Calls, *bodies: tuple[str, bytes]) -> CallRecord:
    """Deliver bodies to a call that is not in the database, put it back, and return it."""
    call = CallRecord(reference=uuid.uuid4(), account="default", created_at=timezone.now())
    for event, body in bodies:
        assert real_calls.deliver(call, body, event).status_code == 200
    assert set(CallEvent.objects.values_list("reason", "call")) == {("unknown_call", None)}
    call.save()
    return call


def test_events_that_came_before_their_call_was_known_are_linked(real_calls: Calls, run: Run, heard: list[Any]) -> None:
    call = lost_and_found(real_calls, ("answered", body_of("answered")), ("terminal", body_of(call_status="busy")))
    events = list(CallEvent.objects.order_by("pk"))

    dry = run("exotel_replay")

    assert dry.status == 1
    assert f"{call.reference}  event {events[1].pk}: unknown_call -> applied" in dry.lines
    assert f'{call.reference}  outcome: "" -> "busy"' in dry.lines
    assert {event.call_id for event in CallEvent.objects.all()} == {None}

    applied = run("exotel_replay", "--apply")

    assert applied.lines[:-1] == dry.lines[:-1]
    found = CallRecord.objects.get()
    assert (found.state, found.outcome, found.call_sid) == ("ended", "busy", SID)
    assert set(CallEvent.objects.values_list("reason", "call")) == {("", call.pk)}
    assert sorted(name for name, _event in heard) == ["call_accepted", "call_ended"]
    assert run("exotel_replay").status == 0


def test_an_unreadable_one_of_them_proves_only_that_exotel_has_the_call(real_calls: Calls, run: Run) -> None:
    lost_and_found(real_calls, ("terminal", b"<html>"))

    assert "unknown_call -> unreadable" in run("exotel_replay").out
    run("exotel_replay", "--apply")

    assert CallRecord.objects.get().state == "active"
    assert CallEvent.objects.get().reason == EventReason.UNREADABLE
    assert run("exotel_replay").status == 0


def test_one_that_names_another_call_is_linked_and_not_applied(real_calls: Calls, run: Run) -> None:
    call = lost_and_found(real_calls, ("terminal", body_of(sid="stranger")))
    real_calls.answer(call, "active", {"call_sid": SID})

    assert "unknown_call -> another_call" in run("exotel_replay").out
    run("exotel_replay", "--apply")

    assert CallRecord.objects.get().state == "active"
    assert CallEvent.objects.get(kind="callback").reason == EventReason.ANOTHER_CALL
    assert run("exotel_replay").status == 0


def test_those_of_no_call_stay_as_they_are(real_calls: Calls, run: Run) -> None:
    stranger = CallRecord(reference=uuid.uuid4(), account="default")
    real_calls.deliver(stranger, body_of())
    real_calls.accepted()

    assert run("exotel_replay", "--apply").lines == ["1 call compared with its events: none differs."]
    assert CallEvent.objects.get(call=None).reason == EventReason.UNKNOWN_CALL


def test_a_reason_that_was_edited_is_mended(real_calls: Calls, run: Run) -> None:
    call = real_calls.accepted()
    real_calls.deliver(call, body_of())
    whole = record(call)
    CallEvent.objects.filter(kind="callback").update(reason=EventReason.ANOTHER_CALL)
    key = CallEvent.objects.get(kind="callback").pk

    assert run("exotel_replay").lines[:-1] == [f"{call.reference}  event {key}: another_call -> applied"]
    run("exotel_replay", "--apply")

    assert CallEvent.objects.get(pk=key).reason == ""
    assert record(call) == whole


# While calls are written.


def test_a_call_that_is_being_written_is_not_reported(
    real_calls: Calls, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = real_calls.accepted()
    replay_facts = replay_module.replay_facts

    def written_meanwhile(*arguments: Any, **options: Any) -> Any:
        if not CallEvent.objects.filter(kind="callback").exists():
            record_callback(call, "terminal", status="completed", talk_time=42)
        return replay_facts(*arguments, **options)

    monkeypatch.setattr(replay_module, "replay_facts", written_meanwhile)

    printed = run("exotel_replay")

    assert printed.lines == ["1 call compared with its events: none differs."]
    assert CallRecord.objects.get().state == "ended"


def test_a_call_that_is_deleted_meanwhile_is_not_reported(
    real_calls: Calls, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_calls.accepted()
    CallRecord.objects.update(facts={})
    monkeypatch.setattr(replay_module, "lock", lambda reference, using: None)

    assert run("exotel_replay").lines == ["1 call compared with its events: none differs."]


@pytest.mark.parametrize("options", [[], ["--apply"]])
def test_a_run_that_is_broken_off_leaves_every_call_whole(
    options: list[str], real_calls: Calls, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [real_calls.accepted(f"sid{n}") for n in range(3)]
    whole = [record(call) for call in calls]
    CallRecord.objects.update(facts={}, state="requested")
    damaged = [record(call) for call in calls]
    left = iter([None, KeyboardInterrupt])
    differences = replay_module._differences

    def break_off(replayed: Any, unlinked: Any) -> Any:
        yield from differences(replayed, unlinked)
        if connection.in_atomic_block and (stop := next(left)):
            raise stop

    monkeypatch.setattr(replay_module, "_differences", break_off)
    printed = run("exotel_replay", *options)
    monkeypatch.undo()

    assert printed.status == 130
    assert "run it again to go on" in printed.err
    assert [record(call) for call in calls] == [(whole if options else damaged)[0], *damaged[1:]]
    run("exotel_replay", "--apply")
    assert [record(call) for call in calls] == whole


# Which calls, and at what cost.


def test_one_call_alone(real_calls: Calls, run: Run) -> None:
    one, other = real_calls.accepted("one"), real_calls.accepted("other")
    CallRecord.objects.update(facts={})

    printed = run("exotel_replay", f"--call={one.reference}")
    assert printed.err.endswith(f"type: python manage.py exotel_replay --call={one.reference} --apply")

    run("exotel_replay", f"--call={one.reference}", "--apply")

    assert (record(one)["facts"] != {}, record(other)["facts"]) == (True, {})


def test_calls_placed_since_a_day(real_calls: Calls, run: Run, settings: Any) -> None:
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
def test_what_cannot_be_meant_is_answered_with_what_to_type(option: str, advice: str, run: Run, db: None) -> None:
    printed = run("exotel_replay", option)

    assert advice in printed.err
    assert printed.status == 1


def test_a_batch_costs_the_same_statements_whatever_is_in_it(
    real_calls: Calls, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    # Who came too early; the first batch and the look for a second; the first batch's events.
    assert cost() == ["SELECT"] * 4
    more(5, 10)
    assert cost() == ["SELECT"] * 6
    more(10, 25)
    assert cost() == ["SELECT"] * 12


def test_a_long_run_says_how_far_it_is(real_calls: Calls, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "BATCH", 1)
    for n in range(2):
        real_calls.accepted(f"sid{n}")

    assert run("exotel_replay").err == ""
    monkeypatch.setattr(progress, "EVERY", 0.0)

    assert run("exotel_replay").err.splitlines() == [
        "So far: 1 call compared with its events: none differs.",
        "So far: 2 calls compared with their events: none differs.",
    ]
