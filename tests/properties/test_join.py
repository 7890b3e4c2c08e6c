"""The join is a join, nothing known is ever lost, and the record is what the table says: for any events at all."""

from __future__ import annotations

import datetime
import json

from hypothesis import given
from hypothesis import strategies as st

from django_exotel_ccm.choices import Outcome, State
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.lifecycle import Message, Registers, join, join_events, project, to_registers
from tests.lifecycle.messages import events, joined
from tests.properties.oracle import record_of, taken_back

INDIA = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
UNIONS = {"words", "recordings", "call_sids", "terminal_reports"}

piles = st.lists(events(), max_size=6)
registers = st.lists(events(), max_size=3).map(lambda told: joined(*told))


def stored(facts: Registers) -> Registers:
    """Return facts as the database gives them back."""
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
def test_each_register_is_the_larger_of_the_two(a: Registers, b: Registers) -> None:
    both = join(a, b)

    assert both.keys() == a.keys() | b.keys()
    for name in both.keys() - {*UNIONS}:
        assert both[name] == max(side[name] for side in (a, b) if name in side)


@given(registers, registers)
def test_facts_read_back_from_the_database_are_the_same_facts(a: Registers, b: Registers) -> None:
    assert stored(a) == a
    assert stored(join(stored(a), b)) == join(stored(a), stored(b)) == join(a, b)
    assert project(stored(join(a, b))) == project(join(a, b))


@given(events())
def test_an_event_read_back_from_the_ledger_says_the_same(told: Message) -> None:
    assert CallFacts.from_json(stored(told.facts.as_json())) == told.facts


@given(piles, st.data())
def test_any_order_and_any_repetition_make_the_same_record(told: list[Message], data: st.DataObject) -> None:
    again = data.draw(st.permutations(told + told[: len(told) // 2])) if told else []

    assert joined(*again) == joined(*told)
    assert join_events(again) == join_events(told)


@given(piles)
def test_the_record_is_what_the_table_says(told: list[Message]) -> None:
    facts, strangers = join_events(told)
    record = record_of(told)

    assert project(facts) == record
    assert strangers == {one.fingerprint for one in told if one.facts.call_sid not in (None, record.call_sid)}


@given(registers)
def test_every_set_of_facts_can_be_shown(facts: Registers) -> None:
    record = project(facts)

    assert record.state in State.values
    assert (record.outcome in Outcome.values) is (record.state == State.ENDED)
    for moment in (record.started_at, record.answered_at, record.ended_at):
        assert moment is None or moment.astimezone(INDIA) == moment


@given(registers, events())
def test_news_never_takes_back_what_was_known(facts: Registers, told: Message) -> None:
    registers = to_registers(told)
    settled = "settled" in registers
    assert taken_back(project(facts), project(join(facts, registers)), settled=settled) == []
