"""The history on the ticket's page in a real browser: it follows the call, and what is in use there stays."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm.models import CallRecord
from tests.admin.pages import AGENT_WORK, BY_HAND, SEES_CALLS
from tests.browser.conftest import keep_picture, log_in, press, violations
from tests.browser.test_journey import answer_and_hang_up

pytestmark = [pytest.mark.browser, pytest.mark.books_differ("the earlier calls were never placed")]

LISTEN = "exotel_ccm.listen_recording"
NEWEST = ".exotel-newest .exotel-entry"


@pytest.fixture
def ticket(host: Any) -> Any:
    host.user("asha", *AGENT_WORK, SEES_CALLS, LISTEN)
    return host.ticket("Invoice shows the old address", phone=BY_HAND)


def earlier_calls(ticket: Any, count: int) -> None:
    now = timezone.now()
    results = [
        {"state": "ended", "outcome": "completed", "talk_time": 192},
        {"state": "ended", "outcome": "customer_unanswered", "total_duration": 32},
        {"state": "refused"},
    ]
    CallRecord.objects.bulk_create(
        CallRecord(
            account="default",
            ticket=ticket,
            agent_label="Vik",
            customer_label="Ravi",
            customer_number=BY_HAND,
            created_at=now - datetime.timedelta(hours=9 * (count - n)),
            **results[n % 3],
        )
        for n in range(count)
    )


def open_ticket(site: Any, ticket: Any, page: Any) -> Any:
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/{ticket.pk}/change/")
    return page


@pytest.mark.parametrize("options", [{}, {"dark": True}, {"width": 360}], ids=["wide", "dark", "narrow"])
def test_history_can_be_read(site: Any, ticket: Any, open_page: Callable[..., Any], options: dict[str, Any]) -> None:
    earlier_calls(ticket, 17)
    page = open_ticket(site, ticket, open_page(**options))
    name = f"history_{next(iter(options), 'wide')}"
    keep_picture(page, name)
    found = violations(page)

    page.focus(".exotel-older > summary")
    page.keyboard.press("Enter")
    page.wait_for_selector(".exotel-older[open]")
    keep_picture(page, f"{name}_all")

    assert found + violations(page) == []
    assert page.inner_text(".exotel-older > summary") == "All 17 calls"
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    tools, history, form = (
        page.locator(one).bounding_box()["y"]
        for one in (".object-tools button.exotel-call", ".exotel-calls", "#ticket_form")
    )
    assert tools < history < form


def test_history_of_500_calls(site: Any, ticket: Any, open_page: Callable[..., Any]) -> None:
    earlier_calls(ticket, 500)

    page = open_ticket(site, ticket, open_page())

    assert page.locator(".exotel-entry").count() == 20
    assert page.inner_text(".exotel-all-calls") == "All 500 calls"
    page.click(".exotel-all-calls a")
    page.wait_for_selector("text=500 calls")


def test_history_follows_the_call(site: Any, ticket: Any, exotel: Any, open_page: Callable[..., Any]) -> None:
    earlier_calls(ticket, 3)
    page, phones = open_ticket(site, ticket, open_page()), open_page(1000, 800)
    page.fill("#id_notes", "He wants a new fan")

    press(page, ".object-tools button.exotel-call")
    page.wait_for_selector(f"{NEWEST} >> nth=0 >> text=Calling")
    focus = page.evaluate("document.activeElement.textContent")
    phones.goto(exotel.url)
    answer_and_hang_up(phones)
    page.wait_for_selector(f"{NEWEST} >> nth=0 >> text=Talked for")

    assert page.locator(NEWEST).count() == 3
    assert page.locator(".exotel-older .exotel-entry").count() == 1
    assert page.input_value("#id_notes") == "He wants a new fan"
    assert focus.strip().lower() == "call customer"
    assert page.evaluate("document.activeElement.textContent").strip().lower() == "call customer"


def test_row_in_use_stays(site: Any, ticket: Any, exotel: Any, open_page: Callable[..., Any]) -> None:
    """The press of "Call again" keeps the focus, though its row is among the older ones by then."""
    earlier_calls(ticket, 3)
    page, phones = open_ticket(site, ticket, open_page()), open_page(1000, 800)

    press(page, f"{NEWEST} >> nth=2 >> button.exotel-again")
    page.wait_for_selector(f"{NEWEST} >> nth=0 >> text=Calling")

    assert page.evaluate("document.activeElement.className") == "exotel-call exotel-again"
    assert CallRecord.objects.count() == 4
    assert page.locator(f"{NEWEST} >> nth=0 >> .exotel-again").count() == 0
    page.focus(f"{NEWEST} >> nth=0 >> a")
    phones.goto(exotel.url)
    answer_and_hang_up(phones)
    page.wait_for_selector(f"{NEWEST} >> nth=0 >> button.exotel-again")
    assert page.evaluate("document.activeElement.closest('.exotel-entry').querySelector('.exotel-again') !== null")


def test_open_recording_stays_open(site: Any, ticket: Any, exotel: Any, open_page: Callable[..., Any]) -> None:
    from tests.views.recording_player import facts_of

    earlier_calls(ticket, 3)
    url = "https://recordings.exotel.com/exotelrecordings/acme1/planted.mp3"
    call = CallRecord.objects.filter(talk_time=192).get()
    CallRecord.objects.filter(pk=call.pk).update(recording_url=url, facts=facts_of(url))
    page = open_ticket(site, ticket, open_page())
    page.route("**/recording/**", lambda route: route.abort())
    assert page.inner_text(".exotel-recording summary").split() == ["Recording", "3:12"]
    page.click(".exotel-recording summary")
    page.evaluate("window.player = document.querySelector('.exotel-recording audio')")
    page.select_option("[aria-label=Speed]", "1.5")

    press(page, ".object-tools button.exotel-call")
    page.wait_for_selector(f"{NEWEST} >> nth=0 >> text=Calling")

    assert page.evaluate("window.player.isConnected && window.player.playbackRate") == 1.5
    assert page.locator(f"[data-exotel-call='{call.reference}']").count() == 1
