"""What a press asks of Exotel, and the way to another number or another agent."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.urls import path

from django_exotel_ccm.models import CallRecord
from tests.admin.desk import BY_HAND, OTHER, Desk
from tests.views.conftest import orders


def test_a_press_asks_for_what_the_tickets_entry_says(host: Any, exotel: Any, desk: Desk, settings: Any) -> None:
    entry = {**settings.EXOTEL_CCM["TICKETS"]["helpdesk.Ticket"], "call": {"recording": True, "max_time_limit": 900}}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": {"helpdesk.Ticket": entry}}
    [form] = desk.change_form(host.ticket(phone=BY_HAND)).of_class("exotel-call-form")

    desk.post(form.attributes["action"], form.data)

    [order] = orders(exotel)
    assert (order["recording"], order["max_time_limit"]) == (True, 900)
    assert "recording_channels" not in order


@pytest.mark.parametrize("permission", ["dial_any_number", "place_call_for_others"])
def test_those_who_may_choose_find_the_page_that_asks(host: Any, exotel: Any, desk: Desk, permission: str) -> None:
    desk.user.user_permissions.add(Permission.objects.get(codename=permission))
    links = desk.change_form(host.ticket(phone=BY_HAND)).links

    page = desk.get(links["Call another number"])

    assert len([form for form in page.forms if "place" in form.attributes.get("action", "")]) == 1
    assert ("Or another number:" in page.text) == (permission == "dial_any_number")
    assert orders(exotel) == []


def test_a_number_that_is_not_the_tickets_can_be_typed_there(host: Any, exotel: Any, desk: Desk) -> None:
    desk.user.user_permissions.add(Permission.objects.get(codename="dial_any_number"))
    ticket = host.ticket(phone=BY_HAND)
    page = desk.get(desk.change_form(ticket).links["Call another number"])
    [form] = [form for form in page.forms if "place" in form.attributes.get("action", "")]

    desk.post(form.attributes["action"], form.data | {"exotel_to": [OTHER]})

    [order] = orders(exotel)
    assert order["to"] == {"number": OTHER}
    assert desk.where == desk.url("helpdesk_ticket_change", ticket.pk)


def test_others_see_no_such_link(host: Any, desk: Desk) -> None:
    assert "Call another number" not in desk.change_form(host.ticket()).links


def test_a_host_that_has_not_included_our_urls_keeps_its_admin(host: Any, desk: Desk, settings: Any) -> None:
    from django.contrib import admin

    class URLs:
        urlpatterns = [path("admin/", admin.site.urls)]

    ticket = host.ticket(phone=BY_HAND)
    settings.ROOT_URLCONF = URLs

    form = desk.change_form(ticket)
    rows = desk.changelist()

    assert desk.response.status_code == 200
    assert form.of_class("exotel-call-form") == rows.row_buttons == []


def test_a_transaction_round_the_request_is_said_and_dials_nothing(
    host: Any, exotel: Any, desk: Desk, settings: Any
) -> None:
    settings.MIDDLEWARE = ["tests.views.hosts.atomic_middleware", *settings.MIDDLEWARE]
    [form] = desk.change_form(host.ticket(phone=BY_HAND)).of_class("exotel-call-form")

    page = desk.post(form.attributes["action"], form.data)

    assert "inside a transaction" in page.messages
    assert orders(exotel) == []
    assert not CallRecord.objects.exists()
