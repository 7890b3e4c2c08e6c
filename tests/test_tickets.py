"""Tickets: their names in ``custom_field``, and how models are declared as tickets."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.test.utils import isolate_apps

from django_exotel_ccm import tickets
from django_exotel_ccm.ticket_numbers import numbers_of
from tests.helpdesk.models import Customer, Lead, LoudTicket, Ticket, UrgentTicket

HERE = "tests.test_tickets"


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Undo what a test registers."""
    yield
    tickets._registered.clear()


# Names in custom_field.


def test_custom_field_of_integer_key() -> None:
    assert tickets.custom_field(Ticket(pk=7)) == "ticket_7"


def test_custom_field_of_uuid_key() -> None:
    key = uuid.UUID("7d1f6a52-0c3e-4b19-9a77-2f5d8e61c0aa")

    assert tickets.custom_field(Lead(pk=key)) == f"lead_{key}"


@pytest.mark.django_db
def test_find_by_custom_field(host: Any) -> None:
    ticket, lead = host.ticket(), Lead.objects.create(name="Meera")

    assert tickets.find(tickets.custom_field(ticket)) == ticket
    assert tickets.find(tickets.custom_field(lead)) == lead


@pytest.mark.django_db
@pytest.mark.parametrize("model", [UrgentTicket, LoudTicket])
def test_custom_field_of_child_and_proxy(model: type[Ticket]) -> None:
    ticket = model.objects.create(subject="Fire")

    assert tickets.custom_field(ticket) == f"ticket_{ticket.pk}"
    assert tickets.link_of(ticket) == (Ticket, str(ticket.pk))
    assert tickets.find(tickets.custom_field(ticket)) == Ticket.objects.get()
    assert tickets.type_of(ticket).model is tickets.type_of(model).model is model  # its own admin


@pytest.mark.django_db
def test_custom_field_of_declared_child(settings: Any) -> None:
    settings.EXOTEL_CCM = {
        "TICKETS": {
            "helpdesk.Ticket": {"prefix": "ticket", "phone": "customer.phone"},
            "helpdesk.UrgentTicket": {"prefix": "urgent", "phone": "customer.phone"},
        }
    }
    ticket = UrgentTicket.objects.create(subject="Fire")

    assert tickets.custom_field(ticket) == f"urgent_{ticket.pk}"
    assert tickets.find(f"urgent_{ticket.pk}") == ticket


@isolate_apps("tests.helpdesk")
def test_custom_field_of_child_with_own_key() -> None:
    class Complaint(Ticket):
        number = models.IntegerField(primary_key=True)
        ticket = models.OneToOneField(Ticket, models.CASCADE, parent_link=True)

        class Meta:
            app_label = "helpdesk"

    assert tickets.custom_field(Complaint(number=1, id=7)) == "ticket_7"


@pytest.mark.django_db
def test_find_reads_only_names_as_we_write_them() -> None:
    for number in (1, 9, 10):
        Ticket.objects.create(pk=number, subject="Fan")
    keys = ["", "x", " 1", "+1", "01", "1_0", "1.0", "९", "-1", "9" * 30, "9" * 5000, "1\0", "None"]
    others = ["", "ticket", "_1", "fax_1", "Ticket_1", "ticket-1", "lead_1", "campaign 7"]

    assert [text for text in [*(f"ticket_{key}" for key in keys), *others] if tickets.find(text)] == []


def test_ticket_type_key() -> None:
    read = tickets.ticket_types()["helpdesk.ticket"].key

    assert (read("10"), read("1_0"), read("x"), read("")) == (10, None, None, None)


# Declaring.


def test_register() -> None:
    registered = tickets.register(Customer, prefix="customer", phone=["phone", "other_phone"])

    assert registered.model is Customer
    [number] = numbers_of(Customer(pk=3, phone="9000001001"))
    assert (number.label, number.number) == ("phone", "+919000001001")
    assert tickets.custom_field(Customer(pk=3)) == "customer_3"


def test_unregister() -> None:
    tickets.register("helpdesk.Customer", prefix="customer", phone="phone")

    tickets.unregister(Customer)
    tickets.unregister(Customer)

    with pytest.raises(ImproperlyConfigured, match=r'"TICKETS": {"helpdesk.Customer": {"prefix": "…", "phone": "…"}}'):
        tickets.custom_field(Customer(pk=3))


def test_register_replaces_settings() -> None:
    tickets.register(Ticket, prefix="case", phone="customer.phone")

    assert tickets.custom_field(Ticket(pk=7)) == "case_7"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prefix": "ticket", "phone": "phone"}, "'helpdesk.customer' and 'helpdesk.ticket' share the prefix 'ticket'"),
        ({"prefix": "Customer", "phone": "phone"}, "needs a prefix of small letters and digits"),
        ({"prefix": "7", "phone": "phone"}, "needs a prefix of small letters and digits"),
        ({"prefix": "customer"}, 'needs either "phone"'),
        ({"prefix": "customer", "phone": "phone", "numbers": len}, 'needs either "phone"'),
        ({"prefix": "customer", "phone": [5]}, 'Write "phone": "customer.phone"'),
    ],
)
def test_register_says_what_is_wrong(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words):
        tickets.register(Customer, **options)

    assert "helpdesk.customer" not in tickets.ticket_types()


def test_can_call() -> None:
    assert tickets.ticket_types()["helpdesk.ticket"].allows(None, Ticket(pk=7))

    for can_call in (nobody_on_sundays, f"{HERE}.nobody_on_sundays"):
        declared = tickets.register(Customer, prefix="customer", phone="phone", can_call=can_call)
        assert declared.allows("asha", Customer(name="Monday"))
        assert not declared.allows("asha", Customer(name="Sunday"))


def nobody_on_sundays(user: Any, customer: Customer) -> bool:
    return customer.name != "Sunday"
