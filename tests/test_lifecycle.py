"""The join is a join, and each row of its table holds."""

from __future__ import annotations

import datetime
import itertools
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_exotel_ccm.choices import Outcome, State
from django_exotel_ccm.lifecycle import (
    OUTCOMES,
    Projection,
    Registers,
    Told,
    join,
    join_all,
    project,
    registers_of,
    words,
)
from tests.told import (
    ACCEPTED,
    ANSWERED,
    RECORDINGS,
    SID,
    STALE,
    TERMINAL,
    answer,
    at,
    callback,
    details,
    events,
    joined,
    shown,
)


def stored(facts: Registers) -> Registers:
    """Return facts as the database gives them back."""
    read: Registers = json.loads(json.dumps(facts))
    return read


# The laws.

registers = st.lists(events(), max_size=3).map(lambda told: joined(*told))


@given(registers, registers, registers)
def test_join_is_commutative_associative_and_idempotent(a: Registers, b: Registers, c: Registers) -> None:
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    assert join(a, a) == a
    assert join(join(a, b), b) == join(a, b)
    assert join({}, a) == a


@given(st.lists(events(), max_size=6), st.data())
def test_any_order_and_any_repetition_make_the_same_record(told: list[Told], data: st.DataObject) -> None:
    again = data.draw(st.permutations(told + told[: len(told) // 2])) if told else []

    assert joined(*again) == joined(*told)
    assert shown(*again) == shown(*told)
    assert join_all(again)[0] == join_all(told)[0]
    assert join_all(again)[1] == join_all(told)[1]


@given(registers, registers)
def test_facts_read_back_from_the_database_are_the_same_facts(a: Registers, b: Registers) -> None:
    assert stored(a) == a
    assert stored(join(stored(a), b)) == join(a, b)


@given(registers)
def test_every_set_of_facts_can_be_shown(facts: Registers) -> None:
    record = project(facts)

    assert record.state in State.values
    assert (record.outcome in Outcome.values) is (record.state == State.ENDED)
    india = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    for moment in (record.started_at, record.answered_at, record.ended_at):
        assert moment is None or moment.astimezone(india) == moment


@given(registers, events())
def test_news_never_takes_back_what_was_known(facts: Registers, told: Told) -> None:
    before, after = project(facts), project(join(facts, registers_of(told)))

    order = [State.REQUESTED, State.UNCONFIRMED, State.REFUSED, State.ACTIVE, State.ENDED]
    assert order.index(State(after.state)) >= order.index(State(before.state))
    for name in ("started_at", "ended_at", "answered_at", "recording_url", "refusal_code", "call_sid"):
        assert bool(getattr(after, name)) >= bool(getattr(before, name)), name
    for name in ("talk_time", "total_duration"):
        assert (getattr(after, name) or 0) > 0 or not getattr(before, name), name


@pytest.mark.parametrize("refused_first", [False, True])
def test_every_order_of_a_real_call_with_every_message_twice(refused_first: bool) -> None:
    story = [ACCEPTED, ANSWERED, TERMINAL, STALE]
    if refused_first:
        story[0] = answer(State.REFUSED, 1, refusal="10706")
    whole = shown(*story)

    for order in itertools.permutations(story):
        twice = [*order, *order]
        random.Random(7).shuffle(twice)
        assert shown(*order) == shown(*twice) == whole
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
    ("told", "state"),
    [
        ([], State.REQUESTED),
        ([answer(State.UNCONFIRMED)], State.UNCONFIRMED),
        ([answer(State.UNCONFIRMED), answer(State.REFUSED)], State.REFUSED),
        ([answer(State.REFUSED), answer(State.ACTIVE)], State.ACTIVE),
        ([details()], State.REQUESTED),  # a 404 finds nothing
        ([details(call_sid=SID, state="active")], State.ACTIVE),
        ([answer(State.UNCONFIRMED), callback("answered")], State.ACTIVE),
        ([answer(State.REFUSED), callback("answered")], State.ACTIVE),
        ([callback("answered", event="terminal")], State.ENDED),  # the body's event decides
        ([callback("terminal", event="answered")], State.ACTIVE),
        ([callback("terminal")], State.ENDED),  # the URL's stands in for it
        ([callback("answered", state="terminal")], State.ENDED),
        ([callback("answered", status="busy")], State.ENDED),
        ([callback("answered", status_raw="in-progress")], State.ACTIVE),
        ([details(call_sid=SID, state="terminal")], State.ENDED),
        ([details(call_sid=SID, status="failed")], State.ENDED),
        ([answer(State.ACTIVE, state="terminal", status="failed")], State.ACTIVE),  # 200 is not a ring, nor an end
        ([callback("terminal"), STALE, ANSWERED, answer(State.REFUSED)], State.ENDED),
    ],
)
def test_phase(told: list[Told], state: State) -> None:
    assert shown(*told).state == state


@pytest.mark.parametrize(("poorer", "richer"), list(itertools.pairwise(OUTCOMES)))
def test_of_two_final_words_told_by_equals_the_richer_stands(poorer: Outcome, richer: Outcome) -> None:
    one, other = (callback("terminal", status=word.value) for word in (poorer, richer))

    assert shown(one, other).outcome == richer


def test_of_two_final_words_the_better_source_stands() -> None:
    assert shown(TERMINAL, details(90, call_sid=SID, state="terminal", status="failed")).outcome == Outcome.FAILED
    assert shown(TERMINAL, callback("terminal", status="failed")).outcome == Outcome.COMPLETED


def test_an_unknown_word_never_reads_as_completed_and_never_hides_a_known_one() -> None:
    unknown = details(90, call_sid=SID, state="terminal", status_raw="missed")

    assert shown(unknown).outcome == Outcome.UNKNOWN
    assert shown(callback("terminal")).outcome == Outcome.UNKNOWN
    assert shown(unknown, callback("terminal", status="busy")).outcome == Outcome.BUSY
    assert words(joined(unknown, TERMINAL)) == ["completed", "missed"]


def test_an_outcome_shows_only_when_the_call_has_ended() -> None:
    assert shown(answer(State.ACTIVE, status="completed")).outcome == ""


def test_of_many_words_twenty_are_kept() -> None:
    told = [callback("answered", status_raw=f"word {index:02}") for index in range(30)]

    assert words(joined(*told)) == [f"word {index:02}" for index in range(20)]


@pytest.mark.parametrize(("talk_time", "outcome"), [(42, "completed"), (0, "agent_canceled"), (None, "agent_canceled")])
def test_an_agent_who_hung_up_after_talking_had_a_conversation(talk_time: int | None, outcome: str) -> None:
    assert shown(callback("terminal", status="agent_canceled", talk_time=talk_time)).outcome == outcome


def test_completed_without_talk_stays_completed() -> None:
    record = shown(callback("terminal", status="completed", talk_time=0))

    assert (record.outcome, record.talk_time, record.answered_at) == ("completed", 0, None)


@pytest.mark.parametrize("name", ["talk_time", "total_duration"])
def test_seconds(name: str) -> None:
    def seconds(*told: Told) -> int | None:
        value: int | None = getattr(shown(*told), name)
        return value

    none, zero, some = (callback("terminal", 1, **{name: value}) for value in (None, 0, 42))
    corrected = details(call_sid=SID, state="terminal", **{name: 40})
    denied = details(call_sid=SID, state="terminal", **{name: 0})

    assert (seconds(none), seconds(zero), seconds(some)) == (None, 0, 42)
    assert seconds(some, denied) == seconds(denied, some) == 42
    assert seconds(some, corrected) == seconds(corrected, some) == 40
    assert seconds(some, details(call_sid=SID, state="active", **{name: 50})) == 42
