"""Pictures of our pages on stock admin: light and dark, wide and as narrow as a phone, and nothing that axe minds."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm.choices import State
from django_exotel_ccm.models import AccountUsage, CallRecord, ExoPhone, RecordingAccess, UnverifiedCall
from tests.admin.pages import AGENT_WORK, BY_HAND, SEES_CALLS, SEES_NUMBERS
from tests.browser.conftest import keep_picture, log_in, violations

pytestmark = pytest.mark.browser
LOOKS = {
    "wide": (1280, 900, False),
    "dark": (1280, 900, True),
    "narrow": (390, 844, False),
    "narrow_dark": (390, 844, True),
}


@pytest.fixture
def addresses(host: Any, live_server: Any) -> dict[str, str]:
    """The pages to look at, with something on each."""
    host.user(
        "asha",
        *AGENT_WORK,
        SEES_CALLS,
        SEES_NUMBERS,
        "exotel_ccm.view_callevent",
        "exotel_ccm.dial_any_number",
        "exotel_ccm.place_call_for_others",
        "exotel_ccm.choose_exophone",
    )
    ExoPhone.objects.create(number="+911140000701", label="Delhi")
    host.agent("Vik", "sip:vik4c1d77e2")
    now = timezone.now()
    tickets = [
        host.ticket("Ceiling fan in the meeting room makes a noise since Monday", phone=BY_HAND),
        host.ticket("Wet carpet", phone="+919000001002", other="+919000001010"),
        host.ticket("Asked for a quote", phone="ask at the desk"),
    ]
    common = {
        "account": "default",
        "agent_label": "Asha",
        "customer_number": BY_HAND,
        "ticket": tickets[0],
        "ticket_label": str(tickets[0]),
        "created_at": now,
        "exophone_number": "+918000000700",
        "exophone_choice": "of_agent",
    }
    CallRecord.objects.create(**common, state=State.ENDED, outcome="completed", talk_time=102, total_duration=121)
    CallRecord.objects.create(**common, state=State.REFUSED, refusal_code="1012")
    call = CallRecord.objects.create(**common, state=State.UNCONFIRMED)
    chosen = "&".join(f"exotel_ticket={ticket.pk}" for ticket in tickets)
    return {
        "changelist": "/admin/helpdesk/ticket/",
        "change_form": f"/admin/helpdesk/ticket/{tickets[0].pk}/change/",
        "choose": f"/exotel/choose/?exotel_adapter=admin&exotel_type=helpdesk.ticket&{chosen}",
        "call_record": f"/admin/exotel_ccm/callrecord/{call.pk}/change/",
        "calls": "/admin/exotel_ccm/callrecord/",
    }


@pytest.fixture
def enter(live_server: Any, open_page: Callable[..., Any]) -> Callable[[str, str], Any]:
    """Log a user in, in a browser of one of the LOOKS."""

    def enter(look: str, username: str) -> Any:
        width, height, dark = LOOKS[look]
        page = open_page(width, height, dark=dark)
        log_in(page, live_server.url, username)
        return page

    return enter


@pytest.mark.parametrize("look", LOOKS)
def test_pages_are_accessible(
    look: str, addresses: dict[str, str], live_server: Any, enter: Callable[[str, str], Any]
) -> None:
    found = look_at(enter(look, "asha"), live_server.url, addresses, look)

    assert found == {}


@pytest.fixture
def books(host: Any) -> dict[str, str]:
    """The pages of events and accesses, while calls are due and no process reconciles."""
    names = ("callrecord", "unverifiedcall", "accountusage", "recordingaccess")
    host.user("meera", *(f"exotel_ccm.view_{name}" for name in names), agent=None)
    now = timezone.now()
    long_ago = now - datetime.timedelta(minutes=20)
    common = {"account": "default", "agent_label": "Asha", "created_at": long_ago, "customer_number": BY_HAND}
    call = CallRecord.objects.create(**common, state=State.ACTIVE, next_check_at=long_ago)
    unverified = UnverifiedCall.objects.create(
        account="default", call_sid="7574eb90", reported_at=long_ago, next_check_at=now
    )
    AccountUsage.objects.create(
        account="default", minute=long_ago, requests_this_minute=60, failures=3, paused_until=now
    )
    RecordingAccess.objects.create(call=call, user_label="asha", recording="0123456789abcdef", listened_at=now)
    return {
        "overdue_calls": "/admin/exotel_ccm/callrecord/",
        "overdue_call": f"/admin/exotel_ccm/callrecord/{call.pk}/change/",
        "unverified_calls": "/admin/exotel_ccm/unverifiedcall/",
        "unverified_call": f"/admin/exotel_ccm/unverifiedcall/{unverified.pk}/change/",
        "account_usage": "/admin/exotel_ccm/accountusage/",
        "recording accesses": "/admin/exotel_ccm/recordingaccess/",
    }


@pytest.mark.parametrize("look", ["wide", "narrow_dark"])
def test_logs_and_warning_are_accessible(
    look: str, books: dict[str, str], live_server: Any, enter: Callable[[str, str], Any]
) -> None:
    page = enter(look, "meera")

    found = look_at(page, live_server.url, books, look)
    page.goto(live_server.url + books["overdue_calls"])

    assert found == {}
    assert "python manage.py exotel_reconcile --forever" in page.inner_text(".messagelist .warning")


def look_at(page: Any, site: str, addresses: dict[str, str], look: str) -> dict[str, list[str]]:
    """Keep a picture of each page, and return what axe minds."""
    found = {}
    for name, address in addresses.items():
        assert page.goto(site + address).status == 200
        keep_picture(page, f"{look}_{name}")
        found[name] = violations(page)
    return {name: seen for name, seen in found.items() if seen}
