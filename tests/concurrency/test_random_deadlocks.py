"""Receivers of different calls, and the host, write into the same tickets in opposite order: random deadlocks."""

from __future__ import annotations

import itertools
import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from django.db import OperationalError, connection, transaction

from django_exotel_ccm.choices import AnnouncementState, EventKind, State
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services.reconciliation.reconcile import reconcile
from django_exotel_ccm.services.replay import replay
from tests.concurrency import deadlocking_receivers
from tests.concurrency.callbacks import accepted, callbacks_of
from tests.concurrency.clients import deliver_all
from tests.concurrency.web_process import Web, web
from tests.helpdesk.models import Ticket
from tests.services.reconciliation.due_calls import make_due

pytestmark = pytest.mark.not_on_sqlite("its transactions wait for the whole file, so no two wait for each other")

logger = logging.getLogger("tests.concurrency")

CLIENTS = 16
CALLS = 8
PASSES = 6


@pytest.fixture(autouse=True)
def connected_receivers(transactional_db: None) -> Iterator[None]:
    """Connect the deadlocking receivers in this process too."""
    deadlocking_receivers.listen()
    yield
    deadlocking_receivers.silence()


@pytest.fixture
def short_lock_timeout(transactional_db: None) -> Iterator[None]:
    """In new connections, PostgreSQL looks for deadlocks after 10 ms."""
    if connection.vendor != "postgresql":
        yield
        return
    name = connection.ops.quote_name(connection.settings_dict["NAME"])
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '10ms'")
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} RESET deadlock_timeout")


@pytest.fixture
def deadlocking_servers(short_lock_timeout: None) -> Iterator[list[Web]]:
    """Two web servers whose receiver writes into two tickets."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(web(TEST_RECEIVERS="tests.concurrency.deadlocking_receivers")) for _number in range(2)
        ]


@pytest.fixture
def pair(deadlocking_servers: list[Web]) -> list[Ticket]:
    """Two tickets, each of which names the other."""
    pair = [Ticket.objects.create(subject="") for _number in range(2)]
    for ticket, other in (pair, reversed(pair)):
        Ticket.objects.filter(pk=ticket.pk).update(subject=str(other.pk))
    return pair


@pytest.fixture
def host_works(pair: list[Ticket]) -> Iterator[list[str]]:
    """The host writes into both tickets and many others all the time, in either order; yields its failures."""
    rows = [Ticket.objects.create(subject="0").pk for _number in range(40)]
    stop, failures = threading.Event(), []

    def work() -> None:
        for number in itertools.count():
            order = pair if number % 2 else pair[::-1]
            try:
                with transaction.atomic():
                    Ticket.objects.filter(pk__in=rows).update(team=f"{number}")
                    for ticket in order:
                        Ticket.objects.filter(pk=ticket.pk).update(team=f"{number}")
            except OperationalError as error:
                failures.append(str(error))
            if stop.wait(0.01):
                break
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    yield failures
    stop.set()
    thread.join(20)
    assert not thread.is_alive()


def test_tickets_written_in_opposite_order(
    deadlocking_servers: list[Web], pair: list[Ticket], host_works: list[str]
) -> None:
    calls = [accepted(f"sid{number}", pair[number % 2]) for number in range(CALLS)]
    callbacks = list(itertools.chain.from_iterable(callbacks_of(call, f"sid{n}") for n, call in enumerate(calls)))
    before = deadlocking_receivers.deadlocks()

    statuses = deliver_all([one.url for one in deadlocking_servers], callbacks * 2, clients=CLIENTS)

    assert set(statuses.all()) <= {200, 503}, Counter(statuses.all())
    stored = Counter(bytes(event.raw) for event in CallEvent.objects.filter(kind=EventKind.CALLBACK))
    assert {callback.body for callback in statuses.stored()} <= set(stored)
    assert set(stored.values()) == {1}
    assert_tickets_are_as_announced(pair)  # also while failed receivers wait for a retry
    for _pass in range(PASSES):
        make_due()
        reconcile()

    met = deadlocking_receivers.deadlocks() - before
    logger.info("answers: %s; %d deadlocks, %d lost by the host", Counter(statuses.all()), met, len(host_works))
    assert met
    assert not CallRecord.objects.exclude(announce_at=None).exists()
    assert_tickets_are_as_announced(pair)
    for call in CallRecord.objects.all():
        assert (call.state, call.outcome, call.talk_time) == (State.ENDED, "completed", 141)
    assert not [differences for _looked, differences in replay(CallRecord.objects.all(), apply=False) if differences]


def assert_tickets_are_as_announced(pair: list[Ticket]) -> None:
    """Assert that both tickets name each delivered announcement once."""
    delivered = Announcement.objects.filter(state=AnnouncementState.DONE).select_related("call")
    marked = Counter(f"{row.call.call_sid}:{row.signal}" for row in delivered)
    for ticket in pair:
        ticket.refresh_from_db()
        assert Counter(ticket.notes.split()) == marked
    once = [f"{call.call_sid}:{name}" for call in CallRecord.objects.all() for name in ("call_accepted", "call_ended")]
    assert {marked[name] for name in once} <= {0, 1}
