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
from tests.admin.desk import AGENT_WORK, BY_HAND, OTHER, SEES_CALLS, SEES_NUMBERS, Desk
from tests.helpdesk.models import CodedTicket, Customer, Ticket


@pytest.fixture
def desk(host: Any) -> Desk:
    return Desk(host.user("asha", *AGENT_WORK, SEES_CALLS, SEES_NUMBERS))


def orders(exotel: Any) -> list[Any]:
    return [seen.body for seen in exotel.book.requests if seen.method == "POST"]


class EditableList(admin.ModelAdmin):
    list_display = ["subject", "status"]
    list_editable = ["status"]


def test_the_list_s_form_has_one_field_of_ours_and_no_button(host: Any, exotel: Any, desk: Desk) -> None:
    tickets = [host.ticket(f"T{n}", phone=BY_HAND) for n in range(3)]
    desk.press_row(tickets[0])

    page = desk.changelist()

    form = page.of_id("changelist-form")
    ours = [(name, value) for name, value in form.fields if name.startswith("exotel")]
    assert ours == [("exotel_seen", json.dumps({str(tickets[0].pk): str(CallRecord.objects.get().pk)}))]
    assert [button for button in form.buttons if "exotel" in str(button)] == []
    assert len(page.row_buttons) == 3


def test_saving_a_long_editable_list_sends_no_more_fields_for_us(
    host: Any, make_desk: Callable[..., Desk], settings: Any
) -> None:
    customer = Customer.objects.create(name="Ravi", phone=BY_HAND)
    Ticket.objects.bulk_create(Ticket(subject=f"T{n}", customer=customer) for n in range(40))
    desk = make_desk(Ticket, EditableList)
    form = desk.changelist().of_id("changelist-form")
    # Two fields for each row, and what the form, its actions and its button need.
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 2 * 40 + 10

    page = desk.post(desk.where, form.data | {"form-0-status": ["waiting"], "_save": ["Save"]})

    assert desk.response.status_code == 200
    assert "1 ticket was changed" in page.text
    assert Ticket.objects.filter(status="waiting").count() == 1


@pytest.mark.parametrize("seen", [None, "", "x", "[]", "7", "[" * 5000])
def test_a_list_that_does_not_say_what_it_showed_is_asked(host: Any, exotel: Any, desk: Desk, seen: str | None) -> None:
    ticket = host.ticket(phone=BY_HAND)
    form = desk.changelist().of_id("changelist-form")
    data = {name: value for name, value in form.data.items() if name != "exotel_seen"}
    if seen is not None:
        data["exotel_seen"] = [seen]

    chosen = {"action": ["call_customer"], "index": ["0"], "_selected_action": [str(ticket.pk)]}
    page = desk.post(desk.url("helpdesk_ticket_changelist"), data | chosen)

    assert len(page.of_class("exotel-choose-form")) == 1
    assert orders(exotel) == []


def test_all_tickets_of_a_search_that_became_one_are_asked(host: Any, exotel: Any, desk: Desk) -> None:
    ticket = host.ticket(phone=BY_HAND)

    page = desk.run_action([ticket], select_across=["1"])

    assert len(page.of_class("exotel-choose-form")) == 1
    assert orders(exotel) == []


def test_a_very_long_address_of_the_list_is_shortened(host: Any, exotel: Any, desk: Desk) -> None:
    tickets = [host.ticket(phone=BY_HAND), host.ticket("Broken fan too", phone=OTHER)]
    query = "?q=fan" + "+fan" * 800

    page = desk.run_action(tickets, query)
    chosen = desk.where
    desk.press_row(tickets[0], query)

    assert len(page.of_class("exotel-choose-form")) == 2
    assert len(chosen) < 400
    assert desk.where == desk.url("helpdesk_ticket_changelist")
    assert len(orders(exotel)) == 1


def test_the_least_that_can_be_chosen_is_one(host: Any, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_exotel_ccm.admin.call_customer.MAX_QUERY_LENGTH", 10)

    page = desk.run_action([host.ticket(), host.ticket()])

    assert "Choose at most 1 tickets" in page.messages


class Coded(CallCustomerMixin, admin.ModelAdmin):
    pass


def test_a_child_with_a_key_of_its_own_knows_its_newest_call(
    host: Any, exotel: Any, make_desk: Callable[..., Desk]
) -> None:
    coded = CodedTicket.objects.create(code="A-7", subject="Fire", customer=host.ticket(phone=BY_HAND).customer)
    desk = make_desk(CodedTicket, Coded)
    for action in ("view", "change"):
        desk.user.user_permissions.add(Permission.objects.get(codename=f"{action}_codedticket"))
    desk.press_row(coded, model="helpdesk_codedticket")
    call = CallRecord.objects.get()

    page = desk.changelist(model="helpdesk_codedticket")
    [form] = desk.change_form(coded).of_class("exotel-call-form")
    chosen = desk.press_row(coded, model="helpdesk_codedticket").of_class("exotel-choose-form")[0]

    assert f"exotel_after={call.pk}" in page.row_buttons[0]["data-exotel-place"]
    assert form.data["exotel_after"] == chosen.data["exotel_after"] == [str(call.pk)]
