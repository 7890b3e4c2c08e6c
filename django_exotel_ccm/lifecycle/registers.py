"""What one event says about a call, as registers.

A register is plain JSON: a list that is compared from left to right, of which the larger wins, or a union.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from django_exotel_ccm.choices import EventKind, Outcome, State
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.exotel.recordings import expiry_of, recording_of
from django_exotel_ccm.exotel.values import Moment

Registers = dict[str, Any]

PHASES = (State.REQUESTED, State.UNCONFIRMED, State.REFUSED, State.ACTIVE, State.ENDED)
#: From the poorest to the richest: of two words from equal sources the later one in this list wins.
OUTCOMES = (
    Outcome.FAILED,
    Outcome.BUSY,
    Outcome.AGENT_NO_DIAL,
    Outcome.AGENT_UNANSWERED,
    Outcome.AGENT_CANCELED,
    Outcome.CUSTOMER_NO_DIAL,
    Outcome.CUSTOMER_UNANSWERED,
    Outcome.COMPLETED,
)
LEG_WORDS = ("in-progress", "no-answer", "busy", "failed", "canceled", "completed")
SETTLED_AFTER = datetime.timedelta(minutes=2)  # Call Details can be stale before that (docs/exotel.md 7.4)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)


class Source(IntEnum):
    """Which message wins when two disagree: the one with the higher rank."""

    ANSWER = 0
    MESSAGE = 1
    TERMINAL = 2
    DETAILS = 3
    #: Call Details that were received at least two minutes after the end that they state.
    SETTLED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One event of a call, as the join reads it.

    ``facts`` are what its body says, ``event`` is what it reports (:meth:`~.CallFacts.reported_event`), and
    ``url_event`` the event that its URL was signed for. ``verdict`` is the state that an answer to our POST or a rule
    proves, ``refusal`` its code, and ``tries`` the number of requests it took.
    """

    kind: str
    facts: CallFacts
    received_at: datetime.datetime
    fingerprint: str
    event: str = ""
    url_event: str = ""
    verdict: str = ""
    refusal: str = ""
    tries: int = 1


def to_registers(message: Message) -> Registers:
    """Return the registers of one event."""
    facts = message.facts
    event = facts.reported_event(message.event)
    ended = _says_ended(message, event)
    source = _source(message, ended=ended)
    registers: Registers = {
        "phase": [_phase(message, ended=ended)],
        "status": _status(facts, source),
        "words": [facts.status_raw] if facts.status_raw else None,
        "talk_time": _seconds(facts.talk_time, source),
        "total_duration": _seconds(facts.total_duration, source),
        "started_at": _moment(facts.started_at, source, sign=-1),
        "ended_at": _moment(facts.ended_at, source, sign=1) if ended else None,
        "ended_seen": [-micros(message.received_at)] if ended else None,
        "answered_seen": [-micros(message.received_at)] if event == "answered" else None,
        "recordings": _recordings(facts.recordings, source),
        "agent_leg": _leg(facts.agent_leg, source),
        "customer_leg": _leg(facts.customer_leg, source),
        "agent_id": [source, facts.agent_id] if facts.agent_id else None,
        "agent_uri": [source, facts.agent_uri] if facts.agent_uri else None,
        "call_sids": {facts.call_sid: sid_rank(message)} if facts.call_sid else None,
        "refusal": [message.tries, message.refusal] if message.refusal else None,
        "terminal_reports": _terminal_report(message) if source == Source.TERMINAL else None,
        "settled": [1] if source == Source.SETTLED else None,
    }
    return {name: value for name, value in registers.items() if value}


def _says_ended(message: Message, event: str) -> bool:
    if message.kind not in (EventKind.CALLBACK, EventKind.DETAILS):
        return False
    return event == "terminal" or message.facts.state == "terminal" or message.facts.status is not None


def _source(message: Message, *, ended: bool) -> int:
    if message.kind not in (EventKind.CALLBACK, EventKind.DETAILS):
        return Source.ANSWER
    if not ended:
        return Source.MESSAGE
    if message.kind == EventKind.CALLBACK:
        return Source.TERMINAL
    stated = message.facts.ended_at
    is_settled = stated is not None and message.received_at - stated.at >= SETTLED_AFTER
    return Source.SETTLED if is_settled else Source.DETAILS


def _phase(message: Message, *, ended: bool) -> int:
    if ended:
        return PHASES.index(State.ENDED)
    if message.kind == EventKind.CALLBACK:
        return PHASES.index(State.ACTIVE)
    if message.kind == EventKind.DETAILS:
        return PHASES.index(State.ACTIVE if message.facts.call_sid else State.REQUESTED)
    return PHASES.index(State(message.verdict))


def _status(facts: CallFacts, source: int) -> list[Any] | None:
    if facts.status is not None:
        return [1, source, OUTCOMES.index(Outcome(facts.status)), facts.status_raw or facts.status]
    return [0, source, 0, facts.status_raw] if facts.status_raw else None


def _seconds(value: int | None, source: int) -> list[int] | None:
    return None if value is None else [int(source == Source.SETTLED), int(value > 0), source, value]


def _moment(moment: Moment | None, source: int, *, sign: int) -> list[int] | None:
    return None if moment is None else [int(moment.zoned), source, sign * micros(moment.at)]


def _leg(word: str | None, source: int) -> list[Any] | None:
    if not word:
        return None
    rank = LEG_WORDS.index(word) + 1 if word in LEG_WORDS else 0
    return [int(rank > 1), source, rank, word]


def _recordings(urls: Iterable[str], source: int) -> dict[str, list[Any]]:
    longest_last = sorted((expiry_of(url), url) for url in urls)
    return {recording_of(url): [source, expiry, url] for expiry, url in longest_last}


def sid_rank(message: Message) -> list[Any]:
    """Return the rank of the sid that an event names: the smallest is the call's."""
    return [int(message.kind != EventKind.ANSWER), micros(message.received_at), message.fingerprint]


def _terminal_report(message: Message) -> dict[str, list[Any]]:
    """Return what terminal callbacks are compared by; ``answered_url`` marks one that came to the other URL."""
    facts = message.facts
    stated = {
        "status": facts.status or facts.status_raw,
        "talk_time": facts.talk_time,
        "recordings": _digest(sorted(set(map(recording_of, facts.recordings)))) if facts.recordings else None,
        "answered_url": 1 if message.url_event == "answered" else None,
    }
    return {name: [value] for name, value in stated.items() if value is not None}


def _digest(texts: list[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def micros(at: datetime.datetime) -> int:
    """Return an aware moment as microseconds since 1970."""
    return (at - EPOCH) // MICROSECOND
