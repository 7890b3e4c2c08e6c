from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_exotel_ccm.simulator import Simulator


@pytest.fixture
def exotel(exotel_simulator: Simulator, compare_books: Callable[[Simulator], None]) -> Iterator[Simulator]:
    """A simulated Exotel that rings phones and tells nobody; afterwards its book is the database."""
    exotel_simulator.options.lost_events = frozenset({"answered", "terminal"})
    yield exotel_simulator
    compare_books(exotel_simulator)


@pytest.fixture
def posts(exotel: Simulator) -> Callable[[], list[Any]]:
    """The bodies of the Make a Calls in the simulator's own book."""
    return lambda: [dict(request.body) for request in exotel.book.requests if request.method == "POST"]
