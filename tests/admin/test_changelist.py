""" "Call customer" on the list of tickets: the action, and one press on a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_exotel_ccm.choices import State
from django_exotel_ccm.models import CallRecord
from tests.admin.desk import AGENT_WORK, BY_HAND, OTHER, SEES_CALLS, SEES_NUMBERS, Desk
from tests.helpdesk.models import Customer, Lead, Ticket


@pytest.fixture
def desk(host: Any) -> Desk:
    return Desk(host.user("asha", *AGENT_WORK, SEES_CALLS, SEES_NUMBERS))


def orders(exotel: Any) -> list[Any]:
    return [seen.body for seen in exotel.book.requests if seen.method == "POST"]


# One ticket.


def test_one_press_on_a_row_places_the_call_and_says_what_is_known(host: Any, exotel: Any, desk: Desk) -> None:
    ticket = host.ticket(phone=BY_HAND)

    page = desk.press_row(ticket)

    call = CallRecord.objects.get()
    assert (call.state, call.ticket, call.placed_by) == (State.ACTIVE, ticket, desk.user)
    assert "Exotel accepted the request to ring Asha first" in page.messages
    assert f"then {BY_HAND}, placed at" in page.messages
    assert "success" not in page.messages.lower()
    assert page.links["See the call"] == desk.url("exotel_ccm_callrecord_change", call.pk)
    assert [(order["to"], order["custom_field"]) for order in orders(exotel)] == [
        ({"number": BY_HAND}, f"ticket_{ticket.pk}")
    ]


def test_the_action_sends_one_ticket_on_with_the_same_form(host: Any, exotel: Any, desk: Desk) -> None:
    ticket = host.ticket(phone=BY_HAND)

    desk.run_action([ticket])

    url, status = desk.response.redirect_chain[0]
    assert status == 307
    assert urlsplit(url).path == "/exotel/place/"
    assert CallRecord.objects.get().state == State.ACTIVE


def test_the_agent_comes_back_to_the_same_filtered_list(host: Any, exotel: Any, desk: Desk) -> None:
    ticket = host.ticket(phone=BY_HAND, status="open")
    query = "?status=open&q=fan&o=-1"

    desk.press_row(ticket, query)
    after_row = desk.where
    desk.run_action([ticket], query)
    after_action = desk.where

    assert after_row == desk.url("helpdesk_ticket_changelist") + query
    assert after_action.startswith(("/exotel/choose/?", after_row))
    if after_action != after_row:
        assert parse_qs(urlsplit(after_action).query)["exotel_next"] == [after_row]


def test_the_link_to_the_call_is_only_for_those_who_may_see_calls(host: Any, exotel: Any) -> None:
    desk = Desk(host.user("asha", *AGENT_WORK, SEES_NUMBERS))

    page = desk.press_row(host.ticket(phone=BY_HAND))

    assert "Exotel accepted the request" in page.messages
    assert "See the call" not in page.text
    assert "callrecord" not in page.html


def test_the_ticket_s_history_keeps_the_press_with_the_number_masked(host: Any, exotel: Any, desk: Desk) -> None:
    ticket = host.ticket(phone=BY_HAND)

    desk.press_row(ticket)

    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (desk.user, str(ticket.pk))
    assert "to ring Asha first, then +••••••••••09, placed at" in entry.get_change_message()
    assert BY_HAND not in str(vars(entry))


# Several tickets.


def test_several_tickets_lead_to_a_page_that_goes_through_them_one_by_one(host: Any, exotel: Any, desk: Desk) -> None:
    first, second = host.ticket("Broken fan", phone=BY_HAND), host.ticket("Wet carpet", phone=OTHER)

    page = desk.run_action([first, second])
    assert CallRecord.objects.count() == 0
    chosen = desk.where
    back = desk.press_choice(page, 0)
    call = CallRecord.objects.get()

    assert [form.data["exotel_ticket"] for form in page.of_class("exotel-choose-form")] == [
        [str(second.pk)],
        [str(first.pk)],
    ]
    assert desk.where == chosen
    assert call.ticket == second
    assert "Your last call:" in back.text
    assert back.links["Done"] == desk.url("helpdesk_ticket_changelist")


def test_the_page_says_which_cannot_be_called_and_why(host: Any, desk: Desk) -> None:
    tickets = [
        host.ticket("Broken fan", phone=BY_HAND),
        host.ticket("No phone", phone=""),
        host.ticket("Text", phone="ask Ravi"),
    ]

    page = desk.run_action(tickets)

    assert len(page.of_class("exotel-choose-form")) == 1
    assert "There is no phone number." in page.text
    assert "Customer phone: That is not one valid phone number." in page.text
    assert "None of its numbers can be dialled." in page.text


def test_more_than_a_hundred_tickets_are_refused_with_a_reason(host: Any, desk: Desk) -> None:
    customer = Customer.objects.create(name="Ravi", phone=BY_HAND)
    Ticket.objects.bulk_create(Ticket(subject=f"T{n}", customer=customer) for n in range(101))

    page = desk.run_action(Ticket.objects.all()[:1], select_across=["1"])

    assert "Choose at most 100 tickets: they are called one by one." in page.messages
    assert desk.where == desk.url("helpdesk_ticket_changelist")


def test_all_tickets_of_a_filter_can_be_chosen_across_pages(host: Any, desk: Desk) -> None:
    customer = Customer.objects.create(name="Ravi", phone=BY_HAND)
    Ticket.objects.bulk_create(Ticket(subject=f"T{n}", customer=customer) for n in range(60))
    Ticket.objects.bulk_create(Ticket(subject=f"X{n}", customer=customer, status="closed") for n in range(3))

    page = desk.run_action(Ticket.objects.filter(status="open")[:1], "?status=open", select_across=["1"])

    assert len(page.of_class("exotel-choose-form")) == 60


def test_an_address_stays_short_enough_for_common_servers(host: Any, make_desk: Callable[..., Desk]) -> None:
    leads = Lead.objects.bulk_create(Lead(name=f"Lead {n}") for n in range(100))
    desk = make_desk(Lead, admin.ModelAdmin)

    page = desk.run_action(leads, model="helpdesk_lead")

    assert "Choose at most 50 tickets" in page.messages


# What is not shown.


def test_without_the_permission_there_is_neither_action_nor_column(host: Any) -> None:
    host.ticket()
    desk = Desk(host.user("asha", "helpdesk.view_ticket", "helpdesk.delete_ticket"))

    page = desk.changelist()

    assert "Broken fan" in page.text
    assert page.row_buttons == []
    assert "call_customer" not in page.html.replace("call_customer.js", "").replace("call_customer.css", "")


def test_a_pop_up_shows_no_column(host: Any, desk: Desk) -> None:
    host.ticket()

    page = desk.changelist("?_popup=1")

    assert "Broken fan" in page.text
    assert page.row_buttons == []


def test_an_empty_list_is_an_ordinary_page(desk: Desk) -> None:
    page = desk.changelist()

    assert desk.response.status_code == 200
    assert "0 tickets" in page.text


# Hosts of all kinds.


class EditableList(admin.ModelAdmin):
    list_display = ["subject", "status"]
    list_editable = ["status"]


def test_edits_in_the_list_stay_in_their_tab(host: Any, make_desk: Callable[..., Desk]) -> None:
    host.ticket()

    page = make_desk(Ticket, EditableList).changelist()

    [button] = page.row_buttons
    assert button["target"] == "_blank"
    assert "data-exotel-unsaved" not in button


def test_a_list_that_came_back_with_errors_is_known_to_hold_edits(host: Any, make_desk: Callable[..., Desk]) -> None:
    host.ticket()
    desk = make_desk(Ticket, EditableList)
    form = desk.changelist().of_id("changelist-form")

    page = desk.post(desk.where, form.data | {"form-0-status": [""], "_save": ["Save"]})

    assert "This field is required." in page.text
    [button] = page.row_buttons
    assert "data-exotel-unsaved" in button


class OwnColumns(admin.ModelAdmin):
    actions = None

    def get_list_display(self, request: Any) -> Any:
        return ("subject",)


class OwnActions(admin.ModelAdmin):
    def get_actions(self, request: Any, action_location: Any = None) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize("model_admin", [OwnColumns, OwnActions])
def test_the_row_s_button_works_beside_a_host_s_own_columns_and_actions(
    host: Any, exotel: Any, make_desk: Callable[..., Desk], model_admin: Any
) -> None:
    ticket = host.ticket(phone=BY_HAND)

    make_desk(Ticket, model_admin).press_row(ticket)

    assert CallRecord.objects.get().state == State.ACTIVE


def test_the_list_costs_the_same_queries_for_few_and_for_many_rows(host: Any, desk: Desk) -> None:
    def cost(rows: int) -> int:
        customer = Customer.objects.create(name="Ravi", phone=BY_HAND)
        tickets = Ticket.objects.bulk_create(Ticket(subject=f"T{n}", customer=customer) for n in range(rows))
        for ticket in tickets:
            CallRecord.objects.create(
                account="default", ticket=ticket, placed_by=desk.user, created_at="2026-01-01T00:00Z", state="ended"
            )
        with CaptureQueriesContext(
            connection,
        ) as queries:
            page = desk.changelist("?all=")
        assert len(page.row_buttons) == Ticket.objects.count()
        return len([query for query in queries if "exotel_ccm" in query["sql"] and "permission" not in query["sql"]])

    desk.changelist()

    assert cost(5) == cost(45) == 3
