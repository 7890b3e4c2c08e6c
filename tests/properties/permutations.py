"""Every order of a scenario's events, as a tree: at each point, each event that has not come may come next.

Losses are the points where nothing more comes. At each point, the events that have come are repeated.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from django_exotel_ccm.lifecycle import Registers, join, join_events, project, to_registers
from tests.properties.oracle import record_of
from tests.properties.sample_events import SampleEvent
from tests.properties.scenarios import Scenario, names


@dataclass
class Count:
    """What was tried."""

    scenarios: int = 0
    orders: int = 0
    repetitions: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.scenarios + other.scenarios, self.orders + other.orders, self.repetitions + other.repetitions)

    def __str__(self) -> str:
        return f"{self.scenarios} scenarios, {self.orders} orders with losses, {self.repetitions} repetitions"


class Differs(AssertionError):
    """An order of a scenario's events made another record than the same events in another order."""


Path = tuple[SampleEvent, ...]


def walk_join(scenario: Scenario) -> Count:
    """Walk all orders of a scenario through the join alone; raises :class:`Differs`."""
    messages = {one.name: one.as_message() for one in scenario.events}
    registers = {name: to_registers(one) for name, one in messages.items()}
    has_foreign = bool(join_events(messages.values())[1])
    known: dict[frozenset[str], Registers] = {}
    count = Count(scenarios=1)

    def arrive(facts: Registers, path: Path, one: SampleEvent) -> Registers:
        """Return the facts after ``one`` has come too, as the database returns them."""
        if has_foreign:
            after = join_events(messages[each.name] for each in (*path, one))[0]
        else:
            after = join(facts, registers[one.name])
        stored: Registers = json.loads(json.dumps(after))
        return stored

    def visit(path: Path, facts: Registers) -> None:
        count.orders += 1
        came = frozenset(one.name for one in path)
        if came not in known:
            known[came] = facts
            must_equal(project(facts), record_of(messages[name] for name in came), scenario, path)
        must_equal(facts, known[came], scenario, path)
        for one in path:
            count.repetitions += 1
            must_equal(arrive(facts, path, one), facts, scenario, (*path, one))
        for one in scenario.events:
            if one not in path:
                visit((*path, one), arrive(facts, path, one))
        if len(path) == len(scenario.events):
            must_equal(join_events(messages[one.name] for one in path)[0], facts, scenario, path)

    visit((), {})
    record = project(known[frozenset(messages)])
    must_equal({name: getattr(record, name) for name in scenario.ends}, scenario.ends, scenario, scenario.events)
    return count


def must_equal(found: object, expected: object, scenario: Scenario, path: Sequence[SampleEvent]) -> None:
    """Raise :class:`Differs` unless ``found``, after this order of events, equals ``expected``."""
    if found != expected:
        raise Differs(f"{scenario.name}: {names(path)}:\n{found}\ninstead of\n{expected}")
