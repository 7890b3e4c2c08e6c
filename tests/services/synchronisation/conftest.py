"""What the tests of synchronisation share: an empty Exotel, and people with e-mail addresses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_exotel_ccm.simulator import Simulator


@pytest.fixture
def exotel(exotel_simulator: Simulator, transactional_db: None) -> Simulator:
    """A simulated Exotel that knows nobody and no number yet."""
    for agent in exotel_simulator.directory.agents:
        exotel_simulator.remove_agent(agent.user_id)
    for number in exotel_simulator.directory.exophones:
        exotel_simulator.remove_exophone(number)
    return exotel_simulator


@pytest.fixture
def person(django_user_model: Any) -> Callable[..., Any]:
    """Make a Django user: ``person("asha")`` has the e-mail asha@example.com."""

    def make(name: str, email: str | None = None, **fields: Any) -> Any:
        return django_user_model.objects.create_user(name, f"{name}@example.com" if email is None else email, **fields)

    return make
