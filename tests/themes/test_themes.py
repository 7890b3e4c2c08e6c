"""Under an admin theme a press calls once and saves nothing, and our pages can be read and used."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from django_exotel_ccm import signals
from django_exotel_ccm.models import Agent, Announcement, CallRecord
from django_exotel_ccm.services import place_call
from tests.admin.pages import AGENT_WORK, LEDGER, SEES_CALLS, SEES_NUMBERS
from tests.browser.conftest import chromium, open_page, press, site  # noqa: F401
from tests.helpdesk.models import Ticket
from tests.themes.looks import look_at

EDITED = "He wants a new fan"
SUPERVISES = ("dial_any_number", "place_call_for_others", "listen_recording", "change_announcement")
PHONE: dict[str, Any] = {"width": 390, "height": 844, "is_mobile": True}

Browse = Callable[..., Any]


@pytest.fixture
def browse(host: Any, client: Any, site: Any, open_page: Callable[..., Any]) -> Browse:  # noqa: F811
    """Return a page of asha's browser, which loads nothing from other hosts."""
    permissions = (SEES_CALLS, SEES_NUMBERS, *LEDGER, *(f"exotel_ccm.{name}" for name in SUPERVISES))
    host.user("asha", *AGENT_WORK, *permissions)
    host.agent("Vik", "sip:vik4c1d77e2")
    client.login(username="asha", password="pw")
    session = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": site.url}

    def browse(**look: Any) -> Any:
        page = open_page(base_url=site.url, **look)
        page.context.add_cookies([session])
        page.route(re.compile(rf"^(?!{site.url}/)"), abort)
        return page

    return browse


def abort(route: Any) -> None:
    route.abort()


def run_action(page: Any, name: str, row: str = "") -> None:
    """Choose a row and run an action: by its button, where the theme makes buttons of actions, else by the menu."""
    # Themes hide the box and the menu, and draw others.
    page.eval_on_selector(f"[name=_selected_action]{row}", "box => box.click()")
    button = page.locator(f".actions button[data-name={name}]")
    if button.count():
        button.click()
    else:
        page.select_option("select[name=action]", name, force=True)
        page.click("button[name=index]")


def assert_one_call(exotel: Any, ticket: Ticket) -> None:
    """The simulator has seen one call about this ticket, and the ticket is as it was."""
    assert [call.ticket for call in CallRecord.objects.all()] == [ticket]
    assert len([seen for seen in exotel.book.requests if seen.method == "POST"]) == 1
    ticket.refresh_from_db()
    assert (ticket.notes, ticket.status) == ("", "open")


def test_press_on_a_half_edited_form(host: Any, exotel: Any, browse: Browse) -> None:
    ticket = host.ticket()
    page = browse()
    page.goto(f"/admin/helpdesk/ticket/{ticket.pk}/change/")
    page.fill("[name=notes]", EDITED)

    press(page)

    assert_one_call(exotel, ticket)
    assert page.input_value("[name=notes]") == EDITED


def test_action_through_the_choose_page(host: Any, exotel: Any, browse: Browse) -> None:
    host.ticket("Wet carpet")
    ticket = host.ticket(other="+919000001010")
    page = browse()
    page.goto("/admin/helpdesk/ticket/")

    run_action(page, "call_customer", f"[value='{ticket.pk}']")
    page.check("[name=exotel_number] >> nth=1")
    page.click("button.exotel-call")
    page.wait_for_selector("text=Exotel accepted the request")

    assert_one_call(exotel, ticket)
    assert CallRecord.objects.get().customer_number == "+919000001010"


def fail(**kwargs: Any) -> None:
    raise ConnectionError("no mail server")


@pytest.fixture
def addresses(browse: Browse, host: Any, exotel: Any, receivers: Any) -> dict[str, str]:
    """The pages to look at, about a call that was recorded and whose end could not be mailed; another one goes on."""
    tickets = [
        host.ticket("Ceiling fan in the meeting room makes a noise since Monday"),
        host.ticket("Wet carpet", phone="+919000001002", other="+919000001010"),
        host.ticket("Asked for a quote", phone="ask at the desk"),
    ]
    receivers(signals.call_ended, fail, dispatch_uid="helpdesk.mail_the_manager")
    exotel.options.by_hand = False
    exotel.options.recording_delay = 0.0
    exotel.speed = 500.0
    asha = Agent.objects.get(name="Asha")
    call = place_call(agent=asha, ticket=tickets[0], recording=True, placed_by=asha.user)
    exotel.wait_until_quiet(timeout=20)
    exotel.options.by_hand = True
    exotel.speed = 1.0
    place_call(agent=asha, ticket=tickets[1], to="+919000001002", placed_by=asha.user)
    failed = Announcement.objects.get(signal="call_ended")
    chosen = "&".join(f"exotel_ticket={ticket.pk}" for ticket in tickets)
    return {
        "list": "/admin/helpdesk/ticket/",
        "form": f"/admin/helpdesk/ticket/{tickets[0].pk}/change/",
        "choose": f"/exotel/choose/?exotel_adapter=admin&exotel_type=helpdesk.ticket&{chosen}",
        "my_calls": "/exotel/my-calls/?exotel_adapter=admin",
        "call": f"/admin/exotel_ccm/callrecord/{call.pk}/change/",
        "announcement": f"/admin/exotel_ccm/announcement/{failed.pk}/change/",
    }


def test_our_pages_can_be_read_and_used(addresses: dict[str, str], browse: Browse) -> None:
    problems = []
    for look, options in (("wide", {}), ("phone", PHONE)):
        page = browse(**options)
        for name, address in addresses.items():
            page.goto(address)
            problems += look_at(page, f"{look}_{name}")
        page.goto("/admin/exotel_ccm/announcement/?state__exact=failed")
        run_action(page, "try_now")
        page.wait_for_selector("form.exotel-confirm")
        problems += look_at(page, f"{look}_confirm")
    page = browse(dark=True)
    for name in ("form", "choose"):
        page.goto(addresses[name])
        problems += look_at(page, f"dark_{name}")

    assert not problems, "\n".join(problems)
