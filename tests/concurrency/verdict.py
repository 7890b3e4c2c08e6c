"""Compares what happened on the simulated network with what the host knows of it, for any number of calls.

Nothing of the package's own reading is used: the expected outcome is looked up in a table of the tests.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django_exotel_ccm.choices import AnnouncementState, EventKind, SignalName, State
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services.replay import replay
from django_exotel_ccm.simulator import Simulator
from django_exotel_ccm.simulator.call_flow import SimulatedCall
from tests.comparison import OUTCOMES
from tests.helpdesk.models import Ticket

SECOND = timedelta(seconds=1)  # callbacks have whole seconds
BATCH = 500
ORDER = [SignalName.CALL_ACCEPTED, SignalName.CALL_ANSWERED, SignalName.CALL_ENDED, SignalName.RECORDING_READY]

#: (a call's reference in hexadecimal, the event, the body)
Sent = tuple[str, str, dict[str, Any]]


@dataclass
class Verdict:
    """The faults found, one per line; all four lists are empty if there is none."""

    differ: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether anything is wrong."""
        return any(vars(self).values())


@dataclass
class Network:
    """The book by call: how often each was posted, its last answer, and its end."""

    posted: Counter[str]
    status: dict[str, int | None]
    truth: dict[str, SimulatedCall]


def reference_in(url: str) -> str:
    """Return the reference that a signed callback URL names, in hexadecimal."""
    return url.rstrip("/").rpartition("/")[2].partition(".")[0]


def acknowledged_by(exotel: Simulator) -> Iterator[Sent]:
    """Yield each delivery in the book that was answered 2xx."""
    for one in exotel.book.deliveries:
        if one.succeeded:
            yield reference_in(one.url), one.event, one.body


def judge(exotel: Simulator, acknowledged: Iterable[Sent]) -> Verdict:
    """Compare all calls, tickets and events in the database with the book and with what was acknowledged."""
    network, verdict = network_of(exotel), Verdict()
    sent: dict[tuple[str, str], str] = {(reference, event): canonical(body) for reference, event, body in acknowledged}
    verdict.twice += [f"{one} was posted {times} times" for one, times in network.posted.items() if times > 1]
    verdict.lost += lost(sent)
    announced = announcements()
    for record in CallRecord.objects.order_by("pk").iterator(BATCH):
        where = f"call {record.pk}, {record.customer_number}: "
        verdict.differ += [where + one for one in differences(exotel, network, record)]
        answered = (record.reference.hex, "answered") in sent
        verdict.wrong += [where + one for one in wrongs(record, announced.get(record.pk, []), answered=answered)]
    verdict.wrong += wrong_notes(announced)
    for _looked, found in replay(CallRecord.objects.all(), apply=False):
        verdict.differ += [f"{one.reference}: {one.what} is {one.stored}, by its events {one.rebuilt}" for one in found]
    return verdict


def network_of(exotel: Simulator) -> Network:
    """Return the book by call."""
    network = Network(Counter(), {}, {})
    for request in exotel.book.requests:
        if request.method == "POST" and request.path.endswith("/calls"):
            reference = reference_in(request.body["status_callback"][0]["url"])
            network.posted[reference] += 1
            network.status[reference] = request.status
    for call in exotel.book.calls.values():
        network.truth[reference_in(call.request["status_callback"][0]["url"])] = call
    return network


def canonical(body: Any) -> str:
    """Return a body as text that is the same for the same content."""
    return json.dumps(body, sort_keys=True)


def lost(sent: dict[tuple[str, str], str]) -> Iterator[str]:
    """Yield what was acknowledged and is not in the ledger once, as it was sent, and applied."""
    stored: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    callbacks = CallEvent.objects.filter(kind=EventKind.CALLBACK).values_list("reference", "event", "raw", "reason")
    for reference, event, raw, reason in callbacks.iterator(BATCH):
        stored[reference.hex, event].append((canonical(json.loads(bytes(raw))), reason))
    for key, body in sent.items():
        if stored[key] != [(body, "")]:
            yield f"{key[1]} of {key[0]} was acknowledged, and is stored {len(stored[key])} times: {stored[key]}"


def differences(exotel: Simulator, network: Network, record: CallRecord) -> Iterator[str]:
    """Yield in what a record differs from what happened."""
    reference = record.reference.hex
    truth = network.truth.get(reference)
    if truth is None or record.call_sid is None:
        expected = {"state": state_without_a_call(network.status.get(reference)), "outcome": "", "talk_time": None}
    else:
        expected = expectations(exotel, truth)
        yield from untimely(truth, record)
    for name, value in expected.items():
        if getattr(record, name) != value:
            yield f"{name} is {getattr(record, name)!r}, and not {value!r}"
    if record.next_check_at is not None:
        yield f"is still to be looked after: {record.next_check_at}"


def state_without_a_call(status: int | None) -> str:
    """Return the expected facts when nothing rang, or nothing was reported."""
    return State.REFUSED if status is not None and status < 500 else State.UNCONFIRMED


def expectations(exotel: Simulator, truth: SimulatedCall) -> dict[str, Any]:
    """Return the columns of a call that has ended."""
    outcome = OUTCOMES[truth.status or ""]
    return {
        "state": State.ENDED,
        # An agent who hung up after talking had a conversation.
        "outcome": "completed" if outcome == "agent_canceled" and truth.talk_time else outcome,
        "call_sid": truth.sid,
        "customer_number": truth.customer_number,
        "talk_time": truth.talk_time,
        "total_duration": truth.total_duration,
        "recording_url": (truth.recording_url or "") if truth.recorded else "",
        "ended_at_approximate": False,
    }


def untimely(truth: SimulatedCall, record: CallRecord) -> Iterator[str]:
    """Yield which moments are not those of the call."""
    moments = {"started_at": truth.created_at, "ended_at": truth.ended_at}
    if truth.talk_time and truth.ended_at:
        moments["answered_at"] = truth.ended_at - timedelta(seconds=truth.talk_time)
    for name, moment in moments.items():
        shown = getattr(record, name)
        if shown is None or moment is None or abs(shown - moment) >= SECOND:
            yield f"{name} is {shown}, and not {moment}"


Announced = dict[int, list[tuple[str, str]]]


def announcements() -> Announced:
    """Return signal and state of what was announced of each call, by its key."""
    announced: Announced = defaultdict(list)
    rows = Announcement.objects.order_by("pk").values_list("call", "signal", "state")
    for call, signal, state in rows.iterator(BATCH):
        announced[call].append((signal, state))
    return announced


def wrongs(record: CallRecord, announced: list[tuple[str, str]], *, answered: bool) -> Iterator[str]:
    """Yield what was announced of a call and should not have been, or the reverse."""
    is_call = record.state == State.ENDED
    expected = {
        SignalName.CALL_ACCEPTED: is_call,
        SignalName.CALL_REFUSED: record.state == State.REFUSED,
        SignalName.CALL_ANSWERED: is_call and answered,
        SignalName.CALL_ENDED: is_call,
        SignalName.RECORDING_READY: bool(record.recording_url),
    }
    times = Counter(signal for signal, _state in announced)
    for signal, is_expected in expected.items():
        if times[signal] != is_expected:
            yield f"{signal} was announced {times[signal]} times"
    for signal, state in announced:
        superseded = signal == SignalName.CALL_ANSWERED and state == AnnouncementState.SUPERSEDED
        if state != AnnouncementState.DONE and not superseded:
            yield f"{signal} is {state}"


def wrong_notes(announced: Announced) -> Iterator[str]:
    """Yield the tickets whose notes differ from the announcements of their calls, or from their order."""
    expected: dict[str, list[str]] = defaultdict(list)
    calls = CallRecord.objects.exclude(ticket_object_id="").values_list("pk", "ticket_object_id")
    for pk, ticket in calls.iterator(BATCH):
        expected[ticket] += [signal for signal, state in announced.get(pk, []) if state == AnnouncementState.DONE]
    for ticket, notes in Ticket.objects.values_list("pk", "notes").iterator(BATCH):
        received = notes.split()
        known = [name for name in received if name in ORDER]
        if Counter(received) != Counter(expected[str(ticket)]) or known != sorted(known, key=ORDER.index):
            yield f"ticket {ticket} got {received} instead of {expected[str(ticket)]}"
