"""A host's pages, sessions and code around a press: no wrong call is placed, and each failure has a message."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ActionForm
from django.urls import reverse

from django_exotel_ccm.models import CallRecord
from tests.admin.custom_site import OwnSite
from tests.admin.pages import AGENT_WORK, BY_HAND, OTHER, SEES_NUMBERS, Session, orders
from tests.helpdesk.models import Ticket

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


def test_own_fields_of_host_in_list(host: Any, exotel: Any, crowded: None, session: Session) -> None:
    host.user("uma", agent="+919000000104")
    ticket = host.ticket(phone=BY_HAND)

    page = session.run_action([ticket])

    assert "Exotel accepted the request" in page.messages
    assert [order["to"] for order in orders(exotel)] == [{"number": BY_HAND}]
    assert session.where == session.url("helpdesk_ticket_changelist")


def test_address_wins_over_posted_values(host: Any, exotel: Any, session: Session) -> None:
    ticket, other = host.ticket(phone=BY_HAND), host.ticket("Another", phone=OTHER)
    forged = {"exotel_ticket": [str(other.pk)], "exotel_type": ["auth.user"], "exotel_adapter": ["elsewhere"]}

    session.run_action([ticket], **forged)

    assert [order["to"] for order in orders(exotel)] == [{"number": BY_HAND}]


# A session that has expired.


def test_expired_session_leads_to_login_and_back(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)
    page = session.change_form(ticket)
    session.client.cookies.pop("sessionid")

    session.press_button_of(page)

    assert session.response.status_code == 200
    assert urlsplit(session.where).path == reverse("admin:login")
    [after] = parse_qs(urlsplit(session.where).query)["next"]
    session.client.force_login(session.user)
    session.get(after)
    assert session.where == session.url("helpdesk_ticket_change", ticket.pk)
    assert orders(exotel) == []


def test_login_page_is_the_sites_own(host: Any, settings: Any) -> None:
    site = OwnSite(name="crm")
    site.register(Ticket, admin.ModelAdmin)

    class URLs:
        from django.urls import include, path

        urlpatterns = [path("crm/", site.urls), path("exotel/", include("django_exotel_ccm.urls"))]

    settings.ROOT_URLCONF = URLs
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if "csrf" not in name.lower()]
    visitor = Session(None, "crm")

    visitor.get(
        "/exotel/choose/?exotel_adapter=crm&exotel_type=helpdesk.ticket&exotel_ticket=1&exotel_next=https://evil.example/"
    )
    chosen = visitor.where

    assert chosen.startswith("/crm/login/?next=%2Fexotel%2Fchoose%2F")


def test_press_without_session_stays_on_host(host: Any) -> None:
    visitor = Session(None)
    page = visitor.get(reverse("admin:login"))
    token = page.forms[0].data["csrfmiddlewaretoken"]

    answer = visitor.client.post(
        reverse("exotel_ccm:place"),
        {"csrfmiddlewaretoken": token, "exotel_adapter": "admin", "exotel_next": "https://evil.example/"},
    )

    assert answer["Location"].startswith(f"{reverse('admin:login')}?next=%2Fexotel%2Fplace%2F")
    assert "evil" not in answer["Location"]


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


def test_can_call_hides_row_button(host: Any, session: Session, settings: Any) -> None:
    entry(settings, can_call=f"{__name__}.only_open")
    mine, closed = host.ticket("Open one"), host.ticket("Closed one", status="closed")

    [button] = session.changelist().row_buttons

    assert button["aria-label"] == f"Call customer: {mine}"
    assert str(closed) not in str(button)


def test_can_call_refuses_forged_press(host: Any, exotel: Any, session: Session, settings: Any) -> None:
    ticket = host.ticket(phone=BY_HAND)
    page = session.changelist()
    entry(settings, can_call=f"{__name__}.never")

    back = session.press_row_of(page, ticket)

    assert "This ticket is not yours to call." in back.messages
    assert session.where == session.url("helpdesk_ticket_changelist")
    assert orders(exotel) == []


# The host's own code and settings fail.


def broken_numbers(ticket: Ticket) -> list[str]:
    raise RuntimeError(f"the CRM is away, {BY_HAND}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"phone": "customer.mobil"}, "leads nowhere: Customer has no attribute"),
        ({"phone": None, "numbers": f"{__name__}.broken_numbers"}, "Its phone numbers could not be read."),
    ],
)
def test_unreadable_numbers(  # noqa: PLR0917 - fixtures
    host: Any, exotel: Any, session: Session, settings: Any, caplog: Any, options: dict[str, Any], message: str
) -> None:
    entry(settings, **options)
    ticket = host.ticket(phone=BY_HAND)

    page = session.press_button(ticket)

    assert session.response.status_code == 200
    assert message in page.text
    assert page.of_class("exotel-choose-form") == []
    assert any(record.exc_info for record in caplog.records if record.name == "django_exotel_ccm.services")
    assert orders(exotel) == []


def test_place_call_value_error_is_a_message(host: Any, exotel: Any, session: Session, settings: Any) -> None:
    entry(settings, prefix="t" * 130)
    ticket = host.ticket(phone=BY_HAND)

    page = session.press_button(ticket)

    assert "custom_field may have 128 characters" in page.messages
    assert session.where == session.url("helpdesk_ticket_change", ticket.pk)
    assert orders(exotel) == []


# The reason of a policy.


def too_often(call: CallRecord) -> str:
    return f"{call.customer_number} was called today already."


@pytest.mark.parametrize(("permissions", "shown"), [((), "+••••••••••09"), ((SEES_NUMBERS,), BY_HAND)])
def test_policy_reason_is_masked(
    host: Any, exotel: Any, settings: Any, permissions: tuple[str, ...], shown: str
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [f"{__name__}.too_often"]}
    session = Session(host.user("asha", *AGENT_WORK, *permissions))

    page = session.press_button(host.ticket(phone=BY_HAND))

    assert f"{shown} was called today already." in page.messages
