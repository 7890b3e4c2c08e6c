"""What one receiver does to its arguments is its own affair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django_exotel_ccm import signals
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services import place_call


def spoil(*, call: CallRecord, event: CallEvent, **kwargs: Any) -> None:
    call.state, call.customer_number = State.ENDED, ""
    call.facts.clear()
    event.facts.clear()
    event.call = None
    raise ValueError("after spoiling everything")


def test_a_receiver_spoils_the_call_for_itself_alone(host: Any, exotel: Any, receivers: Callable[..., None]) -> None:
    seen: list[tuple[str, str, bool]] = []

    def look(*, call: CallRecord, event: CallEvent, **kwargs: Any) -> None:
        seen.append((call.state, call.customer_number, event.call == call and bool(event.facts)))

    receivers(signals.call_accepted, spoil)
    receivers(signals.call_accepted, look)

    call = place_call(agent=host.agent(), to="+919000001001")

    assert seen == [(State.ACTIVE, "+919000001001", True)]
    assert (call.state, call.customer_number) == (State.ACTIVE, "+919000001001")
    assert CallRecord.objects.get().facts["phase"] == [3]
