"""Receivers that were not told yet: called again, by a worker, by ``exotel_reconcile`` or when an admin says so.

Each is called in a transaction of its own that marks it as told. The announcement's row is locked, never the call's, so
that a slow receiver keeps no callback waiting; and whoever finds the row locked leaves the call to who locked it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from django.db import Error as DatabaseFailure
from django.db import connections, router
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from django_exotel_ccm.choices import AnnouncementState, SignalName, State
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services.committing import commit
from django_exotel_ccm.services.fates import Ahead, Fate, columns, failed, fates_of, is_open, new_fate, sum_up
from django_exotel_ccm.services.receivers import Caller, Receiver, blame
from django_exotel_ccm.services.tracking import lock_first


class _Busy(Exception):
    """Somebody else is telling the same receivers."""


@dataclass(slots=True)
class Report:
    """What came of telling: receivers told, receivers that failed, and announcements of the call still open."""

    told: int = 0
    failed: int = 0
    left: int = 0


def tell_call(call_pk: int) -> Report:
    """Call every receiver that has not been told of this call yet and is due, in order, and return what came of it.

    Any number of processes may do so at once. A receiver that failed is due when its pause is over. Raises a
    ``DatabaseError`` when the database keeps nothing, ``RuntimeError`` inside somebody else's transaction.
    """
    using = router.db_for_write(CallRecord)
    report = Report()
    with suppress(_Busy):
        for pk in _open(call_pk, using):
            for fate in _Round(pk, using):
                report.told += fate["told"]
                report.failed += not fate["told"]
    report.left = commit(partial(_plan, call_pk, using), using=using)
    return report


def take_up(announcement_pk: int) -> int:
    """Make an announcement due now, also one that was given up, and the open ones before it; return their call's key.

    What somebody is telling right now is left to them. Raises ``Announcement.DoesNotExist``, and as :func:`tell_call`.
    """
    using = router.db_for_write(CallRecord)
    return commit(partial(_take_up, announcement_pk, using), using=using)


def _open(call_pk: int, using: str) -> Iterator[int]:
    """Yield the open announcements in order, also those that are made meanwhile."""
    pk: int | None = 0
    while True:
        later = Announcement.objects.using(using).filter(call=call_pk, pk__gt=pk, next_try_at__isnull=False)
        pk = later.order_by("pk").values_list("pk", flat=True).first()
        if pk is None:
            return
        yield pk


def _lock(rows: QuerySet[Announcement]) -> QuerySet[Announcement]:
    """Return those of the rows that nobody else has locked, locked for this transaction before anything is read."""
    features = connections[rows.db].features
    if not features.has_select_for_update:
        rows.update(key=F("key"))
    return rows.select_for_update(skip_locked=features.has_select_for_update_skip_locked).order_by("pk")


class _Round:
    """One go at an announcement: each of its receivers that is due is called once."""

    def __init__(self, pk: int, using: str) -> None:
        self._pk = pk
        self._using = using
        self._tried: set[str] = set()
        self._is_due = False
        self._called: Fate | None = None

    def __iter__(self) -> Iterator[Fate]:
        """Yield the fate of each receiver that was called, once it is committed."""
        while True:
            try:
                fate = commit(self._tell_next, using=self._using)
            except DatabaseFailure as error:
                fate = self._called
                if fate is None:
                    raise
                if fate["told"]:  # what it wrote was refused when it was to be committed, or the database went away
                    blame(fate, error)
                commit(partial(self._write_down, fate), using=self._using)
            if fate is None:
                return
            self._tried.add(fate["receiver"])
            yield fate

    def _tell_next(self) -> Fate | None:
        """Call the next receiver whose turn it is; None when there is none."""
        self._called = None
        announcement, now = self._locked(), timezone.now()
        if announcement is None:
            return None
        caller = Caller(announcement.call, announcement.event, self._using)
        live = caller.receivers(announcement)
        _find(announcement, live)
        ahead = self._ahead(announcement)
        fate = next((fate for fate in fates_of(announcement) if self._is_next(fate, ahead)), None)
        if fate is not None:
            self._called = fate
            caller.tell(announcement, fate, live[fate["receiver"]])
            if not fate["told"]:
                failed(announcement, fate, now)
        sum_up(announcement, ahead, now)
        announcement.save(using=self._using, update_fields=columns())
        return fate

    def _locked(self) -> Announcement | None:
        """Return the announcement, locked; None when nobody needs to be told any more."""
        announcement = _lock(Announcement.objects.using(self._using).filter(pk=self._pk)).first()
        if announcement is None:
            raise _Busy
        if announcement.next_try_at is None:
            return None
        # Not by following the keys: a router may send that to a replica, which does not have the news yet.
        announcement.call = CallRecord.objects.using(self._using).get(pk=announcement.call_id)
        if announcement.event_id is not None:
            announcement.event = CallEvent.objects.using(self._using).filter(pk=announcement.event_id).first()
        if announcement.signal == SignalName.CALL_ANSWERED and announcement.call.state == State.ENDED:
            announcement.state, announcement.next_try_at = AnnouncementState.SUPERSEDED, None
            announcement.save(using=self._using, update_fields=columns())
            return None
        if not self._tried:
            # The first that fails puts off the next round, not the rest of this one.
            self._is_due = announcement.next_try_at <= timezone.now()
        return announcement

    def _ahead(self, announcement: Announcement) -> Ahead:
        earlier = Announcement.objects.using(self._using).filter(
            call=announcement.call_id, pk__lt=self._pk, next_try_at__isnull=False
        )
        return Ahead(earlier.order_by("pk"))

    def _is_next(self, fate: Fate, ahead: Ahead) -> bool:
        is_due = self._is_due or not fate["attempts"]
        return is_open(fate) and is_due and fate["receiver"] not in self._tried and ahead.until(fate) is None

    def _write_down(self, lost: Fate) -> None:
        """Keep what became of a receiver that took its transaction with it."""
        announcement, now = self._locked(), timezone.now()
        if announcement is None:
            return
        live = Caller(announcement.call, announcement.event, self._using).receivers(announcement)
        _find(announcement, live)
        for fate in fates_of(announcement):
            if fate["receiver"] == lost["receiver"] and is_open(fate):
                fate.update(lost)
                failed(announcement, fate, now)
        sum_up(announcement, self._ahead(announcement), now)
        announcement.save(using=self._using, update_fields=columns())


def _find(announcement: Announcement, live: dict[str, Receiver]) -> None:
    """Find out who is to be told where nobody has yet, and give up those who are not connected any more."""
    if not announcement.receivers:
        announcement.receivers = [new_fate(identity) for identity in live]
    for fate in fates_of(announcement):
        if is_open(fate) and fate["receiver"] not in live:
            fate["given_up"] = True
            fate["error"] = _("No such receiver is connected any more. Connect it again, then try now.")


def _plan(call_pk: int, using: str) -> int:
    """Have the call looked after when the first of its open announcements is due; return how many there are."""
    call = lock_first(CallRecord.objects.using(using).filter(pk=call_pk))
    if call is None:  # deleted meanwhile
        return 0
    open_rows = Announcement.objects.using(using).filter(call=call_pk, next_try_at__isnull=False)
    due: list[datetime.datetime] = [moment for moment in open_rows.values_list("next_try_at", flat=True) if moment]
    _replan(call, min(due, default=None), using)
    return len(due)


def _replan(call: CallRecord, moment: datetime.datetime | None, using: str) -> None:
    call.announce_at = moment
    call.plan()
    call.save(using=using, update_fields=["announce_at", "next_check_at"])


def _take_up(announcement_pk: int, using: str) -> int:
    call_pk = Announcement.objects.using(using).values_list("call", flat=True).get(pk=announcement_pk)
    call = lock_first(CallRecord.objects.using(using).filter(pk=call_pk))
    rows = Announcement.objects.using(using).filter(call=call_pk, pk__lte=announcement_pk)
    unfinished = Q(state__in=[AnnouncementState.PENDING, AnnouncementState.FAILED])
    now = timezone.now()
    for row in _lock(rows.filter(Q(next_try_at__isnull=False) | Q(pk=announcement_pk)).filter(unfinished)):
        for fate in fates_of(row):
            if row.pk == announcement_pk and fate["given_up"]:
                fate["given_up"], fate["attempts"] = False, 0
        row.next_try_at = now
        row.save(using=using, update_fields=columns())
    if call is not None:
        _replan(call, now, using)
    return int(call_pk)
