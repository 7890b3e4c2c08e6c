"""Any order of a call's events, with losses and repetitions, makes one record and allowed announcements."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.properties.call_driver import CallDriver
from tests.properties.permutations import walk_join
from tests.properties.scenarios import BY_OUTCOME, SCENARIOS, Scenario


@pytest.fixture
def driver(db: None) -> Iterator[CallDriver]:
    """The real view and database."""
    with CallDriver() as driver:
        yield driver


def test_every_order_joins_to_one_record() -> None:
    for scenario in SCENARIOS:
        count = walk_join(scenario)  # raises Differs, which names the scenario

        assert count.orders == {1: 2, 3: 16, 4: 65, 5: 326, 6: 1957}[len(scenario.events)]


@pytest.mark.parametrize("scenario", BY_OUTCOME, ids=lambda scenario: scenario.name)
def test_every_order_of_four_events_in_the_database(scenario: Scenario, driver: CallDriver) -> None:
    count = driver.walk(scenario.first(4))

    assert (count.orders, count.repetitions) == (65, 196)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_some_orders_of_all_events_in_the_database(scenario: Scenario, driver: CallDriver) -> None:
    assert driver.sample(scenario, 8).orders == 8
