"""Scenarios: up to six events of one call, which agree or contradict each other, and the record that they make."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django_exotel_ccm.choices import Outcome
from django_exotel_ccm.lifecycle import OUTCOMES
from tests.lifecycle.messages import SID, at
from tests.properties.sample_events import (
    OTHER,
    RECORDING,
    SECOND,
    SampleEvent,
    accepted,
    found,
    no_response,
    not_found,
    policy,
    raw,
    refused,
    unconfirmed,
    v1,
    v2,
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Up to six events of one call, and the columns of its record after all of them."""

    name: str
    events: tuple[SampleEvent, ...]
    ends: dict[str, Any]

    def first(self, count: int) -> Scenario:
        """Return the scenario with the first ``count`` events only, and no expected end."""
        return dataclasses.replace(self, events=self.events[:count], ends={})


TALKED = {"Legs[0][Status]": "completed", "Legs[1][Status]": "canceled"}
STARTED, ENDED = "2026-02-11 11:30:02+05:30", "2026-02-11 11:30:53+05:30"
ANSWERED = v2("answered", 10, "answered", call_state="active")
STALE = found(
    "stale details", 63, call_state="active", total_talk_time=0, total_duration=0, end_time="1970-01-01 05:30:00"
)
FINAL = {"call_state": "terminal", "start_time": STARTED, "end_time": ENDED, "total_duration": 51}


def scenario(name: str, *events: SampleEvent, **ends: Any) -> Scenario:
    assert len(events) <= 6
    assert len({one.name for one in events}) == len(events)
    return Scenario(name, events, ends)


def of_outcome(word: str) -> Scenario:
    """A call that ends with ``word``, reported by every kind of event."""
    talk = 42 if word == Outcome.COMPLETED else 0
    terminal = v2(
        "terminal", 60, "terminal", call_status=word, total_talk_time=talk, recordings=[RECORDING] * bool(talk), **FINAL
    )
    known = word in [outcome.value for outcome in OUTCOMES]
    return scenario(
        word,
        accepted(),
        ANSWERED,
        terminal,
        found("details", 200, call_status=word, total_talk_time=talk and talk - 2, recordings=[SECOND], **FINAL),
        v1(
            "v1",
            61,
            "terminal",
            CallSid=SID,
            Status="in-progress",
            StartTime="2026-02-11 11:31:00",
            RecordingUrl="null",
        ),
        STALE,
        state="ended",
        outcome=word if known else "unknown",
        call_sid=SID,
        talk_time=talk and talk - 2,
        total_duration=51,
        started_at=at(2),
        ended_at=at(53),
        ended_at_approximate=False,
        answered_at=at(13) if talk else at(10),
        recording_url=SECOND,
        refusal_code="",
    )


BY_OUTCOME = [of_outcome(word) for word in [*(outcome.value for outcome in OUTCOMES), "missed"]]


def terminal(name: str, seconds: int = 60, **call: Any) -> SampleEvent:
    return v2(name, seconds, "terminal", **{"call_state": "terminal", **call})


DISAGREEING = [
    scenario(
        "three outcomes",
        accepted(),
        ANSWERED,
        terminal("completed", total_talk_time=42, call_status="completed"),
        terminal("failed", 61, total_talk_time=0, call_status="failed"),
        terminal("unknown", 62, call_status="missed"),
        found("busy", 200, call_state="terminal", call_status="busy", total_talk_time=0),
        state="ended",
        outcome="busy",
        talk_time=42,
    ),
    scenario(
        "two outcomes of equal sources",
        terminal("completed", 70, call_status="completed"),
        terminal("no answer", 60, call_status="customer_unanswered"),
        terminal("canceled", 65, call_status="agent_canceled"),
        ANSWERED,
        v2("answered late", 99, "answered", call_state="active", custom_field="late"),
        accepted(2),
        state="ended",
        outcome="completed",
        talk_time=None,
        answered_at=at(10),
        ended_at=at(60),
        ended_at_approximate=True,
    ),
    scenario(
        "0, null and nothing for the talk",
        terminal("zero", 60, call_status="completed", total_talk_time=0, total_duration=0),
        terminal("null", 61, call_status="completed", total_talk_time=None, total_duration="null"),
        terminal("nothing", 62, call_status="completed"),
        terminal("some", 63, call_status="completed", total_talk_time="42", total_duration="51"),
        found("zero in details", 200, call_state="terminal", call_status="completed", total_talk_time=0),
        found("less in details", 300, call_state="terminal", call_status="completed", total_talk_time=40),
        state="ended",
        outcome="completed",
        talk_time=40,
        total_duration=51,
    ),
    scenario(
        "unknown words only",
        v2("ringing", 5, "ringing", url="terminal", call_state="active", call_status="ringing"),
        terminal("missed", call_status="missed"),
        terminal("leg", 61, call_status="to_leg_cancelled"),
        found("gave up", 200, call_state="terminal", call_status="gave up"),
        ANSWERED,
        accepted(),
        state="ended",
        outcome="unknown",
        talk_time=None,
        answered_at=at(10),
    ),
    scenario(
        "an agent who hung up after talking",
        terminal("word", call_status="Agent-Cancelled"),
        terminal("talk", 61, total_talk_time=7, end_time=ENDED),
        v1("v1", 62, "terminal", CallSid=SID, Status="canceled", **TALKED),
        STALE,
        unconfirmed(),
        state="ended",
        outcome="completed",
        talk_time=7,
        answered_at=at(46),
        ended_at=at(53),
    ),
    scenario(
        "refused, but it rings",
        refused("10725"),
        refused("10706", 2, tries=2),
        ANSWERED,
        terminal("terminal", call_status="completed", total_talk_time=42),
        not_found(),
        state="ended",
        outcome="completed",
        refusal_code="10706",
        talk_time=42,
    ),
    scenario("refused by a policy", policy(), state="refused", refusal_code="night", call_sid=None, outcome=""),
    scenario(
        "the answer came after no response was recorded",
        no_response(),
        accepted(101),
        ANSWERED,
        not_found(),
        STALE,
        state="active",
        outcome="",
        call_sid=SID,
        answered_at=at(10),
        talk_time=0,
    ),
    scenario(
        "never confirmed",
        no_response(),
        unconfirmed(),
        not_found(),
        state="unconfirmed",
        outcome="",
        call_sid=None,
        answered_at=None,
    ),
    scenario(
        "two recordings, each signed twice",
        terminal("first", recordings=[{"url": f"{RECORDING}?Expires=99&Signature=z"}], call_status="completed"),
        terminal("first again", 61, recording_url=f"{RECORDING}?Expires=100&Signature=a"),
        terminal("second", 62, recordings=[SECOND, f"{SECOND}?Expires=9"]),
        v2("early", 30, "answered", recordings=[f"{RECORDING}?Expires=1000&Signature=b"]),
        found("details", 200, call_state="terminal", recording={"available": True, "url": f"{SECOND}?Expires=1"}),
        found("late", 300, call_state="terminal", recordings=[f"{RECORDING}?Expires=50"]),
        state="ended",
        outcome="completed",
        recording_url=f"{RECORDING}?Expires=50",
    ),
    scenario(
        "a foreign sid beside the answer's",
        v2("foreign", 3, "terminal", sid=OTHER, call_status="failed", recordings=[SECOND], call_state="terminal"),
        v2("foreign answered", 2, "answered", sid=OTHER, call_state="active"),
        accepted(4),
        ANSWERED,
        raw("unreadable", 12, "terminal", b"\xff\x00 not a body"),
        v2("no sid", 14, "answered", sid=None, total_duration=9),
        state="active",
        outcome="",
        call_sid=SID,
        answered_at=at(10),
        total_duration=9,
        recording_url="",
    ),
    scenario(
        "foreign events and an end",
        v2("foreign", 50, "terminal", sid=OTHER, call_status="failed", call_state="terminal", total_talk_time=5),
        terminal("terminal", call_status="completed", total_talk_time=42),
        ANSWERED,
        accepted(1),
        found("foreign details", 70, sid=OTHER, call_state="terminal", call_status="busy"),
        v2("no sid", 61, "terminal", sid="null", total_duration=51),
        state="ended",
        outcome="completed",
        call_sid=SID,
        talk_time=42,
        total_duration=51,
    ),
    scenario(
        "two sids and no answer",
        unconfirmed(),
        v2("a", 20, "answered", sid="a" * 32),
        v2("a ends", 40, "terminal", sid="a" * 32, call_status="busy"),
        v2("b", 10, "answered", sid="b" * 32),
        v2("b ends", 70, "terminal", sid="b" * 32, call_status="failed"),
        v2("neither", 90, "terminal", sid="N/A", total_talk_time=0),
        state="ended",
        outcome="failed",
        call_sid="b" * 32,
        answered_at=at(10),
        talk_time=0,
    ),
    scenario(
        "two sids in one moment",
        unconfirmed(),
        v2("a", 20, "answered", sid="a" * 32),
        v2("b", 20, "terminal", sid="b" * 32),
        no_response(),
    ),
    scenario(
        "bodies without facts",
        raw("empty", 10, "terminal", b""),
        raw("broken", 11, "answered", b'{"call_details": {"call_sid": "'),
        raw("a list", 12, "terminal", b"[1, 2]"),
        raw("nothing of a call", 13, "answered", b'{"hello": 1}'),
        unconfirmed(),
        no_response(),
        state="active",
        outcome="",
        answered_at=None,
        call_sid=None,
    ),
    scenario(
        "zones and placeholders",
        terminal("naive", start_time="2026-02-11 11:29:00", end_time="2026-02-11 11:33:00", call_status="busy"),
        terminal("zoned", 61, start_time=STARTED, end_time=ENDED),
        terminal("zoned later", 62, start_time="2026-02-11T06:00:05Z", end_time="2026-02-11T06:00:59Z"),
        terminal("epoch", 63, start_time="1970-01-01 05:30:00", end_time="0001-01-01T00:00:00Z"),
        v2("end of nothing", 20, "answered", end_time="2026-02-11T06:40:00Z", start_time="2026-02-11T05:00:00Z"),
        found("details", 90, call_state="terminal", start_time="2026-02-11 11:20:00", end_time="2026-02-11 11:50:00"),
        state="ended",
        outcome="busy",
        started_at=at(2),
        ended_at=at(59),
        ended_at_approximate=False,
    ),
    scenario(
        "legs and who picked up",
        v1("agent's leg", 60, "terminal", CallSid=SID, Status="no-answer", **{"Legs[0][Status]": "no-answer"}),
        v1("no legs", 61, "terminal", CallSid=SID, Status="no-answer"),
        terminal("v3", 62, call_status="to_leg_unanswered"),
        terminal("agent busy", 63, call_status="agent_busy"),
        accepted(),
        ANSWERED,
        state="ended",
        outcome="customer_unanswered",
    ),
]  # fmt: skip

SCENARIOS = [*BY_OUTCOME, *DISAGREEING]


def names(events: Iterable[SampleEvent]) -> str:
    """Return the names of an order of events, for an error."""
    return ", then ".join(one.name for one in events) or "nothing"
