"""``exotel_purge``: old raw bodies go, what was read of them stays."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_exotel_ccm.choices import EventReason
from django_exotel_ccm.management import progress
from django_exotel_ccm.models import CallEvent
from django_exotel_ccm.services import retention
from tests.factories import Calls, body_of
from tests.management.conftest import Printed, record

Run = Callable[..., Printed]


@pytest.fixture
def received(real_calls: Calls) -> Callable[..., CallEvent]:
    """Return a function that stores an event received so many days ago: ``received(91, reason="…")``."""

    def store(days: float, **fields: Any) -> CallEvent:
        received_at = timezone.now() - datetime.timedelta(days=days)
        given = {"kind": "callback", "raw": b"body", "facts": {"talk_time": 42}, **fields}
        given.setdefault("fingerprint", str(CallEvent.objects.count()))
        return CallEvent.objects.create(received_at=received_at, **given)

    return store


def bodies() -> list[bytes]:
    return [bytes(raw) for raw in CallEvent.objects.order_by("pk").values_list("raw", flat=True)]


def test_only_old_bodies_go_and_only_with_apply(received: Callable[..., CallEvent], run: Run) -> None:
    old, _young = received(91), received(89)

    dry = run("exotel_purge", "--older-than=90")

    assert dry.lines == [
        "1 raw body would be emptied.",
        "To empty them, type: python manage.py exotel_purge --older-than=90 --apply",
    ]
    assert bodies() == [b"body", b"body"]

    assert run("exotel_purge", "--older-than=90", "--apply").lines == ["1 raw body emptied."]

    assert bodies() == [b"", b"body"]
    old.refresh_from_db()
    assert old.facts == {"talk_time": 42}
    assert old.purged_at is not None
    assert run("exotel_purge", "--older-than=90", "--apply").lines == ["0 raw bodies emptied."]


def test_event_without_body_is_not_marked_purged(received: Callable[..., CallEvent], run: Run) -> None:
    event = received(91, raw=b"")

    run("exotel_purge", "--older-than=90", "--apply")

    event.refresh_from_db()
    assert event.purged_at is None


def test_bodies_not_applied_stay_unless_asked_for(received: Callable[..., CallEvent], run: Run) -> None:
    received(91)
    received(91, reason=EventReason.UNVERIFIED)
    received(91, reason=EventReason.UNREADABLE)
    received(91, reason=EventReason.UNKNOWN_CALL)

    stay = "2 raw bodies of events that were not applied stay; --unapplied takes them, too."
    assert run("exotel_purge", "--older-than=90").lines[0::2] == ["2 raw bodies would be emptied.", stay]
    assert run("exotel_purge", "--older-than=90", "--apply").lines == ["2 raw bodies emptied.", stay]
    assert bodies() == [b"", b"", b"body", b"body"]

    assert "--older-than=90 --unapplied --apply" in run("exotel_purge", "--older-than=90", "--unapplied").out
    assert run("exotel_purge", "--older-than=90", "--unapplied", "--apply").lines == ["2 raw bodies emptied."]
    assert bodies() == [b""] * 4


def test_bodies_go_in_small_batches_oldest_first(
    received: Callable[..., CallEvent], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    same_moment = timezone.now() - datetime.timedelta(days=100)
    for _n in range(7):
        received(100)
    CallEvent.objects.update(received_at=same_moment)  # more at one moment than a batch takes
    for days in (99, 98, 97):
        received(days)

    with CaptureQueriesContext(connection) as queries:
        printed = run("exotel_purge", "--older-than=90", "--apply")

    assert printed.err.splitlines() == [f"So far: {count} raw bodies emptied." for count in (3, 6, 9, 10)]
    assert bodies() == [b""] * 10
    table = connection.ops.quote_name(CallEvent._meta.db_table)
    updates = [query["sql"] for query in queries if query["sql"].startswith(f"UPDATE {table}")]
    assert len(updates) == 4
    # The last batch does not walk again through what is emptied already.
    assert sum("received_at" in sql and ">=" in sql for sql in updates) == 0
    looks = [query["sql"] for query in queries if query["sql"].startswith("SELECT") and "ORDER BY" in query["sql"]]
    assert [">=" in sql for sql in looks] == [False, True, True, True, True]


def test_next_run_continues_after_an_interruption(
    received: Callable[..., CallEvent], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for _n in range(5):
        received(100)

    def interrupt(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(progress.Progress, "__call__", interrupt)  # after the first batch
    printed = run("exotel_purge", "--older-than=90", "--apply")
    monkeypatch.undo()

    assert (printed.status, printed.err) == (130, "Broken off: 2 raw bodies emptied. Run it again to go on.")
    assert sorted(bodies()) == [b"", b"", b"body", b"body", b"body"]
    assert run("exotel_purge", "--older-than=90", "--apply").lines == ["3 raw bodies emptied."]


@pytest.mark.parametrize("days", ["-1", "99999999", "9" * 30])
def test_impossible_days_are_refused(days: str, run: Run, db: None) -> None:
    printed = run("exotel_purge", f"--older-than={days}")

    assert (printed.status, printed.err) == (1, "--older-than takes days: write --older-than=90.")


def test_repeated_callback_is_known_after_purge(real_calls: Calls, run: Run) -> None:
    call = real_calls.accepted()
    real_calls.deliver(call, body_of(total_talk_time=42))
    run("exotel_purge", "--older-than=0", "--apply")
    whole = record(call)

    assert real_calls.deliver(call, body_of(total_talk_time=42)).status_code == 200

    assert CallEvent.objects.filter(kind="callback").count() == 1
    assert record(call) == whole
