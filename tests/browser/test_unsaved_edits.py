"""Unsaved edits are never thrown away in silence, and a double click is one call: with our script and without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User

from django_exotel_ccm.admin import CallCustomerMixin
from django_exotel_ccm.models import CallRecord
from tests.admin.conftest import urls_of
from tests.admin.pages import AGENT_WORK
from tests.browser.conftest import CALLING, log_in, press
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


def test_press_leaves_a_clean_form(ticket: Ticket, site: Any, open_page: Open) -> None:
    page = form_of(open_page(), site, ticket)

    press(page)

    assert CallRecord.objects.count() == 1


def test_unsaved_edits_stay(ticket: Ticket, site: Any, open_page: Open) -> None:
    page = form_of(open_page(), site, ticket)
    page.fill("#id_notes", "He wants a new fan")

    press(page)

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

    press(page)

    assert page.input_value("#id_notes") == "He wants a new fan"


# Where the user has to choose, another page asks.


@pytest.fixture
def two_numbers(ticket: Ticket) -> Ticket:
    ticket.customer.other_phone = "+919000001010"
    ticket.customer.save()
    return ticket


def test_question_replaces_a_clean_page(two_numbers: Ticket, site: Any, open_page: Open) -> None:
    page = form_of(open_page(), site, two_numbers)

    page.click("button.exotel-call")
    page.wait_for_selector(".exotel-choose")

    assert len(page.context.pages) == 1


@pytest.mark.parametrize("how", ["typed", "restored", "with errors"])
def test_question_opens_beside_unsaved_edits(two_numbers: Ticket, site: Any, open_page: Open, how: str) -> None:
    page = open_page()
    if how == "restored":
        # What Firefox does on reload: the field holds what was typed before our script looks.
        page.add_init_script(
            "document.addEventListener('DOMContentLoaded', () => {"
            " const notes = document.querySelector('#id_notes'); if (notes) notes.value = 'He wants a new fan'; });"
        )
    form_of(page, site, two_numbers)
    if how != "restored":
        page.fill("#id_notes", "He wants a new fan")
    if how == "with errors":
        page.fill("#id_subject", "")
        page.click("[name=_save]")
        page.wait_for_selector(".errornote")

    page.click("button.exotel-call")
    page.wait_for_selector(".exotel-headline:has-text('Choose whom to call.')")
    with page.context.expect_page() as opened:
        page.click(".exotel-links a:has-text('Choose')")
    opened.value.click("button.exotel-call")
    opened.value.wait_for_selector(".messagelist")

    assert "Exotel accepted the request" in opened.value.inner_text(".messagelist")
    assert page.input_value("#id_notes") == "He wants a new fan"


TEXT = "Ten minutes of typing"
EDITOR = """
<form method="post" action="/notes/"><textarea name="body" hidden></textarea><div id="mine" contenteditable>.</div>
<script>mine.addEventListener("beforeinput", (event) => {
  event.preventDefault(); event.stopPropagation(); mine.append(event.data); });</script></form>"""
FRAME = """
<form method="post" action="/notes/"><iframe id="frame" srcdoc="<body contenteditable id='mine'>."></iframe></form>"""
SHADOW = """<form hx-post="/notes/"><div id="editor"></div></form>
<script>editor.attachShadow({mode: "open"}).innerHTML = "<textarea id='mine'></textarea>";</script>"""
#: Places for text that no form of the page would send, as far as anybody sees from outside.
PLACES = {
    "form of a script": "<form hx-post='/notes/'><textarea id='mine'></textarea></form>",
    "field without a form": "<textarea id='mine'></textarea>",
    "choice without a form": "<select id='mine'><option>.<option>Ten minutes of typing</select>",
    "editor": EDITOR,
    "editor in a frame": FRAME,
    "editor of a component": SHADOW,
}


def form_with(page: Any, site: Any, ticket: Ticket, place: str) -> Any:
    """Open the ticket's form with this above it, and write there."""

    def add(route: Any) -> None:
        response = route.fetch()
        route.fulfill(
            response=response, body=response.text().replace('<div id="content"', place + '<div id="content"', 1)
        )

    page.route("**/change/", add)
    form_of(page, site, ticket)
    field = (page.frame_locator("#frame") if "iframe" in place else page).locator("#mine")
    field.focus() if "<select" in place else field.click()
    page.keyboard.type(TEXT)
    assert TEXT in field.evaluate("(one) => one.value || one.textContent")
    return field


@pytest.mark.parametrize("kind", PLACES)
def test_question_opens_beside_text_that_no_form_shows(
    two_numbers: Ticket, site: Any, open_page: Open, kind: str
) -> None:
    page = open_page()
    field = form_with(page, site, two_numbers, PLACES[kind])

    page.click("button.exotel-call")
    page.wait_for_selector(".exotel-headline:has-text('Choose whom to call.')")
    page.wait_for_timeout(500)
    with page.context.expect_page() as opened:
        page.click(".exotel-links a:has-text('Choose')")
    opened.value.wait_for_selector(".exotel-choose")

    assert TEXT in field.evaluate("(one) => one.value || one.textContent")


@pytest.mark.parametrize("is_edited", [False, True])
def test_link_to_another_number_opens_beside_edits(ticket: Ticket, site: Any, open_page: Open, is_edited: bool) -> None:
    User.objects.get().user_permissions.add(Permission.objects.get(codename="dial_any_number"))
    page = open_page()
    place = PLACES["form of a script"]
    form_with(page, site, ticket, place) if is_edited else form_of(page, site, ticket)
    pages = len(page.context.pages)

    page.click("a.exotel-choose-link:has-text('Call another number')")
    page.wait_for_timeout(1000)

    assert len(page.context.pages) == pages + is_edited
    assert (page.locator("#mine").count() == 1) is is_edited


@pytest.mark.parametrize("how", ["reset", "swapped"])
def test_form_that_its_script_has_emptied_is_clean(two_numbers: Ticket, site: Any, open_page: Open, how: str) -> None:
    page = open_page()
    form_with(page, site, two_numbers, PLACES["form of a script"])
    page.evaluate("mine.form.reset()" if how == "reset" else "mine.form.replaceWith(mine.form.cloneNode())")

    page.click("button.exotel-call")

    page.wait_for_selector(".exotel-choose")


def test_form_that_a_script_has_sent_counts_as_edited(two_numbers: Ticket, site: Any, open_page: Open) -> None:
    """Nobody knows whether the server has taken it."""
    page = open_page()
    form_with(page, site, two_numbers, PLACES["form of a script"])
    page.evaluate("mine.form.addEventListener('submit', (event) => event.preventDefault()); mine.form.requestSubmit()")

    page.click("button.exotel-call")
    page.wait_for_selector(".exotel-links a:has-text('Choose')")
    page.wait_for_timeout(500)

    assert page.input_value("#mine") == TEXT


# Pressed twice.


@pytest.mark.parametrize("is_confirmed", [False, True])
def test_double_click_is_one_call(ticket: Ticket, site: Any, exotel: Any, open_page: Open, is_confirmed: bool) -> None:
    page = form_of(open_page(java_script_enabled=not is_confirmed), site, ticket)
    if is_confirmed:  # without script, by the confirmation page
        page.goto(site.url + page.get_attribute("a.exotel-call", "href"))

    page.dblclick("button.exotel-call")
    page.wait_for_selector(".messagelist" if is_confirmed else CALLING)

    assert CallRecord.objects.count() == 1
    assert len([seen for seen in exotel.book.requests if seen.method == "POST"]) == 1


def test_row_press_without_script_needs_confirmation(ticket: Ticket, site: Any, open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/?status=open")

    page.click("a.exotel-call")
    page.wait_for_selector(".exotel-choose")
    before = CallRecord.objects.count()
    page.click("button.exotel-call")
    page.wait_for_selector(".messagelist")

    assert page.url.endswith("/admin/helpdesk/ticket/?status=open")
    assert (before, CallRecord.objects.count()) == (0, 1)


def test_press_after_the_end_is_another_call(ticket: Ticket, site: Any, exotel: Any, open_page: Open) -> None:
    """The page that showed the first call need not be loaded again."""
    page = form_of(open_page(), site, ticket)
    press(page)
    [sid] = exotel.book.calls
    exotel.press(sid, "agent", "decline")
    page.wait_for_selector(".exotel-headline:has-text('You did not pick up')")

    page.click("button.exotel-call")
    page.wait_for_selector(CALLING)

    assert CallRecord.objects.count() == 2


def test_press_during_the_call_asks(ticket: Ticket, site: Any, exotel: Any, open_page: Open) -> None:
    page = form_of(open_page(), site, ticket)
    press(page)

    page.click("button.exotel-call")
    page.wait_for_selector(".exotel-choose")

    assert "A call to this number is still going on. Call again only if you mean to." in page.inner_text(
        ".exotel-choose"
    )
    assert CallRecord.objects.count() == 1


def test_press_during_the_call_leaves_it_followed(ticket: Ticket, site: Any, exotel: Any, open_page: Open) -> None:
    page = form_of(open_page(), site, ticket)
    press(page)
    page.fill("#id_notes", "He wants a new fan")

    page.click("button.exotel-call")
    page.wait_for_selector(".exotel-panel [role=status] >> text=A call to this number is still going on.")
    page.wait_for_selector(".exotel-links a:has-text('Choose')")
    assert page.is_visible(CALLING)
    [sid] = exotel.book.calls
    exotel.press(sid, "agent", "decline")

    page.wait_for_selector(".exotel-headline:has-text('You did not pick up')")
    assert page.inner_text(".exotel-links") == page.inner_text(".exotel-notice") == ""


def test_lost_answer_is_not_dialled_again(ticket: Ticket, site: Any, exotel: Any, open_page: Open) -> None:
    page = form_of(open_page(), site, ticket)

    def lose_the_answer(route: Any) -> None:
        route.fetch()
        route.abort()

    page.route("**/exotel/place/**", lose_the_answer, times=1)
    page.click("button.exotel-call")
    page.wait_for_selector(".exotel-headline:has-text('a call that went out is not repeated.')")
    page.click("button.exotel-call")
    page.wait_for_selector(CALLING)

    assert CallRecord.objects.count() == 1
    assert len([seen for seen in exotel.book.requests if seen.method == "POST"]) == 1


class EditableList(CallCustomerMixin, admin.ModelAdmin):
    list_display = ["subject", "status"]
    list_editable = ["status"]


@pytest.fixture
def editable_list(settings: Any) -> admin.AdminSite:
    site = admin.AdminSite(name="admin")
    site.register(Ticket, EditableList)
    settings.ROOT_URLCONF = urls_of(site)
    return site


@pytest.mark.parametrize("edits", ["", "waiting"])
def test_edits_in_the_list_stay(ticket: Ticket, editable_list: Any, site: Any, open_page: Open, edits: str) -> None:
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/")
    if edits:
        page.fill("#id_form-0-status", edits)

    press(page)

    assert page.input_value("#id_form-0-status") == (edits or "open")
    ticket.refresh_from_db()
    assert ticket.status == "open"
    assert CallRecord.objects.count() == 1
