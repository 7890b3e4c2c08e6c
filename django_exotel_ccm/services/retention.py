"""Old personal data goes when its clock in ``RETENTION`` has run: each kind has a clock of its own.

A purge works in small batches, each a transaction that also counts what it removed. So a purge that is killed leaves
whole rows and a true count, and the next one goes on.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import router
from django.db.models import F, Model, QuerySet
from django.utils import timezone

from django_exotel_ccm import conf
from django_exotel_ccm.choices import EventReason, RemovalKind
from django_exotel_ccm.exotel.redact import redact
from django_exotel_ccm.models import CallEvent, CallRecord, DoNotCall, RecordingAccess, Removal
from django_exotel_ccm.services.announcements.deliveries import drop_recording
from django_exotel_ccm.services.events import rebuild
from django_exotel_ccm.services.transactions import reset_connection, run_durably

logger = logging.getLogger("django_exotel_ccm.services")

BATCH = 500
COUNTED = 10_000
GRACE = datetime.timedelta(days=2)
"""How long after its time data may still be there: a purge runs once a day, and may be late."""
IN_FLIGHT = datetime.timedelta(hours=1)
"""An event that came so long before a purge may be committed after it, or by a machine whose clock is late."""
NOT_APPLIED = tuple(reason for reason in EventReason if reason != EventReason.UNVERIFIED)


@dataclass(frozen=True, slots=True)
class Clock:
    """What one clock of ``RETENTION`` is about."""

    model: type[Model]
    moment: str
    """The column from which the clock runs."""
    has_data: Callable[[QuerySet[Any]], QuerySet[Any]]
    """Leaves the rows that have something to remove."""
    remove: Callable[[QuerySet[Any]], int]
    """Removes it inside a transaction, and returns from how many rows."""
    at_once: int = BATCH
    """How many rows one transaction takes."""
    marked: tuple[str, ...] = ()
    """The column that is NULL until a row's data is removed: with the moment, an index of what is still there."""

    def older_than(self, before: datetime.datetime) -> QuerySet[Any]:
        """Return the rows older than a moment that have something to remove."""
        rows = self.model._default_manager.using(router.db_for_write(self.model))
        # Ordered as the index is: otherwise PostgreSQL, which expects many unmarked rows among the old, reads all.
        return self.has_data(rows.filter(**{f"{self.moment}__lt": before})).order_by(*self.marked, self.moment, "pk")


def _has_body(events: QuerySet[CallEvent]) -> QuerySet[CallEvent]:
    return events.filter(purged_at=None).exclude(raw=b"")


def _empty_bodies(events: QuerySet[CallEvent]) -> int:
    return events.update(raw=b"", purged_at=timezone.now())


def _delete(rows: QuerySet[Any]) -> int:
    return rows.delete()[0]


def _remove_recordings(calls: QuerySet[CallRecord]) -> int:
    """Remove the addresses of recordings from calls, their events and their announcements."""
    removed = 0
    # Locked before anything is read: at REPEATABLE READ, MariaDB would show the events as they were before the lock.
    for call in calls.select_for_update().order_by("pk"):
        for event in call.events.using(calls.db).order_by("pk"):
            if event.drop_recordings():
                event.save(using=calls.db, update_fields=CallEvent.REDACTED)
        for announcement in call.announcements.using(calls.db).select_for_update().order_by("pk"):
            drop_recording(announcement, redact)
            announcement.save(using=calls.db, update_fields=["receivers", "state", "next_try_at"])
        rebuild(call, None, calls.db)
        removed += 1
    return removed


CLOCKS: dict[str, Clock] = {
    RemovalKind.RAW_BODIES: Clock(
        # Not "reason IN": with its index, a database would sort all old events anew for each batch.
        CallEvent,
        "received_at",
        lambda events: _has_body(events).exclude(reason__in=NOT_APPLIED),
        _empty_bodies,
        marked=("purged_at",),
    ),
    RemovalKind.UNAPPLIED_BODIES: Clock(
        CallEvent,
        "received_at",
        lambda events: _has_body(events).filter(reason__in=NOT_APPLIED),
        _empty_bodies,
        marked=("purged_at",),
    ),
    RemovalKind.RECORDINGS: Clock(
        CallRecord, "created_at", lambda calls: calls.exclude(recording_url=""), _remove_recordings, at_once=1
    ),
    RemovalKind.RECORDING_ACCESSES: Clock(RecordingAccess, "listened_at", lambda accesses: accesses.all(), _delete),
    RemovalKind.DO_NOT_CALL: Clock(DoNotCall, "expires_at", lambda entries: entries.all(), _delete),
}
"""The clocks, by their names in ``RETENTION``."""


def set_clocks() -> dict[str, int]:
    """Return the days of each clock that is set, in the order of :data:`CLOCKS`."""
    days = conf.get_settings().retention
    return {kind: days[kind] for kind in CLOCKS if kind in days}


def moment_of(days: int) -> datetime.datetime:
    """Return the moment so many days ago; what is older goes. Raises ``OverflowError`` where there is none."""
    return timezone.now() - datetime.timedelta(days=days)


def purge(kind: str, before: datetime.datetime) -> Iterator[int]:
    """Remove what one clock is about and is older than ``before``; yield after each batch how many so far.

    After an interruption the next run continues. What was removed is counted in a row of :class:`Removal`.
    """
    clock = CLOCKS[kind]
    rows = clock.older_than(before)
    run, rest = _PurgeRun(kind, before, rows.db), rows
    while batch := list(rest.values_list("pk", clock.moment)[:BATCH]):
        keys = [key for key, _moment in batch]
        for start in range(0, len(keys), clock.at_once):
            run.remove(partial(clock.remove, rows.filter(pk__in=keys[start : start + clock.at_once]).order_by()))
        yield run.removed
        # Begin at the last moment, so that rows without anything are not read again.
        key, moment = batch[-1]
        rest = rows.filter(**{f"{clock.moment}__gte": moment}).exclude(**{clock.moment: moment, "pk__lte": key})
    run.finish()


class _PurgeRun:
    """What a purge removed so far, and its row, which is made when there is something to count."""

    def __init__(self, kind: str, before: datetime.datetime, using: str) -> None:
        self.removed = 0
        self._key: int | None = None
        self._kind, self._before, self._started_at = kind, before, timezone.now()
        self._using = using

    def remove(self, work: Callable[[], int]) -> None:
        """Do the work and count it, in one transaction."""
        count, self._key = run_durably(partial(self._count, work), using=self._using)
        self.removed += count

    def _count(self, work: Callable[[], int]) -> tuple[int, int | None]:
        count, rows = work(), Removal.objects.using(self._using)
        if not count:
            return 0, self._key
        if self._key is not None:
            rows.filter(pk=self._key).update(removed=F("removed") + count)
            return count, self._key
        removal = rows.create(kind=self._kind, before=self._before, started_at=self._started_at, removed=count)
        return count, removal.pk

    def finish(self) -> None:
        """Note that nothing is left."""
        if self._key is not None:
            Removal.objects.using(self._using).filter(pk=self._key).update(ended_at=timezone.now())


def _never() -> bool:
    return False


def _ignore(kind: str, removed: int) -> None:
    pass


def purge_due(
    *, stopped: Callable[[], bool] = _never, progress: Callable[[str, int], None] = _ignore
) -> dict[str, int | None]:
    """Let every clock that is set remove what is due; return how much by kind, None for one that failed.

    ``stopped`` is called before each batch, ``progress`` after it. What fails is logged, and the other clocks go on.
    """
    removed: dict[str, int | None] = {}
    for kind, days in set_clocks().items():
        removed[kind] = 0
        if stopped():
            break
        try:
            for count in purge(kind, moment_of(days)):
                removed[kind] = count
                progress(kind, count)
                if stopped():
                    break
        except Exception:
            logger.exception("The purge of %s failed; the next run goes on.", kind)
            reset_connection(router.db_for_write(CLOCKS[kind].model))
            removed[kind] = None
    return removed


# What is due, for pages and the doctor.


@dataclass(frozen=True, slots=True)
class ClockState:
    """A clock, what it would remove now, and its last purge that found something."""

    kind: RemovalKind
    days: int | None
    due: int
    """At most :data:`COUNTED`; 0 while the clock is not set."""
    last: Removal | None


def clock_states() -> list[ClockState]:
    """Return the state of each clock, with two statements for one that is set, four for recordings, one for another."""
    days = conf.get_settings().retention
    return [
        ClockState(
            RemovalKind(kind),
            days.get(kind),
            _count(_due(kind, moment_of(days[kind]))) if kind in days else 0,
            Removal.objects.filter(kind=kind).order_by("-started_at").first(),
        )
        for kind in CLOCKS
    ]


def overdue_clocks() -> list[str]:
    """Return the clocks whose data should have gone two days ago, and has not."""
    arrived_before = timezone.now() - GRACE
    return [
        kind
        for kind, days in set_clocks().items()
        if any(rows.values("pk")[:1] for rows in _due(kind, moment_of(days) - GRACE, arrived_before=arrived_before))
    ]


def _count(parts: Iterable[QuerySet[Any]]) -> int:
    return min(COUNTED, sum(rows[:COUNTED].count() for rows in parts))


def _due(
    kind: str, before: datetime.datetime, *, arrived_before: datetime.datetime | None = None
) -> Iterator[QuerySet[Any]]:
    """Yield what is due, in parts that have no row in common, each found by an index.

    No index says which calls have a recording. So the calls that the last purge went through to its end are not read
    again, but for those about which an event arrived since (and before ``arrived_before``): it may have brought one.
    """
    clock = CLOCKS[kind]
    rows = clock.older_than(before)
    done = None
    if kind == RemovalKind.RECORDINGS:
        done = Removal.objects.filter(kind=kind, ended_at__isnull=False).order_by("-started_at").first()
    if done is None or done.before is None:
        yield rows
        return
    yield rows.filter(created_at__gte=done.before)
    since = done.started_at - IN_FLIGHT
    events = CallEvent.objects.using(rows.db).filter(received_at__gte=since, call__isnull=False)
    if arrived_before is not None:
        events = events.filter(received_at__lt=arrived_before)
    yield rows.filter(created_at__lt=done.before, pk__in=events.values("call")).order_by()
