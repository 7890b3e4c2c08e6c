"""The live board: who is on it, who may see whom, what its script is answered, and what it costs."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import Agent, CallRecord, Device, FollowUp
from django_exotel_ccm.services import live_board, move_calls
from django_exotel_ccm.tickets import custom_field
from tests.admin.pages import AGENT_WORK, SEES_CALLS, SEES_NUMBERS, Page, Session

NUMBER = "+919000001001"
REPORTS, ALL_CALLS = "exotel_ccm.view_reports", "exotel_ccm.view_all_calls"
SEES_FOLLOW_UPS = "exotel_ccm.view_followup"
STATEMENTS = 5  # one of them because a phone is off


@pytest.fixture
def boss(host: Any) -> Session:
    """A supervisor who sees all tickets."""
    return Session(host.user("boss", REPORTS, SEES_CALLS, "helpdesk.view_ticket", agent=None))


def call(*, age: float = 0, answered: float | None = None, **fields: Any) -> CallRecord:
    """Return a call that was placed so many seconds ago, and in which a phone was picked up so many seconds ago."""
    now = timezone.now()
    given: dict[str, Any] = {"account": "default", "state": "active", "agent_label": "Asha"}
    given |= {"customer_label": "Ravi", "customer_number": NUMBER, "created_at": now - datetime.timedelta(seconds=age)}
    if answered is not None:
        given["answered_at"] = now - datetime.timedelta(seconds=answered)
    return CallRecord.objects.create(**{**given, **fields})


def device(agent: Any, *, is_on: bool, **fields: Any) -> Device:
    number = Device.objects.count()
    given = {"kind": "phone", "exotel_id": str(number), "seen_at": timezone.now(), "is_verified": True, **fields}
    return Device.objects.create(agent=agent, is_on=is_on, contact_uri=f"+9190000006{number:02}", **given)


def board(session: Session) -> Page:
    return session.get(reverse("exotel_ccm:live"))


def tiles(page: Page) -> dict[str, str]:
    found = re.search(r'<dl class="exotel-tiles">(.*?)</dl>', page.html, re.DOTALL)
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", found[1] if found else ""))


def test_link_that_loads_the_board_again(boss: Session) -> None:
    assert board(boss).links["Reload"] == boss.where


def test_empty_board(boss: Session) -> None:
    page = board(boss)

    assert tiles(page) == {
        "On the phone": "0",
        "Being called": "0",
        "Wait for a call-back": "0",
        "Free agents": "0",
        "Phone off": "0",
    }
    assert "Nobody is on the phone." in page.text
    assert "No customer waits for a call-back." in page.text
    assert "exotel_sync fetches them" in page.text


def test_who_is_on_the_phone_with_whom_since_when(boss: Session, host: Any) -> None:
    ticket = host.ticket("Invoice")
    with time_machine.travel(timezone.localtime().replace(hour=12), tick=False):  # just after midnight it was yesterday
        talking = call(age=100, answered=80, ticket=ticket, ticket_label="Invoice")
        call(age=20, agent_label="Vik", customer_label="Meera")

        page = board(boss)

    assert "Asha call to Ravi Invoice a phone was picked up today" in page.text
    assert "Vik is calling Meera since today" in page.text
    assert page.links["Invoice"] == reverse("admin:helpdesk_ticket_change", args=[ticket.pk])
    assert f'data-exotel-since="{int(talking.answered_at.timestamp())}"' in page.html
    assert (tiles(page)["On the phone"], tiles(page)["Being called"]) == ("1", "1")


def test_calls_that_are_not_known_to_go_on(boss: Session) -> None:
    call(state="ended", agent_label="Ended")
    call(state="refused", agent_label="Refused")
    call(age=90, state="requested", agent_label="Silent")
    call(age=400, agent_label="Not picked up")
    call(age=5 * 3600, answered=5 * 3600, agent_label="Yesterday")
    call(age=20, answered=10, gave_up_at=timezone.now(), agent_label="Given up")

    assert "Nobody is on the phone." in board(boss).text


def test_long_conversation_stays(boss: Session) -> None:
    call(age=2 * 3600, answered=2 * 3600 - 20)

    assert tiles(board(boss))["On the phone"] == "1"


def test_numbers_are_masked(boss: Session, host: Any) -> None:
    call(age=100, answered=80, customer_label="", ticket=host.ticket(f"Call {NUMBER} back"))

    assert "9000001001" not in board(boss).html
    sees = Session(host.user("meera", REPORTS, SEES_CALLS, SEES_NUMBERS, "helpdesk.view_ticket", agent=None))
    assert NUMBER in board(sees).html


@pytest.mark.parametrize(
    ("permissions", "is_shown"),
    [
        ((), False),
        ((SEES_CALLS,), False),
        ((SEES_CALLS, "helpdesk.view_ticket"), True),
        ((SEES_CALLS, ALL_CALLS), True),
    ],
)
def test_hidden_tickets_are_not_named(host: Any, permissions: tuple[str, ...], *, is_shown: bool) -> None:
    session = Session(host.user("boss", REPORTS, SEES_FOLLOW_UPS, *permissions, agent=None))
    ticket = host.ticket("Secret merger")
    call(age=100, answered=80, ticket=ticket, ticket_label="Secret merger")
    now = timezone.now()
    FollowUp.objects.create(
        ticket=ticket, ticket_label="Secret merger", due_at=now, created_at=now, assigned_to_label="Vik"
    )

    page = board(session)

    assert ("Secret merger" in page.html) == is_shown
    assert ("Ravi" in page.html) == is_shown
    assert page.html.count("A customer") == (0 if is_shown else 1)
    assert "Asha" in page.text
    assert "Vik" in page.text


@pytest.mark.parametrize(("permissions", "is_shown"), [((), False), (("helpdesk.view_ticket",), True)])
def test_where_an_own_call_was_moved_is_not_named(host: Any, permissions: tuple[str, ...], *, is_shown: bool) -> None:
    session = Session(host.user("boss", REPORTS, *permissions, agent=None))
    ticket, kept = host.ticket("Invoice"), host.ticket("Offer")
    for one in (ticket, kept):
        fields = {"ticket": one, "ticket_label": str(one), "custom_field": custom_field(one)}
        call(age=100, answered=80, placed_by=session.user, **fields)
    move_calls(ticket, host.ticket("Secret merger"))

    page = board(session)

    assert ("Secret merger" in page.html) == is_shown
    assert "Offer" in page.text
    assert page.text.count("call to Ravi") == 2


def test_who_waits_for_a_call_back(boss: Session, host: Any) -> None:
    now = timezone.now()
    for subject, hours in (("Long ago", 2), ("Just now", 0), ("Tomorrow", -24)):
        FollowUp.objects.create(
            ticket=host.ticket(subject),
            assigned_to=boss.user,
            assigned_to_label="boss",
            due_at=now - datetime.timedelta(hours=hours),
            created_at=now,
        )
    FollowUp.objects.create(ticket=host.ticket("Done"), due_at=now, created_at=now, done_at=now)

    text = board(boss).text

    assert tiles(board(boss))["Wait for a call-back"] == "2"
    assert text.index("overdue 2 hours Long ago boss") < text.index("due now Just now")
    assert "Tomorrow" not in text
    assert "Done" not in text


@pytest.mark.parametrize(("permissions", "is_shown"), [((), False), ((SEES_FOLLOW_UPS,), True), ((ALL_CALLS,), True)])
def test_call_backs_of_others_are_for_who_may_see_them(
    host: Any, permissions: tuple[str, ...], *, is_shown: bool
) -> None:
    session = Session(host.user("boss", REPORTS, SEES_CALLS, "helpdesk.view_ticket", *permissions))
    vik, now = host.user("vik", agent=None), timezone.now()
    for user, subject in ((vik, "Broken fan"), (session.user, "Own promise")):
        given = {"assigned_to": user, "assigned_to_label": str(user), "due_at": now, "created_at": now}
        FollowUp.objects.create(ticket=host.ticket(subject), ticket_label=subject, **given)

    page = board(session)

    assert tiles(page)["Wait for a call-back"] == "2"
    assert ("Broken fan" in page.html, "vik" in page.html) == (is_shown, is_shown)
    assert ("due now A customer" in page.text) == (not is_shown)
    assert "due now Own promise boss" in page.text


def test_agent_in_a_call_beyond_the_list_is_not_free(boss: Session, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_board, "MOST_CALLS", 3)
    for number in range(6):
        agent = host.agent(f"Agent {number}", f"+9190000005{number:02}")
        device(agent, is_on=True)
        if number < 5:
            call(age=300 - number, answered=200 - number, agent=agent)

    page = board(boss)

    assert tiles(page)["Free agents"] == "1"
    assert "Free Agent 5" in page.text


def test_whose_phone_is_off_and_who_is_free(boss: Session, host: Any) -> None:
    asha, vik, ola, uma, gone = (
        Agent.objects.create(name=name, contact_uri=f"+9190000004{number:02}", is_active=name != "Gone")
        for number, name in enumerate(("Asha", "Vik", "Ola", "Uma", "Gone"))
    )
    old = timezone.now() - datetime.timedelta(minutes=5)
    device(asha, is_on=False, seen_at=old)
    device(asha, is_on=False, seen_at=old - datetime.timedelta(days=1))
    device(vik, is_on=False)
    device(vik, is_on=True)
    device(ola, is_on=True)
    device(uma, is_on=True, status="busy")
    device(gone, is_on=False)
    call(age=20, answered=10, agent=ola, agent_label="Ola")

    page = board(boss)

    assert (tiles(page)["Phone off"], tiles(page)["Free agents"]) == ("1", "1")
    assert "Phone off Asha (Exotel said so 5 minutes ago)" in page.text
    assert "Free Vik" in page.text
    assert "Gone" not in page.text


def test_old_state_of_a_phone_does_not_stay(boss: Session, host: Any) -> None:
    """Exotel refuses a call because of the phone, and accepts later ones: no run of exotel_sync lies between."""
    asha, vik, ola, uma = (
        host.agent(name, f"+9190000004{at:02}") for at, name in enumerate(("Asha", "Vik", "Ola", "Uma"))
    )
    hour_ago = timezone.now() - datetime.timedelta(hours=1)
    device(asha, is_on=False, seen_at=hour_ago)
    device(vik, is_on=True, status="busy", seen_at=hour_ago)
    device(ola, is_on=False, seen_at=hour_ago)
    device(uma, is_on=False)
    call(age=600, state="ended", agent=asha)
    call(age=600, state="refused", agent=ola)
    call(age=600, state="ended", agent=uma)

    page = board(boss)

    assert "Free Asha , Vik" in page.text
    assert (tiles(page)["Phone off"], tiles(page)["Free agents"]) == ("2", "2")
    assert "Phone off Ola" in page.text
    assert "Phone off Uma" in page.text


def test_agent_whose_phone_is_not_verified_is_not_free(boss: Session, host: Any) -> None:
    device(host.agent("Asha"), is_on=True, is_verified=False)

    page = board(boss)

    assert tiles(page)["Free agents"] == "0"
    assert "Not verified Asha (Exotel said so just now)" in page.text


def test_everybody_is_in_a_call(boss: Session, host: Any) -> None:
    asha = host.agent("Asha")
    device(asha, is_on=True)
    call(age=20, answered=10, agent=asha)

    text = board(boss).text

    assert "Nobody is free: all agents are in a call." in text
    assert "Nothing is known of the agents' phones" not in text


def test_figures_of_today(boss: Session) -> None:
    call(state="ended", outcome="completed", talk_time=61)
    call(state="ended", outcome="agent_unanswered", talk_time=0)
    call(state="ended", outcome="completed", talk_time=61, age=2 * 24 * 3600)

    text = board(boss).text.rpartition("Today")[2]

    assert "Calls 2 Reached 1 Answer rate 50.0% Talk time 1 min 1 s Agent did not pick up 1" in text


@pytest.mark.parametrize("name", ["live", "live-board"])
def test_who_may_open_it(host: Any, boss: Session, name: str) -> None:
    url = reverse(f"exotel_ccm:{name}")

    assert boss.client.get(url).status_code == 200
    assert Session(host.user("asha", *AGENT_WORK, SEES_CALLS)).client.get(url).status_code == 403
    assert Client().get(url).status_code == (302 if name == "live" else 401)
    assert boss.client.post(url).status_code in (403, 405)


def test_links_to_it(host: Any, boss: Session) -> None:
    address = reverse("exotel_ccm:live") + "?exotel_adapter=admin"
    asha = Session(host.user("asha", *AGENT_WORK))

    assert f'href="{address}"' in boss.get(boss.url("index")).html
    assert address in boss.get(reverse("exotel_ccm:reports")).links.values()
    assert address not in asha.get(asha.url("index")).html
    assert address not in asha.get(reverse("exotel_ccm:my-calls")).html


def test_plain_page_for_those_who_may_not_enter_the_admin(host: Any, boss: Session) -> None:
    boss.user.is_staff = False
    boss.user.save()
    call(age=100, answered=80, ticket=host.ticket("Invoice"))

    page = board(boss)

    assert "Asha call to Ravi Invoice a phone was picked up" in page.text
    assert "Django administration" not in page.html


def test_unchanged_is_304(boss: Session, time_machine: Any) -> None:
    time_machine.move_to(datetime.datetime(2026, 11, 26, 6, 0, 1, tzinfo=datetime.UTC), tick=False)
    boss.client.force_login(boss.user)
    placed = call(age=100, answered=80)
    url = reverse("exotel_ccm:live-board")
    etag = boss.client.get(url)["ETag"]

    time_machine.shift(10)  # seconds: the clocks of the page go on by themselves
    assert boss.client.get(url, headers={"If-None-Match": etag}).status_code == 304
    CallRecord.objects.filter(pk=placed.pk).update(state="ended", ended_at=timezone.now())

    response = boss.client.get(url, headers={"If-None-Match": etag})
    assert response.status_code == 200
    assert "Nobody is on the phone." in response.content.decode()
    assert "<html" not in response.content.decode()
    assert response["Cache-Control"] == "private, no-cache"


def test_what_another_user_saw_is_not_unchanged(boss: Session, host: Any, time_machine: Any) -> None:
    time_machine.move_to(datetime.datetime(2026, 11, 26, 6, 0, 1, tzinfo=datetime.UTC), tick=False)
    for name, permissions in (("few", ()), ("numbers", (SEES_CALLS, SEES_NUMBERS, "helpdesk.view_ticket"))):
        host.user(name, REPORTS, *permissions, agent=None)
    call(age=100, answered=80, ticket=host.ticket("Secret merger"), customer_label="")
    url, users = reverse("exotel_ccm:live-board"), get_user_model().objects.order_by("pk")

    def client_of(user: Any) -> Client:
        client = Client()
        client.force_login(user)
        return client

    etags = {user: client_of(user).get(url)["ETag"] for user in users}

    assert len(etags) == 3
    for user in users:
        for other, etag in etags.items():
            response = client_of(user).get(url, headers={"If-None-Match": etag})
            assert response.status_code == (304 if user == other else 200)
    assert "Secret merger" not in client_of(users.get(username="few")).get(url).content.decode()


def test_it_costs_a_fixed_number_of_statements(boss: Session, host: Any) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            boss.client.get(reverse("exotel_ccm:live-board"))
        return len([one for one in captured if "exotel_ccm_" in one["sql"]])

    def add(number: int) -> None:
        ticket, now = host.ticket(), timezone.now()
        agent = Agent.objects.create(name=f"Agent {number}", contact_uri=f"+9190000005{number:02}")
        device(agent, is_on=bool(number % 2))
        call(age=100, answered=80, agent=agent, ticket=ticket)
        FollowUp.objects.create(ticket=ticket, due_at=now, created_at=now)

    add(0)
    statements()  # what Django caches is cached
    assert statements() == STATEMENTS
    for number in range(1, 20):
        add(number)

    assert statements() == STATEMENTS


def test_lists_are_bounded(boss: Session, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_board, "MOST_CALLS", 3)
    monkeypatch.setattr(live_board, "MOST_WAITING", 3)
    now = timezone.now()
    call(age=10)
    for _number in range(5):
        call(age=100, answered=80)
        FollowUp.objects.create(ticket=host.ticket(), due_at=now, created_at=now)

    page = board(boss)

    # The list has the oldest calls; the numbers count all.
    assert (tiles(page)["On the phone"], tiles(page)["Being called"]) == ("5", "1")
    assert "There are more calls than are shown here." in page.text
    assert "These wait longest. There are more." in page.text
    assert (page.text.count("Asha call to Ravi"), tiles(page)["Wait for a call-back"]) == (3, "3+")
