"""Unsaved edits are never thrown away in silence, and a double click is one call: with our script and without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin

from django_exotel_ccm.admin import CallCustomerMixin
from django_exotel_ccm.models import CallRecord
from tests.admin.conftest import urls_of
from tests.admin.pages import AGENT_WORK
from tests.browser.conftest import log_in
from tests.helpdesk.models import Ticket

pytestmark = pytest.mark.browser

Open = Callable[..., Any]


@pytest.fixture
def ticket(host: Any) -> Ticket:
    host.user("asha", *AGENT_WORK)
    found: Ticket = host.ticket()
    return found


def form_of(page: Any, site: Any, ticket: Ticket) -> Any:
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/{ticket.pk}/change/")
    return page


def press_in_new_tab(page: Any, selector: str) -> Any:
    """Press, and return the tab in which the result opens."""
    with page.context.expect_page() as opened:
        page.click(selector)
    opened.value.wait_for_selector(".messagelist")
    return opened.value


def press_in_this_tab(page: Any, selector: str) -> None:
    page.click(selector)
    page.wait_for_selector(".messagelist")
    assert len(page.context.pages) == 1


def test_clean_form_opens_result_in_its_tab(ticket: Ticket, site: Any, open_page: Open) -> None:
    page = form_of(open_page(), site, ticket)

    press_in_this_tab(page, "text=Call customer")

    assert "Exotel accepted the request" in page.inner_text(".messagelist")


def test_unsaved_edits_open_result_in_new_tab(ticket: Ticket, site: Any, open_page: Open) -> None:
    page = form_of(open_page(), site, ticket)
    page.fill("#id_notes", "He wants a new fan")

    result = press_in_new_tab(page, "text=Call customer")

    assert "Exotel accepted the request" in result.inner_text(".messagelist")
    assert page.input_value("#id_notes") == "He wants a new fan"
    page.click("[name=_save]")
    page.wait_for_selector(".messagelist")
    ticket.refresh_from_db()
    assert ticket.notes == "He wants a new fan"


def test_edits_with_errors_stay(ticket: Ticket, site: Any, open_page: Open) -> None:
    page = form_of(open_page(), site, ticket)
    page.fill("#id_notes", "He wants a new fan")
    page.fill("#id_subject", "")
    page.click("[name=_save]")
    page.wait_for_selector(".errornote")

    press_in_new_tab(page, "text=Call customer")

    assert page.input_value("#id_notes") == "He wants a new fan"


def test_edits_restored_by_the_browser_stay(ticket: Ticket, site: Any, open_page: Open) -> None:
    page = open_page()
    # What Firefox does on reload: the field holds what was typed before our script looks.
    page.add_init_script(
        "document.addEventListener('DOMContentLoaded', () => {"
        " const notes = document.querySelector('#id_notes'); if (notes) notes.value = 'typed before'; });"
    )
    form_of(page, site, ticket)

    press_in_new_tab(page, "text=Call customer")

    assert page.input_value("#id_notes") == "typed before"


@pytest.mark.parametrize("is_confirmed", [False, True])
def test_double_click_is_one_call(ticket: Ticket, site: Any, exotel: Any, open_page: Open, is_confirmed: bool) -> None:
    page = form_of(open_page(java_script_enabled=not is_confirmed), site, ticket)
    if is_confirmed:  # without script, by the confirmation page
        page.goto(site.url + page.get_attribute("a.exotel-call", "href"))

    page.dblclick("text=Call customer" if not is_confirmed else "button.exotel-call")
    page.wait_for_selector(".messagelist")

    assert CallRecord.objects.count() == 1
    assert len([seen for seen in exotel.book.requests if seen.method == "POST"]) == 1


def test_row_press_without_script_needs_confirmation(ticket: Ticket, site: Any, open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/?status=open")

    page.click("a.exotel-call")
    page.wait_for_selector(".exotel-choose")
    before = CallRecord.objects.count()
    press_in_this_tab(page, "button.exotel-call")

    assert page.url.endswith("/admin/helpdesk/ticket/?status=open")
    assert (before, CallRecord.objects.count()) == (0, 1)


def test_second_call_after_back_needs_confirmation(ticket: Ticket, site: Any, exotel: Any, open_page: Open) -> None:
    page = form_of(open_page(), site, ticket)
    press_in_this_tab(page, "text=Call customer")
    [sid] = exotel.book.calls
    exotel.press(sid, "agent", "decline")
    exotel.speed = 500.0
    exotel.wait_until_quiet(timeout=20)

    page.go_back()
    page.wait_for_selector("text=Call customer")
    page.click("text=Call customer")
    page.wait_for_selector(".messagelist")

    # Browsers show the old page from their cache, or load it again; then it knows of the call.
    is_question = "You have called this number since this page was loaded." in page.inner_text(".messagelist")
    assert CallRecord.objects.count() == (1 if is_question else 2)


class EditableList(CallCustomerMixin, admin.ModelAdmin):
    list_display = ["subject", "status"]
    list_editable = ["status"]


@pytest.fixture
def editable_list(settings: Any) -> admin.AdminSite:
    site = admin.AdminSite(name="admin")
    site.register(Ticket, EditableList)
    settings.ROOT_URLCONF = urls_of(site)
    return site


def test_edits_in_the_list_open_result_in_new_tab(
    ticket: Ticket, editable_list: Any, site: Any, open_page: Open
) -> None:
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/")
    page.fill("#id_form-0-status", "waiting")

    result = press_in_new_tab(page, "button.exotel-call")

    assert "Exotel accepted the request" in result.inner_text(".messagelist")
    assert page.input_value("#id_form-0-status") == "waiting"
    ticket.refresh_from_db()
    assert ticket.status == "open"


def test_clean_list_opens_result_in_its_tab(ticket: Ticket, editable_list: Any, site: Any, open_page: Open) -> None:
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/")

    press_in_this_tab(page, "button.exotel-call")

    assert CallRecord.objects.count() == 1
