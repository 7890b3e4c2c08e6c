"""Every order of a story's news, as a tree: from each point on, each piece of news that has not come may come next.

Losses are the points where nothing more comes. At each point, what has come already comes again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from django_exotel_ccm.lifecycle import Registers, join, join_events, project, to_registers
from tests.properties.oracle import record_of
from tests.properties.sample_events import News
from tests.properties.scenarios import Story, names


@dataclass
class Count:
    """What was tried."""

    stories: int = 0
    orders: int = 0
    repetitions: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.stories + other.stories, self.orders + other.orders, self.repetitions + other.repetitions)

    def __str__(self) -> str:
        return f"{self.stories} stories, {self.orders} orders with losses, {self.repetitions} repetitions"


class Differs(AssertionError):
    """An order of a story's news made another record than the same news in another order."""


Path = tuple[News, ...]


def walk_join(story: Story) -> Count:
    """Walk all orders of a story through the join alone; raises :class:`Differs`."""
    told = {one.name: one.told() for one in story.news}
    registers = {name: to_registers(one) for name, one in told.items()}
    has_strangers = bool(join_events(told.values())[1])
    known: dict[frozenset[str], Registers] = {}
    count = Count(stories=1)

    def arrive(facts: Registers, path: Path, one: News) -> Registers:
        """Return the facts once ``one`` has come too, as the database gives them back."""
        if has_strangers:
            after = join_events(told[each.name] for each in (*path, one))[0]
        else:
            after = join(facts, registers[one.name])
        stored: Registers = json.loads(json.dumps(after))
        return stored

    def visit(path: Path, facts: Registers) -> None:
        count.orders += 1
        came = frozenset(one.name for one in path)
        if came not in known:
            known[came] = facts
            must_be(project(facts), record_of(told[name] for name in came), story, path)
        must_be(facts, known[came], story, path)
        for one in path:
            count.repetitions += 1
            must_be(arrive(facts, path, one), facts, story, (*path, one))
        for one in story.news:
            if one not in path:
                visit((*path, one), arrive(facts, path, one))
        if len(path) == len(story.news):
            must_be(join_events(told[one.name] for one in path)[0], facts, story, path)

    visit((), {})
    record = project(known[frozenset(told)])
    must_be({name: getattr(record, name) for name in story.ends}, story.ends, story, story.news)
    return count


def must_be(found: object, expected: object, story: Story, path: Sequence[News]) -> None:
    """Raise :class:`Differs` unless what was found after this order of news is what was expected."""
    if found != expected:
        raise Differs(f"{story.name}: {names(path)}:\n{found}\ninstead of\n{expected}")
