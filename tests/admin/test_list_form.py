"""What we leave in the form of the host's list, which the host's own Save sends too."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission

from django_exotel_ccm.admin import CallCustomerMixin
from django_exotel_ccm.models import CallRecord
from tests.admin.pages import AGENT_WORK, BY_HAND, OTHER, SEES_CALLS, SEES_NUMBERS, Session, orders
from tests.helpdesk.models import CodedTicket, Customer, Ticket


@pytest.fixture
def session(host: Any) -> Session:
    return Session(host.user("asha", *AGENT_WORK, SEES_CALLS, SEES_NUMBERS))


class EditableList(admin.ModelAdmin):
    list_display = ["subject", "status"]
    list_editable = ["status"]


def test_list_form_has_one_field_of_ours(host: Any, exotel: Any, session: Session) -> None:
    tickets = [host.ticket(f"T{n}", phone=BY_HAND) for n in range(3)]
    session.press_row(tickets[0])

    page = session.changelist()

    form = page.of_id("changelist-form")
    ours = [(name, value) for name, value in form.fields if name.startswith("exotel")]
    assert ours == [("exotel_seen", json.dumps({str(tickets[0].pk): str(CallRecord.objects.get().pk)}))]
    assert [button for button in form.buttons if "exotel" in str(button)] == []
    assert len(page.row_buttons) == 3


def test_editable_list_sends_no_more_fields(host: Any, make_session: Callable[..., Session], settings: Any) -> None:
    customer = Customer.objects.create(name="Ravi", phone=BY_HAND)
    Ticket.objects.bulk_create(Ticket(subject=f"T{n}", customer=customer) for n in range(40))
    session = make_session(Ticket, EditableList)
    form = session.changelist().of_id("changelist-form")
    # Two fields for each row, and what the form, its actions and its button need.
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 2 * 40 + 10

    page = session.post(session.where, form.data | {"form-0-status": ["waiting"], "_save": ["Save"]})

    assert session.response.status_code == 200
    assert "1 ticket was changed" in page.text
    assert Ticket.objects.filter(status="waiting").count() == 1


@pytest.mark.parametrize("seen", [None, "", "x", "[]", "7", "[" * 5000])
def test_list_without_seen_needs_confirmation(host: Any, exotel: Any, session: Session, seen: str | None) -> None:
    ticket = host.ticket(phone=BY_HAND)
    form = session.changelist().of_id("changelist-form")
    data = {name: value for name, value in form.data.items() if name != "exotel_seen"}
    if seen is not None:
        data["exotel_seen"] = [seen]

    chosen = {"action": ["exotel_call_customer"], "index": ["0"], "_selected_action": [str(ticket.pk)]}
    page = session.post(session.url("helpdesk_ticket_changelist"), data | chosen)

    assert len(page.of_class("exotel-choose-form")) == 1
    assert orders(exotel) == []


def test_search_that_became_one_ticket(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)

    page = session.run_action([ticket], select_across=["1"])

    assert len(page.of_class("exotel-choose-form")) == 1
    assert orders(exotel) == []


def test_long_list_address_is_shortened(host: Any, exotel: Any, session: Session) -> None:
    tickets = [host.ticket(phone=BY_HAND), host.ticket("Broken fan too", phone=OTHER)]
    query = "?q=fan" + "+fan" * 800

    page = session.run_action(tickets, query)
    chosen = session.where
    session.press_row(tickets[0], query)

    assert len(page.of_class("exotel-choose-form")) == 2
    assert len(chosen) < 400
    assert session.where == session.url("helpdesk_ticket_changelist")
    assert len(orders(exotel)) == 1


def test_least_choice_is_one(host: Any, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_exotel_ccm.admin.call_customer.MAX_QUERY_LENGTH", 10)

    page = session.run_action([host.ticket(), host.ticket()])

    assert "Choose at most 1 ticket:" in page.messages


class Coded(CallCustomerMixin, admin.ModelAdmin):
    pass


def test_child_with_own_key(host: Any, exotel: Any, make_session: Callable[..., Session]) -> None:
    coded = CodedTicket.objects.create(code="A-7", subject="Fire", customer=host.ticket(phone=BY_HAND).customer)
    session = make_session(CodedTicket, Coded)
    for action in ("view", "change"):
        session.user.user_permissions.add(Permission.objects.get(codename=f"{action}_codedticket"))
    session.press_row(coded, model="helpdesk_codedticket")
    call = CallRecord.objects.get()

    page = session.changelist(model="helpdesk_codedticket")
    [form] = session.change_form(coded).call_buttons
    chosen = session.press_row(coded, model="helpdesk_codedticket").of_class("exotel-choose-form")[0]

    assert f"exotel_after={call.pk}" in page.row_buttons[0]["data-exotel-place"]
    assert f"exotel_after={call.pk}" in form.attributes["action"]
    assert chosen.data["exotel_after"] == [str(call.pk)]
