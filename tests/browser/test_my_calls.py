"""The agent's own page in a real browser: a call-back is called with one press, and done or moved by keyboard alone."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm.models import CallRecord, FollowUp
from tests.admin.pages import AGENT_WORK, SEES_CALLS
from tests.browser.conftest import CALLING, keep_picture, log_in, violations

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
