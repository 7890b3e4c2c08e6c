"""Two agents work on one call list, or on two lists with one ticket: neither undoes what the other has done."""

from __future__ import annotations

import datetime
import html
import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import CallList, CallRecord
from django_exotel_ccm.services.call_lists import create_call_list, mark_called, results_of, skip
from tests.admin.pages import AGENT_WORK, BY_HAND, SEES_CALLS, Page, Session, orders
from tests.helpdesk.models import Ticket

pytestmark = pytest.mark.books_differ("the colleague's calls were never placed")
MAY_HELP = (*AGENT_WORK, SEES_CALLS, "exotel_ccm.view_calllist")


@pytest.fixture
def asha(host: Any) -> Session:
    return Session(host.user("asha", *MAY_HELP))


@pytest.fixture
def ben(host: Any) -> Any:
    return host.user("ben", *MAY_HELP, agent="+919000000102")


def list_of(user: Any, *tickets: Ticket) -> CallList:
    made = create_call_list(owner=user, name="Renewals", model=Ticket, keys=[one.pk for one in tickets])
    CallList.objects.filter(pk=made.pk).update(created_at=timezone.now() - datetime.timedelta(hours=1))
    return made


def open_list(session: Session, made: CallList, position: int | None = None) -> Page:
    query = f"?exotel_position={position}" if position else ""
    return session.get(reverse("exotel_ccm:call-list", args=[made.pk]) + query)


def call_of(user: Any, ticket: Ticket, *, item: Any = None, **fields: Any) -> CallRecord:
    """Store a call that ``user`` has placed, and that is over; from ``item`` of a list."""
    now = timezone.now()
    values = {"state": "ended", "outcome": "completed", "talk_time": 60, "created_at": now, "ended_at": now, **fields}
    labels = {"placed_by": user, "placed_by_label": user.username.title()}
    call = CallRecord.objects.create(account="default", ticket=ticket, customer_number=BY_HAND, **labels, **values)
    if item is not None:
        assert mark_called(item.pk, call, user)
    return call


@pytest.mark.parametrize("is_same_list", [True, False])
def test_page_that_a_colleague_was_faster_than_asks_first(
    asha: Session, ben: Any, host: Any, exotel: Any, is_same_list: bool
) -> None:
    ticket = host.ticket("First", phone=BY_HAND)
    made = list_of(asha.user, ticket)
    page = open_list(asha, made)
    bens = call_of(ben, ticket, item=(made if is_same_list else list_of(ben, ticket)).items.get())

    page = asha.press_button_of(page)

    assert orders(exotel) == []
    assert "Ben called just now: Talked for 1 min 0 s. Call only if you mean to." in page.text
    assert "Call only if you mean to." not in page.messages  # once is enough
    asha.press_choice(page)
    assert len(orders(exotel)) == 1
    item = made.items.get()
    assert item.state == "called"
    assert (item.call == bens) is is_same_list
    assert results_of(made)["reached"] == int(is_same_list)


def test_page_that_asks_knows_what_it_says(asha: Session, ben: Any, host: Any, exotel: Any) -> None:
    """A colleague who calls while that page is read is said there, too."""
    made = list_of(asha.user, ticket := host.ticket("First", phone=BY_HAND))
    page = open_list(asha, made)
    call_of(ben, ticket, outcome="busy", talk_time=0)
    page = asha.press_button_of(page)
    assert "Ben called just now: Busy. Call only if you mean to." in page.text
    call_of(ben, ticket)

    page = asha.press_choice(page)

    assert orders(exotel) == []
    assert "Ben called just now: Talked for 1 min 0 s. Call only if you mean to." in page.text
    asha.press_choice(page)
    assert len(orders(exotel)) == 1


def test_call_that_ended_since_the_page_was_made(asha: Session, ben: Any, host: Any, exotel: Any) -> None:
    made = list_of(asha.user, ticket := host.ticket("First", phone=BY_HAND))
    bens = call_of(ben, ticket, state="active", outcome="", talk_time=None, ended_at=None)
    page = open_list(asha, made, 1)
    assert "Ben called just now: Calling" in page.text
    CallRecord.objects.filter(pk=bens.pk).update(state="ended", outcome="completed", talk_time=60)

    assert "Talked for 1 min 0 s. Call only" in asha.press_button_of(page).text
    assert orders(exotel) == []


@pytest.mark.parametrize("fields", [{}, {"state": "refused", "outcome": "", "talk_time": None}])
def test_what_the_page_shows_is_not_asked(
    asha: Session, ben: Any, host: Any, exotel: Any, fields: dict[str, Any]
) -> None:
    """Nor a call that never was."""
    made = list_of(asha.user, ticket := host.ticket("First", phone=BY_HAND))
    page = open_list(asha, made) if fields else None
    call_of(ben, ticket, **fields)

    asha.press_button_of(page or open_list(asha, made))

    assert len(orders(exotel)) == 1


def test_ticket_that_was_skipped_since(asha: Session, host: Any, exotel: Any) -> None:
    made = list_of(asha.user, host.ticket("First", phone=BY_HAND))
    page = open_list(asha, made)
    skip(made.items.get())

    page = asha.press_button_of(page)

    assert orders(exotel) == []
    assert page.text.count("This ticket was skipped since this page was loaded. Call only if you mean to.") == 1
    asha.press_choice(page)
    assert len(orders(exotel)) == 1
    assert made.items.get().state == "called"


def test_button_at_the_end_of_the_list(asha: Session, ben: Any, host: Any, exotel: Any) -> None:
    made = list_of(asha.user, ticket := host.ticket("First", phone=BY_HAND))
    skip(made.items.get())
    page = open_list(asha, made)
    call_of(ben, ticket)

    assert "Ben called just now: Talked for 1 min 0 s. Call only" in asha.press_button_of(page).text
    assert orders(exotel) == []
    asha.press_button_of(open_list(asha, made))
    assert len(orders(exotel)) == 1


def test_link_of_a_page_without_script(asha: Session, ben: Any, host: Any, exotel: Any) -> None:
    made = list_of(asha.user, ticket := host.ticket("First", phone=BY_HAND))
    [link] = open_list(asha, made).call_buttons
    assert "Call only if you mean to." not in asha.get(link.attributes["href"]).text
    call_of(ben, ticket)

    page = asha.get(link.attributes["href"])

    assert "Ben called just now: Talked for 1 min 0 s. Call only if you mean to." in page.text
    asha.press_choice(page)
    assert len(orders(exotel)) == 1
    assert made.items.get().state == "called"


def test_script_is_sent_to_the_page_that_asks(asha: Session, ben: Any, host: Any, exotel: Any) -> None:
    made = list_of(asha.user, ticket := host.ticket("First", phone=BY_HAND))
    [form] = open_list(asha, made).call_buttons
    call_of(ben, ticket)

    answer = asha.client.post(form.attributes["action"], form.data, headers={"Accept": "application/json"}).json()

    said = "Ben called just now: Talked for 1 min 0 s. Call only if you mean to."
    assert answer["text"] == said
    assert said in asha.get(answer["ask_url"]).text
    assert orders(exotel) == []


def test_who_may_not_see_calls_is_told_no_name(ben: Any, host: Any) -> None:
    vik = Session(host.user("vik", *AGENT_WORK, agent="+919000000103"))
    page = open_list(vik, made := list_of(vik.user, ticket := host.ticket("First", phone=BY_HAND)))
    call_of(ben, ticket)

    page = vik.press_button_of(page)

    assert "A colleague called just now: Talked for 1 min 0 s. Call only if you mean to." in page.text
    assert "Ben" not in page.text
    assert re.search(r'name="exotel_item" value="(\d+)"', page.html).group(1) == str(made.items.get().pk)


@pytest.mark.parametrize(("talk_time", "counts"), [(60, "first"), (0, "second")])
def test_call_that_reached_the_customer_stays(asha: Session, ben: Any, host: Any, talk_time: int, counts: str) -> None:
    made = list_of(asha.user, ticket := host.ticket("First"))
    calls = {
        "first": call_of(ben, ticket, item=made.items.get(), talk_time=talk_time),
        "second": call_of(asha.user, ticket, item=made.items.get(), outcome="busy", talk_time=0),
    }

    assert made.items.get().call == calls[counts]


def test_call_again_in_the_history_counts(asha: Session, host: Any, exotel: Any) -> None:
    made = list_of(asha.user, ticket := host.ticket("First", phone=BY_HAND), host.ticket("Second"))
    yesterday = timezone.now() - datetime.timedelta(days=1)
    call_of(asha.user, ticket, outcome="busy", talk_time=0, created_at=yesterday, ended_at=yesterday)
    page = open_list(asha, made)
    [again] = page.of_again
    [of_fetched] = asha.get(html.unescape(re.search(r'data-exotel-timeline="(.*?)"', page.html).group(1))).of_again
    assert of_fetched.attributes["action"] == again.attributes["action"]

    page = asha.post(again.attributes["action"], again.data)

    assert "1 of 2 First" in page.text
    assert len(orders(exotel)) == 1
    assert list(made.items.order_by("position").values_list("state", flat=True)) == ["called", "waiting"]
    assert made.items.get(position=1).call == CallRecord.objects.get(state="active")


def test_call_again_in_the_history_asks_too(asha: Session, ben: Any, host: Any, exotel: Any) -> None:
    made = list_of(asha.user, ticket := host.ticket("First", phone=BY_HAND))
    call_of(ben, ticket, outcome="busy", talk_time=0)
    [again] = open_list(asha, made).of_again
    call_of(ben, ticket)

    assert "Talked for 1 min 0 s. Call only" in asha.post(again.attributes["action"], again.data).text
    assert orders(exotel) == []


@pytest.mark.parametrize(
    ("fields", "said", "first"),
    [
        ({}, "You called just now: Talked for 1 min 0 s", "next"),
        ({"outcome": "busy", "talk_time": 0}, "You called just now: Busy", "call"),
        ({"state": "active", "outcome": "", "talk_time": None}, "", "call"),  # the panel shows it
        ({"state": "refused", "outcome": "", "talk_time": None}, "", "call"),
        ({"days_ago": 1}, "", "call"),  # before the list was made
    ],
)
def test_own_call_from_the_page_of_the_ticket_is_said(
    asha: Session, host: Any, fields: dict[str, Any], said: str, first: str
) -> None:
    made = list_of(asha.user, ticket := host.ticket("First", phone=BY_HAND), host.ticket("Second"))
    created_at = timezone.now() - datetime.timedelta(days=fields.pop("days_ago", 0))
    call_of(asha.user, ticket, **fields, created_at=created_at)

    page = open_list(asha, made)

    assert "1 of 2 First" in page.text
    assert ("You called" in page.text, said in page.text) == (bool(said), True)
    tools = Page(page.html.partition('<div class="exotel-tools">')[2].partition("</div>")[0]).text
    assert tools == ("Next Skip Call" if first == "next" else "Call Next Skip")
    assert ("then it comes up once more" in page.text) == (first == "next")


def test_call_from_the_list_is_not_said_twice(asha: Session, ben: Any, host: Any) -> None:
    made = list_of(asha.user, ticket := host.ticket("First", phone=BY_HAND))
    call_of(ben, ticket, outcome="busy", talk_time=0)
    call_of(asha.user, ticket, item=made.items.get())

    text = open_list(asha, made, 1).text

    assert "You called" not in text
    assert "Ben called just now: Busy" in text  # though it is not the newest


def test_end_says_what_others_have_done(asha: Session, ben: Any, host: Any) -> None:
    subjects = ["Reached by Ben", "Called by both", "Called by Ben from the list", "Skipped"]
    tickets = [host.ticket(subject) for subject in subjects]
    made = list_of(asha.user, *tickets)
    items = list(made.items.order_by("position"))
    missed = {"outcome": "busy", "talk_time": 0}
    call_of(ben, tickets[0])
    call_of(asha.user, tickets[1], item=items[1], **missed)
    call_of(ben, tickets[1], outcome="customer_unanswered", talk_time=0)
    call_of(asha.user, tickets[1], talk_time=42)
    call_of(ben, tickets[2], item=items[2], **missed)
    for item in items:
        skip(item)

    page = open_list(asha, made)

    found = re.findall(r'<li class="exotel-line">.*?</li>', page.html, re.DOTALL)
    assert [re.sub(r" today \d\d:\d\d", "", Page(one).text) for one in found] == [
        "Skipped Reached by Ben Ben called just now: Talked for 1 min 0 s Call",
        "Busy Called by both You called just now: Talked for 42 s Ben called just now: No answer Call",
        "Busy Called by Ben from the list Call",
        "Skipped Skipped Call",
    ]


def test_end_asks_for_the_calls_of_all_rows_at_once(asha: Session, ben: Any, host: Any) -> None:
    def cost(count: int) -> int:
        made = list_of(asha.user, *(tickets := [host.ticket(f"T{n}") for n in range(count)]))
        for ticket, item in zip(tickets, made.items.order_by("position"), strict=True):
            skip(item)
            call_of(ben, ticket)
            call_of(asha.user, ticket)
        with CaptureQueriesContext(connection) as queries:
            page = open_list(asha, made)
        assert page.text.count("Ben called just now") == page.text.count("You called just now") == count
        return len(queries)

    cost(2)  # what is kept in memory

    assert cost(2) == cost(20)
