"""How the events of a call add up, and what the call's record then says."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from django_exotel_ccm.choices import EventKind, Outcome, State
from django_exotel_ccm.lifecycle.registers import (
    EPOCH,
    MICROSECOND,
    OUTCOMES,
    PHASES,
    Message,
    Registers,
    Source,
    sid_rank,
    to_registers,
)

MAX_KEPT = 20  # status words, and recordings


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


# How events add up.


def join(a: Registers, b: Registers) -> Registers:
    """Return the least upper bound of two sets of facts."""
    return {name: _join_register(name, a.get(name), b.get(name)) for name in sorted(a.keys() | b.keys())}


def _join_register(name: str, a: Any, b: Any) -> Any:
    if a is None or b is None:
        return b if a is None else a
    return _JOINS.get(name, max)(a, b)


def _join_words(a: list[Any], b: list[Any]) -> list[Any]:
    return sorted({*a, *b})[:MAX_KEPT]


def _join_maps(a: dict[str, Any], b: dict[str, Any], choose: Callable[..., Any]) -> dict[str, Any]:
    return {key: choose(side[key] for side in (a, b) if key in side) for key in sorted({*a, *b})}


def _join_recordings(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    joined = _join_maps(a, b, max)
    # Settled recordings come first, so that forged addresses never push them out.
    kept = sorted(joined, key=lambda key: (joined[key][0] != Source.SETTLED, key))[:MAX_KEPT]
    return {key: joined[key] for key in sorted(kept)}


def _join_sids(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    return _join_maps(a, b, min)


def _join_reports(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    # Two values are enough to know that reports differ.
    return {key: sorted({*a.get(key, []), *b.get(key, [])})[:2] for key in sorted({*a, *b})}


#: Registers that are no lists of which the larger wins.
_JOINS: dict[str, Callable[[Any, Any], Any]] = {
    "words": _join_words,
    "recordings": _join_recordings,
    "call_sids": _join_sids,
    "terminal_reports": _join_reports,
}


def join_events(messages: Iterable[Message], *, taken: Container[str | None] = ()) -> tuple[Registers, set[str]]:
    """Return the facts of all events of a call, and the fingerprints of those that name another call.

    A call has one sid: that of the answer to our POST, else the first that was received. A sid in ``taken`` belongs to
    another call; when the answer names it, the answer counts without its sid.
    """
    messages = [_without_taken_sid(message, taken) for message in messages]
    named = [message for message in messages if message.facts.call_sid and message.facts.call_sid not in taken]
    sid = chosen_sid(_joined(named))
    foreign = {message.fingerprint for message in messages if message.facts.call_sid not in (None, sid)}
    return _joined(message for message in messages if message.fingerprint not in foreign), foreign


def _without_taken_sid(message: Message, taken: Container[str | None]) -> Message:
    if message.kind == EventKind.ANSWER and message.facts.call_sid in taken:
        return replace(message, facts=replace(message.facts, call_sid=None))
    return message


def _joined(messages: Iterable[Message]) -> Registers:
    return reduce(join, map(to_registers, messages), {})


def chosen_sid(facts: Registers) -> str | None:
    """Return the sid by which Exotel knows the call; None while no event has named one."""
    sids = facts.get("call_sids") or {}
    return min(sids, key=lambda sid: sids[sid]) if sids else None


def names_sooner(message: Message, facts: Registers) -> bool:
    """Return True if the sid that ``message`` names must replace the sid in ``facts``."""
    sids = facts.get("call_sids")
    return not sids or sid_rank(message) < min(sids.values())


def needs_verification(facts: Registers) -> bool:
    """Return True if Call Details must confirm the end.

    The end came to the URL for *answered*, or two terminal callbacks differ; and no settled Call Details are known yet.
    """
    reports = facts.get("terminal_reports") or {}
    is_doubtful = "answered_url" in reports or any(len(values) > 1 for values in reports.values())
    return is_doubtful and not is_settled(facts)


def is_settled(facts: Registers) -> bool:
    """Return True if Call Details were received long enough after the end to be final."""
    return "settled" in facts


# What the record then says.


def project(facts: Registers) -> Projection:
    """Return what a call's record says, given its joined facts."""
    phase = PHASES[facts.get("phase", [0])[0]]
    talk_time = _last(facts, "talk_time")
    total_duration = _last(facts, "total_duration")
    started_at = _earliest(facts, "started_at")
    ended_at, approximate = _ended_at(facts, started_at, total_duration)
    urls = recordings(facts)
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
        recording_url=urls[min(urls)] if urls else "",
    )


def recordings(facts: Registers) -> dict[str, str]:
    """Return the URL of each recording, by host and path, in their order.

    When settled Call Details name recordings, only those are returned.
    """
    told = facts.get("recordings") or {}
    settled = {key: entry for key, entry in told.items() if entry[0] == Source.SETTLED}
    return {key: entry[-1] for key, entry in sorted((settled or told).items())}


def status_words(facts: Registers) -> list[str]:
    """Return the status words as Exotel sent them, known or not."""
    return list(facts.get("words") or [])


def _outcome(facts: Registers, talk_time: int | None) -> str:
    status = facts.get("status")
    if not status or not status[0]:
        return Outcome.UNKNOWN.value
    outcome = OUTCOMES[status[2]]
    # An agent who hangs up after a conversation has had one, whatever the word says.
    if outcome == Outcome.AGENT_CANCELED and talk_time:
        outcome = Outcome.COMPLETED
    return outcome.value


def _ended_at(
    facts: Registers, started_at: datetime.datetime | None, total_duration: int | None
) -> tuple[datetime.datetime | None, bool]:
    """Return the end, and whether it is approximate because no final message states it."""
    seen, stated = _earliest(facts, "ended_seen"), _latest(facts, "ended_at")
    if seen is None or stated is not None:
        return stated, False
    return _later(started_at, total_duration) or seen, True


def _later(at: datetime.datetime | None, seconds: int | None) -> datetime.datetime | None:
    """Return the moment ``seconds`` after ``at``; None when one is unknown, or the calendar ends before."""
    if at is None or seconds is None:
        return None
    try:
        later = at + datetime.timedelta(seconds=seconds)
    except OverflowError:
        return None
    # A moment in the last year can lie outside the calendar in another time zone.
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


def _latest(facts: Registers, name: str) -> datetime.datetime | None:
    return EPOCH + facts[name][-1] * MICROSECOND if name in facts else None


def _earliest(facts: Registers, name: str) -> datetime.datetime | None:
    # Of these registers the larger is the earlier.
    return EPOCH - facts[name][-1] * MICROSECOND if name in facts else None
