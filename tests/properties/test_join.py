"""Properties of the join, for any events: it is a semilattice, loses no fact, and equals the oracle."""

from __future__ import annotations

import datetime
import json

from hypothesis import given
from hypothesis import strategies as st

from django_exotel_ccm.choices import Outcome, State
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.lifecycle import Message, Registers, join, join_events, project, to_registers
from tests.lifecycle.messages import events, joined
from tests.properties.oracle import lost_facts, record_of

INDIA = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
UNIONS = {"words", "recordings", "call_sids", "terminal_reports"}

piles = st.lists(events(), max_size=6)
registers = st.lists(events(), max_size=3).map(lambda messages: joined(*messages))


def stored(facts: Registers) -> Registers:
    """Return facts as the database returns them."""
    read: Registers = json.loads(json.dumps(facts))
    return read


@given(registers, registers, registers)
def test_join_is_commutative_associative_and_idempotent(a: Registers, b: Registers, c: Registers) -> None:
    assert join(a, b) == join(b, a)
    assert join(join(a, b), c) == join(a, join(b, c))
    assert join(a, a) == a
    assert join(join(a, b), b) == join(a, b)
    assert join({}, a) == a


@given(registers, registers)
def test_each_register_is_the_larger(a: Registers, b: Registers) -> None:
    both = join(a, b)

    assert both.keys() == a.keys() | b.keys()
    for name in both.keys() - {*UNIONS}:
        assert both[name] == max(side[name] for side in (a, b) if name in side)


@given(registers, registers)
def test_stored_facts_are_equal(a: Registers, b: Registers) -> None:
    assert stored(a) == a
    assert stored(join(stored(a), b)) == join(stored(a), stored(b)) == join(a, b)
    assert project(stored(join(a, b))) == project(join(a, b))


@given(events())
def test_stored_event_is_equal(message: Message) -> None:
    assert CallFacts.from_json(stored(message.facts.as_json())) == message.facts


@given(piles, st.data())
def test_any_order_and_repetition_make_one_record(messages: list[Message], data: st.DataObject) -> None:
    again = data.draw(st.permutations(messages + messages[: len(messages) // 2])) if messages else []

    assert joined(*again) == joined(*messages)
    assert join_events(again) == join_events(messages)


@given(piles)
def test_record_equals_the_oracles(messages: list[Message]) -> None:
    facts, foreign = join_events(messages)
    record = record_of(messages)

    assert project(facts) == record
    assert foreign == {one.fingerprint for one in messages if one.facts.call_sid not in (None, record.call_sid)}


@given(registers)
def test_any_facts_have_a_projection(facts: Registers) -> None:
    record = project(facts)

    assert record.state in State.values
    assert (record.outcome in Outcome.values) is (record.state == State.ENDED)
    for moment in (record.started_at, record.answered_at, record.ended_at):
        assert moment is None or moment.astimezone(INDIA) == moment


@given(registers, events())
def test_no_event_removes_a_fact(facts: Registers, message: Message) -> None:
    registers = to_registers(message)
    settled = "settled" in registers
    assert lost_facts(project(facts), project(join(facts, registers)), settled=settled) == []
