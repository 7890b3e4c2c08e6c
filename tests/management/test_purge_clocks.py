"""``exotel_purge`` by the clocks of RETENTION: each kind has its own, and what was removed is on record."""

from __future__ import annotations

import datetime
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm import background
from django_exotel_ccm.choices import EventReason, NoRecording, SignalName
from django_exotel_ccm.management.commands import exotel_purge
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord, DoNotCall, RecordingAccess, Removal
from django_exotel_ccm.services import retention
from django_exotel_ccm.services.recordings import missing_reason
from tests.factories import Calls, record_callback
from tests.management.conftest import CUSTOMER, Printed
from tests.subprocesses import child

Run = Callable[..., Printed]
Keep = Callable[..., None]
RECORDING = "https://recordings.exotel.com/exotelrecordings/acme/secret.mp3"
ALL = dict.fromkeys(retention.CLOCKS, 90)


@pytest.fixture
def keep(settings: Any) -> Keep:
    """Set the clocks: ``keep(recordings=30)``."""

    def use(**days: int) -> None:
        settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RETENTION": days}

    return use


def ago(days: float) -> datetime.datetime:
    return timezone.now() - datetime.timedelta(days=days)


def recorded_call(calls: Calls, days: float, sid: str = "sid1") -> CallRecord:
    """Return a call of so many days ago, with a recording."""
    call = calls.accepted(sid, recording_requested=True, customer_number=CUSTOMER)
    record_callback(call, "terminal", status="completed", talk_time=42, recordings=[RECORDING])
    settled = {"details_check_at": None, "next_check_at": None}
    CallRecord.objects.filter(pk=call.pk).update(created_at=ago(days), **settled)
    CallEvent.objects.filter(call=call).update(received_at=ago(days))
    return calls.reread(call)


def one_of_each(calls: Calls, days: float) -> CallRecord:
    """Store something for each clock, so many days old."""
    call = recorded_call(calls, days, f"sid{days}")
    CallEvent.objects.create(
        kind="callback", raw=b"?", reason=EventReason.UNREADABLE, fingerprint=f"f{days}", received_at=ago(days)
    )
    RecordingAccess.objects.create(call=call, recording="1", user_label="Meera", listened_at=ago(days))
    DoNotCall.objects.create(number=f"+9190000010{days:02.0f}", expires_at=ago(days))
    return call


def left() -> dict[str, int]:
    """Return how much there is for each clock."""
    bodies = CallEvent.objects.exclude(raw=b"")
    return {
        "raw_bodies": bodies.filter(reason="").count(),
        "unapplied_bodies": bodies.exclude(reason="").count(),
        "recordings": CallRecord.objects.exclude(recording_url="").count(),
        "recording_accesses": RecordingAccess.objects.count(),
        "do_not_call": DoNotCall.objects.count(),
    }


def removals() -> list[tuple[str, int, bool]]:
    found = Removal.objects.order_by("pk")
    return [(one.kind, one.removed, one.ended_at is not None) for one in found]


@pytest.mark.parametrize("kind", retention.CLOCKS)
def test_each_clock_removes_its_own(kind: str, real_calls: Calls, keep: Keep, run: Run) -> None:
    one_of_each(real_calls, 91)
    one_of_each(real_calls, 89)
    DoNotCall.objects.create(number=CUSTOMER)  # for ever
    before = left()
    keep(**{kind: 90})

    done = run("exotel_purge", "--apply")

    after = left()
    gone = {name for name in before if after[name] != before[name]}
    # The raw body of an event that names a recording has its address as well.
    assert gone == ({"recordings", "raw_bodies"} if kind == "recordings" else {kind})
    count = 2 if kind == "raw_bodies" else 1  # the answer to our request, and the report of the end
    assert before[kind] - after[kind] == count
    assert (done.status, len(done.lines), done.lines[0].startswith(f"{count} ")) == (0, 1, True)
    assert removals() == [(kind, count, True)]


def test_all_clocks_twice(real_calls: Calls, keep: Keep, run: Run) -> None:
    one_of_each(real_calls, 91)
    keep(**ALL)
    run("exotel_purge", "--apply")
    first = removals()

    again = run("exotel_purge", "--apply")

    assert set(left().values()) == {0}
    assert [kind for kind, _count, _done in first] == list(retention.CLOCKS)
    assert all(line.startswith("0 ") for line in again.lines)
    assert removals() == first  # a run that finds nothing leaves no row


def test_nothing_changes_without_apply(
    real_calls: Calls, keep: Keep, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_of_each(real_calls, 91)
    before = left()
    keep(recordings=90, do_not_call=30)

    printed = run("exotel_purge")

    assert printed.lines == [
        "1 call's recording, older than 90 days: would be removed.",
        "1 expired do-not-call number, older than 30 days: would be deleted.",
        "0 customers to erase on request.",
        "To remove them, type: python manage.py exotel_purge --apply",
    ]
    assert left() == before
    assert removals() == []
    monkeypatch.setattr(exotel_purge, "COUNTED", 1)
    assert run("exotel_purge").lines[0] == "At least 1 call's recording, older than 90 days: would be removed."


def test_call_without_its_recording_still_counts(real_calls: Calls, keep: Keep, run: Run) -> None:
    call = recorded_call(real_calls, 91)
    keep(recordings=90)

    run("exotel_purge", "--apply")

    after = real_calls.reread(call)
    assert (after.state, after.outcome, after.talk_time, after.customer_number) == ("ended", "completed", 42, CUSTOMER)
    assert after.recording_url == ""
    assert after.details_check_at is None  # Exotel is not asked for it again
    assert "secret.mp3" not in str([*CallRecord.objects.values(), *CallEvent.objects.values()])
    assert missing_reason(after) == NoRecording.PURGED
    assert run("exotel_replay").status == 0


def test_recording_that_is_purged_is_not_announced(
    real_calls: Calls, keep: Keep, run: Run, receivers: Callable[..., None]
) -> None:
    from django_exotel_ccm import signals

    def fail(**kwargs: Any) -> None:
        raise RuntimeError(f"cannot fetch {RECORDING}")

    receivers(signals.recording_ready, fail)
    call = recorded_call(real_calls, 91)
    keep(recordings=90)

    run("exotel_purge", "--apply")

    announcement = Announcement.objects.get(call=call, signal=SignalName.RECORDING_READY)
    assert announcement.state == "superseded"
    assert "secret.mp3" not in str(announcement.receivers)


def test_late_report_of_a_purged_recording_goes_with_the_next_run(real_calls: Calls, keep: Keep, run: Run) -> None:
    call = recorded_call(real_calls, 91)
    keep(recordings=90)
    run("exotel_purge", "--apply")
    record_callback(call, "terminal", status="completed", talk_time=42, recordings=[RECORDING])

    run("exotel_purge", "--apply")

    assert left()["recordings"] == 0
    assert removals() == [("recordings", 1, True)] * 2


def test_entry_that_is_extended_meanwhile_stays(db: None, keep: Keep) -> None:
    entry = DoNotCall.objects.create(number=CUSTOMER, expires_at=ago(91))
    rows = retention.CLOCKS["do_not_call"].older_than(ago(90))
    DoNotCall.objects.filter(pk=entry.pk).update(expires_at=None)

    assert retention.CLOCKS["do_not_call"].remove(rows.filter(pk=entry.pk)) == 0
    assert DoNotCall.objects.exists()


def test_older_than_and_unapplied_are_on_record_as_well(real_calls: Calls, run: Run) -> None:
    one_of_each(real_calls, 91)

    run("exotel_purge", "--older-than=90", "--unapplied", "--apply")

    assert removals() == [("raw_bodies", 2, True), ("unapplied_bodies", 1, True)]
    assert Removal.objects.earliest("pk").before is not None


def test_killed_purge_counts_what_it_removed_and_the_next_goes_on(real_calls: Calls, run: Run, keep: Keep) -> None:
    for number in range(50):
        recorded_call(real_calls, 91, f"sid{number}")

    with child("-m", "django", "exotel_purge", "--apply", TEST_RETENTION_DAYS="90") as process:
        until = time.monotonic() + 30
        while left()["recordings"] > 45:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < until
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    still = left()["recordings"]

    assert 0 < still < 50
    assert removals() == [("recordings", 50 - still, False)]
    keep(recordings=90)
    assert run("exotel_purge", "--apply").lines == [f"{still} calls' recordings removed."]
    assert removals() == [("recordings", 50 - still, False), ("recordings", still, True)]
    assert run("exotel_replay").status == 0


def test_one_clock_that_fails_does_not_stop_the_others(
    real_calls: Calls, keep: Keep, run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one_of_each(real_calls, 91)
    keep(recordings=90, do_not_call=90)

    def broken(*arguments: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(retention, "rebuild", broken)
    with caplog.at_level(logging.ERROR):
        printed = run("exotel_purge", "--apply")

    assert (printed.status, printed.lines) == (1, ["1 expired do-not-call number deleted."])
    assert "Run it again" in printed.err
    assert "The purge of recordings failed" in caplog.text
    assert (left()["recordings"], left()["do_not_call"]) == (1, 0)


def test_forever_runs_again_until_it_is_stopped(
    real_calls: Calls, keep: Keep, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(raw_bodies=90)
    recorded_call(real_calls, 91)
    waits: list[float | None] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout)
            recorded_call(real_calls, 91, "later")
            if len(waits) == 2:
                self.set()
            return True

    @contextmanager
    def stop_on_signal() -> Iterator[threading.Event]:
        yield Stop()

    monkeypatch.setattr(exotel_purge, "stop_on_signal", stop_on_signal)
    printed = run("exotel_purge", "--apply", "--forever", "--every=7")

    assert printed.lines == ["Purging until Ctrl-C.", "2 raw bodies emptied.", "2 raw bodies emptied."]
    assert waits == [7.0, 7.0]


def test_job_of_a_queue_does_the_same(real_calls: Calls, keep: Keep) -> None:
    one_of_each(real_calls, 91)
    keep(**ALL)

    background.run_job("purge", {})

    assert set(left().values()) == {0}


@pytest.mark.parametrize(
    ("words", "clocks", "said"),
    [
        ([], {}, "RETENTION is not set."),
        (["--forever"], ALL, "write --apply --forever"),
        (["--apply", "--forever", "--every=0"], ALL, "write --every=86400"),
        (["--unapplied"], ALL, '"unapplied_bodies" in RETENTION'),
        (["--older-than=9", "--apply", "--forever"], ALL, "leave out --older-than"),
    ],
)
def test_options_that_do_not_fit(
    words: list[str], clocks: dict[str, int], said: str, db: None, keep: Keep, run: Run
) -> None:
    keep(**clocks)

    printed = run("exotel_purge", *words)

    assert printed.status == 1
    assert said in printed.err


def test_purge_without_a_clock_says_that_it_purges_nothing(db: None, keep: Keep, run: Run) -> None:
    keep()

    printed, quiet = run("exotel_purge", "--apply"), run("exotel_purge", "--apply", "--verbosity=0")

    assert (printed.status, quiet.status) == (0, 0)
    assert "RETENTION is not set" in printed.out
    assert quiet.out == ""


def test_erasure_is_on_record_without_the_number(real_calls: Calls, run: Run) -> None:
    recorded_call(real_calls, 1)
    recorded_call(real_calls, 2, "sid2")
    run("exotel_erase", CUSTOMER)
    dry = removals()

    run("exotel_erase", CUSTOMER, "--apply")

    assert dry == []
    assert removals() == [("customer", 2, True)]
    assert CUSTOMER[3:] not in str(list(Removal.objects.values()))


@pytest.mark.parametrize("kind", retention.CLOCKS)
def test_what_is_overdue(kind: str, real_calls: Calls, keep: Keep, run: Run) -> None:
    """A purge runs once a day, so what became due yesterday is no fault yet."""
    keep(**{kind: 90})
    one_of_each(real_calls, 91)
    assert retention.overdue_clocks() == []
    one_of_each(real_calls, 93)
    assert retention.overdue_clocks() == [kind]

    run("exotel_purge", "--apply")

    assert retention.overdue_clocks() == []


@pytest.mark.sqlite_only("its plans depend on no statistics")
def test_no_batch_sorts_what_is_old(db: None) -> None:
    clock = retention.CLOCKS["raw_bodies"]

    plan = clock.older_than(ago(90))[: retention.BATCH].explain()

    assert "received_at" in plan
    assert "TEMP B-TREE" not in plan


def due() -> dict[str, int]:
    return {state.kind.value: state.due for state in retention.clock_states()}


@pytest.mark.parametrize("kind", retention.CLOCKS)
def test_what_came_late_is_due(kind: str, real_calls: Calls, keep: Keep, run: Run) -> None:
    """A purge went through all that is older, and something older came afterwards: the next purge removes it."""
    keep(**{kind: 90})
    one_of_each(real_calls, 92)
    run("exotel_purge", "--apply")
    assert due()[kind] == 0

    if kind == "recordings":
        late = CallRecord.objects.get()
        record_callback(late, "terminal", status="completed", talk_time=43, recordings=[RECORDING])
    else:
        one_of_each(real_calls, 95)

    assert due()[kind] == (2 if kind == "raw_bodies" else 1)
    run("exotel_purge", "--apply")
    assert due()[kind] == 0


def test_body_of_an_event_that_is_applied_late_is_due(real_calls: Calls, keep: Keep, run: Run) -> None:
    keep(raw_bodies=90)
    recorded_call(real_calls, 92)
    event = CallEvent.objects.create(
        kind="callback", raw=b"?", reason=EventReason.UNREADABLE, fingerprint="f", received_at=ago(95)
    )
    run("exotel_purge", "--apply")
    assert due()["raw_bodies"] == 0

    CallEvent.objects.filter(pk=event.pk).update(reason="")

    assert due()["raw_bodies"] == 1


def test_late_recording_is_overdue_only_after_two_days(real_calls: Calls, keep: Keep, run: Run) -> None:
    keep(recordings=90)
    call = recorded_call(real_calls, 95)
    run("exotel_purge", "--apply")
    Removal.objects.update(started_at=ago(5), ended_at=ago(5), before=ago(94))
    event = record_callback(call, "terminal", status="completed", talk_time=43, recordings=[RECORDING])

    assert retention.overdue_clocks() == []
    CallEvent.objects.filter(pk=event.pk).update(received_at=ago(3))
    assert retention.overdue_clocks() == ["recordings"]


def test_pages_do_not_read_again_what_was_purged(
    real_calls: Calls, keep: Keep, run: Run, django_assert_num_queries: Any
) -> None:
    keep(**ALL)
    one_of_each(real_calls, 95)
    run("exotel_purge", "--apply")

    with django_assert_num_queries(12) as queries:
        retention.clock_states()

    counts = [query["sql"] for query in queries if "COUNT" in query["sql"]]
    assert len(counts) == 6
    assert all(" LIMIT 10000" in sql for sql in counts)


@pytest.mark.sqlite_only("its plans depend on no statistics")
def test_no_count_reads_what_was_purged(real_calls: Calls, keep: Keep, run: Run) -> None:
    keep(**ALL)
    one_of_each(real_calls, 95)
    run("exotel_purge", "--apply")

    plans = {kind: [rows.explain() for rows in retention._due(kind, ago(90))] for kind in retention.CLOCKS}

    assert all("exotel_ccm_event_purged" in plans[kind][0] for kind in ("raw_bodies", "unapplied_bodies")), plans
    assert "exotel_ccm_call_created" in plans["recordings"][0]
    assert "INTEGER PRIMARY KEY" in plans["recordings"][1]
    assert not any("SCAN" in plan for kind in plans for plan in plans[kind]), plans
