from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import Simulator
from tests.helpdesk.models import Ticket


@pytest.fixture
def clock() -> Iterator[Any]:
    """A clock that stands still until the test moves it with ``clock.shift(seconds)`` or ``clock.move_to(moment)``."""
    with time_machine.travel(timezone.now(), tick=False) as traveller:
        yield traveller


@pytest.fixture
def call(host: Any, exotel: Simulator) -> CallRecord:
    """A call about a ticket, which Exotel accepted before any receiver was connected."""
    return place_call(agent=host.agent(), ticket=host.ticket())


class Recorder:
    """A receiver that writes each signal's name into the ticket's notes, and fails while it is ``broken``."""

    def __init__(self) -> None:
        self.called: list[str] = []
        self.broken = False

    def __call__(self, signal: Any, ticket: Ticket, **kwargs: Any) -> None:
        name = next(name for name, one in vars(signals).items() if one is signal)
        self.called.append(name)
        ticket.notes += f"{name} "
        ticket.save(update_fields=["notes"])
        if self.broken:
            raise LookupError("the mail server is gone")


@pytest.fixture
def recorder(receivers: Callable[..., None]) -> Callable[..., Recorder]:
    """Connect a Recorder: ``recorder("uid", "call_ended")``, or to every signal that follows ``call_accepted``."""

    def make(uid: str, *names: str) -> Recorder:
        made = Recorder()
        for name in names or ("call_answered", "call_ended", "recording_ready", "call_updated"):
            receivers(getattr(signals, name), made, dispatch_uid=uid)
        return made

    return make
