"""From a ticket to a ticket that knows how the call ended, against the simulator's own book."""

from __future__ import annotations

from typing import Any

from django_exotel_ccm import signals
from django_exotel_ccm.choices import Outcome, State
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services import place_call
from tests.comparison import assert_record_equals_book
from tests.helpdesk.models import Ticket


def test_call_from_press_to_end(host: Any, exotel: Any, receivers: Any) -> None:
    agent, ticket = host.agent(), host.ticket()

    def note(*, call: CallRecord, ticket: Ticket, **kwargs: Any) -> None:
        ticket.status = f"{call.outcome} after {call.talk_time} s"
        ticket.save(update_fields=["status"])

    receivers(signals.call_ended, note, sender=Ticket)

    call = place_call(agent=agent, ticket=ticket, recording=True)
    accepted = call.state
    exotel.wait_until_quiet(timeout=20)

    call.refresh_from_db()
    ticket.refresh_from_db()
    assert accepted == State.ACTIVE
    assert (call.state, call.outcome) == (State.ENDED, Outcome.COMPLETED)
    assert ticket.status == "completed after 42 s"
    assert_record_equals_book(exotel)
