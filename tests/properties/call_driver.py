"""The real view, services and database, told one piece of news after another in any order."""

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
from tests.properties.database import taken_back
from tests.properties.oracle import must_be_verified, record_of
from tests.properties.permutations import Count, Differs, Path, must_be
from tests.properties.sample_events import News
from tests.properties.scenarios import Story

COLUMNS = [column.name for column in dataclasses.fields(Projection)]
ONCE = (SignalName.CALL_ACCEPTED, SignalName.CALL_REFUSED, SignalName.CALL_ANSWERED, SignalName.CALL_ENDED)


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What the database says of a call: its record and facts, what is in its ledger, and why events do not count."""

    record: Projection
    was_rebuilt: bool
    facts: Registers
    ledger: list[Message]
    reasons: list[str]


class Desk:
    """Delivers news to a call, and hears what the host is told meanwhile."""

    def __init__(self) -> None:
        self.client = Client()
        self.heard: list[str] = []

    def __enter__(self) -> Self:
        for name in SignalName.values:
            getattr(signals, name).connect(self._hear, dispatch_uid="call_driver")
        return self

    def __exit__(self, *error: object) -> None:
        for name in SignalName.values:
            getattr(signals, name).disconnect(dispatch_uid="call_driver")

    def _hear(self, signal: Any, **news: Any) -> None:
        self.heard += [name for name in SignalName.values if signal is getattr(signals, name)]

    def call(self) -> CallRecord:
        """Return a new call, of which nothing is known but that it was asked for."""
        return CallRecord.objects.create(account="default", created_at=START)

    def deliver(self, call: CallRecord, news: News) -> None:
        """Tell the call, at the moment that the news names: a callback over its URL, the rest as the services do."""
        with time_machine.travel(news.received_at, tick=False):
            if news.kind != EventKind.CALLBACK:
                record_event(self._event(call, news))
                return
            path = url_of(call, news.url)
            response = self.client.generic("POST", path, news.body, content_type=news.content_type)
        if response.status_code != 200:
            raise Differs(f"{news.name} was answered {response.status_code}")

    def _event(self, call: CallRecord, news: News) -> CallEvent:
        return CallEvent(
            kind=news.kind,
            authentication=news.authentication,
            reference=call.reference,
            facts=news.facts().as_json(),
            verdict=news.verdict,
            code=news.code,
            tries=news.tries,
            raw=json.dumps(news.says).encode(),
            received_at=news.received_at,
        )

    def walk(self, story: Story, *, repeated: int = 6) -> Count:
        """Walk all orders of a story; raises ``Differs``, also for an announcement that must not be.

        At each point, so many of the pieces of news that have come come again.
        """
        known: dict[frozenset[str], Seen] = {}
        count = Count(stories=1)

        def visit(path: Path) -> None:
            count.orders += 1
            seen = self.see(call)
            must_be(seen, known.setdefault(frozenset(one.name for one in path), seen), story, path)
            must_be(self.faults(call, seen, len(path)), [], story, path)
            for one in path[:repeated]:
                count.repetitions += 1
                self.deliver(call, one)
                must_be(self.see(call), seen, story, (*path, one))
                must_be(self.faults(call, seen, len(path)), [], story, (*path, one))
            for one in story.news:
                if one not in path:
                    mark = len(self.heard)
                    with taken_back():
                        self.deliver(call, one)
                        visit((*path, one))
                    del self.heard[mark:]

        with taken_back():
            call = self.call()
            visit(())
        return count

    def sample(self, story: Story, orders: int) -> Count:
        """Tell so many orders of a story, drawn with losses and repetitions, each to a call of its own."""
        count, draw = Count(stories=1), random.Random(story.name)
        for _order in range(orders):
            kept = draw.sample(story.news, draw.randint(max(1, len(story.news) - 2), len(story.news)))
            told = [*kept, *draw.choices(kept, k=3)]
            draw.shuffle(told)
            with taken_back():
                call = self.call()
                for index, one in enumerate(told):
                    self.deliver(call, one)
                    path = tuple(told[: index + 1])
                    must_be(self.faults(call, self.see(call), len(set(path))), [], story, path)
            self.heard.clear()
            count += Count(orders=1, repetitions=3)
        return count

    def see(self, call: CallRecord) -> Seen:
        """Return what the database says of the call."""
        record = CallRecord.objects.get(pk=call.pk)
        events = sorted(CallEvent.objects.filter(call=call), key=lambda event: event.fingerprint)
        return Seen(
            record=Projection(**{name: getattr(record, name) for name in COLUMNS}),
            was_rebuilt=record.was_rebuilt,
            facts=record.facts,
            ledger=[event.as_message() for event in events],
            reasons=[event.reason for event in events],
        )

    def faults(self, call: CallRecord, seen: Seen, came: int, taken: str = "") -> list[str]:
        """Return what is wrong once so many different pieces of news have come; the sid ``taken`` is another call's."""
        rows = list(Announcement.objects.filter(call=call).order_by("pk"))
        told = [row.signal for row in rows if row.state != AnnouncementState.SUPERSEDED]
        held = {
            "each news is kept once": len(seen.ledger) == came,
            "the facts are those of the ledger": seen.facts == join_events(seen.ledger, taken={taken})[0],
            "the record is what the table says": seen.record == record_of(seen.ledger, taken),
            "doubtful ends are verified": needs_verification(seen.facts) == must_be_verified(seen.ledger, taken),
            "what was announced is what was heard": sorted(told) == sorted(self.heard),
            "nothing is announced twice": len({row.key for row in rows}) == len(rows),
            **lawful(self.heard, seen),
        }
        return [law for law, holds in held.items() if not holds]


def lawful(heard: Sequence[str], seen: Seen) -> dict[str, bool]:
    """Return for each law of the announcements whether what a receiver heard of a call obeys it."""
    ended, state = heard.count(SignalName.CALL_ENDED), seen.record.state
    since_the_end = heard[heard.index(SignalName.CALL_ENDED) :] if ended else []
    recordings = heard.count(SignalName.RECORDING_READY)
    # What strangers told before they were known for strangers was announced, and cannot be taken back.
    misled = seen.was_rebuilt
    return {
        "the first four are heard once at most": all(heard.count(name) <= 1 for name in ONCE),
        "the end is heard once": ended == 1 or state != State.ENDED,
        "the acceptance is heard once": SignalName.CALL_ACCEPTED in heard or state not in (State.ACTIVE, State.ENDED),
        "a refusal is heard once": SignalName.CALL_REFUSED in heard or state != State.REFUSED,
        "no answer is heard after the end": SignalName.CALL_ANSWERED not in since_the_end,
        "no change is heard before the end": heard.count(SignalName.CALL_UPDATED)
        == since_the_end.count(SignalName.CALL_UPDATED),
        "each recording is heard of": recordings >= len(seen.facts.get("recordings", {})),
        "no other recording is heard of": misled or recordings == len(seen.facts.get("recordings", {})),
    }
