"""The whole journey in a real browser: from a press to a ticket that knows how the call ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.signals import call_ended
from tests.admin.pages import AGENT_WORK, SEES_CALLS, SEES_NUMBERS
from tests.browser.conftest import answer_and_hang_up, keep_findings, keep_picture, log_in_by_form, press, violations
from tests.helpdesk.models import Ticket

pytestmark = pytest.mark.browser


def close_the_ticket(ticket: Ticket, call: CallRecord, **kwargs: Any) -> None:
    ticket.status = "talked" if call.is_conversation else "not reached"
    ticket.save(update_fields=["status"])


def test_call_from_button_to_ticket(
    host: Any, exotel: Any, site: Any, receivers: Any, open_page: Callable[..., Any]
) -> None:
    receivers(call_ended, close_the_ticket, sender=Ticket)
    host.user(
        "asha", *AGENT_WORK, SEES_CALLS, SEES_NUMBERS, "exotel_ccm.view_callevent", "exotel_ccm.view_announcement"
    )
    ticket = host.ticket("Ceiling fan makes a noise")
    host.ticket("Wet carpet in room 12", phone="+919000001002", other="+919000001010")
    host.ticket("Asked for a quote", phone="ask at the desk")
    page, phones = open_page(), open_page(1000, 800)
    found = {}

    log_in_by_form(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/")
    keep_picture(page, "changelist")
    found["changelist"] = violations(page)

    page.check("#action-toggle")
    page.select_option("select[name=action]", "exotel_call_customer")
    page.click("button[name=index]")
    page.wait_for_selector(".exotel-choose")
    keep_picture(page, "choose")
    found["choose"] = violations(page)

    page.goto(f"{site.url}/admin/helpdesk/ticket/{ticket.pk}/change/")
    keep_picture(page, "change_form")
    found["change_form"] = violations(page)
    press(page)
    keep_picture(page, "calling")
    found["calling"] = violations(page)

    phones.goto(exotel.url)
    phones.wait_for_selector("#phone-agent .answer >> visible=true")
    keep_picture(phones, "phones")
    found["phones"] = violations(phones)
    answer_and_hang_up(phones)
    exotel.speed = 500.0
    exotel.wait_until_quiet(timeout=20)

    page.reload()
    keep_picture(page, "change_form_after")
    found["change_form_after"] = violations(page)
    assert page.input_value("#id_status") == "talked"
    page.click(".exotel-calls a")
    page.wait_for_selector(".field-result")
    keep_picture(page, "call_record")
    found["call_record"] = violations(page)
    keep_findings(found)

    [call] = CallRecord.objects.all()
    [booked] = exotel.book.calls.values()
    assert (call.call_sid, call.talk_time, call.outcome) == (booked.sid, booked.talk_time, "completed")
    assert "Talked for" in page.inner_text(".field-result")
    assert {name: seen for name, seen in found.items() if seen} == {}
