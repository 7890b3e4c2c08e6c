"""The box after a call in a real browser: by keyboard alone, never forced, and nothing that was written gets lost."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import CallNote, CallRecord, Disposition, FollowUp
from django_exotel_ccm.services import schedule_follow_up
from django_exotel_ccm.services.call_lists import create_call_list
from django_exotel_ccm.services.privacy import erase
from tests.admin.pages import AGENT_WORK, SEES_CALLS
from tests.browser.conftest import keep_picture, log_in, log_in_by_form, press, violations
from tests.browser.test_journey import answer_and_hang_up

pytestmark = pytest.mark.browser

BOX = "form.exotel-note-box:not([hidden])"
# The stock admin has the buttons before what stands on top of the form since Django 6.1, and after it before.
BUTTON_FOLLOWS = """document.querySelector(".exotel-note-open").compareDocumentPosition(document.activeElement)
    === Node.DOCUMENT_POSITION_FOLLOWING"""
FOCUSED = "document.activeElement.value || document.activeElement.textContent.trim()"


@pytest.fixture
def open_ticket(host: Any, site: Any, open_page: Callable[..., Any]) -> Callable[..., Any]:
    """Open the ticket's page as an agent who may write notes."""
    Disposition.objects.add_starter_set()
    host.user("asha", *AGENT_WORK, SEES_CALLS, "exotel_ccm.add_callnote")
    ticket = host.ticket("Invoice shows the old address")

    def open_it(**options: Any) -> Any:
        page = open_page(**options)
        log_in(page, site.url, "asha")
        page.goto(f"{site.url}/admin/helpdesk/ticket/{ticket.pk}/change/")
        return page

    return open_it


def end_call(exotel: Any, open_page: Callable[..., Any]) -> None:
    phones = open_page(1000, 800)
    phones.goto(exotel.url)
    answer_and_hang_up(phones)


def call_and_talk(page: Any, exotel: Any, open_page: Callable[..., Any]) -> None:
    press(page)
    end_call(exotel, open_page)
    page.wait_for_selector(".exotel-headline:has-text('Talked with Ravi')")


def step_to(page: Any, key: str, wanted: str, most: int = 6) -> None:
    """Press a key until the control with this value or text has the focus; fail with all that had it."""
    stops = []
    for _step in range(most):
        page.keyboard.press(key)
        stops.append(page.evaluate(FOCUSED))
        if stops[-1] == wanted:
            return
    pytest.fail(f"{key} reaches {stops}, not {wanted!r}; now {page.evaluate('document.activeElement.outerHTML')}")


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("name", ["my-calls", "call-list"])
def test_box_on_the_agents_own_pages(
    host: Any, site: Any, exotel: Any, open_page: Callable[..., Any], name: str, width: int
) -> None:
    Disposition.objects.add_starter_set()
    asha = host.user("asha", *AGENT_WORK, SEES_CALLS, "exotel_ccm.add_callnote")
    ticket = host.ticket("Invoice shows the old address")
    schedule_follow_up(ticket=ticket, due_at=timezone.now() + datetime.timedelta(hours=1), assigned_to=asha)
    made = create_call_list(owner=asha, name="Renewals", model=type(ticket), keys=[ticket.pk])
    page = open_page(width)
    log_in(page, site.url, "asha")
    page.goto(site.url + reverse(f"exotel_ccm:{name}", args=[made.pk] if name == "call-list" else []))
    if name == "call-list":
        page.wait_for_selector("h2:has-text('Invoice shows the old address')")

    call_and_talk(page, exotel, open_page)
    page.wait_for_selector(BOX)
    keep_picture(page, f"note_{name}_{width}")
    found = violations(page)
    assert page.evaluate("getComputedStyle(document.querySelector('form.exotel-note-box')).borderTopStyle") == "solid"
    page.fill(f"{BOX} textarea", "Sends the new address by mail.")
    page.click(".exotel-save")
    page.wait_for_selector(".exotel-said:has-text('Saved.')")

    assert found + violations(page) == []
    assert CallNote.objects.get().text == "Sends the new address by mail."
    assert page.evaluate("window.isSamePage")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if name == "call-list":
        page.wait_for_selector(".exotel-calls >> text=Sends the new address by mail.")


@pytest.mark.parametrize("options", [{}, {"dark": True}, {"width": 360}], ids=["wide", "dark", "narrow"])
def test_note_by_keyboard_alone(
    open_ticket: Callable[..., Any], exotel: Any, open_page: Callable[..., Any], options: dict[str, Any]
) -> None:
    page, name = open_ticket(**options), f"note_{next(iter(options), 'wide')}"
    call_and_talk(page, exotel, open_page)
    page.wait_for_selector(BOX)
    assert page.evaluate("document.activeElement.matches('button.exotel-call')")  # the press keeps the focus
    assert violations(page) == []

    step_to(page, "Shift+Tab" if page.evaluate(BUTTON_FOLLOWS) else "Tab", "Note", most=12)
    page.keyboard.press("Tab")
    step_to(page, "ArrowRight", "call_later")
    page.keyboard.press("Tab")
    page.keyboard.type("Sends the new address by mail.")
    page.keyboard.press("Tab")
    step_to(page, "ArrowRight", "hour")
    keep_picture(page, f"{name}_filled")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(".exotel-said:has-text('Saved. Call back on ')")

    keep_picture(page, f"{name}_saved")
    assert violations(page) == []
    note = CallNote.objects.get()
    assert (note.text, note.disposition and note.disposition.code) == ("Sends the new address by mail.", "call_later")
    assert FollowUp.objects.count() == 1
    assert page.evaluate("window.isSamePage")
    page.reload()
    page.wait_for_selector("button.exotel-note-open")
    page.wait_for_load_state("networkidle")
    assert page.query_selector(BOX) is None


def test_not_now_and_later(open_ticket: Callable[..., Any], exotel: Any, open_page: Callable[..., Any]) -> None:
    page = open_ticket()
    call_and_talk(page, exotel, open_page)
    page.click(f"{BOX} >> text=Not now")
    assert page.query_selector(BOX) is None
    page.reload()
    page.wait_for_load_state("networkidle")
    assert page.query_selector(BOX) is None  # it was put away

    page.click("button.exotel-note-open")
    page.fill(f"{BOX} textarea", "After all")
    page.click(f"{BOX} .exotel-save")
    page.wait_for_selector(".exotel-said:has-text('Saved.')")
    assert CallNote.objects.get().text == "After all"


def test_box_does_not_open_under_typing_hands(
    open_ticket: Callable[..., Any], exotel: Any, open_page: Callable[..., Any]
) -> None:
    page = open_ticket()
    press(page)
    page.focus("#id_subject")
    end_call(exotel, open_page)
    page.wait_for_selector(".exotel-headline:has-text('Talked with Ravi')")
    page.wait_for_load_state("networkidle")

    assert page.query_selector(BOX) is None
    assert page.evaluate("document.activeElement.id") == "id_subject"


def test_text_survives_lost_connection_and_ended_session(
    open_ticket: Callable[..., Any], exotel: Any, site: Any, open_page: Callable[..., Any]
) -> None:
    page = open_ticket()
    call_and_talk(page, exotel, open_page)
    page.fill(f"{BOX} textarea", "Angry")
    page.context.set_offline(True)
    page.click(f"{BOX} .exotel-save")
    page.wait_for_selector(".exotel-problem:has-text('No connection')")
    page.context.set_offline(False)
    page.wait_for_function("navigator.onLine")
    Session.objects.all().delete()
    page.click(f"{BOX} .exotel-save")
    page.wait_for_selector(".exotel-problem:has-text('You are logged out')")
    assert page.input_value(f"{BOX} textarea") == "Angry"
    keep_picture(page, "note_logged_out")

    other = page.context.new_page()
    log_in_by_form(other, site.url, "asha")
    page.dblclick(f"{BOX} .exotel-save")
    page.wait_for_selector(".exotel-said:has-text('Saved.')")
    assert CallNote.objects.get().text == "Angry"


def test_note_about_an_earlier_call_stays_about_it(
    open_ticket: Callable[..., Any], exotel: Any, open_page: Callable[..., Any]
) -> None:
    page = open_ticket()
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    call_and_talk(page, exotel, open_page)
    page.fill(f"{BOX} textarea", "Angry")
    first = CallRecord.objects.get()
    press(page)
    page.wait_for_selector(".exotel-of-call:has-text('Talked with Ravi')")
    assert page.input_value(f"{BOX} textarea") == "Angry"
    keep_picture(page, "note_earlier_call")
    page.click(f"{BOX} .exotel-save")
    page.wait_for_selector(".exotel-said:has-text('Saved.')")

    assert CallNote.objects.get().call == first
    assert not page.is_visible(".exotel-of-call")
    page.wait_for_selector(".exotel-calls >> text=Angry")  # the history follows
    end_call(exotel, open_page)
    page.wait_for_selector(".exotel-headline:has-text('Talked with Ravi')")
    page.wait_for_selector(BOX)
    page.reload()
    assert asked == []
    page.wait_for_selector(BOX)
    page.fill(f"{BOX} textarea", "Calm again")
    page.reload()
    assert asked == ["beforeunload"]  # the browser asks before a note gets lost


# A note that is not saved yet, after the page was left.

DRAFTS = "Object.entries(sessionStorage).filter(([key]) => key.startsWith('exotel-draft:'))"


def accept_dialogs(page: Any) -> None:
    page.on("dialog", lambda dialog: dialog.accept())


def test_note_survives_a_reload(open_ticket: Callable[..., Any], exotel: Any, open_page: Callable[..., Any]) -> None:
    page = open_ticket()
    accept_dialogs(page)
    call_and_talk(page, exotel, open_page)
    page.fill(f"{BOX} textarea", "Angry")
    page.check(f"{BOX} input[value=call_later]", force=True)

    page.reload()
    page.wait_for_selector(BOX)

    assert page.input_value(f"{BOX} textarea") == "Angry"
    assert page.is_checked(f"{BOX} input[value=call_later]")
    page.click(f"{BOX} .exotel-save")
    page.wait_for_selector(".exotel-said:has-text('Saved.')")
    assert CallNote.objects.get().text == "Angry"
    assert page.evaluate(DRAFTS) == []


def test_note_survives_a_login(
    open_ticket: Callable[..., Any], exotel: Any, site: Any, open_page: Callable[..., Any]
) -> None:
    page = open_ticket()
    accept_dialogs(page)
    call_and_talk(page, exotel, open_page)
    page.fill(f"{BOX} textarea", "Angry")
    address = page.url
    Session.objects.all().delete()

    log_in(page, site.url, "asha")
    page.goto(address)
    page.wait_for_selector(BOX)

    assert page.input_value(f"{BOX} textarea") == "Angry"


def test_note_whose_answer_was_lost_is_not_written_twice(
    open_ticket: Callable[..., Any], exotel: Any, open_page: Callable[..., Any]
) -> None:
    page = open_ticket()
    accept_dialogs(page)
    call_and_talk(page, exotel, open_page)
    page.fill(f"{BOX} textarea", "Angry")

    def lose_the_answer(route: Any) -> None:
        route.fetch()
        route.abort()

    page.route("**/note/**", lose_the_answer, times=1)
    page.click(f"{BOX} .exotel-save")
    page.wait_for_selector(".exotel-problem:has-text('No connection')")
    assert CallNote.objects.count() == 1
    page.reload()
    page.wait_for_selector(BOX)
    page.click(f"{BOX} .exotel-save")
    page.wait_for_selector(".exotel-said:has-text('Saved.')")

    assert CallNote.objects.get().text == "Angry"


@pytest.mark.parametrize("how", ["not now", "emptied"])
def test_note_that_was_put_away_does_not_come_back(
    open_ticket: Callable[..., Any], exotel: Any, open_page: Callable[..., Any], how: str
) -> None:
    page = open_ticket()
    call_and_talk(page, exotel, open_page)
    page.fill(f"{BOX} textarea", "Angry")
    assert len(page.evaluate(DRAFTS)) == 1
    if how == "not now":
        page.click(f"{BOX} >> text=Not now")
    else:
        page.fill(f"{BOX} textarea", "")
    assert page.evaluate(DRAFTS) == []

    page.reload()
    if how == "not now":
        page.click("button.exotel-note-open")
    page.wait_for_selector(BOX)

    assert page.input_value(f"{BOX} textarea") == ""


@pytest.mark.parametrize("page_of", ["call", "ticket"])
def test_note_is_not_shown_to_the_next_user(
    open_ticket: Callable[..., Any],
    exotel: Any,
    host: Any,
    site: Any,
    open_page: Callable[..., Any],
    page_of: str,
) -> None:
    host.user("vik", *AGENT_WORK, SEES_CALLS, "exotel_ccm.add_callnote", agent=None)
    page = open_ticket()
    accept_dialogs(page)
    call_and_talk(page, exotel, open_page)
    page.fill(f"{BOX} textarea", "Angry")
    ticket, call = (
        page.url,
        site.url + reverse("admin:exotel_ccm_callrecord_change", args=[CallRecord.objects.get().pk]),
    )
    assert len(page.evaluate(DRAFTS)) == 1
    # A check that is on its way would bring the first user's CSRF cookie back, and the login form would be refused.
    page.goto("about:blank")
    page.context.clear_cookies()

    log_in_by_form(page, site.url, "vik")
    page.goto(call if page_of == "call" else ticket)
    if page_of == "call":
        page.wait_for_selector(BOX)
        assert page.input_value(f"{BOX} textarea") == ""

    assert page.evaluate(DRAFTS) == []


@pytest.mark.books_differ("the call's callbacks were erased")
def test_note_about_an_erased_customer_is_forgotten(
    open_ticket: Callable[..., Any], exotel: Any, open_page: Callable[..., Any]
) -> None:
    page = open_ticket()
    accept_dialogs(page)
    call_and_talk(page, exotel, open_page)
    page.fill(f"{BOX} textarea", "Angry")
    assert len(page.evaluate(DRAFTS)) == 1
    list(erase(CallRecord.objects.get().customer_number, apply=True))

    with page.expect_response(lambda answer: "/note/" in answer.url):
        page.reload()

    page.wait_for_function(f"{DRAFTS}.length === 0")
    assert page.query_selector(BOX) is None


@pytest.mark.books_differ("the call is none of the simulator's")
@pytest.mark.parametrize("script", [True, False])
def test_box_on_the_calls_page(script: bool, host: Any, site: Any, open_page: Callable[..., Any]) -> None:
    Disposition.objects.add_starter_set()
    host.user("asha", "helpdesk.view_ticket", SEES_CALLS, "exotel_ccm.add_callnote")
    call = CallRecord.objects.create(account="default", ticket=host.ticket(), state="ended", created_at=timezone.now())
    page = open_page(java_script_enabled=script)
    log_in(page, site.url, "asha")
    page.goto(site.url + reverse("admin:exotel_ccm_callrecord_change", args=[call.pk]))
    page.check(f"{BOX} input[value=voicemail]", force=True)
    page.check(f"{BOX} input[value=tomorrow]", force=True)
    if script:
        assert violations(page) == []
        keep_picture(page, "note_call_page")
    page.click(f"{BOX} .exotel-save")
    page.wait_for_selector("text=Saved. Call back on ")

    assert (CallNote.objects.count(), FollowUp.objects.count()) == (1, 1)


@pytest.fixture
def ended_call(host: Any) -> CallRecord:
    """A call of asha's, who may write notes about it."""
    asha = host.user("asha", *AGENT_WORK, SEES_CALLS, "exotel_ccm.add_callnote")
    return CallRecord.objects.create(
        account="default", placed_by=asha, ticket=host.ticket(), state="ended", talk_time=4, created_at=timezone.now()
    )


@pytest.fixture
def open_call(ended_call: CallRecord, site: Any, open_page: Callable[..., Any]) -> Callable[..., Any]:
    """Open the page of asha's call."""

    def open_it(**options: Any) -> Any:
        page = open_page(**options)
        log_in(page, site.url, "asha")
        page.goto(site.url + reverse("admin:exotel_ccm_callrecord_change", args=[ended_call.pk]))
        return page

    return open_it


@pytest.mark.books_differ("the call is none of the simulator's")
@pytest.mark.parametrize("width", [1280, 360])
def test_saved_note_is_listed_at_once(open_call: Callable[..., Any], ended_call: CallRecord, width: int) -> None:
    page = open_call(width=width)
    notes = "[data-exotel-inline=notes]"
    assert "None yet." in page.inner_text(notes)
    page.evaluate("window.isSamePage = true")

    page.fill(f"{BOX} textarea", "Sends the new address")
    page.click(f"{BOX} .exotel-save")
    page.wait_for_selector(f"{notes} >> text=Sends the new address")

    assert page.evaluate("window.isSamePage && document.activeElement.className") == "exotel-said"
    assert page.locator(notes).count() == 1
    keep_picture(page, f"note_listed_{width}")
    assert violations(page) == []


@pytest.mark.books_differ("the call is none of the simulator's")
def test_note_on_the_calls_page_survives_a_reload(open_call: Callable[..., Any]) -> None:
    page = open_call()
    accept_dialogs(page)
    page.fill(f"{BOX} textarea", "Sends the new address")
    page.check(f"{BOX} input[value=chosen]", force=True)
    page.fill(f"{BOX} .exotel-when", "2027-06-01T10:00")

    page.reload()
    page.wait_for_function(f"document.querySelector('{BOX} textarea').value !== ''")

    assert page.input_value(f"{BOX} textarea") == "Sends the new address"
    assert page.is_checked(f"{BOX} input[value=chosen]")
    assert page.input_value(f"{BOX} .exotel-when") == "2027-06-01T10:00"


@pytest.mark.books_differ("the call is none of the simulator's")
def test_date_counts_only_while_it_is_chosen(open_call: Callable[..., Any]) -> None:
    page = open_call()
    page.fill(f"{BOX} textarea", "Calls us himself")
    page.check(f"{BOX} input[value=chosen]", force=True)
    page.fill(f"{BOX} .exotel-when", "2027-06-01T10:00")
    page.check(f"{BOX} [name=exotel_call_back][value='']", force=True)
    assert not page.is_visible(f"{BOX} .exotel-when")
    page.click(f"{BOX} .exotel-save")
    page.wait_for_selector(".exotel-said:has-text('Saved.')")

    assert not FollowUp.objects.exists()


@pytest.mark.books_differ("the call is none of the simulator's")
def test_filling_in_a_date_chooses_it(open_call: Callable[..., Any]) -> None:
    page = open_call()
    page.add_style_tag(content=".exotel-note-box .exotel-when.exotel-when { display: inline-block !important }")
    page.fill(f"{BOX} .exotel-when", "2027-06-01T10:00")
    assert page.is_checked(f"{BOX} input[value=chosen]")


@pytest.mark.books_differ("the call is none of the simulator's")
def test_box_that_comes_with_a_swapped_body(open_call: Callable[..., Any]) -> None:
    page = open_call()
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.evaluate("window.isSamePage = true")
    page.evaluate("document.body.replaceWith(document.body.cloneNode(true))")
    page.fill(f"{BOX} textarea", "Sends the new address")
    page.click(f"{BOX} .exotel-save")
    page.wait_for_selector(".exotel-said:has-text('Saved.')")

    assert CallNote.objects.get().text == "Sends the new address"
    assert page.evaluate("window.isSamePage")
    assert asked == []


@pytest.mark.books_differ("the call is none of the simulator's")
@pytest.mark.parametrize("width", [1280, 360])
def test_text_survives_an_ended_session_without_script(open_call: Callable[..., Any], width: int) -> None:
    page = open_call(java_script_enabled=False, width=width)
    page.fill(f"{BOX} textarea", "Promised 500 off")
    Session.objects.all().delete()
    page.click(f"{BOX} .exotel-save")

    assert page.input_value("textarea") == "Promised 500 off"
    keep_picture(page, f"note_logged_out_without_script_{width}")
    with page.expect_popup() as opened:
        page.click("text=Log in again in another tab")
    opened.value.wait_for_selector("#id_username")


@pytest.mark.books_differ("the call is none of the simulator's")
@pytest.mark.parametrize("width", [1280, 360])
def test_text_survives_a_login_in_another_tab_without_script(open_call: Callable[..., Any], width: int) -> None:
    page = open_call(java_script_enabled=False, width=width)
    page.fill(f"{BOX} textarea", "Promised 500 off")
    page.context.add_cookies([cookie | {"value": "a" * 32} for cookie in page.context.cookies() if is_token(cookie)])
    page.click(f"{BOX} .exotel-save")

    assert page.input_value("textarea") == "Promised 500 off"
    keep_picture(page, f"note_of_an_old_page_without_script_{width}")
    with page.expect_popup() as opened:
        page.click("text=Open it again in another tab")
    opened.value.fill(f"{BOX} textarea", "Promised 500 off")
    opened.value.click(f"{BOX} .exotel-save")
    opened.value.wait_for_load_state()
    assert CallNote.objects.get().text == "Promised 500 off"


def is_token(cookie: Any) -> bool:
    return str(cookie["name"]) == "csrftoken"
