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

from django_exotel_ccm.admin import CallCustomerMixin, last_calls
from django_exotel_ccm.models import CallRecord, DoNotCall, FollowUp
from django_exotel_ccm.models.ticket_link import ticket_columns
from django_exotel_ccm.services import schedule_follow_up
from tests.admin.conftest import urls_of
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
    kind, key = ticket_columns(ticket)
    linked = {"ticket_content_type": kind, "ticket_object_id": key}
    return CallRecord.objects.create(account="default", created_at=created_at, **linked, **fields)


def talk_about(ticket: Any, **fields: Any) -> CallRecord:
    return call_about(ticket, outcome="completed", talk_time=102, **fields)


def column_of(page: Page) -> list[str]:
    """Return what the column of last calls says, row by row."""
    cells = re.findall(r'<td class="field-exotel_last_call[^"]*">(.*?)</td>', page.html, re.DOTALL)
    return [Page(cell).text for cell in cells]


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


@pytest.mark.parametrize("hours_ago", [1, 3])
def test_call_placed_elsewhere_counts_by_its_time(asha: Session, host: Any, hours_ago: int) -> None:
    """It is stored when Exotel is asked about it, which can be later than the next call."""
    ticket = host.ticket()
    call_about(ticket, hours_ago=2)
    talk_about(ticket, hours_ago=hours_ago, origin="external")

    cell = column_of(asha.changelist())[0]

    assert ("Talked for 1 min 42 s" in cell) == (hours_ago < 2)


def test_age_of_a_call_of_this_minute(asha: Session, host: Any) -> None:
    call_about(host.ticket())

    assert column_of(asha.changelist()) == ["No answer just now"]


def test_refused_call_is_no_attempt(asha: Session, host: Any) -> None:
    ticket = host.ticket()
    with time_machine.travel(NOON, tick=False):
        call_about(ticket, hours_ago=1)
        call_about(ticket, state="refused", outcome="")

        assert column_of(asha.changelist())[0].startswith("Not called just now")


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


@pytest.mark.parametrize("choice", ["not_reached", "reached", "due"])
def test_page_says_that_the_filter_leaves_tickets_out(
    asha: Session, host: Any, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    monkeypatch.setattr(last_calls, "MOST_KEYS", 2)
    found = []
    for _count in range(3):
        ticket = host.ticket()
        for _again in range(3):  # tickets count, not calls
            (talk_about if choice == "reached" else call_about)(ticket)
            FollowUp.objects.create(ticket=ticket, due_at=timezone.now(), created_at=timezone.now())
        page = asha.changelist(f"?exotel_calls={choice}")
        found.append((page.html.count('name="_selected_action"'), page.messages))

    cut = "More than 2 tickets belong here. Some may be missing in this list."
    assert found == [(1, ""), (2, ""), (2, cut)]
    asha.client.get(asha.where, headers={"X-Exotel-Check": "1"})  # our script looks at the page, and nobody reads it
    assert asha.changelist().messages == ""


def test_who_may_only_read_is_told_too(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    talk_about(host.ticket())
    reader = Session(host.user("uma", "helpdesk.view_ticket", SEES_CALLS, agent=None))

    texts = []
    for most in (0, 1):
        monkeypatch.setattr(last_calls, "MOST_KEYS", most)
        texts.append(reader.changelist("?exotel_calls=reached").messages)

    assert [bool(text) for text in texts] == [True, False]


# Several sites: each shows of calls what its own rules show of tickets.


@pytest.fixture
def two_sites(host: Any, settings: Any) -> tuple[Session, Session]:
    """The same user on a site with all tickets, and on one with those of a team, where nobody may change any."""

    class Restricted(admin.ModelAdmin):
        list_display = ["subject", "team"]

        def get_queryset(self, request: Any) -> Any:
            return super().get_queryset(request).filter(team="red")

        def has_change_permission(self, request: Any, obj: Any = None) -> bool:
            return False

    open_site, restricted = admin.AdminSite(name="open"), admin.AdminSite(name="restricted")
    open_site.register(Ticket, admin.ModelAdmin)
    restricted.register(Ticket, Restricted)
    settings.ROOT_URLCONF = urls_of(open_site, restricted)
    user = host.user("asha", *AGENT_WORK, SEES_CALLS, SEES_NUMBERS)
    sessions = Session(user, "open"), Session(user, "restricted")
    for session, site in zip(sessions, (open_site, restricted), strict=True):
        session.site_admin = site
    return sessions


@pytest.mark.parametrize("choice", ["not_reached", "reached", "due"])
def test_every_site_has_column_and_filter_of_its_own_tickets(
    two_sites: tuple[Session, Session], host: Any, choice: str
) -> None:
    for team in ("red", "blue"):
        ticket = host.ticket(f"Of the {team} team", team=team)
        (talk_about if choice == "reached" else call_about)(ticket)
        FollowUp.objects.create(ticket=ticket, due_at=timezone.now(), created_at=timezone.now())
    host.ticket("Never called", team="red")

    everything, restricted = two_sites

    assert [found_by(session, choice) for session in two_sites] == [2, 1]
    assert len(column_of(everything.changelist())) == 3
    page = restricted.changelist()
    assert sorted(cell == "never" for cell in column_of(page)) == [False, True]
    assert "Of the blue team" not in page.html
    assert all("/restricted1/" in address for name, address in page.links.items() if name == "Of the red team")


def test_site_without_our_urls_has_no_column(two_sites: tuple[Session, Session], host: Any, settings: Any) -> None:
    talk_about(host.ticket(team="red"))
    sites = [session.site_admin for session in two_sites]
    settings.ROOT_URLCONF = type("URLs", (), {"urlpatterns": urls_of(*sites).urlpatterns[:2]})

    page = two_sites[1].changelist()

    assert two_sites[1].response.status_code == 200
    assert column_of(page) == []


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


def test_proxy_that_is_declared_itself(host: Any, make_session: Callable[..., Session], settings: Any) -> None:
    """Calls about it are its own: calls about the rows as plain tickets are not."""
    settings.EXOTEL_CCM = settings.EXOTEL_CCM | {
        "TICKETS": {"helpdesk.LoudTicket": {"prefix": "loud", "phone": "customer.phone"}}
    }
    customer = Customer.objects.create(name="Ravi", phone="+919000001001")
    fire, flood = (LoudTicket.objects.create(subject=name, customer=customer) for name in ("Fire", "Flood"))
    session = make_session(LoudTicket, admin.ModelAdmin)
    session.user.is_superuser = True
    session.user.save()
    talk_about(fire)
    call_about(flood)
    talk_about(Ticket.objects.get(pk=flood.pk))
    schedule_follow_up(ticket=flood, due_at=timezone.now() + datetime.timedelta(hours=1), assigned_to=session.user)
    FollowUp.objects.update(due_at=timezone.now())

    found = [found_by(session, choice, "helpdesk_loudticket") for choice in ("reached", "not_reached", "due")]
    page = session.changelist(model="helpdesk_loudticket")

    assert found == [1, 1, 1]
    results = [cell.split(" just now")[0].split(",")[0] for cell in column_of(page)]
    assert results == ["No answer", "Talked for 1 min 42 s"]


def test_list_costs_three_statements_of_ours_with_the_default_rules(asha: Session, host: Any, settings: Any) -> None:
    customers = Customer.objects.bulk_create(Customer(name="Ravi", phone=f"+9190000010{n:02}") for n in range(30))
    tickets = Ticket.objects.bulk_create(Ticket(subject=one.phone, customer=one) for one in customers)
    for ticket in tickets:
        call_about(ticket)
        talk_about(ticket, placed_by=asha.user)
    DoNotCall.objects.create(number="+919000001001")
    settings.EXOTEL_CCM = {name: value for name, value in settings.EXOTEL_CCM.items() if name != "POLICIES"}

    def cost(query: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            page = asha.changelist(query)
        rows = 0 if query == "?exotel_calls=due" else 30
        assert page.html.count('name="_selected_action"') == rows
        assert page.html.count("<summary>on the do-not-call list") == min(rows, 1)
        return len([query for query in queries if "exotel_ccm" in query["sql"] and "permission" not in query["sql"]])

    cost("")
    assert [cost(query) for query in ("", "?exotel_calls=reached", "?exotel_calls=due")] == [3, 4, 2]
