"""A host merges tickets, and their calls come along."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services import move_calls, place_call
from tests.helpdesk.models import Customer, Lead, Ticket


def test_late_callbacks_find_the_new_ticket(host: Any, exotel: Any, receivers: Any) -> None:
    received: list[Any] = []
    receivers(signals.call_ended, lambda *, ticket, **rest: received.append(ticket), sender=Ticket)
    exotel.speed = 1.0  # phones ring while the tickets are merged
    old, new = host.ticket(), host.ticket("All about the fan")
    call = place_call(agent=host.agent(), ticket=old)

    with transaction.atomic():
        assert move_calls(old, new) == 1
        old.delete()
    exotel.speed = 1000.0
    exotel.wait_until_quiet(timeout=20)

    call.refresh_from_db()
    assert call.state == State.ENDED
    assert (call.ticket, call.ticket_label) == (new, "All about the fan")
    assert call.custom_field != f"ticket_{new.pk}"
    assert received == [new]


def call_about(ticket: Any, **fields: Any) -> CallRecord:
    return CallRecord.objects.create(account="default", created_at=timezone.now(), ticket=ticket, **fields)


@pytest.mark.django_db
def test_move_calls_costs_a_fixed_number_of_statements(django_assert_num_queries: Any) -> None:
    ticket, other, lead = Ticket.objects.create(), Ticket.objects.create(), Lead.objects.create(name="Meera")
    for _ in range(20):
        call_about(ticket, ticket_label="Fan")
    stays = call_about(other, ticket_label="Lamp")
    updated_at = ticket_calls(ticket)[0].updated_at
    ticket_calls(lead)  # Django looks up a content type once in a process

    with django_assert_num_queries(
        7
    ):  # in a savepoint: calls, follow-ups and places on call lists, and two that find what is settled
        assert move_calls(ticket, lead) == 20

    moved = ticket_calls(lead)
    assert {call.ticket_label for call in moved} == {"Meera"}
    assert min(call.updated_at for call in moved) > updated_at
    assert (ticket_calls(ticket), ticket_calls(other)) == ([], [stays])
    assert move_calls(lead, ticket) == 20
    assert move_calls(ticket, ticket) == 20


def ticket_calls(ticket: Any) -> list[CallRecord]:
    return list(CallRecord.objects.about(ticket))


@pytest.mark.django_db
def test_erased_call_moves_without_label() -> None:
    ticket, lead = Ticket.objects.create(), Lead.objects.create(name="Meera")
    call_about(ticket, erased_at=timezone.now())

    move_calls(ticket, lead)

    assert [call.ticket_label for call in ticket_calls(lead)] == [""]


@pytest.mark.django_db
def test_move_calls_refuses_other_objects() -> None:
    ticket = Ticket.objects.create()
    call_about(ticket)

    with pytest.raises(ValueError, match="save to_ticket first"):
        move_calls(ticket, Lead(name="Meera"))
    with pytest.raises(ImproperlyConfigured, match=r"helpdesk\.Customer is not declared"):
        move_calls(ticket, Customer.objects.create())
    with pytest.raises(ValueError, match="before from_ticket is deleted"):
        move_calls(Ticket(), ticket)
    assert len(ticket_calls(ticket)) == 1
