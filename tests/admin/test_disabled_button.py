"""A disabled button says why the user cannot call, and links to the page that changes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from django_exotel_ccm.admin import AgentAdmin
from django_exotel_ccm.models import Agent
from tests.admin.pages import AGENT_WORK, BY_HAND, Session
from tests.helpdesk.models import Lead, Ticket

NO_PHONE = "You have no phone in Exotel yet."
CHANGES_CUSTOMERS = ("helpdesk.view_customer", "helpdesk.change_customer")


def views_of(session: Session, ticket: Any) -> dict[str, Any]:
    chosen = f"?exotel_adapter=admin&exotel_type=helpdesk.ticket&exotel_ticket={ticket.pk}"
    return {
        "form": session.change_form(ticket),
        "list": session.changelist(),
        "choose": session.get(reverse("exotel_ccm:choose") + chosen),
    }


def assert_not_callable(pages: dict[str, Any], message: str, short: str) -> None:
    assert f"Call customer: {short}" in pages["form"].text
    assert message in pages["form"].text
    assert pages["form"].call_buttons == []
    assert f"<summary>{short}</summary>{message}" in pages["list"].html
    assert pages["list"].row_buttons == []
    assert message in pages["choose"].text
    assert pages["choose"].of_class("exotel-choose-form") == []


def test_user_without_phone(host: Any) -> None:
    user = host.user("asha", *AGENT_WORK, agent=None)

    pages = views_of(Session(user), host.ticket(phone=BY_HAND))

    assert_not_callable(pages, NO_PHONE, "no phone")
    assert not any("Add an agent" in page.text for page in pages.values())


def test_link_to_add_an_agent(host: Any) -> None:
    user = host.user("asha", *AGENT_WORK, "exotel_ccm.add_agent", agent=None)
    session, ticket = Session(user), host.ticket(phone=BY_HAND)

    pages = views_of(session, ticket)
    form = session.get(pages["form"].links["Add an agent"]).of_id("agent_form")
    given = {
        "name": "Asha",
        "user": str(user.pk),
        "contact_uri": "+919000000101",
        "account": "default",
        "is_active": "on",
    }
    session.post(session.where, form.data | given | {"user": str(user.pk)})

    assert_not_callable(pages, NO_PHONE, "no phone")
    assert {page.links["Add an agent"] for page in pages.values()} == {
        f"{reverse('admin:exotel_ccm_agent_add')}?user={user.pk}"
    }
    assert Agent.objects.get().user == user
    assert len(session.change_form(ticket).call_buttons) == 1


def test_caller_for_others_needs_no_phone(host: Any) -> None:
    host.agent()
    user = host.user("uma", *AGENT_WORK, "exotel_ccm.place_call_for_others", agent=None)

    pages = views_of(Session(user), host.ticket(phone=BY_HAND))

    assert len(pages["form"].call_buttons) == len(pages["list"].row_buttons) == 1
    assert len(pages["choose"].of_class("exotel-choose-form")) == 1


@pytest.mark.parametrize(
    ("phone", "message"), [("", "There is no phone number."), ("ask Ravi", "None of its numbers can be dialled.")]
)
def test_ticket_without_number(host: Any, phone: str, message: str) -> None:
    ticket = host.ticket(phone=phone)
    asha, vik = host.user("asha", *AGENT_WORK), host.user("vik", *AGENT_WORK, *CHANGES_CUSTOMERS, agent="sip:vik")

    pages = views_of(Session(asha), ticket)
    may_change = views_of(Session(vik), ticket)

    assert_not_callable(pages, message, "no number")
    assert_not_callable(may_change, message, "no number")
    assert "Enter a number" not in pages["form"].text  # only on the ticket's own form, which is this one
    assert {page.links["Enter a number"] for page in may_change.values()} == {
        reverse("admin:helpdesk_customer_change", args=[ticket.customer_id])
    }


def test_ticket_without_customer_links_to_its_form(host: Any) -> None:
    ticket = Ticket.objects.create(subject="Broken fan")
    page = Session(host.user("asha", *AGENT_WORK)).changelist()

    assert page.links["Enter a number"] == reverse("admin:helpdesk_ticket_change", args=[ticket.pk])


def test_dial_any_number_permission(host: Any) -> None:
    user = host.user("asha", *AGENT_WORK, "exotel_ccm.dial_any_number")

    pages = views_of(Session(user), host.ticket(phone=""))

    assert len(pages["form"].call_buttons) == len(pages["list"].row_buttons) == 1


def break_transaction(lead: Lead) -> str:
    """Break the transaction in which the form is shown."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM a_table_that_is_not_there")
    return ""


def test_unreadable_numbers_do_not_break_form(host: Any, settings: Any, make_session: Callable[..., Session]) -> None:
    tickets = {"helpdesk.Lead": {"prefix": "lead", "numbers": f"{__name__}.break_transaction"}}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": tickets}
    lead = Lead.objects.create(name="Meera's shop")

    page = make_session(Lead, admin.ModelAdmin).change_form(lead)

    assert len(page.call_buttons) == 1


def test_obstacle_queries_do_not_grow(host: Any) -> None:
    session = Session(host.user("asha", *AGENT_WORK))

    def cost(rows: int) -> int:
        for n in range(rows):
            host.ticket(f"T{n}", phone=BY_HAND if n % 2 else "")
        with CaptureQueriesContext(connection) as queries:
            session.changelist("?all=")
        return len(queries)

    session.changelist()

    few = cost(3)
    assert cost(30) <= few


# The agent's user.


@pytest.mark.parametrize(
    ("permissions", "is_searched"), [(("auth.view_user",), True), ((), False)], ids=["may search", "may not"]
)
def test_agents_user_is_chosen_by_name(host: Any, permissions: tuple[str, ...], is_searched: bool) -> None:
    asha = host.user("asha", agent=None)
    session = Session(host.user("meera", "exotel_ccm.add_agent", "exotel_ccm.view_exophone", *permissions, agent=None))

    page = session.get(reverse("admin:exotel_ccm_agent_add"))

    assert ('data-field-name="user"' in page.html) == is_searched
    assert (f'<option value="{asha.pk}">asha</option>' in page.html) != is_searched


@pytest.mark.parametrize("is_searched", [True, False])
def test_agent_admin_passes_checks_on_any_site(is_searched: bool) -> None:
    site = admin.AdminSite(name="crm")
    site.register(User, type("UserAdmin", (admin.ModelAdmin,), {"search_fields": ["username"] if is_searched else []}))
    model_admin = type("OwnAgentAdmin", (AgentAdmin,), {"autocomplete_fields": []})(Agent, site)

    assert model_admin.check() == []
