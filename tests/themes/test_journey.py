"""Under an admin theme an agent calls from list and form, writes notes, works through a call list, and calls back."""

from __future__ import annotations

from typing import Any

import pytest

from django_exotel_ccm.models import CallListItem, CallNote, CallRecord, Disposition, FollowUp
from django_exotel_ccm.signals import call_ended
from tests.helpdesk.models import Ticket
from tests.themes.conftest import Browse
from tests.themes.desk import BOX, LOOKS, Desk, run_action

EDITED = "He wants a new fan"
NOTE = "Sends the new address by mail."


def mark_as_called(ticket: Ticket, call: CallRecord, **kwargs: Any) -> None:
    ticket.status = "called"
    ticket.save(update_fields=["status"])


@pytest.mark.parametrize("look", LOOKS)
def test_whole_journey(host: Any, exotel: Any, browse: Browse, receivers: Any, look: str) -> None:
    receivers(call_ended, mark_as_called, sender=Ticket)
    Disposition.objects.add_starter_set()
    ticket = host.ticket("Ceiling fan in the meeting room makes a noise since Monday")
    other = host.ticket("Wet carpet", phone="+919000001002")
    desk = Desk(browse(**LOOKS[look]), exotel, look)

    call_from_the_list(desk, other)
    call_from_the_form(desk, ticket)
    work_through_a_call_list(desk, ticket, other)
    call_back(desk, ticket)

    assert not desk.problems, "\n".join(desk.problems)
    assert CallRecord.objects.count() == 4
    assert len([seen for seen in exotel.book.requests if seen.method == "POST"]) == 4


def call_from_the_list(desk: Desk, ticket: Ticket) -> None:
    """The press in a row; the panel follows the call to its end, and the box is put away."""
    desk.open("/admin/helpdesk/ticket/")
    desk.press(f"#result_list button.exotel-call[data-exotel-place*='exotel_ticket={ticket.pk}&']")
    desk.look("list_calling")
    desk.answer()
    desk.hang_up()
    desk.page.wait_for_selector(BOX)
    desk.look("list_box")
    desk.page.click(f"{BOX} .exotel-not-now")
    assert not desk.page.is_visible(BOX)


def call_from_the_form(desk: Desk, ticket: Ticket) -> None:
    """The press on an edited form saves nothing; the box is saved, and afterwards the form with what the call set."""
    page, address = desk.page, f"/admin/helpdesk/ticket/{ticket.pk}/change/"
    desk.open(address)
    desk.look("form")
    page.fill("[name=notes]", EDITED)
    desk.press()
    desk.look("form_calling")
    desk.answer()
    desk.look("form_in_progress")
    desk.hang_up()
    page.wait_for_function("document.querySelector('[name=status]').value === 'called'")
    if not page.is_visible(BOX):  # a field of the form had the focus
        page.click(".exotel-note-open")
        page.wait_for_selector(BOX)
    desk.note(NOTE, "call_later", "hour")
    desk.look("form_box")
    desk.save_note()
    page.wait_for_selector(f".exotel-calls >> text={NOTE}")
    desk.look("form_saved")
    assert page.input_value("[name=notes]") == EDITED
    ticket.refresh_from_db()
    assert (ticket.notes, ticket.status) == ("", "called")

    page.click("[name=_save] >> visible=true")
    page.wait_for_selector("#result_list")
    ticket.refresh_from_db()
    assert (ticket.notes, ticket.status) == (EDITED, "called")
    assert [note.text for note in CallNote.objects.all()] == [NOTE]


def work_through_a_call_list(desk: Desk, *tickets: Ticket) -> None:
    """The action makes a list: one ticket is called, one skipped."""
    page = desk.page
    run_action(page, "exotel_make_call_list", *(ticket.pk for ticket in tickets))
    page.wait_for_selector("#exotel-item")
    desk.press(".exotel-card button.exotel-call")
    desk.answer()
    desk.hang_up()
    page.wait_for_selector(BOX)
    desk.look("call_list")
    desk.note("", "reached")
    desk.save_note()
    page.click("button[value=next]")
    page.wait_for_selector("#exotel-item")
    page.click("button[value=skip]")
    page.wait_for_selector("text=The end of the list")
    desk.look("call_list_end")
    assert sorted(CallListItem.objects.values_list("state", flat=True)) == ["called", "skipped"]


def call_back(desk: Desk, ticket: Ticket) -> None:
    """On "My calls" the call-back is due: the conversation settles it."""
    page = desk.page
    page.click(".exotel-desk a >> text=My calls >> nth=-1")
    page.wait_for_selector("#exotel-follow-ups")
    desk.look("my_calls")
    desk.press(".exotel-card button.exotel-call")
    desk.answer()
    desk.hang_up()
    desk.look("my_calls_called")
    page.reload()
    page.wait_for_selector("#exotel-today")
    assert not page.locator(".exotel-badge").count()
    assert FollowUp.objects.get().done_by == CallRecord.objects.newest_first()[0]
