"""An agent's call in Hindi: press, panel and history, on a phone and on a wide screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import CallRecord
from tests.admin.pages import AGENT_WORK, SEES_CALLS
from tests.browser.conftest import answer_and_hang_up, keep_picture, log_in, log_in_by_form, violations
from tests.servers.packages import has_hindi_font

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not has_hindi_font(), reason="no font for Hindi; as root type: apt-get install fonts-noto-core"),
]
CUT_OFF = """() => [...document.querySelectorAll("[class*=exotel-], .exotel-tool *")].filter((one) =>
  one.checkVisibility() && one.getBoundingClientRect().right > document.documentElement.clientWidth + 1
).map((one) => one.className)"""


@pytest.mark.parametrize("width", [1280, 360])
def test_call_in_hindi(width: int, host: Any, exotel: Any, site: Any, open_page: Callable[..., Any]) -> None:
    host.user("asha", *AGENT_WORK, SEES_CALLS, "exotel_ccm.add_callnote")
    ticket = host.ticket("पंखा आवाज़ करता है")
    page, phones = open_page(width, locale="hi-IN"), open_page(1000, 800)
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/{ticket.pk}/change/")
    found = []

    def look(name: str, headline: str) -> None:
        page.wait_for_selector(f".exotel-headline:has-text('{headline}')")
        keep_picture(page, f"hindi_{width}_{name}")
        found.extend([*violations(page), *page.evaluate(CUT_OFF)])

    page.click("button:has-text('ग्राहक को कॉल करें')")
    look("calling", "Ravi को कॉल की जा रही है। पहले आपका फ़ोन बजेगा: उठाएँ।")
    assert page.inner_text(".exotel-hint") == "इस बारे में: पंखा आवाज़ करता है। फिर हम ग्राहक का नंबर डायल करेंगे।"

    phones.goto(exotel.url)
    phones.click("#phone-agent .answer >> visible=true")
    phones.click("#phone-customer .answer >> visible=true")
    look("in_progress", "Ravi के साथ कॉल चल रही है: एक फ़ोन उठाया गया")

    phones.wait_for_selector("#phone-customer [data-action=hang_up] >> visible=true")
    phones.wait_for_timeout(1200)  # simulated seconds are whole: a talk of none is no conversation
    phones.click("#phone-agent [data-action=hang_up] >> visible=true")
    look("ended", "बात हुई")
    page.wait_for_selector(".exotel-calls strong:has-text('बात हुई')")
    assert found == []


@pytest.mark.books_differ("the call is none of the simulator's")
def test_note_saved_on_the_calls_page(host: Any, site: Any, open_page: Callable[..., Any]) -> None:
    asha = host.user("asha", *AGENT_WORK, SEES_CALLS, "exotel_ccm.add_callnote")
    call = CallRecord.objects.create(account="default", placed_by=asha, state="ended", created_at=timezone.now())
    page = open_page(locale="hi-IN")
    log_in(page, site.url, "asha")
    page.goto(site.url + reverse("admin:exotel_ccm_callrecord_change", args=[call.pk]))
    page.fill("form.exotel-note-box textarea", "पता डाक से भेजेंगे")
    page.click(".exotel-save")
    page.wait_for_selector(".exotel-said:has-text('सेव हो गया')")


def test_page_with_its_language_in_the_address(
    host: Any, exotel: Any, site: Any, open_page: Callable[..., Any], settings: Any
) -> None:
    """The browser prefers English, and the page is in Hindi: the panel stays in Hindi."""
    settings.ROOT_URLCONF = "tests.browser.urls_by_language"
    host.user("asha", *AGENT_WORK, SEES_CALLS)
    ticket = host.ticket("पंखा आवाज़ करता है")
    page, phones = open_page(), open_page(1000, 800)
    log_in_by_form(page, f"{site.url}/hi", "asha")
    page.goto(f"{site.url}/hi/admin/helpdesk/ticket/{ticket.pk}/change/")

    page.click("button:has-text('ग्राहक को कॉल करें')")
    page.wait_for_selector(".exotel-headline:has-text('पहले आपका फ़ोन बजेगा')")
    phones.goto(exotel.url)
    answer_and_hang_up(phones)

    page.wait_for_selector(".exotel-headline:has-text('बात हुई')")
    page.wait_for_selector(".exotel-calls strong:has-text('बात हुई')")
