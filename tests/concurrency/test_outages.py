"""The database server is killed under load and restarted: what was acknowledged is stored, and work continues."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import Error, connection
from django.utils import timezone

from django_exotel_ccm.choices import EventKind, State
from django_exotel_ccm.models import Agent, CallEvent, CallRecord, ExoPhone
from django_exotel_ccm.services import place_call, placing
from django_exotel_ccm.services.reconciliation.reconcile import reconcile
from django_exotel_ccm.simulator import Simulator
from tests.concurrency.callbacks import callback, deliver_the_rest
from tests.concurrency.clients import Callback, Client, Statuses, deliver_all
from tests.concurrency.web_process import Web, web
from tests.conftest import AGENT, EXOPHONE
from tests.crashes import ticket_receivers
from tests.helpdesk.models import Customer, Ticket
from tests.servers.outages import Server, moved_to, server
from tests.services.reconciliation.due_calls import end_calls, make_due
from tests.subprocesses import child

pytestmark = [
    pytest.mark.not_on_sqlite("there is no server that could be away"),
    # PyMySQL leaves the socket of a connection that failed to the garbage collector, which is called below.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"),
]

logger = logging.getLogger("tests.concurrency")

CLIENTS = 8
CALLBACKS = 300
BEFORE = 100  # callbacks that were acknowledged when the server is cut off
AWAY_FOR = 1.0  # seconds
UNTIL_STORED = 1000  # tries; the outage is shorter


@pytest.fixture(scope="module")
def migrated() -> Iterator[Server]:
    """A durable server like the tests' own, with our tables."""
    with server(connection.vendor) as running:
        with child("-m", "django", "migrate", "-v0", **running.environment) as process:
            text, _errors = process.communicate(timeout=120)
            assert process.returncode == 0, text
        yield running


@pytest.fixture
def running(migrated: Server, transactional_db: None, caplog: pytest.LogCaptureFixture) -> Iterator[Server]:
    """The server, empty and up; everything here works on it."""
    with moved_to(migrated):
        yield migrated
        if migrated.process.poll() is not None:
            migrated.restore()
        reconnect()
        for model in (CallRecord, CallEvent, Agent, ExoPhone, Ticket, Customer):
            model.objects.all().delete()
    # What was logged holds failed connections, and PyMySQL leaves their sockets to the garbage collector.
    caplog.get_records("call").clear()
    gc.collect()


@pytest.fixture
def host_server(running: Server, settings: Any) -> Iterator[Web]:
    """A web server of the host whose connections to the database stay open; calls are reported to it."""
    with web(**running.environment) as one:
        settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CALLBACK_BASE_URL": one.url}
        yield one


def reconnect() -> None:
    """Close this process's connection, so that the next query opens a new one."""
    connection.close()


@pytest.fixture
def callbacks(host_server: Web) -> list[Callback]:
    """One callback for each of many calls, each about a ticket of its own."""
    tickets = Ticket.objects.bulk_create([Ticket(subject="Fan") for _number in range(CALLBACKS)])
    now = timezone.now()
    calls = CallRecord.objects.bulk_create(
        [CallRecord(account="default", created_at=now, custom_field=f"ticket_{one.pk}") for one in tickets]
    )
    return [callback(call, f"sid-{call.pk}", "terminal") for call in calls]


def stored() -> Counter[str]:
    """Return how many callbacks of each call are stored."""
    reconnect()
    return Counter(map(str, CallEvent.objects.filter(kind=EventKind.CALLBACK).values_list("reference", flat=True)))


@dataclass
class CutOffServer(Statuses):
    """Kills the server once ``BEFORE`` callbacks are acknowledged, and restarts it after ``AWAY_FOR`` seconds."""

    running: Server | None = None
    acknowledged: set[Callback] = field(default_factory=set)
    survived: Counter[str] = field(default_factory=Counter)

    def note(self, callback: Callback, status: int | None) -> None:
        """Record a status; callbacks acknowledged before the cut must be stored after it."""
        super().note(callback, status)
        assert self.running is not None
        with self.lock:
            if self.acknowledged or len(self.stored()) < BEFORE:
                return
            self.acknowledged = self.stored()
            self.running.cut()  # no client begins another callback before the server is gone
        time.sleep(AWAY_FOR)
        self.running.restore()
        self.survived = stored()
        connection.close()


def test_no_acknowledged_callback_is_lost(running: Server, host_server: Web, callbacks: list[Callback]) -> None:
    statuses = CutOffServer(running=running)
    deliver_all([host_server.url], callbacks, clients=CLIENTS, tries=UNTIL_STORED, statuses=statuses)

    assert len(statuses.acknowledged) >= BEFORE
    assert {one.reference for one in statuses.acknowledged} <= set(statuses.survived)
    assert statuses.stored() == set(callbacks)
    assert stored() == {one.reference: 1 for one in callbacks}
    answers = Counter(statuses.all())
    assert set(answers) == {200, 503}
    logger.info("%d acknowledged before the cut; answers: %s", len(statuses.acknowledged), dict(answers))
    deliver_the_rest()
    assert set(CallRecord.objects.values_list("state", flat=True)) == {State.ENDED}
    assert {tuple(ticket_receivers.of(ticket)) for ticket in Ticket.objects.all()} == {("call_accepted", "call_ended")}
    assert host_server.process.poll() is None


def test_first_callback_after_an_outage(running: Server, host_server: Web, callbacks: list[Callback]) -> None:
    """The open connection is dead; the first callback afterwards is stored all the same."""
    client = Client(host_server.url)
    assert client.deliver(callbacks[0]) == 200
    running.cut()
    running.restore()

    assert client.deliver(callbacks[1]) == 200
    client.close()

    assert stored() == {one.reference: 1 for one in callbacks[:2]}


# Placing.


@pytest.fixture
def place(running: Server) -> Callable[[], CallRecord]:
    """Place a call about a ticket."""
    agent = Agent.objects.create(name="Asha", contact_uri=AGENT)
    ExoPhone.objects.create(number=EXOPHONE, is_default=True)
    customer = Customer.objects.create(name="Ravi", phone="+919000001001")
    ticket = Ticket.objects.create(subject="Fan", customer=customer)
    return lambda: place_call(agent=agent, ticket=ticket, recording=True)


def posts(exotel: Simulator) -> int:
    return sum(request.method == "POST" for request in exotel.book.requests)


def test_nothing_is_dialled_without_a_record(
    running: Server, place: Callable[[], CallRecord], exotel_simulator: Simulator
) -> None:
    running.cut()
    with pytest.raises(Error):
        place()
    assert posts(exotel_simulator) == 0

    running.restore()
    reconnect()
    assert not CallRecord.objects.exists()
    assert place().state == State.ACTIVE
    assert posts(exotel_simulator) == 1


def test_answer_is_saved_after_an_outage(
    running: Server, place: Callable[[], CallRecord], exotel_simulator: Simulator
) -> None:
    back: list[threading.Thread] = []

    def cut(body: Any) -> None:
        running.cut()
        back.append(threading.Timer(AWAY_FOR, running.restore))
        back[0].start()

    exotel_simulator.on_call = cut
    call = place()
    back[0].join()

    reconnect()
    record = CallRecord.objects.get()
    assert (call.state, call.call_sid) == (State.ACTIVE, record.call_sid)
    assert list(exotel_simulator.book.calls) == [record.call_sid]
    assert (record.state, posts(exotel_simulator)) == (State.ACTIVE, 1)


def test_unsaved_answer_is_recovered_by_later_events(
    running: Server,
    place: Callable[[], CallRecord],
    host_server: Web,
    exotel_simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(placing, "SAVE_FOR", 0.5)  # seconds
    exotel_simulator.speed = 1.0
    exotel_simulator.on_call = lambda body: running.cut()

    call = place()

    (sid,) = exotel_simulator.book.calls
    assert (call.state, call.call_sid) == (State.ACTIVE, sid)
    assert f"The answer for call {call.reference} (sid {sid}) could not be saved." in caplog.text
    running.restore()
    reconnect()
    assert CallRecord.objects.get().state == State.REQUESTED
    make_due()
    reconcile()
    assert CallRecord.objects.get().state == State.UNCONFIRMED

    end_calls(exotel_simulator)

    record = CallRecord.objects.get()
    assert (record.state, record.outcome, record.talk_time, record.call_sid) == (State.ENDED, "completed", 42, sid)
    assert sorted(ticket_receivers.of(Ticket.objects.get())) == [
        "call_accepted",
        "call_answered",
        "call_ended",
        "recording_ready",
    ]
    assert posts(exotel_simulator) == 1
