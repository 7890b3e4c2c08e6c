"""The live board in a real browser: it follows the calls by itself, and says when it cannot."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm.models import Agent, CallRecord, Device, FollowUp
from tests.admin.pages import SEES_CALLS
from tests.browser.conftest import keep_picture, log_in, log_in_by_form, violations
from tests.browser.test_reports import LOOKS

# The calls were never placed.
pytestmark = [pytest.mark.browser, pytest.mark.books_differ]


@pytest.fixture
def boss(host: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A supervisor, and a busy moment. The board is fetched each second."""
    monkeypatch.setattr("django_exotel_ccm.views.live.POLL_AFTER", 1)
    user = host.user(
        "boss", SEES_CALLS, "exotel_ccm.view_reports", "exotel_ccm.view_followup", "helpdesk.view_ticket", agent=None
    )
    now = timezone.now()
    agents = [
        host.agent(name, f"+91900000010{number}")
        for number, name in enumerate(("Asha", "Vikram", "Ola", "Uma", "Jonathan"))
    ]
    for number, agent in enumerate(agents):
        Device.objects.create(
            agent=agent,
            exotel_id=str(number),
            contact_uri=agent.contact_uri,
            kind="phone",
            is_on=number != 3,
            is_verified=True,
            seen_at=now - datetime.timedelta(minutes=4),
        )
    common = {"account": "default", "customer_number": "+919000001001", "exophone": host.exophone}
    talking = now - datetime.timedelta(seconds=75)
    for agent, customer, answered in (
        (agents[0], "Meera Nair", talking),
        (agents[1], "Farid Khan", talking),
        (agents[2], "", None),
    ):
        ticket = host.ticket("Ceiling fan in the meeting room makes a noise since Monday")
        CallRecord.objects.create(
            **common,
            state="active",
            agent=agent,
            agent_label=agent.name,
            customer_label=customer,
            ticket=ticket,
            ticket_label=str(ticket),
            answered_at=answered,
            created_at=now - datetime.timedelta(seconds=95),
        )
    for _number in range(12):
        CallRecord.objects.create(**common, state="ended", outcome="completed", talk_time=95, created_at=now)
    for subject, minutes in (("Invoice shows the old address", 130), ("Remote control does not pair", 4)):
        FollowUp.objects.create(
            ticket=host.ticket(subject),
            assigned_to_label="Asha",
            due_at=now - datetime.timedelta(minutes=minutes),
            created_at=now,
        )
    return user


def open_board(page: Any, site: Any) -> None:
    log_in(page, site.url, "boss")
    page.goto(f"{site.url}/exotel/live/")
    page.wait_for_selector("[data-exotel-ready]")


@pytest.mark.parametrize("look", LOOKS)
def test_board_looks(boss: Any, site: Any, open_page: Callable[..., Any], look: str) -> None:
    page = open_page(**LOOKS[look])
    open_board(page, site)
    keep_picture(page, f"live_{look}")

    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_board_on_a_large_screen(boss: Any, site: Any, open_page: Callable[..., Any]) -> None:
    boss.is_staff = False
    page = open_page(width=1920, height=1080)
    log_in(page, site.url, "boss")
    boss.save()
    page.goto(f"{site.url}/exotel/live/")
    page.wait_for_selector("[data-exotel-ready]")
    keep_picture(page, "live_plain")

    assert violations(page) == []
    assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('.exotel-tiles dd')).fontSize)") > 60


@pytest.mark.parametrize("width", [360, 1280])
def test_long_names_do_not_widen_the_board(boss: Any, site: Any, open_page: Callable[..., Any], width: int) -> None:
    name = "n" * 145
    Agent.objects.update(name=name)
    CallRecord.objects.update(agent_label=name, customer_label=name)
    FollowUp.objects.update(assigned_to_label=name)
    page = open_page(width=width)

    open_board(page, site)

    assert name in page.content()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_many_calls_leave_the_figures_of_today_on_the_screen(
    boss: Any, site: Any, open_page: Callable[..., Any]
) -> None:
    now = timezone.now()
    given = {"account": "default", "state": "active", "answered_at": now, "created_at": now}
    CallRecord.objects.bulk_create(CallRecord(agent_label=f"Agent {number}", **given) for number in range(200))
    page = open_page(width=1920, height=1080)
    open_board(page, site)
    keep_picture(page, "live_many")

    assert page.inner_text(".exotel-tiles dd >> nth=0") == "202"
    assert page.evaluate("document.querySelector('.exotel-of-today').getBoundingClientRect().bottom < innerHeight")


def test_board_follows_the_calls_by_itself(boss: Any, site: Any, open_page: Callable[..., Any]) -> None:
    page = open_page()
    open_board(page, site)
    page.evaluate("window.isSamePage = true")
    page.wait_for_function("/^1:[0-9]{2}$/.test(document.querySelector('.exotel-clock').textContent)")
    page.focus("a:has-text('Invoice shows the old address')")
    assert page.inner_text(".exotel-tiles dd >> nth=0") == "2"

    CallRecord.objects.filter(agent_label="Vikram").update(state="ended", ended_at=timezone.now())

    page.wait_for_function("document.querySelector('.exotel-tiles dd').textContent === '1'")
    assert page.evaluate("window.isSamePage")
    assert page.evaluate("document.activeElement.textContent") == "Invoice shows the old address"


def test_board_says_when_there_is_no_connection(boss: Any, site: Any, open_page: Callable[..., Any]) -> None:
    page = open_page()
    open_board(page, site)
    page.route("**/live/board/**", lambda route: route.abort())
    page.wait_for_selector("text=No connection. Trying again…")
    keep_picture(page, "live_lost")
    assert violations(page) == []
    page.unroute("**/live/board/**")

    page.wait_for_selector("text=No connection. Trying again…", state="hidden")


def test_page_of_somebody_else_is_not_shown_as_the_board(boss: Any, site: Any, open_page: Callable[..., Any]) -> None:
    page = open_page()
    open_board(page, site)
    page.route("**/live/board/**", lambda route: route.fulfill(body="<form>Who are you?</form>"))

    page.wait_for_selector("text=No connection. Trying again…")

    assert "Who are you?" not in page.content()
    assert page.inner_text(".exotel-tiles dd >> nth=0") == "2"


def test_board_says_when_one_is_logged_out(boss: Any, site: Any, open_page: Callable[..., Any]) -> None:
    page = open_page()
    open_board(page, site)
    page.context.clear_cookies()

    page.wait_for_selector("text=You are logged out. Log in again to see the board.")


def test_board_goes_on_after_a_login_in_another_tab(boss: Any, site: Any, open_page: Callable[..., Any]) -> None:
    page = open_page()
    open_board(page, site)
    page.context.clear_cookies()
    page.wait_for_selector("text=You are logged out. Log in again to see the board.")

    log_in_by_form(page.context.new_page(), site.url, "boss")
    CallRecord.objects.filter(customer_label="Meera Nair").update(customer_label="Sunita Devi")
    page.evaluate("window.dispatchEvent(new Event('focus'))")

    page.wait_for_selector("text=Sunita Devi")
    page.wait_for_selector("[data-exotel-board]:not([data-exotel-old])")


def test_hidden_board_asks_nothing(boss: Any, site: Any, open_page: Callable[..., Any]) -> None:
    page = open_page()
    open_board(page, site)
    page.wait_for_event("request", lambda request: "/live/board/" in request.url)
    page.evaluate(
        """() => {
          Object.defineProperty(document, "hidden", { value: true, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert asked == []

    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_event("request", lambda request: "/live/board/" in request.url)


def test_board_without_script(boss: Any, site: Any, open_page: Callable[..., Any]) -> None:
    page = open_page()
    log_in(page, site.url, "boss")
    bare = page.context.browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    page = bare.new_page()
    page.goto(f"{site.url}/exotel/live/")
    CallRecord.objects.filter(agent_label="Vikram").update(state="ended")

    page.click("text=Reload")

    assert page.inner_text(".exotel-tiles dd >> nth=0") == "1"
    bare.close()
