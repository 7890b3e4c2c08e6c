"""The first strategy of EXOPHONE_CHOICE that answers chooses the number which the customer sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured

from django_exotel_ccm.exceptions import CallRefused
from django_exotel_ccm.models import Agent, CallRecord, ExoPhone
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import Simulator
from tests.services.reconciliation.due_calls import end_calls

STRATEGIES = "django_exotel_ccm.exophone_choice"
HERE = "tests.services.test_exophone_choice"
DEFAULT = "+918000000700"
DELHI, KARNATAKA, MUMBAI, SINGAPORE = "+911140000701", "+918040000702", "+912240000703", "+6560000704"
FROM_BANGALORE, FROM_MYSORE, FROM_MUMBAI = "+918023456789", "+918212345678", "+912223456789"
FROM_A_MOBILE = "+919000001001"

Phone = Callable[..., ExoPhone]
ChooseBy = Callable[..., None]


def phone_of_the_ticket(call: CallRecord) -> ExoPhone | None:
    return ExoPhone.objects.filter(label=str(call.ticket)).first() if call.ticket is not None else None


def first_label(call: CallRecord) -> str:
    return "Sales"


@pytest.fixture
def phone(exotel: Simulator) -> Phone:
    """Add an ExoPhone, here and to the simulated account."""

    def phone(number: str, **fields: Any) -> ExoPhone:
        exotel.add_exophone(number)
        return ExoPhone.objects.create(number=number, **fields)

    return phone


@pytest.fixture
def choose_by(settings: Any) -> ChooseBy:
    """Set ``EXOPHONE_CHOICE``."""

    def choose_by(*paths: str) -> None:
        settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "EXOPHONE_CHOICE": list(paths)}

    return choose_by


def chosen(call: CallRecord) -> tuple[str, str]:
    """Return the number of the call's ExoPhone, and what chose it, as they are stored."""
    stored = CallRecord.objects.get(pk=call.pk)
    assert stored.exophone is not None
    assert stored.exophone.number == stored.exophone_number
    return stored.exophone_number, stored.exophone_choice


def agent_in(group: Group, host: Any) -> Agent:
    user = host.user("asha")
    user.groups.add(group)
    return Agent.objects.get(user=user)


def test_without_the_setting_agent_then_group_then_default(
    host: Any, exotel: Simulator, phone: Phone, posts: Callable[[], list[Any]]
) -> None:
    sales = Group.objects.create(name="Sales")
    agent = agent_in(sales, host)
    numbers = []

    def call(to: str, **options: Any) -> None:
        numbers.append(chosen(place_call(agent=agent, to=to, **options)))
        end_calls(exotel)

    call("+919000001001")
    phone(DELHI).groups.add(sales)
    call("+919000001002")
    agent.exophone = phone(KARNATAKA)
    agent.save()
    call("+919000001003")
    call("+919000001004", exophone=phone(MUMBAI))

    assert numbers == [(DEFAULT, "default"), (DELHI, "of_group"), (KARNATAKA, "of_agent"), (MUMBAI, "given")]
    assert [body["virtual_number"] for body in posts()] == [DEFAULT, DELHI, KARNATAKA, MUMBAI]


def test_phones_out_of_use_are_passed_over(host: Any, phone: Phone) -> None:
    sales = Group.objects.create(name="Sales")
    agent = agent_in(sales, host)
    agent.exophone = phone(KARNATAKA, is_active=False)
    agent.save()
    phone(DELHI, is_active=False).groups.add(sales)

    assert chosen(place_call(agent=agent, to=FROM_A_MOBILE)) == (DEFAULT, "default")


def test_phone_of_a_group_belongs_to_the_agents_account(host: Any, phone: Phone) -> None:
    sales = Group.objects.create(name="Sales")
    agent = agent_in(sales, host)
    phone(DELHI, account="other").groups.add(sales)

    assert chosen(place_call(agent=agent, to=FROM_A_MOBILE)) == (DEFAULT, "default")


def test_agent_who_is_no_user_has_no_group(host: Any, phone: Phone) -> None:
    phone(DELHI).groups.add(Group.objects.create(name="Sales"))

    assert chosen(place_call(agent=host.agent(), to=FROM_A_MOBILE)) == (DEFAULT, "default")


@pytest.mark.parametrize(
    ("customer", "number", "choice"),
    [
        (FROM_BANGALORE, KARNATAKA, "of_region"),
        (FROM_MYSORE, KARNATAKA, "of_region"),
        (FROM_MUMBAI, MUMBAI, "of_region"),
        (FROM_A_MOBILE, DEFAULT, "default"),
        ("+914428123456", DEFAULT, "default"),  # Chennai, where there is none
    ],
)
def test_region_of_the_customer(
    host: Any,
    phone: Phone,
    choose_by: ChooseBy,
    customer: str,
    number: str,
    choice: str,
) -> None:
    choose_by(f"{STRATEGIES}.of_region", f"{STRATEGIES}.default")
    for one in (DELHI, KARNATAKA, MUMBAI):
        phone(one)

    assert chosen(place_call(agent=host.agent(), to=customer)) == (number, choice)


def test_country_of_the_customer(host: Any, exotel: Simulator, phone: Phone, choose_by: ChooseBy) -> None:
    choose_by(f"{STRATEGIES}.of_region", f"{STRATEGIES}.default")
    phone(SINGAPORE)
    agent = host.agent()

    assert chosen(place_call(agent=agent, to="+6591234567")) == (SINGAPORE, "of_region")
    end_calls(exotel)
    assert chosen(place_call(agent=agent, to=FROM_A_MOBILE)) == (DEFAULT, "of_region")


def test_strategy_of_the_host(host: Any, exotel: Simulator, phone: Phone, choose_by: ChooseBy) -> None:
    choose_by(f"{HERE}.phone_of_the_ticket", f"{STRATEGIES}.default")
    phone(DELHI, label="Broken fan")
    agent = host.agent()

    assert chosen(place_call(agent=agent, ticket=host.ticket())) == (DELHI, "phone_of_the_ticket")
    end_calls(exotel)
    assert chosen(place_call(agent=agent, ticket=host.ticket("Wet carpet"))) == (DEFAULT, "default")


def test_nobody_chooses(host: Any, choose_by: ChooseBy, posts: Callable[[], list[Any]]) -> None:
    choose_by(f"{STRATEGIES}.of_agent")

    with pytest.raises(CallRefused, match="no ExoPhone") as refused:
        place_call(agent=host.agent(), to=FROM_A_MOBILE)

    assert refused.value.code == "no_exophone"
    assert (CallRecord.objects.get().exophone_choice, posts()) == ("", [])


def test_strategy_that_returns_something_else(host: Any, choose_by: ChooseBy, posts: Callable[[], list[Any]]) -> None:
    choose_by(f"{HERE}.first_label")

    with pytest.raises(ImproperlyConfigured, match="first_label in EXOPHONE_CHOICE returned str, not an ExoPhone"):
        place_call(agent=host.agent(), to=FROM_A_MOBILE)

    assert (CallRecord.objects.count(), posts()) == (0, [])
