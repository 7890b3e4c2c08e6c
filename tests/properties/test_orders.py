"""Any order of a call's news, with losses and repetitions, makes one record and lawful announcements."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.properties.call_driver import Desk
from tests.properties.permutations import walk_join
from tests.properties.scenarios import BY_OUTCOME, STORIES, Story


@pytest.fixture
def desk(db: None) -> Iterator[Desk]:
    """The real view and database."""
    with Desk() as desk:
        yield desk


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_every_order_of_a_story_joins_to_one_record(story: Story) -> None:
    count = walk_join(story)

    assert count.orders == {1: 2, 3: 16, 4: 65, 5: 326, 6: 1957}[len(story.news)]


@pytest.mark.parametrize("story", BY_OUTCOME, ids=lambda story: story.name)
def test_every_order_of_four_events_makes_one_record_in_the_database(story: Story, desk: Desk) -> None:
    count = desk.walk(story.first(4))

    assert (count.orders, count.repetitions) == (65, 196)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_some_orders_of_all_events_make_one_record_in_the_database(story: Story, desk: Desk) -> None:
    assert desk.sample(story, 8).orders == 8
