"""A lock that is held for longer than the database waits: 503, and the next attempt is stored."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F

from django_exotel_ccm.choices import AnnouncementState, EventKind, State
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services.reconciliation.reconcile import reconcile
from tests.concurrency.callbacks import accepted, callback
from tests.concurrency.clients import Callback, Client
from tests.crashes import ticket_receivers
from tests.helpdesk.models import Ticket
from tests.services.reconciliation.due_calls import make_due

SETTINGS = {
    "postgresql": ("ALTER DATABASE {} SET lock_timeout = '100ms'", "ALTER DATABASE {} RESET lock_timeout"),
    # The shortest there is.
    "mysql": ("SET GLOBAL innodb_lock_wait_timeout = 1", "SET GLOBAL innodb_lock_wait_timeout = 50"),
}


@pytest.fixture
def short_lock_timeout(transactional_db: None) -> Iterator[None]:
    """New connections wait for a lock for a moment only."""
    if connection.vendor == "sqlite":
        options = connection.settings_dict["OPTIONS"]
        usual, options["timeout"] = options["timeout"], 0.1
        yield
        options["timeout"] = usual
        return
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    shorten, restore = (statement.format(name) for statement in SETTINGS[connection.vendor])
    with connection.cursor() as cursor:
        cursor.execute(shorten)
    yield
    with connection.cursor() as cursor:
        cursor.execute(restore)


@pytest.fixture
def ticket(transactional_db: None) -> Ticket:
    return Ticket.objects.create(subject="Broken fan")


@pytest.fixture
def deliver(short_lock_timeout: None, live_server: Any) -> Iterator[Callable[[Callback], int | None]]:
    """Deliver to this process's server, whose connections have the short timeout."""
    client = Client(live_server.url)
    yield client.deliver
    client.close()


@contextmanager
def locked(row: CallRecord | Ticket, column: str) -> Iterator[None]:
    """Hold a lock on the row, in a transaction of the host that lasts as long as the block."""
    holds, leaves = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            type(row)._default_manager.filter(pk=row.pk).update(**{column: F(column)})
            holds.set()
            leaves.wait(30)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert holds.wait(10)
    try:
        yield
    finally:
        leaves.set()
        thread.join(10)


def test_locked_call_is_answered_503(deliver: Callable[[Callback], int | None], ticket: Ticket) -> None:
    call = accepted("a-sid", ticket)
    message = callback(call, "a-sid", "terminal")

    with locked(call, "account"):
        status = deliver(message)
        assert status == 503
    call.refresh_from_db()
    assert call.state == State.ACTIVE
    assert not CallEvent.objects.filter(kind=EventKind.CALLBACK).exists()
    assert ticket_receivers.of(ticket) == ["call_accepted"]

    assert deliver(message) == 200
    call.refresh_from_db()
    assert call.state == State.ENDED
    assert CallEvent.objects.filter(kind=EventKind.CALLBACK).count() == 1
    assert ticket_receivers.of(ticket) == ["call_accepted", "call_ended"]


@pytest.mark.not_on_sqlite("there the ticket's lock is the call's, too")
def test_locked_ticket_fails_its_receiver(deliver: Callable[[Callback], int | None], ticket: Ticket) -> None:
    call = accepted("a-sid", ticket)

    with locked(ticket, "subject"):
        assert deliver(callback(call, "a-sid", "terminal")) == 200
    call.refresh_from_db()
    assert call.state == State.ENDED
    announced = Announcement.objects.get(signal="call_ended")
    assert announced.state == AnnouncementState.FAILED
    assert ticket_receivers.of(ticket) == ["call_accepted"]

    make_due()
    reconcile()

    announced.refresh_from_db()
    assert announced.state == AnnouncementState.DONE
    assert ticket_receivers.of(ticket) == ["call_accepted", "call_ended"]
