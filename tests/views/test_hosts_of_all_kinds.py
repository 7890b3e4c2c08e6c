"""What a host's pages, sessions and code can do to a press: nothing is dialled wrongly, and somebody is told."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ActionForm
from django.urls import reverse

from django_exotel_ccm.models import CallRecord
from tests.admin.desk import AGENT_WORK, BY_HAND, OTHER, SEES_NUMBERS, Desk
from tests.admin.own_site import OwnSite
from tests.helpdesk.models import Ticket
from tests.views.conftest import orders

# Fields of the host's own.


class CrowdedForm(ActionForm):
    """A host's own fields beside the actions, with names that we might have taken for ours."""

    agent = forms.CharField(initial="Uma", required=False)
    type = forms.CharField(initial="urgent", required=False)
    ticket = forms.CharField(initial="7", required=False)
    number = forms.CharField(initial="12", required=False)
    to = forms.CharField(initial=OTHER, required=False)
    adapter = forms.CharField(initial="front", required=False)
    next = forms.CharField(initial="/elsewhere/", required=False)
    after = forms.CharField(initial="0", required=False)


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin.site.get_model_admin(Ticket), "action_form", CrowdedForm)


def test_a_host_s_own_fields_in_the_list_change_no_press(host: Any, exotel: Any, crowded: None, desk: Desk) -> None:
    host.user("uma", agent="+919000000104")
    ticket = host.ticket(phone=BY_HAND)

    page = desk.run_action([ticket])

    assert "Exotel accepted the request" in page.messages
    assert [order["to"] for order in orders(exotel)] == [{"number": BY_HAND}]
    assert desk.where == desk.url("helpdesk_ticket_changelist")


def test_the_address_of_a_press_wins_over_what_is_posted_with_it(host: Any, exotel: Any, desk: Desk) -> None:
    ticket, other = host.ticket(phone=BY_HAND), host.ticket("Another", phone=OTHER)
    forged = {"exotel_ticket": [str(other.pk)], "exotel_type": ["auth.user"], "exotel_adapter": ["elsewhere"]}

    desk.run_action([ticket], **forged)

    assert [order["to"] for order in orders(exotel)] == [{"number": BY_HAND}]


# A session that has expired.


def test_a_press_after_the_session_has_expired_leads_to_the_login_and_back(host: Any, exotel: Any, desk: Desk) -> None:
    ticket = host.ticket(phone=BY_HAND)
    page = desk.change_form(ticket)
    desk.client.cookies.pop("sessionid")

    desk.press_button_of(page)

    assert desk.response.status_code == 200
    assert urlsplit(desk.where).path == reverse("admin:login")
    assert parse_qs(urlsplit(desk.where).query) == {"next": [desk.url("helpdesk_ticket_change", ticket.pk)]}
    assert orders(exotel) == []


def test_the_login_page_is_the_one_of_the_door_and_sends_nobody_elsewhere(host: Any, settings: Any) -> None:
    site = OwnSite(name="crm")
    site.register(Ticket, admin.ModelAdmin)

    class URLs:
        from django.urls import include, path

        urlpatterns = [path("crm/", site.urls), path("exotel/", include("django_exotel_ccm.urls"))]

    settings.ROOT_URLCONF = URLs
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "csrf" not in name.lower()]
    visitor = Desk(None, "crm")

    visitor.get(
        "/exotel/choose/?exotel_adapter=crm&exotel_type=helpdesk.ticket&exotel_ticket=1&exotel_next=https://evil.example/"
    )
    chosen = visitor.where

    assert chosen.startswith("/crm/login/?next=%2Fexotel%2Fchoose%2F")


def test_a_press_without_a_session_sends_nobody_to_another_host(host: Any) -> None:
    visitor = Desk(None)
    page = visitor.get(reverse("admin:login"))
    token = page.forms[0].data["csrfmiddlewaretoken"]

    answer = visitor.client.post(
        reverse("exotel_ccm:place"),
        {"csrfmiddlewaretoken": token, "exotel_adapter": "admin", "exotel_next": "https://evil.example/"},
    )

    assert answer["Location"] == reverse("admin:login")


# A ticket that can_call forbids.


def never(user: Any, ticket: Ticket) -> bool:
    return False


def only_open(user: Any, ticket: Ticket) -> bool:
    return ticket.status == "open"


def entry(settings: Any, **options: Any) -> None:
    """Declare tickets with these options."""
    settings.EXOTEL_CCM = {
        **settings.EXOTEL_CCM,
        "TICKETS": {"helpdesk.Ticket": {"prefix": "ticket", "phone": "customer.phone", **options}},
    }


def test_rows_that_can_call_forbids_have_no_button(host: Any, desk: Desk, settings: Any) -> None:
    entry(settings, can_call=f"{__name__}.only_open")
    mine, closed = host.ticket("Open one"), host.ticket("Closed one", status="closed")

    [button] = desk.changelist().row_buttons

    assert button["aria-label"] == f"Call customer: {mine}"
    assert str(closed) not in str(button)


def test_a_forged_press_of_such_a_ticket_is_told_so(host: Any, exotel: Any, desk: Desk, settings: Any) -> None:
    ticket = host.ticket(phone=BY_HAND)
    page = desk.changelist()
    entry(settings, can_call=f"{__name__}.never")

    back = desk.press_row_of(page, ticket)

    assert "This ticket is not yours to call." in back.messages
    assert desk.where == desk.url("helpdesk_ticket_changelist")
    assert orders(exotel) == []


# The host's own code and settings fail.


def broken_numbers(ticket: Ticket) -> list[str]:
    raise RuntimeError(f"the CRM is away, {BY_HAND}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"phone": "customer.mobil"}, "leads nowhere: Customer has no attribute"),
        ({"phone": None, "numbers": f"{__name__}.broken_numbers"}, "Its phone numbers could not be read."),
    ],
)
def test_numbers_that_cannot_be_read_are_an_obstacle_with_a_text(  # noqa: PLR0917 - fixtures
    host: Any, exotel: Any, desk: Desk, settings: Any, caplog: Any, options: dict[str, Any], said: str
) -> None:
    entry(settings, **options)
    ticket = host.ticket(phone=BY_HAND)

    page = desk.press_button(ticket)

    assert desk.response.status_code == 200
    assert said in page.text
    assert page.of_class("exotel-choose-form") == []
    assert any(record.exc_info for record in caplog.records if record.name == "django_exotel_ccm.views")
    assert orders(exotel) == []


def test_what_place_call_cannot_use_is_a_message(host: Any, exotel: Any, desk: Desk, settings: Any) -> None:
    entry(settings, prefix="t" * 130)
    ticket = host.ticket(phone=BY_HAND)

    page = desk.press_button(ticket)

    assert "custom_field may have 128 characters" in page.messages
    assert desk.where == desk.url("helpdesk_ticket_change", ticket.pk)
    assert orders(exotel) == []


# What a policy says.


def too_often(call: CallRecord) -> str:
    return f"{call.customer_number} was called today already."


@pytest.mark.parametrize(("permissions", "shown"), [((), "+••••••••••09"), ((SEES_NUMBERS,), BY_HAND)])
def test_a_policy_s_reason_is_masked_too(
    host: Any, exotel: Any, settings: Any, permissions: tuple[str, ...], shown: str
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [f"{__name__}.too_often"]}
    desk = Desk(host.user("asha", *AGENT_WORK, *permissions))

    page = desk.press_button(host.ticket(phone=BY_HAND))

    assert f"{shown} was called today already." in page.messages
