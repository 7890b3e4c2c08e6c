"""What became of each receiver of an announcement, and what follows from it for the announcement."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from typing import Any, TypedDict, cast

from django_exotel_ccm.choices import AnnouncementState
from django_exotel_ccm.exotel.redacting import redact
from django_exotel_ccm.models import Announcement
from django_exotel_ccm.phone_numbers import mask

MINUTE = datetime.timedelta(minutes=1)
PAUSES = tuple(MINUTE * minutes for minutes in (1, 5, 15, 60, 180, 360))  # after each failure; the last for all further
MOST_ATTEMPTS = 17  # the last is about three days after the first


class Fate(TypedDict):
    """What became of one receiver of one announcement. ``error`` and ``traceback`` are those of its last failure."""

    receiver: str
    told: bool
    error: str
    traceback: str
    attempts: int
    given_up: bool


def new_fate(receiver: str) -> Fate:
    """Return the fate of a receiver that is still to be called."""
    return Fate(receiver=receiver, told=False, error="", traceback="", attempts=0, given_up=False)


def fates_of(announcement: Announcement) -> list[Fate]:
    """Return the fates that are kept with an announcement."""
    return cast("list[Fate]", announcement.receivers)


def is_open(fate: Fate) -> bool:
    """Say whether a receiver is still to be called, by itself."""
    return not (fate["told"] or fate["given_up"])


def attempts_of(announcement: Announcement) -> int:
    """Return how often the receiver that was called most often was called."""
    return max((fate["attempts"] for fate in fates_of(announcement)), default=0)


def change_texts(announcement: Announcement, change: Callable[[str], str]) -> None:
    """Change what the receivers of an announcement failed with; who they are stays."""
    for fate in fates_of(announcement):
        fate["error"], fate["traceback"] = change(fate["error"]), change(fate["traceback"])


class Ahead:
    """Receivers that still have to be told of an earlier announcement of the call, and when that is tried next.

    A receiver hears of a call in the order in which things happened.
    """

    def __init__(self, announcements: Iterable[Announcement] = (), *, until: datetime.datetime | None = None) -> None:
        self._until: dict[str, datetime.datetime] = {}
        self._everybody: datetime.datetime | None = None
        for announcement in announcements:
            self.add(announcement, until=until)

    def add(self, announcement: Announcement, *, until: datetime.datetime | None = None) -> None:
        """Have its open receivers wait until ``until``, by default until it is tried next."""
        moment = until or announcement.next_try_at
        if announcement.next_try_at is None or moment is None:
            return
        for fate in filter(is_open, fates_of(announcement)):
            self._until.setdefault(fate["receiver"], moment)
        if not announcement.receivers:  # who they are is found out when they are called
            self._everybody = self._everybody or moment

    def until(self, fate: Fate) -> datetime.datetime | None:
        """Return until when a receiver waits; None when it can be called."""
        return self._until.get(fate["receiver"], self._everybody)


def failed(announcement: Announcement, fate: Fate, now: datetime.datetime) -> None:
    """Plan the next call of a receiver that failed at ``now``, or give it up."""
    fate["given_up"] = fate["attempts"] >= MOST_ATTEMPTS
    if not fate["given_up"]:
        announcement.next_try_at = now + PAUSES[min(fate["attempts"], len(PAUSES)) - 1]


def sum_up(announcement: Announcement, ahead: Ahead, now: datetime.datetime) -> None:
    """Set the state of an announcement after its receivers' fates, and when it is looked at next."""
    fates = fates_of(announcement)
    if announcement.call.erased_at is not None:
        # The host's ticket may still have the number, and its receivers quote it.
        change_texts(announcement, lambda text: redact(mask(text)))
    left = list(filter(is_open, fates))
    failing = any(fate["attempts"] for fate in left)
    waits = [ahead.until(fate) for fate in left]
    if not left:
        announcement.next_try_at = None
    elif not failing or (all(waits) and announcement.next_try_at is not None and announcement.next_try_at <= now):
        # Also of one that failed and is due, but waits again: what is ahead of it was given up, and taken up since.
        announcement.next_try_at = min(wait or now for wait in waits)
    if all(fate["told"] for fate in fates):
        announcement.state = AnnouncementState.DONE
    elif failing or any(fate["given_up"] for fate in fates):
        announcement.state = AnnouncementState.FAILED
    else:
        announcement.state = AnnouncementState.PENDING


def columns() -> list[Any]:
    """Return the names of the columns that :func:`sum_up` and a receiver's call change."""
    return ["state", "receivers", "next_try_at"]
