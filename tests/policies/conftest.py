from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_exotel_ccm.exceptions import CallRefused
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import Simulator

ROOM = "django_exotel_ccm.policies"


@pytest.fixture
def exotel(exotel_simulator: Simulator, compare_books: Callable[[Simulator], None]) -> Iterator[Simulator]:
    """A simulated Exotel without callbacks, so a call goes on until a test ends it."""
    exotel_simulator.options.lost_events = frozenset({"answered", "terminal"})
    yield exotel_simulator
    compare_books(exotel_simulator)


@pytest.fixture
def rules(settings: Any) -> Callable[..., None]:
    """Set ``POLICIES``: shipped rules by their names, with options, or whole entries; without any the default."""

    def use(*entries: Any, **options: dict[str, Any]) -> None:
        named = [{"NAME": f"{ROOM}.{name}", "OPTIONS": given} for name, given in options.items()]
        shipped = [f"{ROOM}.{one}" if isinstance(one, str) and "." not in one else one for one in entries]
        chosen = [*shipped, *named] or None
        settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": chosen}

    return use


@pytest.fixture
def press(host: Any, exotel: Simulator) -> Callable[..., str]:
    """Place a call once the last one is over, which nobody reports; return its state, or the refusal's code."""
    agent = host.agent()

    def place(to: str = "+919000001001", **arguments: Any) -> str:
        exotel.wait_until_quiet()
        try:
            return place_call(**{"agent": agent, "to": to, **arguments}).state
        except CallRefused as refused:
            return CallRecord.objects.get(pk=refused.call.pk, state="refused").refusal_code

    return place
