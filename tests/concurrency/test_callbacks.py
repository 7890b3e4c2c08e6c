"""Sixteen clients deliver the same and different news of the same calls to two servers at once."""

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
from tests.concurrency.callbacks import TOLD, accepted, callbacks_of, tell_the_rest
from tests.concurrency.clients import Callback, Statuses, pour
from tests.concurrency.web_process import Web
from tests.crashes import ticket_receivers
from tests.helpdesk.models import Ticket

logger = logging.getLogger("tests.concurrency")

CLIENTS = 16
CALLS = 8
COPIES = 4
#: What depends on when a message came, and the call's own names; everything else is the same in any order.
ITS_OWN = {"answered_seen", "ended_seen", "call_sids"}
SHOWN = ["state", "outcome", "started_at", "ended_at", "answered_at", "talk_time", "total_duration", "recording_url"]


@pytest.fixture
def tickets(servers: list[Web]) -> list[Ticket]:
    """Half as many tickets as calls: two calls tell each."""
    return [Ticket.objects.create(subject=f"Ticket {number}") for number in range(CALLS // 2)]


@pytest.fixture
def calls(tickets: list[Ticket]) -> list[CallRecord]:
    return [accepted(f"sid-{number}", ticket) for number, ticket in enumerate([*tickets, *tickets])]


def ledger_of(callback: Callback) -> list[CallEvent]:
    kept = CallEvent.objects.filter(kind=EventKind.CALLBACK, reference=callback.reference)
    return [event for event in kept if bytes(event.raw) == callback.body]


def assert_kept_once(statuses: Statuses, callbacks: list[Callback], copies: int, reason: str = "") -> None:
    """Every copy of every callback was acknowledged in the end, and each callback is in the ledger once."""
    answers = Counter(statuses.all())
    logger.info("%d callbacks, answers: %s", len(callbacks), dict(answers))
    assert set(answers) <= {200, 503}
    assert answers[200] == len(callbacks) * copies
    assert statuses.kept() == set(callbacks)
    for callback in callbacks:
        assert [event.reason for event in ledger_of(callback)] == [reason]


def test_the_same_calls_at_once(servers: list[Web], calls: list[CallRecord], tickets: list[Ticket]) -> None:
    callbacks = list(itertools.chain.from_iterable(callbacks_of(call, call.call_sid) for call in reread(calls)))

    statuses = pour([one.url for one in servers], callbacks * COPIES, clients=CLIENTS)

    assert_kept_once(statuses, callbacks, COPIES)
    assert CallEvent.objects.filter(kind=EventKind.CALLBACK).count() == CALLS * len(TOLD)
    in_sequence = one_by_one(servers[0])
    tell_the_rest()
    for call in reread(calls):
        assert_is_the_join_of_its_events(call)
        assert {name: getattr(call, name) for name in SHOWN} == {name: getattr(in_sequence, name) for name in SHOWN}
        assert lasting(call) == lasting(in_sequence)
    assert not [differences for _looked, differences in replay(CallRecord.objects.all(), apply=False) if differences]
    for ticket in tickets:
        assert_told_once(ticket)


def reread(calls: list[CallRecord]) -> list[CallRecord]:
    return list(CallRecord.objects.filter(pk__in=[call.pk for call in calls]))


def one_by_one(server: Web) -> CallRecord:
    """Return a call that was told the same in peace."""
    call = accepted("in sequence")
    callbacks = callbacks_of(call, "in sequence")
    assert pour([server.url], callbacks, clients=1).all() == [200] * len(callbacks)
    call.refresh_from_db()
    return call


def lasting(call: CallRecord) -> dict[str, object]:
    return {name: value for name, value in call.facts.items() if name not in ITS_OWN}


def assert_is_the_join_of_its_events(call: CallRecord) -> None:
    events = list(call.events.all())
    assert len(events) == 1 + len(TOLD)
    random.Random(call.pk).shuffle(events)
    assert call.facts == join_events(map(CallEvent.as_message, events))[0]
    assert (call.state, call.outcome, call.talk_time) == (State.ENDED, "completed", 141)


def assert_told_once(ticket: Ticket) -> None:
    """The ticket was told what was announced, no more and no less; and the first four at most once per call."""
    announced = Announcement.objects.filter(call__ticket_object_id=str(ticket.pk))
    assert set(announced.values_list("state", flat=True)) <= {AnnouncementState.DONE, AnnouncementState.SUPERSEDED}
    told = announced.filter(state=AnnouncementState.DONE).values_list("signal", flat=True)
    assert Counter(ticket_receivers.of(ticket)) == Counter(told)
    heard = Counter(announced.values_list("signal", flat=True))
    assert {name: heard[name] for name in ("call_accepted", "call_answered", "call_ended", "recording_ready")} == {
        "call_accepted": 2,
        "call_answered": 2,
        "call_ended": 2,
        "recording_ready": 4,
    }


def test_a_call_that_is_not_known_at_once(servers: list[Web]) -> None:
    """There is no row to wait for: the fingerprint alone keeps rivals apart."""
    call = accepted("forgotten")
    callbacks = callbacks_of(call, "forgotten")
    call.delete()

    statuses = pour([one.url for one in servers], callbacks * CLIENTS, clients=CLIENTS)

    assert_kept_once(statuses, callbacks, CLIENTS, EventReason.UNKNOWN_CALL)
