"""The admin's forms of agents and ExoPhones refuse what Exotel could not ring."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from django_exotel_ccm.models import Agent, ExoPhone
from tests.admin.pages import Page, Session


@pytest.fixture
def session(host: Any) -> Session:
    return Session(host.user("root", is_superuser=True, agent=None))


def save_agent(session: Session, agent: Agent | None = None, **given: str) -> Page:
    url = reverse("admin:exotel_ccm_agent_change", args=[agent.pk]) if agent else reverse("admin:exotel_ccm_agent_add")
    form = session.get(url).of_id("agent_form")
    return session.post(url, form.data | {"account": "default", "is_active": "on", **given})


def save_exophone(session: Session, phone: ExoPhone | None = None, **given: str) -> Page:
    url = reverse("admin:exotel_ccm_exophone_add")
    if phone:
        url = reverse("admin:exotel_ccm_exophone_change", args=[phone.pk])
    form = session.get(url).of_id("exophone_form")
    return session.post(url, form.data | {"account": "default", "is_active": "on", **given})


@pytest.mark.parametrize(("model", "label"), [("agent", "Account:"), ("exophone", "Account:"), ("exophone", "Number:")])
def test_own_fields_have_labels(session: Session, model: str, label: str) -> None:
    page = session.get(reverse(f"admin:exotel_ccm_{model}_add"))

    assert label in page.text


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("90000 00101", "+919000000101"),
        ("+91 (90000) 00101", "+919000000101"),
        ("sip:asha4c1d77e2", "sip:asha4c1d77e2"),
        ("  sip:asha@voip.example  ", "sip:asha@voip.example"),
    ],
)
def test_agent_form_normalises_phone(session: Session, written: str, stored: str) -> None:
    save_agent(session, name="Asha", contact_uri=written)

    agent = Agent.objects.get()
    assert (agent.contact_uri, agent.exotel_user_id, agent.user) == (stored, None, None)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("12345", "That is not one valid phone number. Write it with its country code, for example +91 98765 43210."),
        ("Asha's phone", "That is not one valid phone number."),
        ("+919000000101 / 102", "That is not one valid phone number."),
        ("sip:a b", "That is not a SIP address. Write it as in Exotel, for example sip:asha4c1d77e2."),
        ("", "Give the agent a contact URI or an Exotel user id: one of them is called."),
    ],
)
def test_agent_form_refuses_phone(session: Session, written: str, message: str) -> None:
    page = save_agent(session, name="Asha", contact_uri=written)

    assert message in page.text.replace("&#x27;", "'")
    assert Agent.objects.count() == 0


def test_agent_form_refuses_phone_of_other_agent(host: Any, session: Session) -> None:
    host.agent()

    page = save_agent(session, name="Vik", contact_uri="+91 90000 00101")

    assert "Agent with this Account and Contact URI already exists." in page.text
    assert Agent.objects.count() == 1


def test_agents_without_user_and_id(session: Session) -> None:
    save_agent(session, name="Asha", contact_uri="+919000000101")
    save_agent(session, name="Vik", contact_uri="+919000000102")

    assert Agent.objects.filter(user=None, exotel_user_id=None).count() == 2


def test_agent_form_refuses_exophone_of_other_account(host: Any, session: Session, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "ACCOUNTS": {"default": "EXOTEL_URL", "mumbai": "EXOTEL_MUMBAI"}}

    page = save_agent(
        session, name="Asha", contact_uri="+919000000101", account="mumbai", exophone=str(host.exophone.pk)
    )

    assert "This ExoPhone belongs to another account." in page.text


def test_agent_form_keeps_removed_account(host: Any, session: Session) -> None:
    agent = host.agent(account="old")
    url = reverse("admin:exotel_ccm_agent_change", args=[agent.pk])

    page = session.get(url)

    assert '<option value="old" selected>' in page.html


def test_agent_form_refuses_unknown_account(session: Session) -> None:
    page = save_agent(session, name="Asha", contact_uri="+919000000101", account="elsewhere")

    assert "Select a valid choice." in page.text
    assert Agent.objects.count() == 0


@pytest.mark.parametrize("written", ["+91 (80) 0000-0701", "080 0000 0701", "+918000000701"])
def test_exophone_form_normalises_number(session: Session, written: str) -> None:
    save_exophone(session, number=written)

    assert ExoPhone.objects.filter(number="+918000000701").exists()


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("123", "That is not one valid phone number. Write it with its country code, for example +91 98765 43210."),
        ("", "This field is required."),
        ("8" * 70, "That is too long for a phone number."),
    ],
)
def test_exophone_form_refuses_number_once(session: Session, written: str, message: str) -> None:
    page = save_exophone(session, number=written)

    assert message in page.text
    assert page.html.count("errorlist") == 1
    assert ExoPhone.objects.count() == 1


def test_exophone_form_refuses_second_default(host: Any, session: Session) -> None:
    page = save_exophone(session, number="+918000000701", is_default="on")

    assert "The account has a default ExoPhone already. Take it back there first." in page.text


@pytest.mark.parametrize("is_new", [True, False])
def test_exophone_form_replaces_a_default_that_is_not_active(is_new: bool, host: Any, session: Session) -> None:
    elsewhere = ExoPhone.objects.create(number="+918000000702", account="sales", is_default=True, is_active=False)
    ExoPhone.objects.filter(pk=host.exophone.pk).update(is_active=False)
    phone = None if is_new else ExoPhone.objects.create(number="+918000000701")

    save_exophone(session, phone, number="+918000000701", is_default="on")

    assert ExoPhone.objects.default_of("default") == ExoPhone.objects.get(number="+918000000701")
    host.exophone.refresh_from_db()
    elsewhere.refresh_from_db()
    assert (host.exophone.is_default, elsewhere.is_default) == (False, True)


def test_saving_another_column_leaves_a_default_that_is_not_active(host: Any) -> None:
    stale = ExoPhone.objects.create(number="+918000000701")
    ExoPhone.objects.filter(pk=host.exophone.pk).update(is_active=False)
    stale.is_default, stale.label = True, "Sales"

    stale.save(update_fields=["label"])

    assert ExoPhone.objects.get(is_default=True) == host.exophone


def test_exophone_form_edits(host: Any, session: Session) -> None:
    save_exophone(session, host.exophone, number="+918000000701", label="Sales", is_default="on")

    host.exophone.refresh_from_db()
    assert (host.exophone.number, host.exophone.label) == ("+918000000701", "Sales")


def test_agent_search_by_login_name(host: Any, session: Session) -> None:
    host.user("asha")
    host.agent("Vik", "sip:vik4c1d77e2")

    page = session.get(reverse("admin:exotel_ccm_agent_changelist") + "?q=asha")

    assert "1 agent" in page.text
    assert "vik4c1d77e2" not in page.text
