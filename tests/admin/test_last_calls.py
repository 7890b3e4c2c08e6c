"""The last call of each ticket on the list of tickets, and the filter by today's calls."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_exotel_ccm.admin import CallCustomerMixin
from django_exotel_ccm.models import CallRecord, FollowUp
from tests.admin.pages import AGENT_WORK, SEES_CALLS, SEES_NUMBERS, Page, Session
from tests.helpdesk.models import CodedTicket, Customer, Lead, LoudTicket, Ticket, UrgentTicket

pytestmark = pytest.mark.django_db
NOON = datetime.datetime(2026, 3, 10, 12, 0, tzinfo=datetime.UTC)  # 17:30 in the zone of the tests' settings


@pytest.fixture
def asha(host: Any) -> Session:
    return Session(host.user("asha", *AGENT_WORK, SEES_CALLS, SEES_NUMBERS))


def call_about(ticket: Any, *, hours_ago: float = 0, **fields: Any) -> CallRecord:
    created_at = timezone.now() - datetime.timedelta(hours=hours_ago)
    fields = {"state": "ended", "outcome": "customer_unanswered", "agent_label": "Vik", **fields}
    return CallRecord.objects.create(account="default", ticket=ticket, created_at=created_at, **fields)


def talk_about(ticket: Any, **fields: Any) -> CallRecord:
    return call_about(ticket, outcome="completed", talk_time=102, **fields)


def column_of(page: Page) -> list[str]:
    """Return what the column of last calls says, row by row."""
    return [
        Page(cell).text for cell in re.findall(r'<td class="field-last_call[^"]*">(.*?)</td>', page.html, re.DOTALL)
    ]


def found_by(session: Session, choice: str, model: str = "helpdesk_ticket") -> int:
    page = session.changelist(f"?exotel_calls={choice}", model)
    assert session.response.status_code == 200
    return page.html.count('name="_selected_action"')


def test_column_says_how_the_last_call_went(asha: Session, host: Any) -> None:
    host.ticket("Never called")
    talked = host.ticket("Talked")
    call_about(talked, hours_ago=1)
    talk_about(talked, hours_ago=50)
    talk_about(talked)
    missed = host.ticket("Missed")
    with time_machine.travel(NOON, tick=False):
        for hours in (3, 2, 1):
            call_about(missed, hours_ago=hours)
        call_about(missed, hours_ago=20)
        page = asha.changelist()

    missed_cell, talked_cell, never = column_of(page)
    assert never == "never"
    assert missed_cell.startswith("No answer, 3 times today")
    assert "Talked for 1 min 42 s" in talked_cell
    assert re.search(r"\d+\s(hours?|minutes?) ago", missed_cell.replace("\xa0", " "))


def test_refused_call_is_no_attempt(asha: Session, host: Any) -> None:
    ticket = host.ticket()
    with time_machine.travel(NOON, tick=False):
        call_about(ticket, hours_ago=1)
        call_about(ticket, state="refused", outcome="")

        assert column_of(asha.changelist())[0].startswith("Not called 0")


def test_column_and_filter_need_permission(host: Any) -> None:
    talk_about(host.ticket())
    caller = Session(host.user("asha", *AGENT_WORK))
    reader = Session(host.user("uma", "helpdesk.view_ticket", SEES_CALLS, agent=None))

    pages = [caller.changelist(), reader.changelist()]

    assert [len(column_of(page)) for page in pages] == [0, 1]
    assert ["Not reached today" in page.text for page in pages] == [False, True]
    assert pages[1].row_buttons == []


def test_filter(asha: Session, host: Any) -> None:
    host.ticket("Never called")
    missed, talked, refused, yesterday, due = (host.ticket(name) for name in ("A", "B", "C", "D", "E"))
    with time_machine.travel(NOON, tick=False):
        call_about(missed, hours_ago=1)
        talk_about(talked, hours_ago=2)
        call_about(talked)  # later, and nobody answered: reached all the same
        call_about(refused, state="refused", outcome="")
        call_about(yesterday, hours_ago=17.75)  # 23:45 on the day before, in the current time zone
        now = timezone.now()
        for at, done in ((now - datetime.timedelta(hours=1), None), (now, now)):
            FollowUp.objects.create(ticket=due, due_at=at, done_at=done, created_at=at)
        FollowUp.objects.create(ticket=missed, due_at=now + datetime.timedelta(hours=1), created_at=now)
        found = {}
        for choice in ("not_reached", "reached", "due"):
            page = asha.changelist(f"?exotel_calls={choice}")
            found[choice] = [name for name in "ABCDE" if f">{name}</a>" in page.html]

    assert found == {"not_reached": ["A"], "reached": ["B"], "due": ["E"]}


@pytest.mark.parametrize("choice", ["not_reached", "reached", "due", "nonsense"])
def test_empty_filter(asha: Session, host: Any, choice: str) -> None:
    host.ticket()

    assert found_by(asha, choice) == (choice == "nonsense")


# Hosts of all kinds.


def test_uuid_key(host: Any, make_session: Callable[..., Session]) -> None:
    leads = [Lead.objects.create(name=name) for name in "AB"]
    session = make_session(Lead, admin.ModelAdmin)
    talk_about(leads[0])
    FollowUp.objects.create(ticket=leads[1], due_at=timezone.now(), created_at=timezone.now())

    assert [found_by(session, choice, "helpdesk_lead") for choice in ("reached", "not_reached", "due")] == [1, 0, 1]


class Called(CallCustomerMixin, admin.ModelAdmin):
    list_filter = ["status"]

    def get_list_display(self, request: Any) -> Any:
        return super().get_list_display(request)


@pytest.mark.parametrize("model", [UrgentTicket, CodedTicket, LoudTicket])
def test_children_and_proxies(host: Any, make_session: Callable[..., Session], model: Any) -> None:
    name = model._meta.model_name
    given = {"code": "K-7"} if model is CodedTicket else {}
    customer = Customer.objects.create(name="Ravi", phone="+919000001001")
    model.objects.create(subject="Another", customer=customer, **({"code": "K-8"} if given else {}))
    model.objects.create(subject="Broken fan", customer=customer, **given)
    talk_about(Ticket.objects.get(subject="Broken fan"))  # place_call stores such a call under the declared model
    session = make_session(model, Called)
    session.user.is_superuser = True
    session.user.save()

    assert found_by(session, "reached", f"helpdesk_{name}") == 1
    page = session.changelist(model=f"helpdesk_{name}")
    assert sorted("Talked for" in cell for cell in column_of(page)) == [False, True]
    assert "By status" in page.text


def test_list_costs_three_statements_of_ours(asha: Session, host: Any) -> None:
    customer = Customer.objects.create(name="Ravi", phone="+919000001001")
    for ticket in Ticket.objects.bulk_create(Ticket(subject=f"T{n}", customer=customer) for n in range(30)):
        call_about(ticket)
        talk_about(ticket, placed_by=asha.user)

    def cost(query: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            page = asha.changelist(query)
        assert page.html.count('name="_selected_action"') == (0 if query == "?exotel_calls=due" else 30)
        return len([query for query in queries if "exotel_ccm" in query["sql"] and "permission" not in query["sql"]])

    cost("")
    assert [cost(f"{query}") for query in ("", "?exotel_calls=reached", "?exotel_calls=due")] == [3, 4, 3]
