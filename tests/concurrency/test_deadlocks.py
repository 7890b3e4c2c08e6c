"""A receiver that loses a deadlock against a larger transaction of the host: nothing acknowledged is lost."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.db.models import Value
from django.db.models.functions import Concat

from django_exotel_ccm import signals
from django_exotel_ccm.choices import AnnouncementState, State
from django_exotel_ccm.models import Announcement, CallEvent
from django_exotel_ccm.services.reconciliation.reconcile import reconcile
from tests.concurrency.callbacks import accepted, callback
from tests.concurrency.clients import Client, is_stored
from tests.crashes import ticket_receivers
from tests.helpdesk.models import Ticket
from tests.services.reconciliation.due_calls import make_due

pytestmark = pytest.mark.not_on_sqlite("its transactions wait for the whole file, so no two wait for each other")

HEAVY = 60  # rows; InnoDB drops the transaction that has written less
PASSES = 4
WAITING = {
    "postgresql": "SELECT count(*) FROM pg_locks WHERE NOT granted",
    "mysql": "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
}


@dataclass
class Meeting:
    """Two transactions on their way to a deadlock: the host holds what the receiver wants, and then the reverse."""

    holds: threading.Event = field(default_factory=threading.Event)
    wants: threading.Event = field(default_factory=threading.Event)


class Host:
    """Transactions of the host: each locks the second ticket and many more, then wants the first."""

    def __init__(self, first: Ticket, second: Ticket, rows: list[Ticket]) -> None:
        self._first, self._others = first, [second.pk, *(row.pk for row in rows)]
        self.meetings: queue.SimpleQueue[Meeting | None] = queue.SimpleQueue()
        self.committed = 0

    def run(self) -> None:
        """Run a transaction for each meeting, until None is queued."""
        try:
            while meeting := self.meetings.get():
                self._transaction(meeting)
                self.committed += 1
        finally:
            connection.close()

    def _transaction(self, meeting: Meeting) -> None:
        with transaction.atomic():
            Ticket.objects.filter(pk__in=self._others).update(team=f"host {self.committed}")
            meeting.holds.set()
            assert meeting.wants.wait(20)
            Ticket.objects.filter(pk=self._first.pk).update(team="host")


class Receiver:
    """Writes into both tickets; the first ``deadlocks`` times it meets the host's transaction between them."""

    def __init__(self, host: Host, tickets: tuple[Ticket, Ticket], deadlocks: int, handling: str) -> None:
        self._host, self._tickets, self._left, self._handling = host, tickets, deadlocks, handling
        self.errors: list[str] = []

    def __call__(self, **kwargs: Any) -> None:
        first, second = self._tickets
        if not self._left:
            note(first)
            note(second)
            return
        self._left -= 1
        meeting = Meeting()
        self._host.meetings.put(meeting)
        assert meeting.holds.wait(20)
        note(first)
        meeting.wants.set()
        try:
            with transaction.atomic() if self._handling == "swallows in a block" else nullcontext():
                write_into_held(second)
        except OperationalError as error:
            self.errors.append(str(error))
            if self._handling == "raises":
                raise


def note(ticket: Ticket) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(notes=Concat("notes", Value("ended ")))


def write_into_held(ticket: Ticket) -> None:
    """Write into a ticket once the host waits for us; not through the ORM, which would remember the error."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING[connection.vendor])
        while not cursor.fetchone()[0]:
            time.sleep(0.15)  # MariaDB caches this view for a tenth of a second
            cursor.execute(WAITING[connection.vendor])
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL deadlock_timeout = '10ms'")  # shorter than the host's: this is the victim
        cursor.execute("UPDATE helpdesk_ticket SET notes = 'lost' WHERE id = %s", [ticket.pk])


@pytest.fixture
def tickets(transactional_db: None) -> tuple[Ticket, Ticket]:
    return Ticket.objects.create(subject="first"), Ticket.objects.create(subject="second")


@pytest.fixture
def host(tickets: tuple[Ticket, Ticket]) -> Iterator[Host]:
    rows = [Ticket.objects.create(subject=f"row {number}") for number in range(HEAVY)]
    host = Host(*tickets, rows)
    thread = threading.Thread(target=host.run)
    thread.start()
    yield host
    host.meetings.put(None)
    thread.join(20)
    assert not thread.is_alive()


HANDLING = ["raises", "swallows"]
if connection.vendor == "mysql":
    # Elsewhere that block alone is rolled back, and the receiver has dealt with it.
    HANDLING.append("swallows in a block")


@pytest.mark.parametrize(("deadlocks", "handling"), list(itertools.product([1, 3], HANDLING)))
def test_receiver_deadlocked_with_the_host(
    deadlocks: int,
    handling: str,
    host: Host,
    tickets: tuple[Ticket, Ticket],
    live_server: Any,
    receivers: Callable[..., None],
) -> None:
    receiver = Receiver(host, tickets, deadlocks, handling)
    receivers(signals.call_ended, receiver, dispatch_uid="deadlocked")
    own_ticket = Ticket.objects.create(subject="the call's")
    call = accepted("a-sid", own_ticket)
    message = callback(call, "a-sid", "terminal")

    client = Client(live_server.url)
    status = client.deliver(message)
    client.close()

    assert is_stored(status)
    assert [bytes(event.raw) for event in CallEvent.objects.filter(kind="callback")] == [message.body]
    call.refresh_from_db()
    assert call.state == State.ENDED
    assert notes(tickets) == (["ended ", "ended "] if is_delivered() else ["", ""])

    for _pass in range(PASSES):
        make_due()
        reconcile()

    assert len(receiver.errors) == deadlocks
    assert all("eadlock" in error for error in receiver.errors), receiver.errors
    assert is_delivered()
    assert notes(tickets) == ["ended ", "ended "]
    assert ticket_receivers.of(own_ticket) == ["call_accepted", "call_ended"]  # what the other receiver wrote
    assert host.committed == deadlocks


def is_delivered() -> bool:
    return Announcement.objects.get(signal="call_ended").state == AnnouncementState.DONE


def notes(tickets: tuple[Ticket, Ticket]) -> list[str]:
    return [Ticket.objects.get(pk=ticket.pk).notes for ticket in tickets]
