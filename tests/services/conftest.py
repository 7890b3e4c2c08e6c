from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import Simulator
from tests.services.reconciliation.due_calls import end_calls, make_due


@pytest.fixture
def exotel(exotel_simulator: Simulator, compare_books: Callable[[Simulator], None]) -> Iterator[Simulator]:
    """A simulated Exotel without callbacks; after the test its book is compared with the database."""
    exotel_simulator.options.lost_events = frozenset({"answered", "terminal"})
    yield exotel_simulator
    compare_books(exotel_simulator)


@pytest.fixture
def posts(exotel: Simulator) -> Callable[[], list[Any]]:
    """The bodies of the Make a Calls in the simulator's own book."""
    return lambda: [dict(request.body) for request in exotel.book.requests if request.method == "POST"]


@pytest.fixture
def silent(host: Any, exotel: Simulator) -> Callable[[int], list[CallRecord]]:
    """Place that many calls that have ended without a callback; they are due."""
    agent = host.agent()

    def make(count: int) -> list[CallRecord]:
        for number in range(count):
            place_call(agent=agent, to=f"+9190000{20000 + number}")
            end_calls(exotel)
        make_due()
        return list(CallRecord.objects.all())

    return make
