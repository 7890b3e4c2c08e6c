"""The join's rules about phase, words and seconds, and the registers of single events."""

from __future__ import annotations

import hashlib
import itertools
import random

import pytest

from django_exotel_ccm.choices import Outcome, State
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.lifecycle import OUTCOMES, Message, Projection, Registers, status_words, to_registers
from tests.lifecycle.messages import (
    ACCEPTED,
    ANSWERED,
    RECORDINGS,
    SID,
    STALE,
    START,
    TERMINAL,
    answer,
    at,
    callback,
    details,
    joined,
    lease,
    policy,
    projected,
)

MICROS = int(START.timestamp()) * 1_000_000


def test_registers_of_a_full_event() -> None:
    message = callback(
        "terminal",
        60,
        call_sid=SID,
        status="agent_canceled",
        status_raw="Agent-Cancelled",
        talk_time=42,
        total_duration=0,
        started_at="2026-02-11 11:30:00",
        ended_at="2026-02-11T06:00:51Z",
        recordings=(RECORDINGS[1],),
        agent_leg="completed",
        customer_leg="in-progress",
        agent_id="7d1f",
        agent_uri="sip:asha",
    )

    # Stored facts of an earlier version are joined with new ones, so their form must not change.
    assert to_registers(message) == {
        "phase": [4],
        "status": [1, 2, 4, "Agent-Cancelled"],
        "words": ["Agent-Cancelled"],
        "talk_time": [0, 1, 2, 42],
        "total_duration": [0, 0, 2, 0],
        "started_at": [0, 2, -MICROS],
        "ended_at": [1, 2, MICROS + 51_000_000],
        "ended_seen": [-MICROS - 60_000_000],
        "recordings": {"recordings.exotel.com/a/1.mp3": [2, 200, RECORDINGS[1]]},
        "agent_leg": [1, 2, 6, "completed"],
        "customer_leg": [0, 2, 1, "in-progress"],
        "agent_id": [2, "7d1f"],
        "agent_uri": [2, "sip:asha"],
        "call_sids": {SID: [1, MICROS + 60_000_000, message.fingerprint]},
        "terminal_reports": {
            "status": ["agent_canceled"],
            "talk_time": [42],
            "recordings": [hashlib.sha256(b"recordings.exotel.com/a/1.mp3").hexdigest()[:16]],
        },
    }


SEEN = [-MICROS]  # received at the start


@pytest.mark.parametrize(
    ("message", "registers"),
    [
        (callback("answered"), {"phase": [3], "answered_seen": SEEN}),
        (callback("terminal"), {"phase": [4], "ended_seen": SEEN}),
        (callback("", status_raw="hm"), {"phase": [3], "status": [0, 1, 0, "hm"], "words": ["hm"]}),
        (callback("", talk_time=1), {"phase": [3], "talk_time": [0, 1, 1, 1]}),
        (callback("", customer_leg="hm"), {"phase": [3], "customer_leg": [0, 1, 0, "hm"]}),
        (answer(State.ACTIVE), {"phase": [3]}),
        (answer(State.REFUSED, refusal="10706", tries=2), {"phase": [2], "refusal": [2, "10706"]}),
        (policy(), {"phase": [2], "refusal": [1, "night"]}),
        (lease(), {"phase": [1]}),
        (details(), {"phase": [0]}),
        (details(call_sid=SID), {"phase": [3], "call_sids": {SID: [1, MICROS, details(call_sid=SID).fingerprint]}}),
        (details(status="busy"), {"phase": [4], "status": [1, 3, 1, "busy"], "words": ["busy"], "ended_seen": SEEN}),
    ],
)  # fmt: skip
def test_registers_of_a_partial_event(message: Message, registers: Registers) -> None:
    assert to_registers(message) == registers


@pytest.mark.parametrize(
    ("facts", "vouched", "event"),
    [
        ({}, "", ""),
        ({}, "answered", "answered"),
        ({}, "terminal", "terminal"),
        ({"event": "answered"}, "terminal", "answered"),
        ({"event": "terminal"}, "answered", "terminal"),
        ({"event": "terminal", "state": "active"}, "terminal", "terminal"),
        ({"state": "active"}, "terminal", "terminal"),
        ({"event_raw": "ringing"}, "terminal", "terminal"),
        ({"event_raw": "ringing", "state": "terminal"}, "terminal", "terminal"),
        ({"event_raw": "ringing", "state": "active"}, "terminal", ""),
        ({"event_raw": "ringing", "state": "active"}, "answered", "answered"),
    ],
)
def test_event_of_a_callback(facts: dict[str, str], vouched: str, event: str) -> None:
    parsed = CallFacts(**facts)

    assert parsed.reported_event(vouched) == event
    # The stored event is decided upon again by a replay.
    assert parsed.reported_event(event) == event
    assert ("answered_seen" in to_registers(callback(vouched, **facts))) is (event == "answered")
    assert projected(callback(vouched, **facts)).state == (
        State.ENDED if "terminal" in (event, parsed.state) else State.ACTIVE
    )


@pytest.mark.parametrize("refused_first", [False, True])
def test_every_order_with_every_message_twice(refused_first: bool) -> None:
    messages = [ACCEPTED, ANSWERED, TERMINAL, STALE]
    if refused_first:
        messages[0] = answer(State.REFUSED, 1, refusal="10706")
    whole = projected(*messages)

    for order in itertools.permutations(messages):
        twice = [*order, *order]
        random.Random(7).shuffle(twice)
        assert projected(*order) == projected(*twice) == whole
    assert whole == Projection(
        state="ended",
        outcome="completed",
        refusal_code="10706" if refused_first else "",
        call_sid=SID,
        started_at=at(0),
        answered_at=at(9),
        ended_at=at(51),
        ended_at_approximate=False,
        total_duration=51,
        talk_time=42,
        recording_url=RECORDINGS[0],
    )


# The table, row by row.


@pytest.mark.parametrize(
    ("messages", "state"),
    [
        ([], State.REQUESTED),
        ([answer(State.UNCONFIRMED)], State.UNCONFIRMED),
        ([answer(State.UNCONFIRMED), answer(State.REFUSED)], State.REFUSED),
        ([answer(State.REFUSED), answer(State.ACTIVE)], State.ACTIVE),
        ([lease()], State.UNCONFIRMED),
        ([lease(), answer(State.ACTIVE)], State.ACTIVE),
        ([policy()], State.REFUSED),
        ([details()], State.REQUESTED),  # a 404 finds nothing
        ([details(call_sid=SID, state="active")], State.ACTIVE),
        ([answer(State.UNCONFIRMED), callback("answered")], State.ACTIVE),
        ([answer(State.REFUSED), callback("answered")], State.ACTIVE),
        ([callback("answered", event="terminal")], State.ENDED),  # the body's event decides
        ([callback("terminal", event="answered")], State.ACTIVE),
        ([callback("terminal")], State.ENDED),  # the URL's event is the fallback
        ([callback("answered", state="terminal")], State.ENDED),
        ([callback("answered", status="busy")], State.ENDED),
        ([callback("answered", status_raw="in-progress")], State.ACTIVE),
        ([details(call_sid=SID, state="terminal")], State.ENDED),
        ([details(call_sid=SID, status="failed")], State.ENDED),
        (
            [answer(State.ACTIVE, state="terminal", status="failed")],
            State.ACTIVE,
        ),  # the answer to the POST ends no call
        ([callback("terminal"), STALE, ANSWERED, answer(State.REFUSED)], State.ENDED),
    ],
)
def test_phase(messages: list[Message], state: State) -> None:
    assert projected(*messages).state == state


@pytest.mark.parametrize(("poorer", "richer"), list(itertools.pairwise(OUTCOMES)))
def test_richer_word_of_equal_sources_wins(poorer: Outcome, richer: Outcome) -> None:
    one, other = (callback("terminal", status=word.value) for word in (poorer, richer))

    assert projected(one, other).outcome == richer


def test_word_of_the_better_source_wins() -> None:
    assert projected(TERMINAL, details(90, call_sid=SID, state="terminal", status="failed")).outcome == Outcome.FAILED
    assert projected(TERMINAL, callback("terminal", status="failed")).outcome == Outcome.COMPLETED


def test_unknown_word_is_never_completed() -> None:
    unknown = details(90, call_sid=SID, state="terminal", status_raw="missed")

    assert projected(unknown).outcome == Outcome.UNKNOWN
    assert projected(callback("terminal")).outcome == Outcome.UNKNOWN
    assert projected(unknown, callback("terminal", status="busy")).outcome == Outcome.BUSY
    assert status_words(joined(unknown, TERMINAL)) == ["completed", "missed"]


def test_spelling_of_an_outcome_is_order_independent() -> None:
    one, other = (callback("terminal", status="agent_canceled", status_raw=raw) for raw in ("agent-cancelled", "AGENT"))

    assert joined(one, other)["status"] == joined(other, one)["status"] == [1, 2, 4, "agent-cancelled"]


def test_word_without_spelling() -> None:
    assert joined(callback("terminal", status="failed", status_raw=None))["status"] == [1, 2, 0, "failed"]


def test_outcome_needs_an_end() -> None:
    assert projected(answer(State.ACTIVE, status="completed")).outcome == ""


def test_twenty_words_are_kept() -> None:
    messages = [callback("answered", status_raw=f"word {index:02}") for index in range(30)]

    assert status_words(joined(*messages)) == [f"word {index:02}" for index in range(20)]


@pytest.mark.parametrize(("talk_time", "outcome"), [(42, "completed"), (0, "agent_canceled"), (None, "agent_canceled")])
def test_agent_canceled_after_talking_is_completed(talk_time: int | None, outcome: str) -> None:
    assert projected(callback("terminal", status="agent_canceled", talk_time=talk_time)).outcome == outcome


def test_completed_without_talk_time() -> None:
    record = projected(callback("terminal", status="completed", talk_time=0))

    assert (record.outcome, record.talk_time, record.answered_at) == ("completed", 0, None)


@pytest.mark.parametrize("name", ["talk_time", "total_duration"])
def test_seconds(name: str) -> None:
    def seconds(*messages: Message) -> int | None:
        value: int | None = getattr(projected(*messages), name)
        return value

    none, zero, some = (callback("terminal", 1, **{name: value}) for value in (None, 0, 42))
    corrected = details(call_sid=SID, state="terminal", **{name: 40})
    denied = details(call_sid=SID, state="terminal", **{name: 0})

    one = callback("answered", 1, **{name: 1})

    assert (seconds(none), seconds(zero), seconds(one), seconds(some)) == (None, 0, 1, 42)
    assert seconds(one, denied) == seconds(denied, one) == 1
    assert seconds(some, denied) == seconds(denied, some) == 42
    assert seconds(some, corrected) == seconds(corrected, some) == 40
    assert seconds(some, details(call_sid=SID, state="active", **{name: 50})) == 42
