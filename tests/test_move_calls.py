"""A host merges tickets, and their calls come along."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import CallRecord, FollowUp
from django_exotel_ccm.services import move_calls, place_call
from django_exotel_ccm.services.call_lists import create_call_list
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
def test_erased_follow_up_moves_without_label() -> None:
    asha = User.objects.create_user("asha")
    ticket, lead = Ticket.objects.create(), Lead.objects.create(name="Meera")
    now = timezone.now()
    for label in ("", "Fan"):
        FollowUp.objects.create(ticket=ticket, ticket_label=label, assigned_to=asha, due_at=now, created_at=now)

    move_calls(ticket, lead)

    moved = FollowUp.objects.about(lead).order_by("pk")
    assert [follow_up.ticket_label for follow_up in moved] == ["", "Meera"]


OLD_CALL, NEW_CALL = 1, 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("old", "new", "together"),
    [
        (("waiting", None), ("waiting", None), ("waiting", None)),
        (("waiting", None), ("skipped", None), ("waiting", None)),
        (("skipped", None), ("waiting", None), ("waiting", None)),
        (("called", OLD_CALL), ("waiting", None), ("called", OLD_CALL)),
        (("skipped", None), ("called", NEW_CALL), ("called", NEW_CALL)),
        (("called", OLD_CALL), ("called", NEW_CALL), ("called", NEW_CALL)),
        (("called", NEW_CALL), ("called", OLD_CALL), ("called", NEW_CALL)),
        (("called", None), ("waiting", None), ("called", None)),
    ],
)
def test_tickets_that_stand_on_one_list_become_one_place(old: Any, new: Any, together: Any) -> None:
    asha = User.objects.create_user("asha")
    one, two, other = (Ticket.objects.create(subject=subject) for subject in ("One", "Two", "Other"))
    both = create_call_list(owner=asha, name="Both", model=Ticket, keys=[one.pk, other.pk, two.pk])
    alone = create_call_list(owner=asha, name="Alone", model=Ticket, keys=[one.pk])
    calls = {None: None, OLD_CALL: call_about(one), NEW_CALL: call_about(two)}
    for position, (state, call) in ((1, old), (3, new)):
        both.items.filter(position=position).update(state=state, call=calls[call])

    move_calls(one, two)

    assert [(item.ticket, item.state) for item in both.items.order_by("position")] == [
        (other, "waiting"),
        (two, together[0]),
    ]
    assert both.items.get(position=3).call == calls[together[1]]
    assert [item.ticket for item in alone.items.all()] == [two]


@pytest.mark.django_db
def test_ticket_that_is_merged_into_itself_keeps_its_place() -> None:
    ticket = Ticket.objects.create()
    made = create_call_list(owner=User.objects.create_user("asha"), name="R", model=Ticket, keys=[ticket.pk])

    move_calls(ticket, ticket)

    assert [item.ticket for item in made.items.all()] == [ticket]


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
