"""The life of a call, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from django.utils import timezone
from helpdesk.models import Status, Ticket

from demo.console import say
from demo.ending import nap
from django_exotel_ccm.models import CallRecord


class Source(Protocol):
    """Where news of the call come from."""

    def news(self) -> Iterator[str]:
        """Yield what has happened since the last time, a line each."""


class Stopwatch:
    """Prints lines with the seconds since the press."""

    def __init__(self, call: CallRecord) -> None:
        self._pressed_at = call.created_at

    @property
    def seconds(self) -> float:
        """Seconds since the press."""
        return (timezone.now() - self._pressed_at).total_seconds()

    def say(self, line: str) -> None:
        """Print a line with its time."""
        say(f"  {self.seconds:5.1f} s  {line}")


class Ledger:
    """What Exotel told the helpdesk, read from the call's own history."""

    def __init__(self, call: CallRecord) -> None:
        self._call = call
        self._told = 0

    def news(self) -> Iterator[str]:
        """Yield each event that came in."""
        for event in self._call.events.filter(pk__gt=self._told).order_by("pk"):
            self._told = event.pk
            yield f"Exotel says: {event.event or event.verdict} ({event.get_kind_display()})."


class OnTicket:
    """What the ticket says, whenever it says something new.

    Whoever watches reads the ticket before the other sources: then causes are printed before their effects.
    """

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket
        self._status = ticket.status

    @property
    def is_quiet(self) -> bool:
        """Whether nobody is on the phone about the ticket."""
        return self._status != Status.ON_THE_PHONE

    def news(self) -> Iterator[str]:
        """Yield the ticket's status when it has changed."""
        if self._ticket.status != self._status:
            self._status = self._ticket.status
            yield f'The ticket changes to "{self._ticket.get_status_display()}".'


def print_news(watch: Stopwatch, *sources: Source) -> None:
    """Print what is new, then wait a moment."""
    for source in sources:
        for line in source.news():
            watch.say(line)
    nap()


def print_ticket(ticket: Ticket) -> None:
    """Print what the ticket says."""
    ticket.refresh_from_db()
    say("")
    say(f'The ticket "{ticket}" says: {ticket.get_status_display()}.')
    note = ticket.comments.order_by("pk").last()
    if note is not None:
        say(f"  {note.text}")
