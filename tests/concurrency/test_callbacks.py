"""Sixteen clients deliver equal and different callbacks of the same calls to two servers at once."""

from __future__ import annotations

import itertools
import logging
import random
from collections import Counter

import pytest

from django_exotel_ccm.choices import AnnouncementState, EventKind, EventReason, State
from django_exotel_ccm.lifecycle import join_events
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services.replay import replay
from tests.concurrency.callbacks import DETAILS, accepted, callbacks_of, deliver_the_rest
from tests.concurrency.clients import Callback, Statuses, deliver_all
from tests.concurrency.web_process import Web
from tests.crashes import ticket_receivers
from tests.helpdesk.models import Ticket

logger = logging.getLogger("tests.concurrency")

CLIENTS = 16
CALLS = 8
COPIES = 4
#: Registers that depend on times of receipt or on the call's sid; all others are equal in any order.
ITS_OWN = {"answered_seen", "ended_seen", "call_sids"}
SHOWN = ["state", "outcome", "started_at", "ended_at", "answered_at", "talk_time", "total_duration", "recording_url"]


@pytest.fixture
def tickets(servers: list[Web]) -> list[Ticket]:
    """Half as many tickets as calls: each has two calls."""
    return [Ticket.objects.create(subject=f"Ticket {number}") for number in range(CALLS // 2)]


@pytest.fixture
def calls(tickets: list[Ticket]) -> list[CallRecord]:
    return [accepted(f"sid-{number}", ticket) for number, ticket in enumerate([*tickets, *tickets])]


def events_of(callback: Callback) -> list[CallEvent]:
    stored = CallEvent.objects.filter(kind=EventKind.CALLBACK, reference=callback.reference)
    return [event for event in stored if bytes(event.raw) == callback.body]


def assert_stored_once(statuses: Statuses, callbacks: list[Callback], copies: int, reason: str = "") -> None:
    """Assert that every copy of every callback was acknowledged, and that each callback is stored once."""
    answers = Counter(statuses.all())
    logger.info("%d callbacks, answers: %s", len(callbacks), dict(answers))
    assert set(answers) <= {200, 503}
    assert answers[200] == len(callbacks) * copies
    assert statuses.stored() == set(callbacks)
    for callback in callbacks:
        assert [event.reason for event in events_of(callback)] == [reason]


def test_concurrent_callbacks(servers: list[Web], calls: list[CallRecord], tickets: list[Ticket]) -> None:
    callbacks = list(itertools.chain.from_iterable(callbacks_of(call, call.call_sid) for call in reread(calls)))

    statuses = deliver_all([one.url for one in servers], callbacks * COPIES, clients=CLIENTS)

    assert_stored_once(statuses, callbacks, COPIES)
    assert CallEvent.objects.filter(kind=EventKind.CALLBACK).count() == CALLS * len(DETAILS)
    in_sequence = deliver_in_sequence(servers[0])
    deliver_the_rest()
    for call in reread(calls):
        assert_is_the_join_of_its_events(call)
        assert {name: getattr(call, name) for name in SHOWN} == {name: getattr(in_sequence, name) for name in SHOWN}
        assert lasting(call) == lasting(in_sequence)
    assert not [differences for _looked, differences in replay(CallRecord.objects.all(), apply=False) if differences]
    for ticket in tickets:
        assert_announced_once(ticket)


def reread(calls: list[CallRecord]) -> list[CallRecord]:
    return list(CallRecord.objects.filter(pk__in=[call.pk for call in calls]))


def deliver_in_sequence(server: Web) -> CallRecord:
    """Return a call that got the same callbacks one after another."""
    call = accepted("in sequence")
    callbacks = callbacks_of(call, "in sequence")
    assert deliver_all([server.url], callbacks, clients=1).all() == [200] * len(callbacks)
    call.refresh_from_db()
    return call


def lasting(call: CallRecord) -> dict[str, object]:
    return {name: value for name, value in call.facts.items() if name not in ITS_OWN}


def assert_is_the_join_of_its_events(call: CallRecord) -> None:
    events = list(call.events.all())
    assert len(events) == 1 + len(DETAILS)
    random.Random(call.pk).shuffle(events)
    assert call.facts == join_events(map(CallEvent.as_message, events))[0]
    assert (call.state, call.outcome, call.talk_time) == (State.ENDED, "completed", 141)


def assert_announced_once(ticket: Ticket) -> None:
    """Assert that the ticket got each announcement once, and the first four once per call."""
    announced = Announcement.objects.filter(call__ticket_object_id=str(ticket.pk))
    assert set(announced.values_list("state", flat=True)) <= {AnnouncementState.DONE, AnnouncementState.SUPERSEDED}
    delivered = announced.filter(state=AnnouncementState.DONE).values_list("signal", flat=True)
    assert Counter(ticket_receivers.of(ticket)) == Counter(delivered)
    counts = Counter(announced.values_list("signal", flat=True))
    assert {name: counts[name] for name in ("call_accepted", "call_answered", "call_ended", "recording_ready")} == {
        "call_accepted": 2,
        "call_answered": 2,
        "call_ended": 2,
        "recording_ready": 4,
    }


def test_concurrent_callbacks_of_unknown_call(servers: list[Web]) -> None:
    """No row can be locked here: only the unique fingerprint prevents a second event."""
    call = accepted("forgotten")
    callbacks = callbacks_of(call, "forgotten")
    call.delete()

    statuses = deliver_all([one.url for one in servers], callbacks * CLIENTS, clients=CLIENTS)

    assert_stored_once(statuses, callbacks, CLIENTS, EventReason.UNKNOWN_CALL)
