"""A second implementation of the join's rules: the record that a set of events must make.

It joins and stores nothing: each fact is looked up among all events at once.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django_exotel_ccm.choices import Outcome
from django_exotel_ccm.exotel.recordings import expiry_of, recording_of
from django_exotel_ccm.lifecycle import Message, Projection

# Each list from the poorest to the richest, as the table has it.
STATES = ["requested", "unconfirmed", "refused", "active", "ended"]
RICHNESS = [
    "failed",
    "busy",
    "agent_no_dial",
    "agent_unanswered",
    "agent_canceled",
    "customer_no_dial",
    "customer_unanswered",
    "completed",
]
NOTHING = (None, "", Outcome.UNKNOWN)
NO_LATER = datetime.datetime(9999, 1, 1, tzinfo=datetime.UTC)


def record_of(pile: Iterable[Message], taken: str = "") -> Projection:
    """Return the record that the table demands of these events in any order; the sid ``taken`` is another call's."""
    pile = list(pile)
    sid = sid_of([event for event in pile if event.facts.call_sid != taken])
    events = [event for event in pile if is_own(event, sid, taken)]
    ended = any(is_final(event) for event in events)
    talk_time = seconds(events, "talk_time")
    total_duration = seconds(events, "total_duration")
    started_at = moment(events, "started_at", earliest=True)
    ended_at = moment([event for event in events if is_final(event)], "ended_at", earliest=False)
    approximate = ended and ended_at is None
    if approximate:
        ended_at = worked_out(started_at, total_duration) or min(e.received_at for e in events if is_final(e))
    return Projection(
        state=max(map(state_of, events), key=STATES.index, default="requested"),
        outcome=outcome(events, talk_time) if ended else "",
        refusal_code=max(((event.tries, event.refusal) for event in events if event.refusal), default=(0, ""))[1],
        call_sid=sid,
        started_at=started_at,
        answered_at=answered_at(events, ended_at, talk_time),
        ended_at=ended_at,
        ended_at_approximate=approximate,
        total_duration=total_duration,
        talk_time=talk_time,
        recording_url=recording(events),
    )


def is_own(event: Message, sid: str | None, taken: str) -> bool:
    """Say whether an event names no other call; the answer to our POST is ours, whatever it names."""
    return event.facts.call_sid in (None, sid) or (event.kind == "answer" and event.facts.call_sid == taken)


def sid_of(events: list[Message]) -> str | None:
    """The sid of the answer to our POST, else the one of the first callback."""
    named = [event for event in events if event.facts.call_sid]
    answered = [event for event in named if event.kind == "answer"]
    first = min(answered or named, key=lambda event: (event.received_at, event.fingerprint), default=None)
    return first.facts.call_sid if first else None


def reported(event: Message) -> str | None:
    """The event that a message reports: the body's, else the URL's, unless an unknown one goes on."""
    facts = event.facts
    if facts.event:
        return facts.event
    doubtful = facts.event_raw and facts.state == "active" and event.event == "terminal"
    return None if doubtful else event.event or None


def is_final(event: Message) -> bool:
    if event.kind not in ("callback", "details"):
        return False
    return reported(event) == "terminal" or event.facts.state == "terminal" or event.facts.status in RICHNESS


def state_of(event: Message) -> str:
    if event.verdict:
        return event.verdict
    if is_final(event):
        return "ended"
    return "active" if event.kind == "callback" or event.facts.call_sid else "requested"


def trust(event: Message) -> int:
    """The rank of a message's source."""
    if event.kind == "details":
        return 4 if is_settled(event) else 3 if is_final(event) else 1
    if event.kind == "callback":
        return 2 if is_final(event) else 1
    return 0


def is_settled(event: Message) -> bool:
    """Whether these are final Call Details, received two minutes or more after the end that they state."""
    if event.kind != "details" or not is_final(event) or event.facts.ended_at is None:
        return False
    return event.received_at >= event.facts.ended_at.at + datetime.timedelta(minutes=2)


def must_be_verified(pile: Iterable[Message], taken: str = "") -> bool:
    """Whether terminal callbacks disagree, or came to the URL of another event, and nothing has settled it."""
    pile = list(pile)
    sid = sid_of([event for event in pile if event.facts.call_sid != taken])
    events = [event for event in pile if is_own(event, sid, taken)]
    ends = [event for event in events if event.kind == "callback" and is_final(event)]
    reports = [
        {event.facts.status or event.facts.status_raw for event in ends},
        {event.facts.talk_time for event in ends},
        {frozenset(map(recording_of, event.facts.recordings)) or None for event in ends},
    ]
    differ = any(len(values - {None}) > 1 for values in reports)
    misplaced = any(event.url_event == "answered" for event in ends)
    return (differ or misplaced) and not any(is_settled(event) for event in events)


def outcome(events: list[Message], talk_time: int | None) -> str:
    known = [event for event in events if event.facts.status in RICHNESS]
    if not known:
        return Outcome.UNKNOWN.value
    word = max(known, key=lambda event: (trust(event), RICHNESS.index(str(event.facts.status)))).facts.status
    return "completed" if word == "agent_canceled" and talk_time else str(word)


def seconds(events: list[Message], name: str) -> int | None:
    """The value of settled Call Details; else positive before zero, then the more trusted, then the larger."""
    reports = [(getattr(event.facts, name), trust(event)) for event in events]
    ranked = [(trusted == 4, value > 0, trusted, value) for value, trusted in reports if value is not None]
    return max(ranked)[3] if ranked else None


def moment(events: list[Message], name: str, *, earliest: bool) -> datetime.datetime | None:
    """A time with its zone before one without, then the more trusted, then the earlier or the later."""
    reports = [(getattr(event.facts, name), trust(event)) for event in events]
    moments = [(one.zoned, trusted, one.at) for one, trusted in reports if one is not None]
    if not moments:
        return None
    best = max(one[:2] for one in moments)
    choose: Callable[[Sequence[Any]], Any] = min if earliest else max
    return choose([at for zoned, trusted, at in moments if (zoned, trusted) == best])


def worked_out(started_at: datetime.datetime | None, lasted: int | None) -> datetime.datetime | None:
    if started_at is None or lasted is None:
        return None
    left = NO_LATER - started_at
    return started_at + datetime.timedelta(seconds=lasted) if left.total_seconds() > lasted else None


def answered_at(
    events: list[Message], ended_at: datetime.datetime | None, talk_time: int | None
) -> datetime.datetime | None:
    if ended_at is not None and talk_time:
        return ended_at - datetime.timedelta(seconds=talk_time)
    seen = [event.received_at for event in events if reported(event) == "answered"]
    return min([*seen, *([ended_at] if ended_at else [])]) if seen else None


def recording(events: list[Message]) -> str:
    """The URL of the smallest address, as the most trusted sent it, valid for longest; of settled ones, if any."""
    reports = [
        (recording_of(url), trust(event), expiry_of(url), url) for event in events for url in event.facts.recordings
    ]
    reports = [one for one in reports if one[1] == 4] or reports
    first = min((one[0] for one in reports), default=None)
    return max(one for one in reports if one[0] == first)[3] if reports else ""


def lost_facts(before: Projection, after: Projection, *, settled: bool) -> list[str]:
    """Return the facts that were lost; only ``settled`` Call Details may set seconds to zero.

    With the talk time goes the moment of the answer, if it was reckoned from it.
    """
    durations = [] if settled else ["talk_time", "total_duration"]
    lost = [name for name in durations if getattr(before, name) and not getattr(after, name)]
    names = [field.name for field in dataclasses.fields(Projection) if field.name != "ended_at_approximate"]
    lost += [name for name in names if getattr(before, name) not in NOTHING and getattr(after, name) in NOTHING]
    if settled and before.talk_time and not after.talk_time:
        lost = [name for name in lost if name != "answered_at"]
    return lost + ["state"] * (STATES.index(after.state) < STATES.index(before.state))
