"""Tickets: their phone numbers, their names in ``custom_field``, and how models are declared as tickets."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import phonenumbers
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.test.utils import isolate_apps
from django.utils.translation import gettext_lazy

from django_exotel_ccm import tickets
from tests.helpdesk.models import Customer, Lead, LeadPhone, LoudTicket, Ticket, UrgentTicket

HERE = "tests.test_tickets"


@pytest.fixture
def declare(settings: Any) -> Any:
    """Declare ``helpdesk.Ticket`` with other options."""

    def declare(**options: Any) -> None:
        settings.EXOTEL_CCM = {"TICKETS": {"helpdesk.Ticket": {"prefix": "ticket", **options}}}

    return declare


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Undo what a test registers."""
    yield
    tickets._registered.clear()


def a_ticket(phone: Any = "+919000001001", other: Any = "") -> Ticket:
    return Ticket(pk=7, subject="Fan", customer=Customer(name="Ravi", phone=phone, other_phone=other))


def numbers(ticket: models.Model) -> list[tuple[str, str]]:
    return [(one.label, one.number) for one in tickets.numbers_of(ticket)]


# Numbers.


def test_numbers_of_phone_paths() -> None:
    ticket = a_ticket("90000 01001", "+919000001002")

    assert numbers(ticket) == [("customer phone", "+919000001001"), ("customer other phone", "+919000001002")]


def test_numbers_are_called_as_the_hosts_forms_call_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Customer._meta.get_field("phone"), "verbose_name", gettext_lazy("फ़ोन"))

    assert numbers(a_ticket("90000 01001")) == [("customer फ़ोन", "+919000001001")]


def test_numbers_of_leaves_out_duplicates() -> None:
    assert numbers(a_ticket("90000 01001", "+919000001001")) == [("customer phone", "+919000001001")]


def test_numbers_of_empty_fields() -> None:
    assert numbers(a_ticket("", "  ")) == numbers(a_ticket(None, "\u200b")) == []


def test_numbers_of_missing_related_row() -> None:
    assert numbers(Ticket(pk=7, subject="Fan")) == []


@pytest.mark.django_db
def test_numbers_of_deleted_related_row() -> None:
    assert numbers(Ticket(pk=7, subject="Fan", customer_id=404)) == []


def test_numbers_of_text_has_problem() -> None:
    [number] = tickets.numbers_of(a_ticket("ask Ravi"))

    assert (number.label, number.number) == ("customer phone", "")
    assert "country code" in number.problem


def test_phone_path_may_end_in_method(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers_kept = ["9000001001", ("home", "9000001002"), SimpleNamespace(as_e164="+919000001003")]
    monkeypatch.setattr(Customer, "all_numbers", lambda self: numbers_kept, raising=False)
    declare(phone="customer.all_numbers")

    assert numbers(a_ticket()) == [
        ("customer all numbers", "+919000001001"),
        ("home", "+919000001002"),
        ("customer all numbers", "+919000001003"),
    ]


def test_phone_path_without_attribute_says_where(declare: Any) -> None:
    declare(phone="customer.mobile")

    with pytest.raises(
        ImproperlyConfigured, match=r"'customer.mobile' of helpdesk.Ticket leads nowhere: Customer has no"
    ):
        tickets.numbers_of(a_ticket())


def test_phone_path_passes_errors_of_properties(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Customer, "mobile", property(lambda self: self.profile.mobile), raising=False)
    declare(phone="customer.mobile")

    with pytest.raises(AttributeError, match="profile"):
        tickets.numbers_of(a_ticket())


@pytest.mark.django_db
def test_numbers_callable_by_dotted_path() -> None:
    lead = Lead.objects.create(name="Meera")
    LeadPhone.objects.create(lead=lead, kind="home", number="9000001001")
    LeadPhone.objects.create(lead=lead, kind="work", number="9000001002")

    assert sorted(numbers(lead)) == [("home", "+919000001001"), ("work", "+919000001002")]


ONE, TWO = "+919000001001", "+919000001002"
HOME_AND_WORK = {"home": "9000001001", "work": "9000001002"}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("9000001001", [("", ONE)]),
        (919000001001, [("", ONE)]),
        (phonenumbers.parse(ONE), [("", ONE)]),
        (None, []),
        (["9000001001", phonenumbers.parse(TWO), None], [("", ONE), ("", TWO)]),
        ({"9000001001"}, [("", ONE)]),
        ((number for number in ("9000001001", "9000001002")), [("", ONE), ("", TWO)]),
        ([("home", "9000001001"), ["work", "9000001002"]], [("home", ONE), ("work", TWO)]),
        (HOME_AND_WORK, [("home", ONE), ("work", TWO)]),
        ([(gettext_lazy("home"), "9000001001")], [("home", ONE)]),
        ([("9000001001",)], [("", ONE)]),
        ({"home": "Mob 9000001001; 9000001002"}, [("home Mob", ONE), ("home 2", TWO)]),
        ([("home", b"9000001001")], [("home", ONE)]),
    ],
)
def test_numbers_callable_returns_any_iterable(declare: Any, given: Any, found: list[tuple[str, str]]) -> None:
    declare(numbers=lambda ticket: given)

    assert numbers(a_ticket()) == found


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "labels"),
    [
        (lambda phones: phones.all(), ["", ""]),
        (lambda phones: phones.values_list("kind", "number"), ["home", "work"]),
        (lambda phones: phones.values_list("number"), ["", ""]),
        (lambda phones: phones.values_list("number", flat=True).iterator(), ["", ""]),
    ],
)
def test_numbers_callable_returns_queryset(settings: Any, query: Any, labels: list[str]) -> None:
    settings.EXOTEL_CCM = {
        "TICKETS": {"helpdesk.Lead": {"prefix": "lead", "numbers": lambda lead: query(lead.phones.order_by("pk"))}}
    }
    lead = Lead.objects.create(name="Meera")
    for kind, number in HOME_AND_WORK.items():
        LeadPhone.objects.create(lead=lead, kind=kind, number=number)

    assert numbers(lead) == list(zip(labels, (ONE, TWO), strict=True))


def test_numbers_callable_without_end_is_bounded(declare: Any) -> None:
    declare(numbers=lambda ticket: (str(9000001001 + place) for place in itertools.count()))

    assert len(numbers(a_ticket())) == tickets.MAX_VALUES


def test_only_number_heeds_note_of_any_field() -> None:
    [number] = tickets.numbers_of(a_ticket("9000001001", "9000001001 (wife)"))

    assert (number.number, number.note) == (ONE, "wife")
    assert tickets.only_number([number]) == ""


def test_numbers_of_megabyte_is_fast() -> None:
    began = time.process_time()

    [number] = tickets.numbers_of(a_ticket("9000001001, " * 100_000))

    assert "too long" in number.problem
    assert time.process_time() - began < 1


# Names in custom_field.


def test_custom_field_of_integer_key() -> None:
    assert tickets.custom_field(a_ticket()) == "ticket_7"


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
    assert numbers(Customer(pk=3, phone="9000001001")) == [("phone", "+919000001001")]
    assert tickets.custom_field(Customer(pk=3)) == "customer_3"


def test_unregister() -> None:
    tickets.register("helpdesk.Customer", prefix="customer", phone="phone")

    tickets.unregister(Customer)
    tickets.unregister(Customer)

    with pytest.raises(ImproperlyConfigured, match=r'"TICKETS": {"helpdesk.Customer": {"prefix": "…", "phone": "…"}}'):
        tickets.custom_field(Customer(pk=3))


def test_register_replaces_settings() -> None:
    tickets.register(Ticket, prefix="case", phone="customer.phone")

    assert tickets.custom_field(a_ticket()) == "case_7"


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
    assert tickets.ticket_types()["helpdesk.ticket"].allows(None, a_ticket())

    for can_call in (nobody_on_sundays, f"{HERE}.nobody_on_sundays"):
        declared = tickets.register(Customer, prefix="customer", phone="phone", can_call=can_call)
        assert declared.allows("asha", Customer(name="Monday"))
        assert not declared.allows("asha", Customer(name="Sunday"))


def nobody_on_sundays(user: Any, customer: Customer) -> bool:
    return customer.name != "Sunday"
