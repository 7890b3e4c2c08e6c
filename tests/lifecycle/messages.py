"""Messages of a call for the tests of the join, and strategies that generate them."""

from __future__ import annotations

import datetime
import hashlib
from functools import reduce
from typing import Any

from hypothesis import strategies as st

from django_exotel_ccm.choices import EventKind, State
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.exotel.values import LARGEST_SECONDS, clean_moment
from django_exotel_ccm.lifecycle import LEG_WORDS, OUTCOMES, Message, Projection, Registers, join, project, to_registers

SID = "5f0c2a9e7b1d4c68a3e2f9b0d4717b2c"
START = datetime.datetime(2026, 2, 11, 6, 0, tzinfo=datetime.UTC)
KNOWN_WORDS = [outcome.value for outcome in OUTCOMES]
TIMES = [
    "2026-02-11 11:12:12",
    "2026-02-11 11:14:58",
    "2026-02-11 11:12:12+05:30",
    "2026-02-11T05:44:58.123456Z",
    "1971-01-02 00:00:00",
    "9998-12-31 23:59:59",
    "9998-12-31T23:59:59Z",
    "9998-12-31 18:59:59-05:00",
]
RECORDINGS = [
    "https://Recordings.exotel.com/a/1.mp3",
    "https://recordings.exotel.com/a/1.mp3?Expires=200&Signature=x",
    "https://recordings.exotel.com/a/1.mp3?Expires=100&Signature=y",
    "https://s3.example.com/2.mp3?X-Amz-Expires=60&X-Amz-Date=20260211T060000Z",
    *(f"https://s3.example.com/{index}.mp3" for index in range(3, 30)),
]
SECONDS = st.none() | st.sampled_from([0, 1, 42, LARGEST_SECONDS]) | st.integers(0, LARGEST_SECONDS)


def at(seconds: float) -> datetime.datetime:
    """Return the moment ``seconds`` after the start of the tests' calls."""
    return START + datetime.timedelta(seconds=seconds)


def callback(url: str, received: float = 0, /, **facts: Any) -> Message:
    """A callback to the URL of the event ``url``; ``facts`` are its body's."""
    return _message(EventKind.CALLBACK, received, facts, event=url, url_event=url)


def details(received: float = 0, **facts: Any) -> Message:
    """An answer of Call Details."""
    return _message(EventKind.DETAILS, received, facts)


def answer(verdict: State, received: float = 0, *, refusal: str = "", tries: int = 1, **facts: Any) -> Message:
    """The answer to our POST."""
    return _message(EventKind.ANSWER, received, facts, verdict=verdict.value, refusal=refusal, tries=tries)


def lease(received: float = 0) -> Message:
    """Our own event that no answer to the POST was recorded."""
    return _message(EventKind.NO_RESPONSE, received, {}, verdict=State.UNCONFIRMED.value)


def policy(received: float = 0, refusal: str = "night") -> Message:
    """A policy's refusal, before anything was sent."""
    return _message(EventKind.POLICY, received, {}, verdict=State.REFUSED.value, refusal=refusal)


def _message(kind: EventKind, received: float, facts: dict[str, Any], **rest: Any) -> Message:
    for name in ("started_at", "ended_at"):
        if name in facts:
            facts[name] = clean_moment(facts[name])
            assert facts[name] is not None
    if "status" in facts:
        facts.setdefault("status_raw", facts["status"])
    fingerprint = hashlib.sha256(repr((kind, received, sorted(facts.items()), rest)).encode()).hexdigest()
    return Message(kind=kind.value, facts=CallFacts(**facts), received_at=at(received), fingerprint=fingerprint, **rest)


ACCEPTED = answer(State.ACTIVE, 1, call_sid=SID)
ANSWERED = callback("answered", 10, event="answered", call_sid=SID, state="active")
TERMINAL = callback(
    "terminal",
    60,
    event="terminal",
    call_sid=SID,
    state="terminal",
    status="completed",
    talk_time=42,
    total_duration=51,
    started_at="2026-02-11 11:30:00+05:30",
    ended_at="2026-02-11 11:30:51+05:30",
    recordings=(RECORDINGS[0],),
)
STALE = details(70, call_sid=SID, state="active", talk_time=0, total_duration=0)


def joined(*messages: Message) -> Registers:
    facts: Registers = {}
    return reduce(join, map(to_registers, messages), facts)


def projected(*messages: Message) -> Projection:
    return project(joined(*messages))


@st.composite
def facts(draw: st.DrawFn) -> dict[str, Any]:
    """The facts of a body, plausible or not."""
    values: dict[str, Any] = {
        "call_sid": draw(st.sampled_from([None, SID, SID, "another"])),
        "event": draw(st.sampled_from([None, "answered", "terminal"])),
        "event_raw": draw(st.sampled_from([None, "recording_stop_success"])),
        "state": draw(st.sampled_from([None, "active", "terminal"])),
        "agent_leg": draw(st.sampled_from([None, *LEG_WORDS, "hm"])),
        "customer_leg": draw(st.sampled_from([None, *LEG_WORDS, "hm"])),
        "talk_time": draw(SECONDS),
        "total_duration": draw(SECONDS),
        "recordings": tuple(draw(st.lists(st.sampled_from(RECORDINGS), max_size=20, unique=True))),
        "agent_id": draw(st.sampled_from([None, "7d1f", "2b8e"])),
        "agent_uri": draw(st.sampled_from([None, "sip:asha", "+919000000101"])),
    }
    if draw(st.booleans()):
        values["status"] = draw(st.sampled_from(KNOWN_WORDS))
    elif draw(st.booleans()):
        values["status_raw"] = draw(st.sampled_from(["missed", "in-progress"]) | st.text(min_size=1, max_size=8))
    for name in ("started_at", "ended_at"):
        if draw(st.booleans()):
            values[name] = draw(st.sampled_from(TIMES))
    return values


@st.composite
def events(draw: st.DrawFn) -> Message:
    """One event of any kind, received around the time of the call, or at the ends of the calendar."""
    received = draw(st.integers(0, 600) | st.sampled_from([-1_700_000_000, 250_000_000_000]))
    values = draw(facts())
    kind = draw(st.sampled_from(["callback", "callback", "details", "answer", "policy", "lease"]))
    if kind == "callback":
        return callback(draw(st.sampled_from(["answered", "terminal"])), received, **values)
    if kind == "details":
        return details(received, **values)
    if kind == "policy":
        return policy(received)
    if kind == "lease":
        return lease(received)
    verdict = draw(st.sampled_from([State.UNCONFIRMED, State.REFUSED, State.ACTIVE]))
    refusal = draw(st.sampled_from(["10706", "1012"])) if verdict == State.REFUSED else ""
    accepted = {"call_sid": values["call_sid"]} if verdict == State.ACTIVE else {}
    return answer(verdict, received, refusal=refusal, tries=draw(st.integers(1, 2)), **accepted)
