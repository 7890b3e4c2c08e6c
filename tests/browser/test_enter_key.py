"""Enter in a field of the host's list places no call, and a press that was stopped can be repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin

from django_exotel_ccm.admin import CallCustomerMixin
from django_exotel_ccm.models import CallRecord
from tests.admin.conftest import urls_of
from tests.admin.pages import AGENT_WORK
from tests.browser.conftest import CALLING, log_in
from tests.helpdesk.models import Ticket

pytestmark = pytest.mark.browser

Open = Callable[..., Any]


class ActionsBelow(CallCustomerMixin, admin.ModelAdmin):
    list_display = ["subject", "status"]
    list_editable = ["status"]
    actions_on_top = False
    actions_on_bottom = True


class NoActions(CallCustomerMixin, admin.ModelAdmin):
    list_display = ["subject", "status"]
    list_editable = ["status"]
    actions = None


@pytest.fixture
def ticket(host: Any) -> Ticket:
    host.user("asha", *AGENT_WORK)
    found: Ticket = host.ticket()
    return found


@pytest.fixture
def listed(site: Any, settings: Any, open_page: Open) -> Callable[..., Any]:
    """Open the list of a host whose admin is of that kind."""

    def listed(model_admin: Any, **options: Any) -> Any:
        crm = admin.AdminSite(name="admin")
        crm.register(Ticket, model_admin)
        sites.append(crm)  # Django knows its sites weakly
        settings.ROOT_URLCONF = urls_of(crm)
        page = open_page(**options)
        log_in(page, site.url, "asha")
        page.goto(f"{site.url}/admin/helpdesk/ticket/")
        return page

    sites: list[Any] = []
    return listed


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("model_admin", [ActionsBelow, NoActions])
def test_enter_in_the_list_places_no_call(
    ticket: Ticket, exotel: Any, listed: Callable[..., Any], model_admin: Any, script: bool
) -> None:
    page = listed(model_admin, java_script_enabled=script)
    page.on("dialog", lambda dialog: dialog.accept())  # Django's own script asks whether to leave the edits
    page.fill("#id_form-0-status", "waiting")

    with page.expect_navigation():
        page.press("#id_form-0-status", "Enter")

    assert page.url.endswith("/admin/helpdesk/ticket/")
    assert len(page.context.pages) == 1
    assert CallRecord.objects.count() == 0
    assert [seen for seen in exotel.book.requests if seen.method == "POST"] == []


def test_row_button_works_with_the_keyboard(ticket: Ticket, listed: Callable[..., Any]) -> None:
    page = listed(NoActions)

    page.focus("button.exotel-call")
    page.keyboard.press("Space")
    page.wait_for_selector(CALLING)

    assert CallRecord.objects.count() == 1
    assert page.evaluate("document.activeElement.matches('button.exotel-call')")


def test_double_click_on_a_row_is_one_call(ticket: Ticket, exotel: Any, listed: Callable[..., Any]) -> None:
    page = listed(NoActions)

    page.dblclick("button.exotel-call")
    page.wait_for_selector(CALLING)

    assert len([seen for seen in exotel.book.requests if seen.method == "POST"]) == 1


def change_form(page: Any, site: Any, ticket: Ticket) -> Any:
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/{ticket.pk}/change/")
    page.wait_for_load_state("load")
    return page


def test_press_cancelled_by_a_script_can_be_repeated(ticket: Ticket, site: Any, open_page: Open) -> None:
    page = change_form(open_page(), site, ticket)
    page.evaluate(
        "document.addEventListener('click', (event) => event.preventDefault(), { once: true, capture: true })"
    )

    page.click("text=Call customer")
    page.click("text=Call customer")
    page.wait_for_selector(CALLING)

    assert CallRecord.objects.count() == 1


@pytest.mark.parametrize(
    ("answer", "headline"),
    [
        ({}, "We don't know whether this call went out."),
        ({"status": 500}, "We don't know whether this call went out."),
        ({"status": 200, "body": "<p>Hotel network</p>"}, "We don't know whether this call went out."),
        ({"status": 403}, "Nobody was called: this page is too old"),
        ({"status": 302, "headers": {"Location": "/login/"}}, "Nobody was called. Log in again in another tab:"),
    ],
)
def test_failed_press_says_so_and_can_be_repeated(
    ticket: Ticket, site: Any, open_page: Open, answer: dict[str, Any], headline: str
) -> None:
    page = change_form(open_page(), site, ticket)
    page.route("**/exotel/place/**", lambda route: route.fulfill(**answer) if answer else route.abort(), times=1)

    page.click("button.exotel-call")
    page.wait_for_selector(f'.exotel-headline:has-text("{headline}")')
    assert CallRecord.objects.count() == 0
    assert page.is_visible(".exotel-links a[target=_blank]:has-text('Call from a new page')") == ("Nobody" in headline)
    page.click("button.exotel-call")
    page.wait_for_selector(CALLING)

    assert CallRecord.objects.count() == 1
