"""Our pages on paper, and at twice the size of a desktop's letters."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import CallRecord, Disposition
from django_exotel_ccm.services import add_note, schedule_follow_up
from django_exotel_ccm.services.call_lists import create_call_list, skip
from tests.admin.pages import AGENT_WORK, BY_HAND, OTHER, SEES_CALLS
from tests.browser.conftest import keep_picture, log_in, violations
from tests.browser.test_timeline import LISTEN, earlier_calls

# The calls were never placed.
pytestmark = [pytest.mark.browser, pytest.mark.books_differ]
PAGES = ["ticket", "tickets", "call", "calls", "my_calls", "call_list", "call_list_end", "choose", "note"]
PRESSES = "button, input[type=submit], audio, textarea, .exotel-panel, a.exotel-call, .exotel-quiet-button"
OURS = "[class^=exotel-], [class*=' exotel-']"


@pytest.fixture
def open_desk(host: Any, site: Any, open_page: Callable[..., Any]) -> Callable[..., Any]:
    """Open one of our pages, with something on it, as an agent in the middle of a call."""
    asha = host.user("asha", *AGENT_WORK, SEES_CALLS, LISTEN, "exotel_ccm.add_callnote")
    Disposition.objects.add_starter_set()
    subject = "Invoice shows the old address, and the reminder went to the new one"
    ticket, other = host.ticket(subject, phone=BY_HAND, other=OTHER), host.ticket("Yearly plan")
    earlier_calls(ticket, 6)
    talk = CallRecord.objects.filter(talk_time=192).first()
    assert talk is not None
    add_note(talk, author=asha, text="Wants the invoice by mail, not by post. " * 6)
    going_on = {"state": "active", "placed_by": asha, "customer_label": "Ravi", "created_at": timezone.now()}
    CallRecord.objects.create(account="default", ticket=other, **going_on)
    schedule_follow_up(ticket=ticket, due_at=timezone.now() + datetime.timedelta(hours=1), assigned_to=asha)
    lists = [create_call_list(owner=asha, name=name, model=type(ticket), keys=[ticket.pk]) for name in ("New", "Old")]
    skip(lists[1].items.get())
    addresses = {
        "ticket": reverse("admin:helpdesk_ticket_change", args=[ticket.pk]),
        "tickets": reverse("admin:helpdesk_ticket_changelist"),
        "call": reverse("admin:exotel_ccm_callrecord_change", args=[talk.pk]),
        "calls": reverse("admin:exotel_ccm_callrecord_changelist"),
        "my_calls": reverse("exotel_ccm:my-calls"),
        "call_list": reverse("exotel_ccm:call-list", args=[lists[0].pk]),
        "call_list_end": reverse("exotel_ccm:call-list", args=[lists[1].pk]),
        "choose": reverse("exotel_ccm:choose")
        + f"?exotel_adapter=admin&exotel_type=helpdesk.ticket&exotel_ticket={ticket.pk}",
        "note": reverse("exotel_ccm:note", args=[talk.reference]) + "?exotel_adapter=admin",
    }

    def open_it(name: str, **options: Any) -> Any:
        page = open_page(**options)
        log_in(page, site.url, "asha")
        page.goto(site.url + addresses[name])
        return page

    return open_it


def seen_words(page: Any) -> str:
    """Return the words that are seen, in small letters and without the clock of the call."""
    words = str(page.inner_text("#content")).lower().split()
    return " ".join(word for word in words if not re.fullmatch(r"\d:\d\d", word))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_ticket_on_paper(open_desk: Callable[..., Any], dark: bool) -> None:
    page = open_desk("ticket", dark=dark)
    page.wait_for_selector("button.exotel-call")
    page.emulate_media(media="print")
    keep_picture(page, f"print_ticket_{'dark' if dark else 'light'}")

    left = page.locator(f":is(.exotel-calls, .exotel-tool, .exotel-panel, .exotel-note-place) :is({PRESSES})")
    assert [one.inner_text() for one in left.all() if one.is_visible()] == []
    assert not page.is_visible(".exotel-panel")
    rows = page.locator(".exotel-calls .exotel-entry")
    assert [row.is_visible() for row in rows.all()] == [True] * 6  # also those that are folded
    assert "Wants the invoice by mail" in page.inner_text(".exotel-calls")
    assert page.locator(".exotel-calls .exotel-entry >> text=Vik to Ravi").first.is_visible()


@pytest.mark.parametrize("name", [name for name in PAGES if name not in ("ticket", "tickets", "choose", "note")])
def test_page_on_paper(open_desk: Callable[..., Any], name: str) -> None:
    page = open_desk(name)
    page.emulate_media(media="print")
    keep_picture(page, f"print_{name}")

    left = page.locator(f"#content :is({OURS}) :is({PRESSES})")
    assert [one.inner_text() for one in left.all() if one.is_visible()] == []
    words = {"my_calls": "Invoice shows", "call_list": "Wants the invoice by mail", "call_list_end": "Skipped"}
    assert words.get(name, "Talked for 3 min 12 s") in page.inner_text("#content")


# At 200 % a desktop of 1280 points has 640.


@pytest.mark.parametrize("name", PAGES)
def test_page_at_200_percent(open_desk: Callable[..., Any], name: str) -> None:
    page = open_desk(name)
    page.wait_for_load_state("networkidle")
    words = seen_words(page)
    page.set_viewport_size({"width": 640, "height": 450})
    keep_picture(page, f"zoom_{name}")

    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert seen_words(page) == words
    beyond = page.evaluate(
        """ours => [...document.querySelectorAll(ours)].filter((one) => {
          const box = one.getBoundingClientRect();
          const isOut = box.width > 1 && (box.left < -1 || box.right > innerWidth + 1);
          return isOut && !one.closest(".results, .exotel-scroll"); // which scroll by themselves
        }).map((one) => one.className)""",
        OURS,
    )
    assert beyond == []
    assert violations(page) == []
