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
from tests.admin.pages import AGENT_WORK, BY_HAND, OTHER, SEES_CALLS, SEES_NUMBERS, Session, orders
from tests.helpdesk.models import Customer, Lead, Ticket


@pytest.fixture
def session(host: Any) -> Session:
    return Session(host.user("asha", *AGENT_WORK, SEES_CALLS, SEES_NUMBERS))


# One ticket.


def test_row_press_places_call(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)

    page = session.press_row(ticket)

    call = CallRecord.objects.get()
    assert (call.state, call.ticket, call.placed_by) == (State.ACTIVE, ticket, session.user)
    assert "Exotel accepted the request to ring Asha first" in page.messages
    assert f"then {BY_HAND}, placed at" in page.messages
    assert "success" not in page.messages.lower()
    assert page.links["See the call"] == session.url("exotel_ccm_callrecord_change", call.pk)
    assert [(order["to"], order["custom_field"]) for order in orders(exotel)] == [
        ({"number": BY_HAND}, f"ticket_{ticket.pk}")
    ]


def test_action_on_one_ticket_redirects_with_307(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)

    session.run_action([ticket])

    url, status = session.response.redirect_chain[0]
    assert status == 307
    assert urlsplit(url).path == "/exotel/place/"
    assert CallRecord.objects.get().state == State.ACTIVE


def test_press_returns_to_filtered_list(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND, status="open")
    query = "?status=open&q=fan&o=-1"

    session.press_row(ticket, query)
    after_row = session.where
    session.run_action([ticket], query)
    after_action = session.where

    assert after_row == session.url("helpdesk_ticket_changelist") + query
    assert after_action.startswith(("/exotel/choose/?", after_row))
    if after_action != after_row:
        assert parse_qs(urlsplit(after_action).query)["exotel_next"] == [after_row]


def test_link_to_call_needs_permission(host: Any, exotel: Any) -> None:
    session = Session(host.user("asha", *AGENT_WORK, SEES_NUMBERS))

    page = session.press_row(host.ticket(phone=BY_HAND))

    assert "Exotel accepted the request" in page.messages
    assert "See the call" not in page.text
    assert "callrecord" not in page.html


def test_ticket_history_masks_number(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)

    session.press_row(ticket)

    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (session.user, str(ticket.pk))
    assert "to ring Asha first, then +••••••••••09, placed at" in entry.get_change_message()
    assert BY_HAND not in str(vars(entry))


# Several tickets.


def test_several_tickets_are_called_one_by_one(host: Any, exotel: Any, session: Session) -> None:
    first, second = host.ticket("Broken fan", phone=BY_HAND), host.ticket("Wet carpet", phone=OTHER)

    page = session.run_action([first, second])
    assert CallRecord.objects.count() == 0
    chosen = session.where
    back = session.press_choice(page, 0)
    call = CallRecord.objects.get()

    assert [form.data["exotel_ticket"] for form in page.of_class("exotel-choose-form")] == [
        [str(second.pk)],
        [str(first.pk)],
    ]
    assert session.where == chosen
    assert call.ticket == second
    assert "Your last call:" in back.text
    assert back.links["Done"] == session.url("helpdesk_ticket_changelist")


def test_choose_page_names_obstacles(host: Any, session: Session) -> None:
    tickets = [
        host.ticket("Broken fan", phone=BY_HAND),
        host.ticket("No phone", phone=""),
        host.ticket("Text", phone="ask Ravi"),
    ]

    page = session.run_action(tickets)

    assert len(page.of_class("exotel-choose-form")) == 1
    assert "There is no phone number." in page.text
    assert "Customer phone: That is not one valid phone number." in page.text
    assert "None of its numbers can be dialled." in page.text


def test_too_many_tickets_are_refused(host: Any, session: Session) -> None:
    customer = Customer.objects.create(name="Ravi", phone=BY_HAND)
    Ticket.objects.bulk_create(Ticket(subject=f"T{n}", customer=customer) for n in range(101))

    page = session.run_action(Ticket.objects.all()[:1], select_across=["1"])

    assert "Choose at most 100 tickets: they are called one by one." in page.messages
    assert session.where == session.url("helpdesk_ticket_changelist")


def test_select_across_pages(host: Any, session: Session) -> None:
    customer = Customer.objects.create(name="Ravi", phone=BY_HAND)
    Ticket.objects.bulk_create(Ticket(subject=f"T{n}", customer=customer) for n in range(60))
    Ticket.objects.bulk_create(Ticket(subject=f"X{n}", customer=customer, status="closed") for n in range(3))

    page = session.run_action(Ticket.objects.filter(status="open")[:1], "?status=open", select_across=["1"])

    assert len(page.of_class("exotel-choose-form")) == 60


def test_address_length_is_limited(host: Any, make_session: Callable[..., Session]) -> None:
    leads = Lead.objects.bulk_create(Lead(name=f"Lead {n}") for n in range(100))
    session = make_session(Lead, admin.ModelAdmin)

    page = session.run_action(leads, model="helpdesk_lead")

    assert "Choose at most 50 tickets" in page.messages


# What is not shown.


def test_action_and_column_need_permission(host: Any) -> None:
    host.ticket()
    session = Session(host.user("asha", "helpdesk.view_ticket", "helpdesk.delete_ticket"))

    page = session.changelist()

    assert "Broken fan" in page.text
    assert page.row_buttons == []
    assert "call_customer" not in page.html.replace("call_customer.js", "").replace("call_customer.css", "")


def test_popup_has_no_column(host: Any, session: Session) -> None:
    host.ticket()

    page = session.changelist("?_popup=1")

    assert "Broken fan" in page.text
    assert page.row_buttons == []


def test_empty_list(session: Session) -> None:
    page = session.changelist()

    assert session.response.status_code == 200
    assert "0 tickets" in page.text


# Hosts of all kinds.


class EditableList(admin.ModelAdmin):
    list_display = ["subject", "status"]
    list_editable = ["status"]


def test_editable_list_opens_new_tab(host: Any, make_session: Callable[..., Session]) -> None:
    host.ticket()

    page = make_session(Ticket, EditableList).changelist()

    [button] = page.row_buttons
    assert button["target"] == "_blank"
    assert "data-exotel-unsaved" not in button


def test_list_with_errors_is_unsaved(host: Any, make_session: Callable[..., Session]) -> None:
    host.ticket()
    session = make_session(Ticket, EditableList)
    form = session.changelist().of_id("changelist-form")

    page = session.post(session.where, form.data | {"form-0-status": [""], "_save": ["Save"]})

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
def test_own_columns_and_actions_of_host(
    host: Any, exotel: Any, make_session: Callable[..., Session], model_admin: Any
) -> None:
    ticket = host.ticket(phone=BY_HAND)

    make_session(Ticket, model_admin).press_row(ticket)

    assert CallRecord.objects.get().state == State.ACTIVE


def test_list_queries_do_not_grow(host: Any, session: Session) -> None:
    def cost(rows: int) -> int:
        customer = Customer.objects.create(name="Ravi", phone=BY_HAND)
        tickets = Ticket.objects.bulk_create(Ticket(subject=f"T{n}", customer=customer) for n in range(rows))
        for ticket in tickets:
            CallRecord.objects.create(
                account="default", ticket=ticket, placed_by=session.user, created_at="2026-01-01T00:00Z", state="ended"
            )
        with CaptureQueriesContext(
            connection,
        ) as queries:
            page = session.changelist("?all=")
        assert len(page.row_buttons) == Ticket.objects.count()
        return len([query for query in queries if "exotel_ccm" in query["sql"] and "permission" not in query["sql"]])

    session.changelist()

    assert cost(5) == cost(45) == 2
