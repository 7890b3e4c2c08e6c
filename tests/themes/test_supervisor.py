"""Under an admin theme a supervisor reads reports, sees a call end on the live board, and sees what was purged."""

from __future__ import annotations

import datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from django_exotel_ccm.models import Agent, CallRecord, Device, FollowUp, Removal
from django_exotel_ccm.services import place_call
from django_exotel_ccm.services.groups import CALL_SUPERVISORS, create_groups
from tests.browser.week_of_calls import record_week
from tests.themes.conftest import Browse
from tests.themes.desk import LOOKS, Desk

# Most calls were never placed.
pytestmark = pytest.mark.books_differ


@pytest.fixture
def team(host: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor, and a team that has called for a week. The board is fetched each second."""
    monkeypatch.setattr("django_exotel_ccm.views.live.POLL_AFTER", 1)
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RETENTION": {"raw_bodies": 90}}
    create_groups()
    boss = host.user("boss", "exotel_ccm.view_removal", "helpdesk.view_ticket", agent=None)
    boss.groups.add(Group.objects.get(name=CALL_SUPERVISORS))
    record_week(host)
    now = timezone.now()
    CallRecord.objects.filter(agent_label="Vikram", outcome="completed").update(talk_time=61_234)
    ola, ticket = Agent.objects.get(name="Ola"), host.ticket("Invoice shows the old address")
    Device.objects.create(agent=ola, exotel_id="8", contact_uri=ola.contact_uri, is_on=False, seen_at=now)
    FollowUp.objects.create(ticket=ticket, assigned_to_label="Asha", due_at=now, created_at=now)
    Removal.objects.create(kind="raw_bodies", removed=412, before=now, started_at=now, ended_at=now)
    Removal.objects.create(kind="recordings", removed=57, before=now, started_at=now)


class Office:
    """The desk of a supervisor who has logged in, and the phone on which they open the same pages."""

    def __init__(self, visit: Browse, exotel: Any) -> None:
        self.desk, self.phone = (Desk(visit(**options), exotel, look) for look, options in LOOKS.items())
        self.page = self.desk.page
        self.page.goto("/admin/")
        self.page.fill("[name=username]", "boss")
        self.page.fill("[name=password]", "pw")
        self.page.press("[name=password]", "Enter")
        self.page.get_by_text("Purges and erasures", exact=True).last.wait_for()
        self.phone.page.context.add_cookies(self.page.context.cookies())

    def find(self, name: str, path: str) -> None:
        """Choose a page on the admin's index. A theme may show it in a frame: then look at it alone."""
        if urlsplit(self.page.url).path != "/admin/":
            self.page.goto("/admin/")
        with self.page.expect_event("framenavigated", lambda frame: urlsplit(frame.url).path == path) as shown:
            self.page.get_by_text(name, exact=True).last.click()
        if shown.value != self.page.main_frame:
            self.page.goto(shown.value.url)
        self.page.wait_for_load_state()

    def look(self, name: str) -> None:
        """Look at the page, and at the same page on the phone."""
        self.desk.look(name)
        self.phone.open(self.page.url)
        self.phone.look(name)


def test_supervisors_journey(team: None, host: Any, exotel: Any, visit: Browse) -> None:
    ticket = host.ticket("Ceiling fan in the meeting room makes a noise since Monday")
    office = Office(visit, exotel)

    read_a_report(office)
    watch_a_call_end(office, ticket)
    see_what_was_purged(office)

    problems = [*office.desk.problems, *office.phone.problems]
    assert not problems, "\n".join(problems)


def read_a_report(office: Office) -> None:
    """The figures, charts and tables of one agent's week, and the same calls as a file."""
    page, week = office.page, timezone.localdate() - datetime.timedelta(days=6)
    office.find("Reports", "/exotel/reports/")
    page.fill("input[name=from]", week.isoformat())
    page.select_option("select[name=agent]", label="Vikram")
    page.click("button:has-text('Show')")
    page.wait_for_selector("text=Agent: Vikram")
    of_vikram = CallRecord.objects.filter(agent__name="Vikram")
    assert page.inner_text(".exotel-value >> nth=0") == str(of_vikram.exclude(state="refused").count())
    for part in ("days", "agents", "outcomes", "refusals"):
        section = page.locator(f"section[aria-labelledby=exotel-{part}]")
        assert section.locator(".exotel-chart").is_visible()
        assert section.locator("table").is_visible()
    office.look("report")
    with page.expect_download() as download:
        page.click("text=Download these calls (CSV)")
    assert download.value.path().read_bytes().count(b"\r\n") == 1 + of_vikram.count()


def watch_a_call_end(office: Office, ticket: Any) -> None:
    """The board shows a call that goes on, and then that it is over, without a reload."""
    page = office.page
    place_call(agent=Agent.objects.get(name="Vikram"), ticket=ticket)
    office.desk.pick_up()
    page.click(".exotel-pages >> text=Live board")
    page.wait_for_selector("[data-exotel-ready] .exotel-is-talking:has-text('call to Ravi')")
    assert page.inner_text(".exotel-tiles .exotel-is-talking dd") == "1"
    office.look("live")
    page.evaluate("window.isSamePage = true")
    office.desk.put_down()
    page.wait_for_selector("text=Nobody is on the phone.")
    assert page.inner_text(".exotel-tiles .exotel-is-talking dd") == "0"
    assert page.evaluate("window.isSamePage")


def see_what_was_purged(office: Office) -> None:
    """What is kept for how long, and below it what was removed."""
    page = office.page
    office.find("Purges and erasures", "/admin/exotel_ccm/removal/")
    assert page.is_visible(".exotel-clocks >> text=90 days")
    assert page.is_visible("#result_list >> text=412")
    office.look("purges")
