"""The deliveries of an announcement, one to each receiver: what is pending, and when it is tried next."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable

from django_exotel_ccm.choices import AnnouncementState
from django_exotel_ccm.exotel.redact import redact
from django_exotel_ccm.models import Announcement
from django_exotel_ccm.models.announcement import Delivery
from django_exotel_ccm.phone_numbers import mask

MINUTE = datetime.timedelta(minutes=1)
RETRY_DELAYS = tuple(MINUTE * minutes for minutes in (1, 5, 15, 60, 180, 360))  # the last one repeats
MAX_ATTEMPTS = 17  # the last is about three days after the first
UPDATED_FIELDS = ("state", "receivers", "next_try_at")
"""The columns that a delivery changes."""


def new_delivery(receiver: str) -> Delivery:
    """Return a pending delivery to a receiver that was not called yet."""
    return Delivery(receiver=receiver, delivered=False, error="", traceback="", attempts=0, abandoned=False)


def is_pending(delivery: Delivery) -> bool:
    """Return True if the receiver is still to be called."""
    return not (delivery["delivered"] or delivery["abandoned"])


def rewrite_errors(announcement: Announcement, rewrite: Callable[[str], str]) -> None:
    """Replace each stored error and traceback by what ``rewrite`` makes of it."""
    for delivery in announcement.receivers:
        delivery["error"], delivery["traceback"] = rewrite(delivery["error"]), rewrite(delivery["traceback"])


class EarlierPending:
    """The receivers with a pending delivery of an earlier announcement, and when that delivery is tried.

    Such a receiver is called for no later announcement: each receives a call's announcements in order.
    """

    def __init__(self, announcements: Iterable[Announcement] = (), *, until: datetime.datetime | None = None) -> None:
        self._until: dict[str, datetime.datetime] = {}
        self._all_until: datetime.datetime | None = None
        for announcement in announcements:
            self.add(announcement, until=until)

    def add(self, announcement: Announcement, *, until: datetime.datetime | None = None) -> None:
        """Block the receivers of its pending deliveries until ``until``, by default until its next try."""
        moment = until or announcement.next_try_at
        if announcement.next_try_at is None or moment is None:
            return
        for delivery in filter(is_pending, announcement.receivers):
            self._until.setdefault(delivery["receiver"], moment)
        if not announcement.receivers:  # its receivers are looked up when it is delivered
            self._all_until = self._all_until or moment

    def blocked_until(self, delivery: Delivery) -> datetime.datetime | None:
        """Return when the earlier delivery to this receiver is tried; None if there is none."""
        return self._until.get(delivery["receiver"], self._all_until)


def schedule_retry(announcement: Announcement, delivery: Delivery, now: datetime.datetime) -> None:
    """Plan the next try after a failure at ``now``, or abandon the delivery after the last attempt."""
    delivery["abandoned"] = delivery["attempts"] >= MAX_ATTEMPTS
    if not delivery["abandoned"]:
        announcement.next_try_at = now + RETRY_DELAYS[min(delivery["attempts"], len(RETRY_DELAYS)) - 1]


def update_status(announcement: Announcement, earlier: EarlierPending, now: datetime.datetime) -> None:
    """Set ``state`` and ``next_try_at`` of an announcement from its deliveries."""
    if announcement.call.erased_at is not None:
        # The host's ticket may still have the number, and an error may quote it.
        rewrite_errors(announcement, lambda text: redact(mask(text)))
    deliveries = announcement.receivers
    pending = list(filter(is_pending, deliveries))
    failing = any(delivery["attempts"] for delivery in pending)
    blocked = [earlier.blocked_until(delivery) for delivery in pending]
    if not pending:
        announcement.next_try_at = None
    elif not failing or (all(blocked) and announcement.next_try_at is not None and announcement.next_try_at <= now):
        # A failed delivery can be due and still blocked, because an admin retried an earlier announcement.
        announcement.next_try_at = min(moment or now for moment in blocked)
    if all(delivery["delivered"] for delivery in deliveries):
        announcement.state = AnnouncementState.DONE
    elif failing or any(delivery["abandoned"] for delivery in deliveries):
        announcement.state = AnnouncementState.FAILED
    else:
        announcement.state = AnnouncementState.PENDING
