"""The host's receivers: each adds the signal's name to the ticket's notes, so that a repetition shows."""

from __future__ import annotations

from typing import Any

from django.db.models import Value
from django.db.models.functions import Concat

from django_exotel_ccm import signals
from django_exotel_ccm.choices import SignalName
from tests.helpdesk.models import Ticket

#: The signals on which the host's receiver fails, in this process.
broken: set[str] = set()


def listen() -> None:
    """Connect the host's receiver to every signal."""
    for name in SignalName.values:
        getattr(signals, name).connect(note, dispatch_uid="ticket_receivers", weak=False)


def silence() -> None:
    """Disconnect it again."""
    broken.clear()
    for name in SignalName.values:
        getattr(signals, name).disconnect(dispatch_uid="ticket_receivers")


def note(signal: Any, ticket: Ticket | None, **kwargs: Any) -> None:
    """Append the signal's name to the ticket's notes."""
    name = next(name for name in SignalName.values if getattr(signals, name) is signal)
    if name in broken:
        raise RuntimeError("a bug of the host")
    if ticket is not None:
        Ticket.objects.filter(pk=ticket.pk).update(notes=Concat("notes", Value(f"{name} ")))


def of(ticket: Ticket) -> list[str]:
    """Return the signals that the ticket got, in order."""
    return Ticket.objects.get(pk=ticket.pk).notes.split()
