"""The options of a call from a button, and the link to another number or agent."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.urls import path

from django_exotel_ccm.models import CallRecord, ExoPhone
from tests.admin.pages import BY_HAND, OTHER, Session, orders


def test_press_uses_options_of_entry(host: Any, exotel: Any, session: Session, settings: Any) -> None:
    entry = {**settings.EXOTEL_CCM["TICKETS"]["helpdesk.Ticket"], "call": {"recording": True, "max_time_limit": 900}}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": {"helpdesk.Ticket": entry}}
    [form] = session.change_form(host.ticket(phone=BY_HAND)).call_buttons

    session.post(form.attributes["action"], form.data)

    [order] = orders(exotel)
    assert (order["recording"], order["max_time_limit"]) == (True, 900)
    assert "recording_channels" not in order


@pytest.mark.parametrize("permission", ["dial_any_number", "place_call_for_others", "choose_exophone"])
def test_choose_link_with_permission(host: Any, exotel: Any, session: Session, permission: str) -> None:
    session.user.user_permissions.add(Permission.objects.get(codename=permission))
    links = session.change_form(host.ticket(phone=BY_HAND)).links

    page = session.get(links["Call another number"])

    assert len([form for form in page.forms if "place" in form.attributes.get("action", "")]) == 1
    assert ("Or another number:" in page.text) == (permission == "dial_any_number")
    assert orders(exotel) == []


def test_number_typed_on_choose_page(host: Any, exotel: Any, session: Session) -> None:
    session.user.user_permissions.add(Permission.objects.get(codename="dial_any_number"))
    ticket = host.ticket(phone=BY_HAND)
    page = session.get(session.change_form(ticket).links["Call another number"])
    [form] = [form for form in page.forms if "place" in form.attributes.get("action", "")]

    session.post(form.attributes["action"], form.data | {"exotel_to": [OTHER]})

    [order] = orders(exotel)
    assert order["to"] == {"number": OTHER}
    assert session.where == session.url("helpdesk_ticket_change", ticket.pk)


def test_exophone_chosen_on_choose_page(host: Any, exotel: Any, session: Session) -> None:
    session.user.user_permissions.add(Permission.objects.get(codename="choose_exophone"))
    exotel.add_exophone("+911140000701")
    delhi = ExoPhone.objects.create(number="+911140000701", label="Delhi")
    ExoPhone.objects.create(number="+911140000702", is_active=False)
    ticket = host.ticket(phone=BY_HAND)
    page = session.get(session.change_form(ticket).links["Call another number"])
    [form] = [form for form in page.forms if "place" in form.attributes.get("action", "")]
    assert "+911140000701 (Delhi)" in page.text
    assert "+911140000702" not in page.text

    session.post(form.attributes["action"], form.data | {"exotel_exophone": [str(delhi.pk)]})

    assert [order["virtual_number"] for order in orders(exotel)] == ["+911140000701"]
    assert CallRecord.objects.get().exophone_choice == "given"


def test_exophone_is_chosen_with_permission_only(host: Any, exotel: Any, session: Session) -> None:
    ExoPhone.objects.create(number="+911140000701")
    [form] = session.change_form(host.ticket(phone=BY_HAND)).call_buttons
    page = session.get(form.attributes["action"].replace("place", "choose"))
    assert "Rings first: Asha" in page.text
    assert "exotel_exophone" not in page.text

    session.post(form.attributes["action"], form.data | {"exotel_exophone": [str(ExoPhone.objects.last().pk)]})  # type: ignore[union-attr]

    assert session.response.status_code == 403
    assert orders(exotel) == []


@pytest.mark.parametrize("wanted", ["0", "999999", "9" * 40, "-1", "'; DROP", "\x00"])
def test_exophone_that_is_gone(host: Any, exotel: Any, session: Session, wanted: str) -> None:
    session.user.user_permissions.add(Permission.objects.get(codename="choose_exophone"))
    [form] = session.change_form(host.ticket(phone=BY_HAND)).call_buttons

    page = session.post(form.attributes["action"], form.data | {"exotel_exophone": [wanted]})

    assert "This ExoPhone is not used any more. Choose another." in page.text
    assert orders(exotel) == []


def test_choose_link_needs_permission(host: Any, session: Session) -> None:
    assert "Call another number" not in session.change_form(host.ticket()).links


def test_admin_without_our_urls(host: Any, session: Session, settings: Any) -> None:
    from django.contrib import admin

    class URLs:
        urlpatterns = [path("admin/", admin.site.urls)]

    ticket = host.ticket(phone=BY_HAND)
    settings.ROOT_URLCONF = URLs

    form = session.change_form(ticket)
    rows = session.changelist()

    assert session.response.status_code == 200
    assert form.call_buttons == rows.row_buttons == []


def test_middleware_transaction_refuses_call(host: Any, exotel: Any, session: Session, settings: Any) -> None:
    settings.MIDDLEWARE = ["tests.views.host_middleware.atomic_middleware", *settings.MIDDLEWARE]
    [form] = session.change_form(host.ticket(phone=BY_HAND)).call_buttons

    page = session.post(form.attributes["action"], form.data)

    assert "inside a transaction" in page.messages
    assert orders(exotel) == []
    assert not CallRecord.objects.exists()
