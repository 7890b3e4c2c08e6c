"""The agent's own page in a real browser: a call-back is called with one press, and done or moved by keyboard alone."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm.models import CallRecord, FollowUp
from tests.admin.pages import AGENT_WORK, SEES_CALLS
from tests.browser.conftest import CALLING, answer_and_hang_up, keep_picture, log_in, press, violations

CALL_BACKS, TODAY = "[aria-labelledby=exotel-follow-ups]", "[aria-labelledby=exotel-today]"
# Some of the calls were never placed.
pytestmark = [pytest.mark.browser, pytest.mark.books_differ]


@pytest.fixture
def asha(host: Any) -> Any:
    """An agent with call-backs of all kinds and some calls today."""
    user, now = host.user("asha", *AGENT_WORK, SEES_CALLS), timezone.now()
    due = {"Invoice shows the old address": -2, "Remote control does not pair": 1, "Yearly plan": 30}
    for subject, hours in due.items():
        FollowUp.objects.create(
            ticket=host.ticket(subject),
            assigned_to=user,
            due_at=now + datetime.timedelta(hours=hours),
            text="after lunch" if hours < 0 else "",
            created_at=now - datetime.timedelta(days=1),
        )
    ticket = host.ticket("Ceiling fan in the meeting room makes a noise since Monday")
    common = {
        "account": "default",
        "ticket": ticket,
        "placed_by": user,
        "customer_label": "Meera Nair",
        "created_at": now,
    }
    CallRecord.objects.create(**common, state="ended", outcome="completed", talk_time=192, ended_at=now)
    CallRecord.objects.create(**common, state="ended", outcome="customer_unanswered", talk_time=0, ended_at=now)
    CallRecord.objects.create(**common, state="refused", refusal_code="DoNotCall")
    return user


@pytest.mark.parametrize(
    "options",
    [{}, {"dark": True}, {"width": 360}, {"width": 360, "dark": True}],
    ids=["wide", "dark", "narrow", "narrow_dark"],
)
def test_page_looks(asha: Any, site: Any, open_page: Callable[..., Any], options: dict[str, Any], request: Any) -> None:
    page = open_page(**options)
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/exotel/my-calls/")
    page.wait_for_selector("button.exotel-call")
    keep_picture(page, f"my_calls_{request.node.callspec.id}")
    found = violations(page)
    page.click("summary >> nth=0")
    keep_picture(page, f"my_calls_move_{request.node.callspec.id}")

    assert found + violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_by_keyboard(asha: Any, site: Any, open_page: Callable[..., Any]) -> None:
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/exotel/my-calls/")
    page.focus("button.exotel-call >> nth=0")
    page.keyboard.press("Enter")
    page.wait_for_selector(CALLING)
    assert page.evaluate("document.activeElement.matches('button.exotel-call')")
    assert CallRecord.objects.newest_first()[0].ticket.subject == "Invoice shows the old address"

    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # opens "Another time"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # "In an hour"
    page.wait_for_load_state()
    page.wait_for_function("!document.querySelector('.exotel-is-overdue')")
    page.focus("button[value=done] >> nth=0")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelectorAll('.exotel-line').length === 2")

    assert FollowUp.objects.filter(done_at=None).count() == 2


@pytest.fixture
def talk(site: Any, exotel: Any, open_page: Callable[..., Any]) -> Callable[[Any], None]:
    """Answer the call that a page has placed, hang up, and wait until the page says so."""

    def talk_on(page: Any) -> None:
        phones = open_page(1000, 800)
        phones.goto(exotel.url)
        answer_and_hang_up(phones)
        page.wait_for_selector(".exotel-headline:has-text('Talked with Ravi')")

    return talk_on


@pytest.fixture
def invoice(host: Any) -> FollowUp:
    """The overdue call-back of an agent who may write notes, and has called nobody today."""
    user, now = host.user("asha", *AGENT_WORK, SEES_CALLS, "exotel_ccm.add_callnote"), timezone.now()
    due, _later = (
        FollowUp.objects.create(
            ticket=host.ticket(subject), assigned_to=user, due_at=now + datetime.timedelta(hours=hours), created_at=now
        )
        for subject, hours in {"Invoice shows the old address": -2, "Yearly plan": 720}.items()
    )
    return due


def test_lists_follow_the_call(
    invoice: FollowUp, site: Any, open_page: Callable[..., Any], talk: Callable[[Any], None]
) -> None:
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/exotel/my-calls/")
    fetched: list[str] = []
    page.on("request", lambda request: "x-exotel-check" in request.headers and fetched.append(request.url))
    press(page)
    assert fetched == []

    talk(page)
    page.wait_for_selector(f"#exotel-follow-up-{invoice.pk}", state="detached")
    page.wait_for_selector(f"{TODAY} >> text=Talked for")
    assert page.evaluate("document.activeElement.id") == "exotel-follow-ups"  # it was on the button that is gone
    assert page.locator(f"{TODAY} .exotel-empty").count() == 0
    page.fill("form.exotel-note-box textarea", "Sends it by mail")
    page.check("[name=exotel_call_back][value=tomorrow]", force=True)
    page.click(".exotel-save")
    page.wait_for_selector(f"{CALL_BACKS} >> text=Sends it by mail")
    page.wait_for_selector(f"{CALL_BACKS} button.exotel-call")

    keep_picture(page, "my_calls_after_the_call")
    assert violations(page) == []
    rows = [" ".join(row.split()) for row in page.locator(f"{CALL_BACKS} .exotel-line").all_inner_texts()]
    assert [row.count("Invoice shows the old address") for row in rows] == [1, 0]
    assert page.locator(f"{CALL_BACKS} button.exotel-call").count() == 2
    assert page.locator(f"{TODAY} .exotel-entry").count() == 1
    assert len(fetched) == 2
    assert page.evaluate("window.isSamePage")


def test_last_call_back_leaves_the_words_that_nobody_waits(
    invoice: FollowUp, site: Any, open_page: Callable[..., Any], talk: Callable[[Any], None]
) -> None:
    FollowUp.objects.exclude(pk=invoice.pk).delete()
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/exotel/my-calls/")
    press(page)

    talk(page)
    page.wait_for_selector(f"{CALL_BACKS} >> text=Nobody waits for your call.")
    assert page.locator(f"{CALL_BACKS} li").count() == 0
    page.check("[name=exotel_call_back][value=tomorrow]", force=True)
    page.click(".exotel-save")
    page.wait_for_selector(f"{CALL_BACKS} button.exotel-call")

    assert page.locator(f"{CALL_BACKS} .exotel-empty").count() == 0
    assert page.evaluate("window.isSamePage")


def test_lists_leave_what_is_in_use(
    invoice: FollowUp, site: Any, open_page: Callable[..., Any], talk: Callable[[Any], None]
) -> None:
    """A time is typed in the row that the call settles, and the focus stands in another one."""
    other = FollowUp.objects.exclude(pk=invoice.pk).get()
    settled, stays = (f"#exotel-follow-up-{one.pk}" for one in (invoice, other))
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/exotel/my-calls/")
    press(page)
    page.click(f"{settled} summary")
    page.fill(f"{settled} [name=exotel_due_at]", "2030-06-01T10:00")
    page.focus(f"{stays} button[value=done]")

    talk(page)
    page.wait_for_selector(f"{TODAY} >> text=Talked for")

    assert page.evaluate("document.activeElement.value") == "done"
    assert page.evaluate(f"document.activeElement.closest('{stays}') !== null")
    assert page.input_value(f"{settled} [name=exotel_due_at]") == "2030-06-01T10:00"
    assert page.locator(f"{settled} .exotel-call").count() == 0
    assert page.locator(f"{stays} button.exotel-call").count() == 1


def test_lists_stay_when_nobody_is_logged_in_any_more(
    invoice: FollowUp, site: Any, open_page: Callable[..., Any]
) -> None:
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/exotel/my-calls/")
    page.context.clear_cookies()

    with page.expect_response(lambda answer: "x-exotel-check" in answer.request.headers):
        page.evaluate("document.dispatchEvent(new CustomEvent('exotel:note'))")
    page.context.set_offline(True)
    with page.expect_event("requestfailed"):
        page.evaluate("document.dispatchEvent(new CustomEvent('exotel:note'))")

    assert page.locator(f"{CALL_BACKS} button.exotel-call").count() == 2


def test_press_says_nothing_of_a_ticket_of_another_kind(asha: Any, site: Any, open_page: Callable[..., Any]) -> None:
    """Tickets of two kinds can have one key: only the buttons of the pressed one mean another call afterwards."""
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/exotel/my-calls/")
    page.eval_on_selector(
        "button.exotel-call >> nth=0",
        """(button) => {
          for (const kind of ["helpdesk.ticket", "helpdesk.order"]) {
            const other = button.cloneNode(true);
            other.id = kind.replace(".", "-of-");
            other.dataset.exotelPlace = other.dataset.exotelPlace.replace("helpdesk.ticket", kind);
            button.after(other);
          }
        }""",
    )
    page.click("button.exotel-call >> nth=0")
    page.wait_for_selector(CALLING)
    placed = CallRecord.objects.newest_first()[0]

    addresses = [page.get_attribute(f"#helpdesk-of-{kind}", "data-exotel-place") for kind in ("ticket", "order")]
    assert f"exotel_after={placed.pk}" in addresses[0]
    assert "exotel_after=0" in addresses[1]


def test_enter_in_the_date_moves_to_that_date(asha: Any, site: Any, open_page: Callable[..., Any]) -> None:
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/exotel/my-calls/")
    day = timezone.localdate() + datetime.timedelta(days=30)
    first = page.locator(".exotel-line >> nth=0")
    first.locator("summary").click()
    first.locator("input[type=datetime-local]").fill(f"{day}T11:30")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=at 11:30.")

    moved = FollowUp.objects.latest("due_at")
    assert timezone.localtime(moved.due_at).replace(tzinfo=None).isoformat() == f"{day}T11:30:00"


def test_without_script(asha: Any, site: Any, open_page: Callable[..., Any]) -> None:
    page = open_page()
    log_in(page, site.url, "asha")
    bare = page.context.browser.new_context(java_script_enabled=False, storage_state=page.context.storage_state())
    page = bare.new_page()
    page.goto(f"{site.url}/exotel/my-calls/")

    page.click("a.exotel-call >> nth=0")
    page.click("button.exotel-call")
    page.wait_for_selector(".exotel-panel >> text=Your phone rings first: pick up.")

    assert "/exotel/my-calls/" in page.url
    bare.close()
