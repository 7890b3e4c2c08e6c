"""From a ticket to a ticket that knows how the call ended, against the simulator's own book."""

from __future__ import annotations

from typing import Any

from django_exotel_ccm.choices import State
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services import place_call


def test_a_call_takes_its_course_and_the_record_equals_the_book(host: Any, exotel: Any) -> None:
    agent, ticket = host.agent(), host.ticket()

    call = place_call(agent=agent, ticket=ticket, recording=True)
    exotel.wait_until_quiet(timeout=20)

    call = CallRecord.objects.get(pk=call.pk)
    print(call.__dict__)
    print(exotel.book.calls)
    print(exotel.book.deliveries)
    assert call.state == State.ENDED
