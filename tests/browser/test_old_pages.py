"""Pages that stayed open while the session ended, and pages with a base of their own: nobody is called by surprise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session

from django_exotel_ccm.models import CallRecord
from tests.admin.pages import AGENT_WORK, SEES_CALLS
from tests.browser.conftest import log_in_by_form, press
from tests.helpdesk.models import Ticket

pytestmark = pytest.mark.browser

BUTTON = "button.exotel-call"
HEADLINE = ".exotel-panel:not([hidden]) .exotel-headline"


@pytest.fixture
def ticket(host: Any) -> Ticket:
    host.user("asha", *AGENT_WORK, SEES_CALLS)
    found: Ticket = host.ticket("Invoice shows the old address")
    return found


@pytest.fixture
def page(ticket: Ticket, site: Any, open_page: Callable[..., Any]) -> Any:
    found = open_page()
    log_in_by_form(found, site.url, "asha")
    found.goto(f"{site.url}/admin/helpdesk/ticket/{ticket.pk}/change/")
    return found


def log_in_again(page: Any, site: Any) -> None:
    """Log in in another tab, and close it."""
    other = page.context.new_page()
    log_in_by_form(other, site.url, "asha")
    other.close()


def test_session_that_ends_while_the_phone_rings(page: Any, site: Any) -> None:
    press(page)
    page.wait_for_selector(".exotel-hint:has-text('Then we dial the customer.')")

    Session.objects.all().delete()
    page.wait_for_selector(".exotel-hint:has-text('You are logged out. The call goes on.')")
    assert page.inner_text(HEADLINE) == "Calling Ravi. Your phone rings first: pick up."

    log_in_again(page, site)
    page.reload()
    page.wait_for_selector(f"{HEADLINE}:has-text('Calling Ravi')")
    assert CallRecord.objects.count() == 1  # nothing was pressed again


def test_page_that_was_open_overnight(page: Any, site: Any) -> None:
    Session.objects.all().delete()
    page.click(BUTTON)
    page.wait_for_selector(".exotel-panel >> text=Nobody was called. Log in again in another tab")

    log_in_again(page, site)
    page.click(BUTTON)
    page.wait_for_selector(".exotel-panel >> text=Nobody was called: this page is too old")
    assert CallRecord.objects.count() == 0

    page.reload()
    press(page)
    assert CallRecord.objects.count() == 1


def test_page_with_a_base_of_its_own(page: Any) -> None:
    def with_base(route: Any) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=response.text().replace("<head>", "<head><base href='/crm/desk/'>", 1))

    page.route("**/change/", with_base)
    page.reload()
    assert page.evaluate("document.baseURI").endswith("/crm/desk/")

    press(page)
    page.wait_for_selector(".exotel-calls >> text=Asha to Ravi")  # the history asks, too
