"""Delivers what is pending: in a worker, in ``exotel_reconcile``, or when an admin presses "Try now".

Each receiver is called in its own transaction, which also stores that it was called. That transaction locks the
announcement and not the call, so a slow receiver delays no callback. If the row is locked, skip it: another process
delivers it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from django.db import Error as DatabaseFailure
from django.db import connections, router
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from django_exotel_ccm.choices import AnnouncementState, SignalName, State
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.models.announcement import Delivery
from django_exotel_ccm.services.announcements.deliveries import (
    UPDATED_FIELDS,
    Dispatcher,
    EarlierPending,
    Receiver,
    is_pending,
    new_delivery,
    record_failure,
    schedule_retry,
    update_status,
)
from django_exotel_ccm.services.transactions import run_durably


class _Locked(Exception):
    """Another process is delivering the same announcement."""


@dataclass(slots=True)
class Report:
    """Deliveries that succeeded, deliveries that failed, and the call's announcements that are still pending."""

    delivered: int = 0
    failed: int = 0
    pending: int = 0


def deliver_pending(call_pk: int) -> Report:
    """Call, in order, every receiver with a pending delivery about this call that is due, and return the counts.

    Any number of processes may do so at the same time. A delivery that failed is due when its delay is over. Raises
    a ``DatabaseError`` if the database stores nothing, ``RuntimeError`` inside somebody else's transaction.
    """
    using = router.db_for_write(CallRecord)
    report = Report()
    with suppress(_Locked):
        for pk in _pending(call_pk, using):
            for delivery in _DeliveryRun(pk, using):
                report.delivered += delivery["delivered"]
                report.failed += not delivery["delivered"]
    report.pending = run_durably(partial(_update_plan, call_pk, using), using=using)
    return report


def retry_now(announcement_pk: int) -> int:
    """Make an announcement due now, also an abandoned one, and the pending ones before it; return their call's key.

    Announcements that another process is delivering are skipped. Raises ``Announcement.DoesNotExist``, and as
    :func:`deliver_pending`.
    """
    using = router.db_for_write(CallRecord)
    return run_durably(partial(_retry_now, announcement_pk, using), using=using)


def _pending(call_pk: int, using: str) -> Iterator[int]:
    """Yield the pending announcements in order, also those that are added meanwhile."""
    pk: int | None = 0
    while True:
        later = Announcement.objects.using(using).filter(call=call_pk, pk__gt=pk, next_try_at__isnull=False)
        pk = later.order_by("pk").values_list("pk", flat=True).first()
        if pk is None:
            return
        yield pk


def _lock(rows: QuerySet[Announcement]) -> QuerySet[Announcement]:
    """Lock the rows for this transaction, and return those that nobody else has locked."""
    skip_locked = connections[rows.db].features.has_select_for_update_skip_locked
    return rows.select_for_update(skip_locked=skip_locked).order_by("pk")


class _DeliveryRun:
    """One run over an announcement: each of its receivers that is due is called once."""

    def __init__(self, pk: int, using: str) -> None:
        self._pk = pk
        self._using = using
        self._called: set[str] = set()
        self._is_due = False
        self._is_finished = False
        self._current: Delivery | None = None

    def __iter__(self) -> Iterator[Delivery]:
        """Yield each delivery once it is committed."""
        while not self._is_finished and (delivery := self._next()) is not None:
            self._called.add(delivery["receiver"])
            yield delivery

    def _next(self) -> Delivery | None:
        try:
            return run_durably(self._deliver_next, using=self._using)
        except DatabaseFailure as error:
            failed = self._current
            if failed is None:
                raise
            if failed["delivered"]:  # the commit refused what the receiver wrote, or the database went away
                record_failure(failed, error)
            run_durably(partial(self._store_failure, failed), using=self._using)
            return failed

    def _deliver_next(self) -> Delivery | None:
        """Call the next receiver that is due; return None if there is none."""
        self._current = None
        announcement = self._locked()
        if announcement is None:
            return None
        dispatcher = Dispatcher(announcement.call, announcement.event, self._using)
        receivers = dispatcher.receivers(announcement)
        _match(announcement, receivers)
        earlier = self._earlier(announcement)
        delivery = next((one for one in announcement.receivers if self._is_next(one, earlier)), None)
        if delivery is not None:
            self._current = delivery
            dispatcher.deliver(announcement, delivery, receivers[delivery["receiver"]])
        self._save(announcement, earlier)
        others = [one for one in announcement.receivers if one is not delivery]
        self._is_finished = not any(self._is_next(one, earlier) for one in others)
        return delivery

    def _store_failure(self, failed: Delivery) -> None:
        """Store the failure of a receiver whose transaction was undone."""
        announcement = self._locked()
        if announcement is None:
            return
        _match(announcement, Dispatcher(announcement.call, announcement.event, self._using).receivers(announcement))
        for delivery in announcement.receivers:
            if delivery["receiver"] == failed["receiver"] and is_pending(delivery):
                delivery.update(failed)
                schedule_retry(announcement, delivery, timezone.now())
        self._save(announcement, self._earlier(announcement))

    def _locked(self) -> Announcement | None:
        """Return the announcement, locked; None if nothing of it is pending any more."""
        announcement = _lock(Announcement.objects.using(self._using).filter(pk=self._pk)).first()
        if announcement is None:
            raise _Locked
        if announcement.next_try_at is None:
            return None
        # Following the foreign keys could read from a replica, which lags behind.
        announcement.call = CallRecord.objects.using(self._using).get(pk=announcement.call_id)
        if announcement.event_id is not None:
            announcement.event = CallEvent.objects.using(self._using).filter(pk=announcement.event_id).first()
        if announcement.signal == SignalName.CALL_ANSWERED and announcement.call.state == State.ENDED:
            announcement.state, announcement.next_try_at = AnnouncementState.SUPERSEDED, None
            announcement.save(using=self._using, update_fields=UPDATED_FIELDS)
            return None
        if not self._called:
            # A failure in this run postpones the next run, not the rest of this one.
            self._is_due = announcement.next_try_at <= timezone.now()
        return announcement

    def _earlier(self, announcement: Announcement) -> EarlierPending:
        earlier = Announcement.objects.using(self._using).filter(
            call=announcement.call_id, pk__lt=self._pk, next_try_at__isnull=False
        )
        return EarlierPending(earlier.order_by("pk"))

    def _is_next(self, delivery: Delivery, earlier: EarlierPending) -> bool:
        return (
            is_pending(delivery)
            and (self._is_due or not delivery["attempts"])
            and delivery["receiver"] not in self._called
            and earlier.blocked_until(delivery) is None
        )

    def _save(self, announcement: Announcement, earlier: EarlierPending) -> None:
        update_status(announcement, earlier, timezone.now())
        announcement.save(using=self._using, update_fields=UPDATED_FIELDS)


def _match(announcement: Announcement, receivers: dict[str, Receiver]) -> None:
    """Look up the receivers if that was not done yet, and abandon deliveries to receivers that were disconnected."""
    if not announcement.receivers:
        announcement.receivers = [new_delivery(identity) for identity in receivers]
    for delivery in announcement.receivers:
        if is_pending(delivery) and delivery["receiver"] not in receivers:
            delivery["abandoned"] = True
            delivery["error"] = _("No such receiver is connected any more. Connect it again, then try now.")


def _update_plan(call_pk: int, using: str) -> int:
    """Have the call looked at when the first of its pending announcements is due; return how many are pending."""
    call = CallRecord.objects.using(using).filter(pk=call_pk).first_for_update()
    if call is None:  # deleted meanwhile
        return 0
    rows = Announcement.objects.using(using).filter(call=call_pk, next_try_at__isnull=False)
    due: list[datetime.datetime] = [moment for moment in rows.values_list("next_try_at", flat=True) if moment]
    _save_plan(call, min(due, default=None), using)
    return len(due)


def _save_plan(call: CallRecord, moment: datetime.datetime | None, using: str) -> None:
    call.announce_at = moment
    call.update_next_check()
    call.save(using=using, update_fields=["announce_at", "next_check_at"])


def _retry_now(announcement_pk: int, using: str) -> int:
    call_pk = Announcement.objects.using(using).values_list("call", flat=True).get(pk=announcement_pk)
    call = CallRecord.objects.using(using).filter(pk=call_pk).first_for_update()
    rows = Announcement.objects.using(using).filter(call=call_pk, pk__lte=announcement_pk)
    unfinished = Q(state__in=[AnnouncementState.PENDING, AnnouncementState.FAILED])
    now = timezone.now()
    for row in _lock(rows.filter(Q(next_try_at__isnull=False) | Q(pk=announcement_pk)).filter(unfinished)):
        for delivery in row.receivers:
            if row.pk == announcement_pk and delivery["abandoned"]:
                delivery["abandoned"], delivery["attempts"] = False, 0
        row.next_try_at = now
        row.save(using=using, update_fields=UPDATED_FIELDS)
    if call is not None:
        _save_plan(call, now, using)
    return int(call_pk)
