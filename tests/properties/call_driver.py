"""Delivers events in any order to the real view, services and database, and checks the result."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Sequence
from typing import Any, Self

import time_machine
from django.test import Client

from django_exotel_ccm import signals
from django_exotel_ccm.choices import AnnouncementState, EventKind, SignalName, State
from django_exotel_ccm.lifecycle import Message, Projection, Registers, join_events, needs_verification
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services import record_event
from tests.factories import url_of
from tests.lifecycle.messages import START
from tests.properties.database import rolled_back
from tests.properties.oracle import must_be_verified, record_of
from tests.properties.permutations import Count, Differs, Path, must_equal
from tests.properties.sample_events import SampleEvent
from tests.properties.scenarios import Scenario

COLUMNS = [column.name for column in dataclasses.fields(Projection)]
ONCE = (SignalName.CALL_ACCEPTED, SignalName.CALL_REFUSED, SignalName.CALL_ANSWERED, SignalName.CALL_ENDED)


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """The database's state of a call: its record and facts, its events, and why events were not applied.

    ``was_rebuilt`` is not compared: it says what may have been announced, and that depends on the order.
    """

    record: Projection
    was_rebuilt: bool = dataclasses.field(compare=False)
    facts: Registers
    events: list[Message]
    reasons: list[str]


class CallDriver:
    """Delivers events to a call, and records which signals are sent."""

    def __init__(self) -> None:
        self.client = Client()
        self.received: list[str] = []

    def __enter__(self) -> Self:
        for name in SignalName.values:
            getattr(signals, name).connect(self._receive, dispatch_uid="call_driver")
        return self

    def __exit__(self, *error: object) -> None:
        for name in SignalName.values:
            getattr(signals, name).disconnect(dispatch_uid="call_driver")

    def _receive(self, signal: Any, **event: Any) -> None:
        self.received += [name for name in SignalName.values if signal is getattr(signals, name)]

    def call(self) -> CallRecord:
        """Return a new call without events."""
        return CallRecord.objects.create(account="default", created_at=START)

    def deliver(self, call: CallRecord, event: SampleEvent) -> None:
        """Deliver the event at its moment: a callback over its URL, any other as the services record it."""
        with time_machine.travel(event.received_at, tick=False):
            if event.kind != EventKind.CALLBACK:
                record_event(self._event(call, event))
                return
            path = url_of(call, event.url)
            response = self.client.generic("POST", path, event.body, content_type=event.content_type)
        if response.status_code != 200:
            raise Differs(f"{event.name} was answered {response.status_code}")

    def _event(self, call: CallRecord, event: SampleEvent) -> CallEvent:
        return CallEvent(
            kind=event.kind,
            authentication=event.authentication,
            reference=call.reference,
            facts=event.facts().as_json(),
            verdict=event.verdict,
            code=event.code,
            tries=event.tries,
            raw=json.dumps(event.answer).encode(),
            received_at=event.received_at,
        )

    def walk(self, scenario: Scenario, *, repeated: int = 6) -> Count:
        """Walk all orders of a scenario; raises ``Differs``, also for a forbidden announcement.

        At each point, up to ``repeated`` of the events that have come are delivered again.
        """
        known: dict[frozenset[str], Seen] = {}
        count = Count(scenarios=1)

        def visit(path: Path) -> None:
            count.orders += 1
            seen = self.see(call)
            must_equal(seen, known.setdefault(frozenset(one.name for one in path), seen), scenario, path)
            must_equal(self.faults(call, seen, len(path)), [], scenario, path)
            for one in path[:repeated]:
                count.repetitions += 1
                self.deliver(call, one)
                must_equal(self.see(call), seen, scenario, (*path, one))
                must_equal(self.faults(call, seen, len(path)), [], scenario, (*path, one))
            for one in scenario.events:
                if one not in path:
                    mark = len(self.received)
                    with rolled_back():
                        self.deliver(call, one)
                        visit((*path, one))
                    del self.received[mark:]

        with rolled_back():
            call = self.call()
            visit(())
        return count

    def sample(self, scenario: Scenario, orders: int) -> Count:
        """Deliver that many random orders of a scenario, with losses and repetitions, each to a new call."""
        count, draw = Count(scenarios=1), random.Random(scenario.name)
        for _order in range(orders):
            chosen = draw.sample(scenario.events, draw.randint(max(1, len(scenario.events) - 2), len(scenario.events)))
            delivered = [*chosen, *draw.choices(chosen, k=3)]
            draw.shuffle(delivered)
            with rolled_back():
                call = self.call()
                for index, one in enumerate(delivered):
                    self.deliver(call, one)
                    path = tuple(delivered[: index + 1])
                    must_equal(self.faults(call, self.see(call), len(set(path))), [], scenario, path)
            self.received.clear()
            count += Count(orders=1, repetitions=3)
        return count

    def see(self, call: CallRecord) -> Seen:
        """Return the state of the call in the database."""
        record = CallRecord.objects.get(pk=call.pk)
        events = sorted(CallEvent.objects.filter(call=call), key=lambda event: event.fingerprint)
        return Seen(
            record=Projection(**{name: getattr(record, name) for name in COLUMNS}),
            was_rebuilt=record.was_rebuilt,
            facts=record.facts,
            events=[event.as_message() for event in events],
            reasons=[event.reason for event in events],
        )

    def faults(self, call: CallRecord, seen: Seen, came: int, taken: str = "") -> list[str]:
        """Return the rules that are broken after ``came`` different events; the sid ``taken`` is another call's."""
        rows = list(Announcement.objects.filter(call=call).order_by("pk"))
        announced = [row.signal for row in rows if row.state != AnnouncementState.SUPERSEDED]
        rules = {
            "each event is stored once": len(seen.events) == came,
            "the facts are those of the events": seen.facts == join_events(seen.events, taken={taken})[0],
            "the record equals the oracle's": seen.record == record_of(seen.events, taken),
            "doubtful ends are verified": needs_verification(seen.facts) == must_be_verified(seen.events, taken),
            "each announcement was sent": sorted(announced) == sorted(self.received),
            "nothing is announced twice": len({row.key for row in rows}) == len(rows),
            **rules_of_signals(self.received, seen),
        }
        return [rule for rule, holds in rules.items() if not holds]


def rules_of_signals(received: Sequence[str], seen: Seen) -> dict[str, bool]:
    """Return for each rule of the signals whether those that were sent obey it."""
    ended, state = received.count(SignalName.CALL_ENDED), seen.record.state
    after_the_end = received[received.index(SignalName.CALL_ENDED) :] if ended else []
    recordings = received.count(SignalName.RECORDING_READY)
    # Foreign events may have been announced before the call's sid was known.
    was_rebuilt = seen.was_rebuilt
    return {
        "the first four are sent once at most": all(received.count(name) <= 1 for name in ONCE),
        "the end is sent once": ended == 1 or state != State.ENDED,
        "the acceptance is sent once": SignalName.CALL_ACCEPTED in received or state not in (State.ACTIVE, State.ENDED),
        "a refusal is sent once": SignalName.CALL_REFUSED in received or state != State.REFUSED,
        "no answer is sent after the end": SignalName.CALL_ANSWERED not in after_the_end,
        "no change is sent before the end": received.count(SignalName.CALL_UPDATED)
        == after_the_end.count(SignalName.CALL_UPDATED),
        "each recording is sent": recordings >= len(seen.facts.get("recordings", {})),
        "no other recording is sent": was_rebuilt or recordings == len(seen.facts.get("recordings", {})),
    }
