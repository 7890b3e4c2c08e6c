"""The report: who sees which figures, what can be chosen, the file, and what it costs."""

from __future__ import annotations

import csv
import datetime
import io
import re
import tracemalloc
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import Agent, CallNote, CallRecord, Disposition, ExoPhone
from django_exotel_ccm.services import move_calls
from django_exotel_ccm.services.reports import export, filters
from django_exotel_ccm.tickets import custom_field
from django_exotel_ccm.views.reports import reports_csv
from tests.admin.pages import AGENT_WORK, SEES_CALLS, SEES_NUMBERS, Page, Session

NUMBER = "+919000001001"
REPORTS, ALL_CALLS = "exotel_ccm.view_reports", "exotel_ccm.view_all_calls"


@pytest.fixture
def boss(host: Any) -> Session:
    """A supervisor who sees all tickets."""
    return Session(host.user("boss", REPORTS, SEES_CALLS, "helpdesk.view_ticket", agent=None))


def call(**fields: Any) -> CallRecord:
    given = {"account": "default", "state": "ended", "outcome": "completed", "talk_time": 60}
    return CallRecord.objects.create(**{**given, "created_at": timezone.now(), **fields})


def show(session: Session, **query: Any) -> Page:
    """Open the report; ``dates`` is today's unless the query says others."""
    return session.get(reverse("exotel_ccm:reports", query=query or {"dates": "today"}))


def figure(page: Page, name: str) -> str:
    found = re.search(rf'<dt>{name}</dt><dd class="exotel-value">(.*?)</dd>', page.html)
    return found[1] if found else ""


def table(page: Page, key: str) -> list[list[str]]:
    """Return the cells of a part's table, by line."""
    part = re.search(rf'<h2 id="exotel-{key}">.*?</section>', page.html, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", part[0], re.DOTALL) if part else []
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def read_csv(session: Session, **query: Any) -> list[dict[str, str]]:
    page = show(session, **query)
    response = session.client.get(page.links["Download these calls (CSV)"].replace("&amp;", "&"))
    session.response = response
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode("utf-8-sig"))))


def test_figures_with_their_definitions(boss: Session) -> None:
    call(talk_time=60)
    call(talk_time=121)
    call(outcome="agent_unanswered", talk_time=0)
    call(outcome="unknown", talk_time=None)
    call(state="active", outcome="", talk_time=None)
    call(state="refused", outcome="", talk_time=None, refusal_code="DoNotCall")

    page = show(boss)

    shown = {name: figure(page, name) for name in ("Calls", "Ended", "Reached", "Answer rate", "Talk time", "Refused")}
    assert shown == {
        "Calls": "5",
        "Ended": "4",
        "Reached": "2",
        "Answer rate": "50.0%",
        "Talk time": "3 min 1 s",
        "Refused": "1",
    }
    assert figure(page, "Mean talk time") == "1 min 30 s"
    assert figure(page, "Agent did not pick up") == "1"
    assert figure(page, "Customer not reached") == "0"
    assert figure(page, "Outcome unknown") == "1"
    assert figure(page, "Not over yet") == "1"
    assert ["Unknown", "1", "20.0%"] in table(page, "outcomes")
    assert table(page, "refusals")[1:] == [["On the do-not-call list", "DoNotCall", "1", "100.0%"]]
    assert "The share of the ended calls in which agent and customer talked." in page.text


def test_unknown_is_one_thing_in_figure_table_and_filter(boss: Session) -> None:
    call(outcome="completed", talk_time=None)
    call(outcome="unknown", talk_time=30)
    call(outcome="", talk_time=None)
    call(state="active", outcome="", talk_time=None, gave_up_at=timezone.now())

    page, only = show(boss), show(boss, dates="today", outcome="unknown")

    assert figure(page, "Outcome unknown") == "2"
    assert [row[:2] for row in table(page, "outcomes")[1:]] == [
        ["Unknown", "2"],
        ["Completed", "1"],
        ["Never confirmed", "1"],
    ]
    assert (figure(only, "Calls"), figure(only, "Outcome unknown"), figure(only, "Reached")) == ("2", "2", "1")


def test_rates_are_rounded(boss: Session) -> None:
    for talk_time in (60, 60, 0):
        call(talk_time=talk_time)

    assert figure(show(boss), "Answer rate") == "66.7%"


def test_a_row_for_each_day_also_for_those_without_calls(boss: Session) -> None:
    zone = ZoneInfo("Asia/Kolkata")
    for moment in ("2026-03-01T23:59:59", "2026-03-02T00:00:00", "2026-03-04T23:59:59"):
        call(created_at=datetime.datetime.fromisoformat(moment).replace(tzinfo=zone))

    rows = table(show(boss, **{"from": "2026-03-02", "to": "2026-03-04"}), "days")

    assert [row[:2] for row in rows[1:]] == [["03/02/2026", "1"], ["03/03/2026", "0"], ["03/04/2026", "1"]]


def test_charts_have_names_and_tables(boss: Session) -> None:
    call(agent_label="Asha")

    html = show(boss).html.partition('id="content-main"')[2]

    charts = re.findall(r'<svg class="exotel-chart" role="img" aria-labelledby="(\S+) (\S+)"', html)
    assert len(charts) == 6
    assert all(f'<title id="{title}">' in html and f'<desc id="{text}">' in html for title, text in charts)
    assert html.count("<table>") == len(charts)
    assert "style=" not in html


@pytest.mark.parametrize("count", [10, 11])
def test_chart_that_leaves_some_out_says_so(boss: Session, count: int) -> None:
    for number in range(count):
        call(agent_label=f"Agent {number}")

    page = show(boss)

    part = page.html.partition('<h2 id="exotel-agents">')[2].partition("</section>")[0]
    assert part.count('<rect class="exotel-all"') == 10
    assert len(table(page, "agents")) == 1 + count
    assert ("The chart has the first 10, the table has more." in part) == (count > 10)


def test_own_figures_without_view_reports(host: Any) -> None:
    asha, vik = host.user("asha", *AGENT_WORK), host.user("vik", agent=None)
    own = Agent.objects.get(user=asha)
    call(placed_by=asha)
    call(placed_by=vik, agent=own)
    call(placed_by=vik, agent_label="Vik")

    page = show(Session(asha))

    assert figure(page, "Calls") == "2"
    assert "My figures" in page.text
    assert "Vik" not in page.html
    assert 'name="agent"' not in page.html
    query = {"dates": "today", "agent": "999", "group": "7"}  # which they are not offered
    assert figure(show(Session(asha), **query), "Calls") == "2"
    file = Session(asha).client.get(reverse("exotel_ccm:reports-csv", query=query))
    assert b"".join(file.streaming_content).count(b"\r\n") == 3


@pytest.mark.parametrize("name", ["reports", "reports-csv"])
def test_who_may_open_it(host: Any, name: str) -> None:
    url = reverse(f"exotel_ccm:{name}")

    nobody = Client().get(url)
    assert nobody.status_code == 302
    assert nobody["Location"].startswith(reverse("admin:login"))
    answers = {}
    for number, permission in enumerate(("helpdesk.view_ticket", REPORTS, SEES_CALLS, "exotel_ccm.place_call")):
        user = host.user(f"user{number}", permission, agent=None)
        answers[permission] = Session(user).client.get(url).status_code
    assert answers == {"helpdesk.view_ticket": 403, REPORTS: 200, SEES_CALLS: 200, "exotel_ccm.place_call": 200}
    assert Session(host.user("meera", REPORTS, agent=None)).client.post(url).status_code in (403, 405)


def test_links_to_it(host: Any, boss: Session) -> None:
    address = reverse("exotel_ccm:reports") + "?exotel_adapter=admin"
    asha = Session(host.user("asha", *AGENT_WORK))

    assert f'href="{address}"' in boss.get(boss.url("index")).html
    assert f'href="{address}"' in asha.get(asha.url("index")).html
    assert address in asha.get(reverse("exotel_ccm:my-calls")).links.values()
    assert address not in Session(host.user("meera", "helpdesk.view_ticket", agent=None)).get(boss.url("index")).html


def test_plain_page_for_those_who_may_not_enter_the_admin(host: Any) -> None:
    user = host.user("asha", *AGENT_WORK)
    user.is_staff = False
    user.save()
    ticket = host.ticket("Invoice")
    call(placed_by=user, ticket=ticket, ticket_label="Invoice", custom_field=custom_field(ticket))

    page = show(Session(user))

    assert figure(page, "Calls") == "1"
    assert "Django administration" not in page.html
    assert [row["Ticket"] for row in read_csv(Session(user), dates="today")] == ["Invoice"]


@pytest.fixture
def chosen(host: Any) -> dict[str, str]:
    """Two calls, of which each of these filters finds the first."""
    user = host.user("asha", agent=None)
    group = Group.objects.create(name="North")
    user.groups.add(group)
    asha = host.agent(user=user)
    vik = host.agent("Vik", "+919000000102", user=host.user("vik", agent=None))
    other_phone = ExoPhone.objects.create(number="+918000000701", label="Sales")
    disposition = Disposition.objects.create(code="reached", label="Reached")
    first = call(agent=asha, exophone=host.exophone, ticket=host.ticket(), outcome="busy", talk_time=0)
    call(agent=vik, exophone=other_phone)
    for _note in range(2):
        CallNote.objects.create(call=first, disposition=disposition, created_at=timezone.now())
    return {
        "agent": str(asha.pk),
        "group": str(group.pk),
        "exophone": str(host.exophone.pk),
        "ticket_type": "helpdesk.ticket",
        "outcome": "busy",
        "disposition": str(disposition.pk),
    }


@pytest.mark.parametrize("name", ["agent", "group", "exophone", "ticket_type", "outcome", "disposition"])
def test_filters(boss: Session, chosen: dict[str, str], name: str) -> None:
    page = show(boss, **{"dates": "today", name: chosen[name]})

    assert figure(page, "Calls") == "1"
    assert figure(page, "Customer not reached") == "1"
    label = re.search(rf'<option value="{chosen[name]}" selected>(.*?)</option>', page.html)
    assert label is not None
    assert f": {label[1]}</strong>" in page.html  # also on paper, which has no form
    assert len(read_csv(boss, **{"dates": "today", name: chosen[name]})) == 1


@pytest.mark.parametrize("name", ["agent", "group", "exophone", "disposition"])
def test_choice_behind_the_first_is_shown(
    boss: Session, chosen: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "MOST_CHOICES", 1)
    Agent.objects.filter(pk=chosen["agent"]).update(name="Zara")
    ExoPhone.objects.filter(pk=chosen["exophone"]).update(is_active=False)
    Disposition.objects.filter(pk=chosen["disposition"]).update(position=99)
    Disposition.objects.create(code="first", label="First", position=0)
    first = Group.objects.create(name="East")
    Agent.objects.get(name="Vik").user.groups.add(first)

    def options(page: Page) -> str:
        found = re.search(rf'<select name="{name}">(.*?)</select>', page.html, re.DOTALL)
        return found[1] if found else ""

    assert f'value="{chosen[name]}"' not in options(show(boss))

    page = show(boss, **{"dates": "today", name: chosen[name]})

    label = re.search(rf'value="{chosen[name]}" selected>(.*?)</option>', options(page))
    assert label is not None
    assert f": {label[1]}</strong>" in page.html
    assert figure(page, "Calls") == "1"
    assert "No call fits." in show(boss, **{"dates": "today", name: "9" * 18}).text


def test_exophone_that_was_added_again_has_the_calls_of_its_row(boss: Session) -> None:
    number = "+918000000701"
    added = ExoPhone.objects.create(number=number, label="Sales")
    for exophone in (None, added):
        call(exophone=exophone, exophone_number=number)
    call(exophone_number="+918000000799")

    page = show(boss, dates="today", exophone=str(added.pk))

    assert [row[:2] for row in table(show(boss), "exophones")[1:]] == [[f"Sales {number}", "2"], ["+918000000799", "1"]]
    assert figure(page, "Calls") == "2"
    assert "No call fits." in show(boss, dates="today", exophone="999").text


def test_all_filters_at_once(boss: Session, chosen: dict[str, str]) -> None:
    assert figure(show(boss, dates="today", **chosen), "Calls") == "1"


@pytest.mark.parametrize("value", ["refused", "open", "never_confirmed", "unknown"])
def test_calls_without_an_outcome_can_be_chosen(boss: Session, value: str) -> None:
    nothing = {"outcome": "", "talk_time": None}
    call(state="refused", **nothing)
    call(state="requested", **nothing)
    call(state="active", gave_up_at=timezone.now(), **nothing)
    call(**nothing)
    call()

    page = show(boss, dates="today", outcome=value)

    assert (figure(page, "Calls"), figure(page, "Refused")) == (("0", "1") if value == "refused" else ("1", "0"))


@pytest.mark.parametrize("name", ["agent", "group", "exophone", "ticket_type", "outcome", "disposition"])
@pytest.mark.parametrize("value", ["999999999999999999", "-1", "x", "\0", "9" * 400, "१", "' OR 1=1"])
def test_filter_that_fits_nothing(boss: Session, name: str, value: str) -> None:
    call()

    page = show(boss, **{"dates": "today", name: value})

    assert boss.response.status_code == 200
    assert "No call fits." in page.text
    assert figure(page, "Calls") == "0"
    assert figure(page, "Answer rate") == "–"  # noqa: RUF001 - what the page shows


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ({"from": "2026-03-04", "to": "2026-03-03"}, "The first day is after the last day."),
        ({"from": "2000-01-01", "to": "2999-01-01"}, "A report has at most 366 days."),
        ({"from": "1970-02-01"}, "A report has at most 366 days."),
        ({"from": "2026-02-30"}, "That is not a date."),
        ({"from": "tomorrow"}, "That is not a date."),
        ({"to": "2026-03-04\0"}, "That is not a date."),
        ({"from": "9" * 10_000}, "That is not a date."),
        ({"from": "0001-01-01", "to": "0001-01-02"}, "There are no calls at that date."),
        ({"to": "9999-12-31"}, "There are no calls at that date."),
    ],
)
@pytest.mark.parametrize("name", ["reports", "reports-csv"])
def test_dates_that_are_no_period(boss: Session, query: dict[str, str], answer: str, name: str) -> None:
    page = boss.get(reverse(f"exotel_ccm:{name}", query=query))

    assert boss.response.status_code == 400
    assert answer in page.text
    assert 'name="from"' in page.html  # the form to correct it


@pytest.mark.parametrize(
    ("dates", "first", "last"),
    [
        ("today", "2026-11-26", "2026-11-26"),
        ("yesterday", "2026-11-25", "2026-11-25"),
        ("this_week", "2026-11-23", "2026-11-26"),
        ("last_week", "2026-11-16", "2026-11-22"),
        ("this_month", "2026-11-01", "2026-11-26"),
        ("last_month", "2026-10-01", "2026-10-31"),
        ("nonsense", "2026-11-23", "2026-11-26"),
        ("\0", "2026-11-23", "2026-11-26"),
    ],
)
def test_periods(boss: Session, time_machine: Any, dates: str, first: str, last: str) -> None:
    time_machine.move_to(datetime.datetime(2026, 11, 25, 20, tzinfo=datetime.UTC), tick=False)  # the 26th in Kolkata
    boss.client.force_login(boss.user)

    html = show(boss, dates=dates).html

    assert f'name="from" value="{first}"' in html
    assert f'name="to" value="{last}"' in html


def test_one_date_alone(boss: Session, time_machine: Any) -> None:
    time_machine.move_to(datetime.datetime(2026, 11, 26, 6, tzinfo=datetime.UTC), tick=False)
    boss.client.force_login(boss.user)

    assert 'name="to" value="2026-11-26"' in show(boss, **{"from": "2026-11-24"}).html
    assert 'name="from" value="2026-11-20"' in show(boss, to="2026-11-20").html
    assert 'name="to" value="2026-12-24"' in show(boss, **{"from": "2026-12-24"}).html


def test_figures_cost_a_fixed_number_of_statements(boss: Session, host: Any) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            show(boss)
        return len([one for one in captured if "exotel_ccm_" in one["sql"]])

    show(boss)  # what Django caches is cached
    few = statements()
    for number in range(30):
        agent = host.agent(f"Agent {number}", f"+9190000003{number:02}")
        call(agent=agent, ticket=host.ticket(), exophone=host.exophone)

    assert statements() == few == 10


# The file.


def test_file_has_a_line_for_each_call(boss: Session, host: Any) -> None:
    ticket, agent = host.ticket("Invoice"), host.agent("Asha")
    placed = datetime.datetime(2026, 3, 4, 4, 33, 5, tzinfo=datetime.UTC)
    one = call(
        agent=agent,
        agent_label="Asha",
        ticket=ticket,
        ticket_label="Invoice",
        customer_label="Ravi",
        customer_number=NUMBER,
        exophone_number="+918000000700",
        created_at=placed,
        ended_at=placed + datetime.timedelta(minutes=2),
        total_duration=90,
    )
    for label in ("Reached", "Call later"):
        disposition = Disposition.objects.create(code=label[:4], label=label)
        CallNote.objects.create(call=one, disposition=disposition, created_at=placed)
    call(state="refused", outcome="", talk_time=None, refusal_code="1012", created_at=placed)

    first, second = read_csv(boss, **{"from": "2026-03-04", "to": "2026-03-04"})

    assert first == {
        "Placed": "2026-03-04 10:03:05",
        "Time zone": "UTC+05:30",
        "Agent": "Asha",
        "Placed by": "",
        "Customer": "Ravi",
        "Number": "'+••••••••••01",
        "Ticket": "Invoice",
        "Kind of ticket": "Ticket",
        "ExoPhone": "'+918000000700",
        "Outcome": "completed",
        "Refusal": "",
        "Talk time (seconds)": "60",
        "Duration (seconds)": "90",
        "Ended": "2026-03-04 10:05:05",
        "Disposition": "Reached, Call later",
    }
    assert (second["Outcome"], second["Refusal"], second["Talk time (seconds)"]) == ("not called", "1012", "")
    assert boss.response["Content-Type"] == "text/csv; charset=utf-8"
    assert boss.response["Content-Disposition"] == 'attachment; filename="calls-2026-03-04-2026-03-04.csv"'


def test_numbers_are_shown_to_who_may_see_them(boss: Session, host: Any) -> None:
    call(customer_number=NUMBER, ticket=host.ticket(f"Call {NUMBER} back"), ticket_label=f"Call {NUMBER} back")
    assert "9000001001" not in str(read_csv(boss, dates="today"))
    boss.user.user_permissions.add(Permission.objects.get(codename="view_customer_number"))

    [row] = read_csv(boss, dates="today")

    assert row["Number"] == f"'{NUMBER}"
    assert row["Ticket"] == f"Call {NUMBER} back"


@pytest.mark.parametrize(
    ("permissions", "is_shown"),
    [
        ((), False),
        ((SEES_CALLS,), False),
        ((SEES_CALLS, "helpdesk.view_ticket"), True),
        ((SEES_CALLS, ALL_CALLS), True),
    ],
)
def test_hidden_tickets_are_not_in_the_file(host: Any, permissions: tuple[str, ...], *, is_shown: bool) -> None:
    user = host.user("boss", REPORTS, SEES_NUMBERS, *permissions, agent=None)
    call(ticket=host.ticket(), ticket_label="Secret", customer_label="Ravi", customer_number=NUMBER, agent_label="Asha")

    [row] = read_csv(Session(user), dates="today")

    assert row["Agent"] == "Asha"
    assert [row["Ticket"], row["Customer"], row["Number"]] == (
        ["Secret", "Ravi", f"'{NUMBER}"] if is_shown else ["not yours to see", "not yours to see", ""]
    )


def test_file_tells_agents_of_two_accounts_apart(boss: Session) -> None:
    for account in ("default", "mumbai"):
        asha = Agent.objects.create(name="Asha", account=account, contact_uri="+919000000101")
        call(agent=asha, agent_label=str(asha))

    assert [row["Agent"] for row in read_csv(boss, dates="today")] == ["Asha", "Asha (mumbai)"]


@pytest.mark.parametrize(("permissions", "is_shown"), [((), False), (("helpdesk.view_ticket",), True)])
def test_file_does_not_name_where_an_own_call_was_moved(
    host: Any, permissions: tuple[str, ...], *, is_shown: bool
) -> None:
    user = host.user("asha", "exotel_ccm.place_call", *permissions)
    ticket, kept = host.ticket("Invoice"), host.ticket("Offer")
    for one in (ticket, kept):
        call(placed_by=user, ticket=one, ticket_label=str(one), custom_field=custom_field(one), customer_label="Ravi")
    move_calls(ticket, host.ticket("Secret merger"))

    rows = read_csv(Session(user), dates="today")

    assert [row["Ticket"] for row in rows] == ["Secret merger" if is_shown else "not yours to see", "Offer"]
    assert [row["Customer"] for row in rows] == ["Ravi", "Ravi"]


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", 'a "quoted", thing', "मीरा नायर", "two\nlines"],
)
def test_nothing_in_the_file_is_a_formula(boss: Session, host: Any, text: str) -> None:
    call(ticket=host.ticket(), ticket_label=text, customer_label=text, agent_label=text, placed_by_label=text)

    [row] = read_csv(boss, dates="today")

    for name in ("Ticket", "Customer", "Agent", "Placed by"):
        assert row[name].lstrip("'") == text
        assert row[name][0] not in "=+-@\t\r\n\uff1d"


@pytest.mark.parametrize("blank", [" ", "\u00a0", "\u200b", "\x0b", " \u2009\ufeff", " " * 120 + "\u00a0"])
def test_nothing_is_a_formula_behind_what_cannot_be_seen(boss: Session, host: Any, blank: str) -> None:
    call(ticket=host.ticket(), ticket_label=f"{blank}=1+1", customer_label="a;=1+1")

    [row] = read_csv(boss, dates="today")

    assert row["Ticket"] == f"'{blank}=1+1"
    text = b"".join(boss.client.get(boss.response.request["PATH_INFO"], {"dates": "today"}).streaming_content).decode()
    assert '"a;=1+1"' in text


def test_asking_whether_there_is_a_file_makes_none(boss: Session) -> None:
    """The view itself, because the test client drops the answer's body: servers make it, and send nothing of it."""
    call()
    made = {}
    for method in ("get", "head"):
        request = getattr(RequestFactory(), method)("/", {"dates": "today", "exotel_adapter": "admin"})
        request.user = boss.user
        response = reports_csv(request)
        made[method] = len(b"".join(response.streaming_content).splitlines())
        assert response["Content-Type"] == "text/csv; charset=utf-8"

    assert made == {"get": 2, "head": 1}


def test_file_costs_a_fixed_number_of_statements_for_each_batch(boss: Session, host: Any) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            read_csv(boss, dates="today")
        return len([one for one in captured if "exotel_ccm_" in one["sql"]])

    call(ticket=host.ticket(), ticket_label="Fan", customer_number=NUMBER, ended_at=timezone.now())
    statements()  # what Django caches is cached
    few = statements()
    for _number in range(20):
        call(ticket=host.ticket(), ticket_label="Fan", customer_number=NUMBER, ended_at=timezone.now())

    assert statements() == few


def test_batches_lose_and_repeat_no_call(boss: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "BATCH", 3)
    now = timezone.now()
    for number in range(17):
        call(created_at=now - datetime.timedelta(microseconds=number // 5), agent_label=f"Agent {number}")

    rows = read_csv(boss, **{"from": str(timezone.localdate() - datetime.timedelta(days=1))})

    assert len(rows) == 17
    assert {row["Agent"] for row in rows} == {f"Agent {number}" for number in range(17)}


def test_file_takes_flat_memory(boss: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def most(count: int) -> int:
        now = timezone.now()
        made = (CallRecord(account="default", state="ended", created_at=now) for _call in range(count))
        CallRecord.objects.bulk_create(made, batch_size=500)
        response = boss.client.get(reverse("exotel_ccm:reports-csv", query={"dates": "today"}))
        tracemalloc.start()
        try:
            for _piece in response.streaming_content:
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    monkeypatch.setattr(export, "BATCH", 50)

    few = most(100)

    assert most(3_000) < 2 * few


class AnotherZone:
    """A host's middleware that has a zone for each user, and takes it back after the view."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with timezone.override(ZoneInfo("America/New_York")):
            answer: HttpResponse = self.get_response(request)
            return answer


def test_file_is_in_the_zone_of_the_viewer(boss: Session, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.views.test_reports.AnotherZone"]
    call(created_at=datetime.datetime(2026, 11, 1, 5, 30, tzinfo=datetime.UTC))
    call(created_at=datetime.datetime(2026, 11, 1, 6, 30, tzinfo=datetime.UTC))

    rows = read_csv(boss, **{"from": "2026-11-01", "to": "2026-11-01"})

    assert [(row["Placed"], row["Time zone"]) for row in rows] == [
        ("2026-11-01 01:30:00", "UTC-04:00"),
        ("2026-11-01 01:30:00", "UTC-05:00"),
    ]
    assert "America/New_York" in show(boss, dates="today").text


@pytest.mark.parametrize(
    ("placed", "zone", "ended"),
    [
        ("2026-11-01T05:50", "UTC-04:00", "2026-11-01 02:10:00"),  # 01:10, as the clock shows it a second time
        ("2026-03-08T06:50", "UTC-05:00", "2026-03-08 02:10:00"),  # which it skips
    ],
)
def test_end_of_a_call_during_which_the_clock_is_changed(
    boss: Session, settings: Any, placed: str, zone: str, ended: str
) -> None:
    """Both times of a line are by the one clock that it names: their difference is how long the call was."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.views.test_reports.AnotherZone"]
    began = datetime.datetime.fromisoformat(f"{placed}+00:00")
    call(created_at=began, ended_at=began + datetime.timedelta(minutes=20))

    [row] = read_csv(boss, **{"from": placed[:10], "to": placed[:10]})

    assert row["Placed"] == f"{placed[:10]} 01:50:00"
    assert (row["Time zone"], row["Ended"]) == (zone, ended)


def test_zone_without_use_tz_is_that_of_the_settings(boss: Session, settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.views.test_reports.AnotherZone"]
    settings.USE_TZ = False
    call(created_at=datetime.datetime(2026, 11, 1, 0, 30))  # noqa: DTZ001 - without USE_TZ

    page = show(boss, **{"from": "2026-11-01", "to": "2026-11-01"})

    assert figure(page, "Calls") == "1"
    assert "Days and hours are those of the time zone Asia/Kolkata." in page.text


def test_file_is_in_no_transaction(boss: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    call()
    response = boss.client.get(reverse("exotel_ccm:reports-csv", query={"dates": "today"}))

    def in_transaction() -> Iterator[bool]:
        for _piece in response.streaming_content:
            yield connection.in_atomic_block

    assert set(in_transaction()) == {False}


def test_file_under_asgi(boss: Session) -> None:
    call()
    call()

    async def fetch() -> bytes:
        client = AsyncClient()
        await client.aforce_login(boss.user)
        response = await client.get(reverse("exotel_ccm:reports-csv", query={"dates": "today"}))
        return b"".join([piece async for piece in response.streaming_content])

    assert async_to_sync(fetch)().decode().count("\r\n") == 3
