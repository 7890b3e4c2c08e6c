"""A page without a call finds the one that was placed elsewhere: in another tab, in another browser, after a login."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session

from django_exotel_ccm.models import CallRecord
from tests.admin.pages import AGENT_WORK, SEES_CALLS
from tests.browser.conftest import CALLING, PATIENCE, answer_and_hang_up, log_in, log_in_by_form, press
from tests.browser.test_panel import HIDE
from tests.helpdesk.models import Ticket

pytestmark = pytest.mark.browser

Open = Callable[..., Any]
# What the browser tells a page that is looked at again; a browser without windows does not.
LOOK = "() => dispatchEvent(new Event('focus'))"


@pytest.fixture
def ticket(host: Any) -> Ticket:
    host.user("asha", *AGENT_WORK, SEES_CALLS)
    found: Ticket = host.ticket("Invoice shows the old address")
    return found


def address(site: Any, ticket: Ticket) -> str:
    return f"{site.url}/admin/helpdesk/ticket/{ticket.pk}/change/"


def open_tab(page: Any, url: str) -> Any:
    """Open another tab of the same browser."""
    tab = page.context.new_page()
    tab.goto(url)
    return tab


def open_elsewhere(page: Any, url: str) -> Any:
    """Open another browser of the same user. Its tabs do not tell those of the first."""
    other = page.context.browser.new_context(storage_state=page.context.storage_state())
    other.set_default_timeout(PATIENCE)
    tab = other.new_page()
    tab.goto(url)
    return tab


def end_call(exotel: Any, open_page: Open) -> None:
    phones = open_page(1000, 800)
    phones.goto(exotel.url)
    answer_and_hang_up(phones)
    exotel.wait_until_quiet(timeout=20)


def finds_asked(page: Any) -> list[str]:
    """Return a list that fills with the questions of the page about a call that it does not know."""
    asked: list[str] = []
    page.on("request", lambda one: "/calls/00000000-" in one.url and asked.append(one.url))
    return asked


def test_question_in_another_tab_leaves_the_edits_and_shows_the_call(
    ticket: Ticket, site: Any, exotel: Any, open_page: Open
) -> None:
    ticket.customer.other_phone = "+919000001010"
    ticket.customer.save()
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(address(site, ticket))
    page.fill("#id_notes", "He wants a new fan")
    page.click("button.exotel-call")
    with page.context.expect_page() as opened:
        page.click(".exotel-links a:has-text('Choose')")
    opened.value.click("button.exotel-call")
    opened.value.wait_for_selector(CALLING)

    page.wait_for_selector(CALLING)
    Ticket.objects.update(status="called")
    end_call(exotel, open_page)
    page.wait_for_selector(".exotel-headline:has-text('Talked with Ravi')")
    page.wait_for_selector(".field-status .exotel-changed")

    assert page.input_value("#id_status") == "called"
    assert page.input_value("#id_notes") == "He wants a new fan"
    assert page.inner_text(".exotel-links") == ""


@pytest.mark.parametrize("is_over", [False, True])
def test_page_that_is_shown_again_asks_once(
    ticket: Ticket, site: Any, exotel: Any, open_page: Open, is_over: bool
) -> None:
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(address(site, ticket))
    asked = finds_asked(page)
    page.evaluate(HIDE, True)
    elsewhere = open_elsewhere(page, address(site, ticket))
    press(elsewhere)
    if is_over:
        end_call(exotel, open_page)
    page.evaluate(LOOK)
    page.wait_for_timeout(1000)
    before = list(asked)

    page.evaluate(HIDE, False)
    page.evaluate(LOOK)
    page.wait_for_selector(".exotel-headline:has-text('Talked with Ravi')" if is_over else CALLING)
    page.wait_for_selector(".exotel-newest > li")  # the history has followed
    page.wait_for_timeout(2000)

    assert (before, len(asked)) == ([], 1)
    elsewhere.context.close()


def test_page_without_a_call_asks_only_when_it_is_looked_at(ticket: Ticket, site: Any, open_page: Open) -> None:
    page = open_page()
    log_in(page, site.url, "asha")
    asked = finds_asked(page)
    page.goto(address(site, ticket))
    page.wait_for_timeout(1500)
    before = len(asked)

    for _time in range(2):
        with page.expect_response(lambda answer: "/status/" in answer.url):
            page.evaluate(LOOK)

    page.wait_for_timeout(1500)
    assert (before, len(asked)) == (0, 2)
    assert page.get_attribute(".exotel-panel", "data-exotel-empty") is not None


def test_tab_that_was_open_shows_the_call_at_once(ticket: Ticket, site: Any, exotel: Any, open_page: Open) -> None:
    page = open_page()
    log_in(page, site.url, "asha")
    tab = open_tab(page, address(site, ticket))
    page.goto(address(site, ticket))

    page.click("button.exotel-call")
    tab.wait_for_selector(CALLING)
    [sid] = exotel.book.calls
    exotel.press(sid, "agent", "decline")
    tab.wait_for_selector(".exotel-headline:has-text('You did not pick up')")
    # It shows the call, so its button means another one.
    tab.click("button.exotel-call")
    tab.wait_for_selector(CALLING)
    page.wait_for_selector(CALLING)

    assert CallRecord.objects.count() == 2


def test_call_that_was_shown_does_not_hide_a_question(ticket: Ticket, site: Any, exotel: Any, open_page: Open) -> None:
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(address(site, ticket))
    press(page)
    [sid] = exotel.book.calls
    exotel.press(sid, "agent", "decline")
    page.wait_for_selector(".exotel-headline:has-text('You did not pick up')")
    ticket.customer.other_phone = "+919000001010"
    ticket.customer.save()
    page.fill("#id_notes", "He wants a new fan")
    page.click("button.exotel-call")
    page.wait_for_selector(".exotel-headline:has-text('Choose whom to call.')")

    with page.expect_response(lambda answer: "/status/" in answer.url):
        page.evaluate(LOOK)
    page.wait_for_timeout(500)

    assert page.is_visible(".exotel-headline:has-text('Choose whom to call.')")
    assert page.is_visible(".exotel-links a:has-text('Choose')")


def test_panel_goes_on_after_a_login_in_another_tab(ticket: Ticket, site: Any, exotel: Any, open_page: Open) -> None:
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(address(site, ticket))
    page.fill("#id_notes", "He wants a new fan")
    press(page)
    Session.objects.all().delete()
    page.wait_for_selector(".exotel-hint:has-text('You are logged out.')")
    page.evaluate(LOOK)
    page.wait_for_selector(".exotel-hint:has-text('You are logged out.')")

    tab = page.context.new_page()
    log_in_by_form(tab, site.url, "asha")
    page.evaluate(LOOK)
    page.wait_for_selector(".exotel-hint:has-text('Then we dial the customer.')")
    end_call(exotel, open_page)
    page.wait_for_selector(".exotel-headline:has-text('Talked with Ravi')")

    assert page.input_value("#id_notes") == "He wants a new fan"


def test_list_shows_the_end_of_the_call_that_it_asked_about(
    ticket: Ticket, host: Any, site: Any, exotel: Any, open_page: Open
) -> None:
    """Its buttons are about several tickets, and the question was about one."""
    host.ticket("Another matter", phone="+919000001002")
    ticket.customer.other_phone = "+919000001010"
    ticket.customer.save()
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/")
    page.click("#searchbar")
    page.keyboard.type("Fan")
    page.click("tr:has-text('Invoice shows the old address') button.exotel-call")
    page.wait_for_selector(".exotel-headline:has-text('Choose whom to call.')")
    with page.context.expect_page() as opened:
        page.click(".exotel-links a:has-text('Choose')")
    page.evaluate(HIDE, True)
    opened.value.click("button.exotel-call")
    opened.value.wait_for_selector(CALLING)
    [sid] = exotel.book.calls
    exotel.press(sid, "agent", "decline")
    opened.value.wait_for_selector(".exotel-headline:has-text('You did not pick up')")

    page.evaluate(HIDE, False)

    page.wait_for_selector(".exotel-headline:has-text('You did not pick up')")
    assert page.input_value("#searchbar") == "Fan"
