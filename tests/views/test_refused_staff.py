"""What our own pages and the API show of a ticket when the admin site refuses a staff user: nothing.

Such a site demands something that the user lacks, as a rule a second factor.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.models.ticket_link import link_key
from django_exotel_ccm.services import add_note, schedule_follow_up
from django_exotel_ccm.services.call_lists import create_call_list
from tests.admin.conftest import urls_of
from tests.admin.pages import AGENT_WORK, BY_HAND, OTHER, SEES_CALLS, SEES_NUMBERS, orders
from tests.api.conftest import API, placed
from tests.api.test_notes import tomorrow
from tests.helpdesk.admin import TicketAdmin
from tests.helpdesk.models import Ticket
from tests.servers.scripted_http import answering, http
from tests.views.recording_player import LISTEN, SOUND, TYPE, RecordingPlayer, url_of
from tests.views.test_sites import SecondFactorSite

AT_ONE = "?exotel_position=1"
NUMBERS = {"north": BY_HAND, "south": OTHER}
SEES = (
    *(SEES_CALLS, SEES_NUMBERS, LISTEN, "exotel_ccm.view_reports", "exotel_ccm.view_followup"),
    *("exotel_ccm.view_callevent", "exotel_ccm.add_callnote"),
)


class DeviceSite(admin.AdminSite):
    """Asks what only the middleware of its package adds to a user, so that it fails without it."""

    def has_permission(self, request: Any) -> bool:
        return super().has_permission(request) and request.user.is_verified()


SITES = {"open": admin.AdminSite, "second factor missing": SecondFactorSite, "failing": DeviceSite}


@pytest.fixture
def serve(settings: Any) -> Callable[[str], None]:
    """Serve a site of this kind, whose tickets are listed to people of their own team alone."""

    def of(kind: str) -> None:
        site = SITES[kind](name="crm")
        site.register(Ticket, TicketAdmin)
        settings.ROOT_URLCONF = urls_of(site)

    return of


class Desk:
    """Two tickets, of two teams, with all that belongs to them, and a user of team north who looks at them."""

    def __init__(self, player: RecordingPlayer, *, is_staff: bool) -> None:
        host = player.host
        self.user = host.user("asha", *AGENT_WORK, *SEES, agent=None, last_name="north")
        self.user.is_staff = is_staff
        self.user.save()
        self.client = Client()
        self.client.force_login(self.user)
        self.tickets = {
            team: host.ticket(f"Fan of {team}", phone=number, team=team) for team, number in NUMBERS.items()
        }
        vik = host.user("vik", agent=None)
        self.calls: dict[str, CallRecord] = {}
        self.lists: dict[str, int] = {}
        for team, ticket in self.tickets.items():
            told = {"customer_number": NUMBERS[team], "customer_label": f"Ravi of {team}"}
            self.calls[team] = player.call(
                ticket, placed_by=vik, custom_field=f"ticket_{ticket.pk}", **told, created_at=timezone.now()
            )
            placed(vik, ticket, state="active", **told)
            add_note(self.calls[team], author=vik, text=f"Note of {team}")
            schedule_follow_up(ticket=ticket, due_at=tomorrow(), assigned_to=vik, text=f"Promise of {team}")
            schedule_follow_up(ticket=ticket, due_at=tomorrow(), assigned_to=self.user)
            _kind, key = link_key(ticket)
            self.lists[team] = create_call_list(owner=self.user, name="List", model=Ticket, keys=[key]).pk

    def shown(self) -> dict[str, set[str]]:
        """Return the teams of which each page and each address of the API shows or does anything."""
        named = ["my-calls", "live", "live-board", "reports", "reports-csv"]
        found = {name: self._named(reverse(f"exotel_ccm:{name}")) for name in named}
        found |= {f"api/{path}": self._named(f"{API}{path}") for path in ("calls/", "follow-ups/")}
        references = "&".join(f"reference={call.reference}" for call in self.calls.values())
        found["api/calls/status/"] = self._named(f"{API}calls/status/?{references}")
        for of_one in (self._page_of, self._answers_of, self._rows_of):
            for team in NUMBERS:
                for name, is_shown in of_one(team).items():
                    found.setdefault(name, set()).update([team] if is_shown else [])
        return found

    def _text(self, path: str) -> str:
        response: Any = self.client.get(path)
        assert response.status_code in (200, 404), (path, response.status_code)
        content = b"".join(response.streaming_content) if response.streaming else response.content
        return str(content.decode())

    def _named(self, path: str) -> set[str]:
        text = self._text(path)
        return {team for team, number in NUMBERS.items() if f"of {team}" in text or number[1:] in text}

    def _page_of(self, team: str) -> dict[str, bool]:
        return {"call list": team in self._named(reverse("exotel_ccm:call-list", args=[self.lists[team]]) + AT_ONE)}

    def _answers_of(self, team: str) -> dict[str, bool]:
        """Return which requests about a team's ticket, or about a call that a colleague made, find it."""
        call, name = self.calls[team], f"ticket_{self.tickets[team].pk}"
        one = f"{API}calls/{call.reference}/"
        told = self.client.get(one)
        answers = {
            "recording": self.client.get(url_of(call, "")),
            "api/calls/<reference>/": told,
            "api/calls/<reference>/events/": self.client.get(f"{one}events/"),
            "api/calls/<reference>/notes/": self.client.get(f"{one}notes/"),
            "POST api/calls/<reference>/notes/": self._post(f"{one}notes/", text="Mine"),
            "POST api/follow-ups/": self._post(f"{API}follow-ups/", ticket=name, due_at=tomorrow().isoformat()),
            "POST api/calls/": self._post(f"{API}calls/", ticket=name),
        }
        # A user without an agent places no call, but is told so only of a ticket that they may see.
        assert {one.status_code for one in answers.values()} <= {200, 201, 404, 409}
        answers["recording"].close()
        found = {name: answer.status_code != 404 for name, answer in answers.items()}
        return found | {"recording_url": told.status_code == 200 and bool(told.json()["recording_url"])}

    def _rows_of(self, team: str) -> dict[str, bool]:
        """Return which lists of the API find rows about a team's ticket."""
        about = f"?ticket=ticket_{self.tickets[team].pk}"
        paths = ("calls/", "follow-ups/")
        return {f"api/{path}?ticket=": bool(self.client.get(API + path + about).json()["results"]) for path in paths}

    def _post(self, path: str, **body: Any) -> Any:
        return self.client.post(path, body, content_type="application/json")


@pytest.mark.parametrize("kind", SITES)
@pytest.mark.parametrize("is_staff", [True, False])
def test_pages_and_api(serve: Any, player: RecordingPlayer, kind: str, is_staff: bool) -> None:
    """A site says nothing about users who are no staff: they see what the permission to view tickets shows."""
    serve(kind)
    player.serve(answering(http(200, SOUND, TYPE)))
    seen = {"north", "south"} if not is_staff else {"north"} if kind == "open" else set()

    shown = Desk(player, is_staff=is_staff).shown()

    figures = shown.pop("reports")  # only figures, of all tickets
    assert (figures, len(shown)) == (set(), 18)
    assert shown == dict.fromkeys(shown, seen)


def test_second_factor_opens_what_the_site_shows(serve: Any, player: RecordingPlayer) -> None:
    serve("second factor missing")
    player.serve(answering(http(200, SOUND, TYPE)))
    desk = Desk(player, is_staff=True)
    session = desk.client.session
    session["second_factor"] = True
    session.save()

    shown = desk.shown()

    assert {name for name, teams in shown.items() if teams != {"north"}} == {"reports"}


@pytest.mark.parametrize("kind", ["second factor missing", "failing"])
def test_api_places_no_call_for_a_refused_user(
    serve: Any, host: Any, exotel: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A name and a password, as HTTP Basic sends them, are no second factor."""
    caplog.set_level(logging.WARNING, "django_exotel_ccm")
    serve(kind)
    host.user("asha", *AGENT_WORK, agent="+919000000101")
    ticket = host.ticket(phone=BY_HAND)
    basic = {"Authorization": "Basic " + base64.b64encode(b"asha:pw").decode()}

    answer = Client().post(
        f"{API}calls/", {"ticket": f"ticket_{ticket.pk}"}, content_type="application/json", headers=basic
    )

    assert (answer.status_code, orders(exotel), CallRecord.objects.count()) == (404, [], 0)
    told = [record.getMessage() for record in caplog.records if record.name == "django_exotel_ccm.admin.adapter"]
    assert len(told) == (kind == "failing")
    assert all("'crm' failed" in line and f"AttributeError in {__file__}" in line for line in told)


def test_another_site_that_lets_the_user_in_decides(host: Any, settings: Any) -> None:
    """A site for those with a second factor, and one for all: what the open one shows is shown."""
    strict, lax = SecondFactorSite(name="strict"), admin.AdminSite(name="lax")
    for site in (strict, lax):
        site.register(Ticket, TicketAdmin)
    settings.ROOT_URLCONF = urls_of(strict, lax)
    client = Client()
    client.force_login(host.user("asha", *AGENT_WORK, agent=None, last_name="north"))
    tickets = {team: host.ticket(team=team) for team in NUMBERS}

    found = {
        team: client.post(f"{API}calls/", {"ticket": f"ticket_{one.pk}"}, content_type="application/json").status_code
        for team, one in tickets.items()
    }

    assert found == {"north": 409, "south": 404}


def test_site_without_tickets_hides_none(host: Any, settings: Any) -> None:
    """It may demand a second factor for what it has, and says nothing of what it has not."""
    settings.ROOT_URLCONF = urls_of(SecondFactorSite(name="strict"))
    client = Client()
    client.force_login(host.user("asha", *AGENT_WORK, agent=None))

    answer = client.post(f"{API}calls/", {"ticket": f"ticket_{host.ticket().pk}"}, content_type="application/json")

    assert answer.status_code == 409
