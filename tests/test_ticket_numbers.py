"""The phone numbers of tickets: where they stand, how they are called, and what cannot be read."""

from __future__ import annotations

import itertools
import time
from types import SimpleNamespace
from typing import Any

import phonenumbers
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.utils.translation import gettext_lazy

from django_exotel_ccm.ticket_numbers import MAX_VALUES, numbers_of, only_number
from tests.helpdesk.models import Customer, Lead, LeadPhone, Ticket


@pytest.fixture
def declare(settings: Any) -> Any:
    """Declare ``helpdesk.Ticket`` with other options."""

    def declare(**options: Any) -> None:
        settings.EXOTEL_CCM = {"TICKETS": {"helpdesk.Ticket": {"prefix": "ticket", **options}}}

    return declare


def a_ticket(phone: Any = "+919000001001", other: Any = "") -> Ticket:
    return Ticket(pk=7, subject="Fan", customer=Customer(name="Ravi", phone=phone, other_phone=other))


def numbers(ticket: models.Model) -> list[tuple[str, str]]:
    return [(one.label, one.number) for one in numbers_of(ticket)]


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
    [number] = numbers_of(a_ticket("ask Ravi"))

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
        numbers_of(a_ticket())


def test_phone_path_passes_errors_of_properties(declare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Customer, "mobile", property(lambda self: self.profile.mobile), raising=False)
    declare(phone="customer.mobile")

    with pytest.raises(AttributeError, match="profile"):
        numbers_of(a_ticket())


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

    assert len(numbers(a_ticket())) == MAX_VALUES


def test_only_number_heeds_note_of_any_field() -> None:
    [number] = numbers_of(a_ticket("9000001001", "9000001001 (wife)"))

    assert (number.number, number.note) == (ONE, "wife")
    assert only_number([number]) == ""


def test_numbers_of_megabyte_is_fast() -> None:
    began = time.process_time()

    [number] = numbers_of(a_ticket("9000001001, " * 100_000))

    assert "too long" in number.problem
    assert time.process_time() - began < 1
