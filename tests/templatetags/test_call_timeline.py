"""The history of a ticket on a host's own page."""

from __future__ import annotations

import datetime
import html
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_exotel_ccm.models import CallNote, CallRecord
from tests.admin.pages import SEES_CALLS, Page
from tests.helpdesk.models import Ticket
from tests.templatetags.pages import TIMELINE, Browser, changed, render, render_bare, request_of

SEES = (SEES_CALLS, "helpdesk.view_ticket")
NOTES = (*SEES, "exotel_ccm.add_callnote")


def add_calls(ticket: Ticket, count: int = 1, **fields: Any) -> None:
    now = timezone.now()
    fields = {"state": "ended", "outcome": "busy", "agent_label": "Asha", "ended_at": now, **fields}
    for _one in range(count):
        CallRecord.objects.create(account="default", ticket=ticket, created_at=now, **fields)


def address_of(page: Any) -> str:
    [found] = re.findall(r'data-exotel-timeline="([^"]+)"', page.html)
    return str(found).replace("&amp;", "&")


def test_calls_are_shown_with_style_and_scripts(host: Any) -> None:
    ticket = host.ticket()
    add_calls(ticket, 4)

    page = render(TIMELINE, request_of(host.user("asha", *SEES)), ticket=ticket)

    assert page.text.count("Busy") == 4
    assert "All 4 calls" in page.text
    assert page.html.count("<script ") == 5
    assert page.html.count("<link ") == 2
    assert page.row_buttons == page.call_buttons == []  # without place_call nobody calls again


def test_empty_history_says_so(host: Any) -> None:
    page = render(TIMELINE, request_of(host.user("asha", *SEES)), ticket=host.ticket())

    assert "Nobody has called about this yet." in page.text


@pytest.mark.parametrize("permissions", [(), SEES[:1], SEES[1:], ("exotel_ccm.place_call", "helpdesk.view_ticket")])
def test_nothing_for_who_may_not_see(host: Any, permissions: tuple[str, ...]) -> None:
    ticket = host.ticket()
    add_calls(ticket)

    assert render(TIMELINE, request_of(host.user("vik", *permissions)), ticket=ticket).html.strip() == ""
    assert render(TIMELINE, request_of(), ticket=ticket).html.strip() == ""
    assert render_bare(TIMELINE, ticket=ticket) == ""


def test_page_asks_for_its_own_history_alone(host: Any) -> None:
    mine, other = host.ticket(), host.ticket("Secret")
    add_calls(mine)
    add_calls(other, outcome="failed")
    asha = host.user("asha", *SEES)
    vik = host.user("vik", *SEES, agent=None)
    address = address_of(render(TIMELINE, request_of(asha), ticket=mine))

    assert "Busy" in Browser(asha).client.get(address).content.decode()
    assert Browser(asha).client.get(changed(address, ticket=str(other.pk))).status_code == 404
    assert Browser(vik).client.get(address).status_code == 404


def test_shortened_note_says_that_there_is_more(host: Any) -> None:
    ticket = host.ticket()
    add_calls(ticket)
    CallNote.objects.create(call=CallRecord.objects.get(), text="word " * 300, created_at=timezone.now())

    page = render(TIMELINE, request_of(host.user("asha", "helpdesk.view_ticket", SEES_CALLS)), ticket=ticket)

    assert "word word…" in page.text
    assert "Whole note" not in page.links  # a host has no page of a call


def test_queries_do_not_grow_with_the_calls(host: Any) -> None:
    ticket = host.ticket()
    user = host.user("asha", *NOTES)
    add_calls(ticket)
    counts = []
    for more in (0, 10):
        add_calls(ticket, more)
        asha = User.objects.get(pk=user.pk)
        asha.has_perms(NOTES)
        with CaptureQueriesContext(connection) as queries:
            render(TIMELINE, request_of(asha), ticket=ticket)
        counts.append(len(queries))

    assert counts == [2, 2]  # the calls, and their notes


def test_note_can_be_written_long_after_the_call(host: Any) -> None:
    ticket, asha = host.ticket(), host.user("asha", *NOTES)
    add_calls(ticket, 4, placed_by=asha)  # one of them in the fold
    CallRecord.objects.update(ended_at=timezone.now() - datetime.timedelta(days=3))

    page = render(TIMELINE, request_of(asha, "/tickets/7/?tab=calls"), ticket=ticket)

    found = re.findall(r'<a href="([^"]+)" class="exotel-choose-link exotel-write" aria-label="([^"]+)"', page.html)
    assert len(found) == 4
    assert found[0][1].startswith("Write a note: Asha to the customer, today ")
    client = Browser(asha).client
    box = Page(client.get(html.unescape(found[0][0])).content.decode()).of_class("exotel-note-box")[0]
    saved = client.post(box.attributes["action"], box.data | {"exotel_text": "Asks for blue"})
    assert saved["Location"] == "/tickets/7/?tab=calls"
    assert "Asks for blue" in render(TIMELINE, request_of(asha), ticket=ticket).text


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "refused", "outcome": "", "ended_at": None},
        {"state": "active", "outcome": "", "ended_at": None},  # the panel has the box
        {"erased_at": timezone.now()},
    ],
)
def test_calls_about_which_no_note_is_written_later(host: Any, fields: dict[str, Any]) -> None:
    ticket = host.ticket()
    add_calls(ticket, **fields)

    assert "Write a note" not in render(TIMELINE, request_of(host.user("asha", *NOTES)), ticket=ticket).text


def test_who_may_write_a_note_later(host: Any) -> None:
    ticket = host.ticket()
    add_calls(ticket, placed_by=host.user("vik", agent=None))
    address = re.compile(r'<a href="([^"]+)" class="exotel-choose-link exotel-write"')

    colleague = host.user("asha", *NOTES)
    [link] = address.findall(render(TIMELINE, request_of(colleague), ticket=ticket).html)
    assert Browser(colleague).client.get(html.unescape(link)).status_code == 200
    reader = host.user("uma", *SEES, agent=None)
    assert address.findall(render(TIMELINE, request_of(reader), ticket=ticket).html) == []
