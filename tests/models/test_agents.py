"""Agents and ExoPhones: what ``clean`` refuses, what ``save`` writes, and which of them a call uses."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from django_exotel_ccm.models import Agent, ExoPhone
from django_exotel_ccm.services import agents_for

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("090000 00101", "+919000000101"),
        ("+919000000101", "+919000000101"),
        ("sip:vik4c1d77e2", "sip:vik4c1d77e2"),
        (" SIP:vik@acme.example.com ", "SIP:vik@acme.example.com"),
    ],
)
def test_contact_uri_is_number_or_sip_address(written: str, stored: str) -> None:
    agent = Agent(name="Asha", contact_uri=written)

    agent.full_clean()

    assert agent.contact_uri == stored


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"contact_uri": "12345"}, "not one valid phone number"),
        ({"contact_uri": "98XXXXXX10"}, "Letters and signs"),
        ({"contact_uri": "98765 43210 (wife)"}, "Other words"),
        ({"contact_uri": "sip:"}, "not a SIP address"),
        ({"contact_uri": "sip:a b"}, "not a SIP address"),
        ({}, "Give the agent a contact URI or an Exotel user id"),
        ({"contact_uri": "", "exotel_user_id": "  "}, "Give the agent a contact URI or an Exotel user id"),
    ],
)
def test_agent_clean_refuses(fields: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Agent(name="Asha", **fields).full_clean()


def test_save_writes_e164_without_full_clean() -> None:
    agent = Agent.objects.create(name="Asha", contact_uri="98123 45678", exotel_user_id=" ")
    unread = Agent.objects.create(name="Vik", contact_uri="98765-DUMMY", exotel_user_id=" 7d1f ")
    exophone = ExoPhone.objects.create(number="+91 (80) 0000-0700")

    assert (agent.contact_uri, agent.exotel_user_id) == ("+919812345678", None)
    assert (unread.contact_uri, unread.exotel_user_id) == ("98765-DUMMY", "7d1f")
    assert exophone.number == "+918000000700"
    assert Agent.objects.get(contact_uri="+919812345678") == agent


def test_agent_clean_refuses_exophone_of_other_account() -> None:
    exophone = ExoPhone.objects.create(number="+918000000700", account="sales")

    with pytest.raises(ValidationError, match="belongs to another account") as raised:
        Agent(name="Asha", contact_uri="+919000000101", exophone=exophone).full_clean()

    assert set(raised.value.message_dict) == {"exophone"}


def test_exophone_clean_writes_e164() -> None:
    exophone = ExoPhone(number="080 0000 0700")

    exophone.full_clean()

    assert exophone.number == "+918000000700"


def test_exophone_clean_refuses() -> None:
    with pytest.raises(ValidationError, match="not one valid phone number"):
        ExoPhone(number="080-DUMMY").full_clean()


def test_exophone_clean_refuses_second_default() -> None:
    default = ExoPhone.objects.create(number="+918000000700", is_default=True)
    default.full_clean()

    with pytest.raises(ValidationError) as raised:
        ExoPhone(number="+918000000701", is_default=True).full_clean()

    assert "has a default ExoPhone already" in str(raised.value.message_dict["is_default"])


@pytest.mark.parametrize(
    ("phones", "used"),
    [
        ([], None),
        ([{"number": "+918000000700"}], "+918000000700"),
        ([{"number": "+918000000700"}, {"number": "+918000000701"}], None),
        ([{"number": "+918000000700"}, {"number": "+918000000701", "is_default": True}], "+918000000701"),
        ([{"number": "+918000000700", "is_active": False}], None),
        ([{"number": "+918000000700"}, {"number": "+918000000701", "is_active": False}], "+918000000700"),
        ([{"number": "+918000000700", "account": "sales"}], None),
    ],
)
def test_default_of_account(phones: list[dict[str, Any]], used: str | None) -> None:
    for phone in phones:
        ExoPhone.objects.create(**phone)

    found = ExoPhone.objects.default_of("default")

    assert (found.number if found else None) == used


def agent_of_tom(user: Any) -> Agent | None:
    return Agent.objects.filter(name="Tom").first()


def test_agents_for_user(django_user_model: Any, settings: Any) -> None:
    asha = django_user_model.objects.create_user("asha")
    mine = Agent.objects.create(user=asha, name="Asha")
    in_sales = Agent.objects.create(user=asha, name="Asha", account="sales")
    Agent.objects.create(user=asha, name="Asha", account="old", is_active=False)
    tom = Agent.objects.create(name="Tom")

    own = agents_for(asha)
    settings.EXOTEL_CCM = {"AGENT_FOR_USER": "tests.models.test_agents.agent_of_tom"}
    by_the_host = agents_for(asha)
    Agent.objects.filter(pk=tom.pk).update(is_active=False)

    assert own == [mine, in_sales]
    assert by_the_host == [tom]
    assert agents_for(asha) == []
