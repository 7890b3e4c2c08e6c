"""What a host does with announcements that invites deadlocks: it notes each in two tickets, its own first."""

from __future__ import annotations

import time
from typing import Any

from django.db import connection
from django.db.models import Value
from django.db.models.functions import Concat

from django_exotel_ccm import signals
from django_exotel_ccm.choices import SignalName
from tests.helpdesk.models import Ticket

BETWEEN = 0.01  # seconds from the first ticket to the second


def listen() -> None:
    """Connect the host's receiver to every signal."""
    for name in SignalName.values:
        getattr(signals, name).connect(note, dispatch_uid="deadlocking_receivers", weak=False)


def silence() -> None:
    """Disconnect it again."""
    for name in SignalName.values:
        getattr(signals, name).disconnect(dispatch_uid="deadlocking_receivers")


def note(signal: Any, call: Any, ticket: Ticket, **kwargs: Any) -> None:
    """Write down in the ticket, then in its neighbour, which signal of which call this is."""
    name = next(name for name in SignalName.values if getattr(signals, name) is signal)
    for pk in (ticket.pk, neighbour_of(ticket)):
        Ticket.objects.filter(pk=pk).update(notes=Concat("notes", Value(f"{call.call_sid}:{name} ")))
        time.sleep(BETWEEN)


def neighbour_of(ticket: Ticket) -> int:
    """Return the key of the other ticket: tickets come in pairs, each naming the other."""
    return int(ticket.subject)


def deadlocks() -> int:
    """Return how many deadlocks the server has resolved so far."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute("SELECT sum(deadlocks) FROM pg_stat_database")
            return int(cursor.fetchone()[0])
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")
        return int(cursor.fetchone()[1])
