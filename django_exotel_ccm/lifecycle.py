"""The life of a call: what each event proves, how events are joined, and what a call's record then says.

Nothing else decides a state. Facts are registers in plain JSON: lists compared from left to right, of which the larger
wins, and unions. So ``join`` is commutative, associative and idempotent: any order, any repetition, same record.
"""

from __future__ import annotations

import datetime
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import reduce
from typing import Any

from django_exotel_ccm.choices import EventKind, Outcome, State
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.exotel.recordings import expiry_of, recording_of
from django_exotel_ccm.exotel.values import Moment

Registers = dict[str, Any]

PHASES = (State.REQUESTED, State.UNCONFIRMED, State.REFUSED, State.ACTIVE, State.ENDED)
#: From the poorest news to the richest: of two words told by equals the later one here is believed.
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
KEPT = 20
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_UNIONS = frozenset({"words"})
_MAPS = frozenset({"recordings", "call_sids"})


class Source(IntEnum):
    """How far a message is believed when two disagree."""

    ANSWER = 0
    MESSAGE = 1
    TERMINAL = 2
    DETAILS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One thing we were told about a call.

    ``facts`` are what the message says, ``event`` what its URL vouches for, ``verdict`` what an answer to our POST (or
    a policy) proves, ``refusal`` its code and ``tries`` how many requests it took.
    """

    kind: str
    facts: CallFacts
    received_at: datetime.datetime
    fingerprint: str
    event: str = ""
    verdict: str = ""
    refusal: str = ""
    tries: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """The facts of a call as its record shows them: times are aware UTC, durations seconds."""

    state: str
    outcome: str
    refusal_code: str
    call_sid: str | None
    started_at: datetime.datetime | None
    answered_at: datetime.datetime | None
    ended_at: datetime.datetime | None
    ended_at_approximate: bool
    total_duration: int | None
    talk_time: int | None
    recording_url: str


# What one event says.


def registers_of(told: Told) -> Registers:
    """Return the registers to which one event amounts."""
    facts = told.facts
    event = event_of(facts, told.event)
    ended = _says_ended(told, event)
    source = _source(told, ended=ended)
    registers: Registers = {
        "phase": [_phase(told, ended=ended)],
        "status": _status(facts, source),
        "words": [facts.status_raw] if facts.status_raw else [],
        "talk_time": _seconds(facts.talk_time, source),
        "total_duration": _seconds(facts.total_duration, source),
        "started_at": _moment(facts.started_at, source, sign=-1),
        "ended_at": _moment(facts.ended_at, source, sign=1) if ended else None,
        "ended_seen": [-_micros(told.received_at)] if ended else None,
        "answered_seen": [-_micros(told.received_at)] if event == "answered" else None,
        "recordings": _recordings(facts.recordings, source),
        "agent_leg": _leg(facts.agent_leg, source),
        "customer_leg": _leg(facts.customer_leg, source),
        "agent_id": [source, facts.agent_id] if facts.agent_id else None,
        "agent_uri": [source, facts.agent_uri] if facts.agent_uri else None,
        "call_sids": {facts.call_sid: _sid_rank(told)} if facts.call_sid else {},
        "refusal": [told.tries, told.refusal] if told.refusal else None,
    }
    return {name: value for name, value in registers.items() if value}


def _says_ended(told: Told, event: str) -> bool:
    if told.kind not in (EventKind.CALLBACK, EventKind.DETAILS):
        return False
    return event == "terminal" or told.facts.state == "terminal" or told.facts.status is not None


def _source(told: Told, *, ended: bool) -> int:
    if told.kind == EventKind.DETAILS:
        return Source.DETAILS if ended else Source.MESSAGE
    if told.kind == EventKind.CALLBACK:
        return Source.TERMINAL if ended else Source.MESSAGE
    return Source.ANSWER


def _phase(told: Told, *, ended: bool) -> int:
    if ended:
        return PHASES.index(State.ENDED)
    if told.kind == EventKind.CALLBACK:
        return PHASES.index(State.ACTIVE)
    if told.kind == EventKind.DETAILS:
        return PHASES.index(State.ACTIVE if told.facts.call_sid else State.REQUESTED)
    return PHASES.index(State(told.verdict))


def _status(facts: CallFacts, source: int) -> list[Any] | None:
    if facts.status is not None:
        return [1, source, OUTCOMES.index(Outcome(facts.status)), facts.status_raw or facts.status]
    return [0, source, 0, facts.status_raw] if facts.status_raw else None


def _seconds(value: int | None, source: int) -> list[int] | None:
    return None if value is None else [int(value > 0), source, value]


def _moment(moment: Moment | None, source: int, *, sign: int) -> list[int] | None:
    return None if moment is None else [int(moment.zoned), source, sign * _micros(moment.at)]


def _leg(word: str | None, source: int) -> list[Any] | None:
    if not word:
        return None
    rank = LEG_WORDS.index(word) + 1 if word in LEG_WORDS else 0
    return [int(rank > 1), source, rank, word]


def _recordings(urls: Iterable[str], source: int) -> dict[str, list[Any]]:
    longest_last = sorted(urls, key=lambda url: (expiry_of(url), url))
    return {recording_of(url): [source, expiry_of(url), url] for url in longest_last}


def _sid_rank(told: Told) -> list[Any]:
    return [int(told.kind != EventKind.ANSWER), _micros(told.received_at), told.fingerprint]


def event_of(facts: CallFacts, vouched: str) -> str:
    """Return the event that a callback reports: the one its body names, else the one its URL is for.

    A body that names a word nobody knows and says that the call goes on is not taken for the end of it.
    """
    goes_on = facts.event_raw is not None and facts.state == "active"
    return facts.event or ("" if goes_on and vouched == "terminal" else vouched)


# How events add up.


def join(a: Registers, b: Registers) -> Registers:
    """Return the least upper bound of two sets of facts."""
    return {name: _join_one(name, a.get(name), b.get(name)) for name in sorted(a.keys() | b.keys())}


def _join_one(name: str, a: Any, b: Any) -> Any:
    if a is None or b is None:
        return b if a is None else a
    if name in _UNIONS:
        return sorted({*a, *b})[:KEPT]
    if name in _MAPS:
        first, kept = (min, None) if name == "call_sids" else (max, KEPT)
        joined = {key: first([side[key] for side in (a, b) if key in side]) for key in {*a, *b}}
        return {key: joined[key] for key in sorted(joined)[:kept]}
    return max(a, b)


def join_all(events: Iterable[Told], *, taken: Container[str | None] = ()) -> tuple[Registers, set[str]]:
    """Return the facts of all events of a call, and the fingerprints of those that name another call.

    A call has one sid: the one the answer to our POST gave, else the first that we were told. A sid in ``taken`` is
    another call's already; that of our answer is then left out, for the answer is ours all the same.
    """
    told = [_without_taken_sid(one, taken) for one in events]
    named = [one for one in told if one.facts.call_sid and one.facts.call_sid not in taken]
    sid = chosen_sid(_joined(named))
    strangers = {one.fingerprint for one in told if one.facts.call_sid not in (None, sid)}
    facts = _joined(one for one in told if one.fingerprint not in strangers)
    # What strangers told may have been announced: such a call's news has to be compared with that.
    return (facts | {"strangers": [1]} if strangers else facts), strangers


def _without_taken_sid(told: Told, taken: Container[str | None]) -> Told:
    if told.kind == EventKind.ANSWER and told.facts.call_sid in taken:
        return replace(told, facts=replace(told.facts, call_sid=None))
    return told


def _joined(told: Iterable[Told]) -> Registers:
    return reduce(join, map(registers_of, told), {})


def chosen_sid(facts: Registers) -> str | None:
    """Return the sid by which Exotel knows the call; None while nobody has told."""
    sids = facts.get("call_sids") or {}
    return min(sids, key=lambda sid: sids[sid]) if sids else None


# What the record then says.


def project(facts: Registers) -> Projection:
    """Return what a call's record says, given its joined facts."""
    phase = PHASES[facts.get("phase", [0])[0]]
    talk_time = _last(facts, "talk_time")
    total_duration = _last(facts, "total_duration")
    started_at = _earliest(facts, "started_at")
    ended_at, approximate = _ended_at(facts, started_at, total_duration)
    recordings = facts.get("recordings")
    return Projection(
        state=phase.value,
        outcome=_outcome(facts, talk_time) if phase == State.ENDED else "",
        refusal_code=_last(facts, "refusal") or "",
        call_sid=chosen_sid(facts),
        started_at=started_at,
        answered_at=_answered_at(facts, ended_at, talk_time),
        ended_at=ended_at,
        ended_at_approximate=approximate,
        total_duration=total_duration,
        talk_time=talk_time,
        recording_url=recordings[min(recordings)][-1] if recordings else "",
    )


def words(facts: Registers) -> list[str]:
    """Return the status words as we were told them, known or not."""
    return list(facts.get("words") or [])


def _outcome(facts: Registers, talk_time: int | None) -> str:
    status = facts.get("status")
    if not status or not status[0]:
        return Outcome.UNKNOWN.value
    outcome = OUTCOMES[status[2]]
    # An agent who hung up after talking had a conversation, whatever the word says.
    if outcome == Outcome.AGENT_CANCELED and talk_time:
        outcome = Outcome.COMPLETED
    return outcome.value


def _ended_at(
    facts: Registers, started_at: datetime.datetime | None, total_duration: int | None
) -> tuple[datetime.datetime | None, bool]:
    """Return the end, and whether it is worked out because no final message told it."""
    seen, told = _earliest(facts, "ended_seen"), _latest(facts, "ended_at")
    if seen is None or told is not None:
        return told, False
    return _later(started_at, total_duration) or seen, True


def _later(at: datetime.datetime | None, seconds: int | None) -> datetime.datetime | None:
    """Return the moment ``seconds`` after ``at``; None when one is unknown, or no calendar has that moment."""
    if at is None or seconds is None:
        return None
    try:
        later = at + datetime.timedelta(seconds=seconds)
    except OverflowError:
        return None
    # The last year is left out: in another time zone such a moment may have none.
    return later if later.year < datetime.MAXYEAR else None


def _answered_at(
    facts: Registers, ended_at: datetime.datetime | None, talk_time: int | None
) -> datetime.datetime | None:
    if ended_at is not None and talk_time:
        return ended_at - datetime.timedelta(seconds=talk_time)
    seen = _earliest(facts, "answered_seen")
    return seen if seen is None or ended_at is None else min(seen, ended_at)


def _last(facts: Registers, name: str) -> Any:
    return facts[name][-1] if name in facts else None


def _micros(at: datetime.datetime) -> int:
    return (at - _EPOCH) // _MICROSECOND


def _latest(facts: Registers, name: str) -> datetime.datetime | None:
    return _EPOCH + facts[name][-1] * _MICROSECOND if name in facts else None


def _earliest(facts: Registers, name: str) -> datetime.datetime | None:
    # Of these registers the larger is the earlier.
    return _EPOCH - facts[name][-1] * _MICROSECOND if name in facts else None
