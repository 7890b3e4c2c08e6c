"""Under an admin theme the page that asks calls once, and our pages about calls can be read and used."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.models import Agent, Announcement, CallRecord, Device
from django_exotel_ccm.services import place_call
from tests.helpdesk.models import Ticket
from tests.themes.conftest import Browse
from tests.themes.desk import LOOKS, run_action
from tests.themes.looks import look_at


def assert_one_call(exotel: Any, ticket: Ticket) -> None:
    """The simulator has seen one call about this ticket, and the ticket is as it was."""
    assert [call.ticket for call in CallRecord.objects.all()] == [ticket]
    assert len([seen for seen in exotel.book.requests if seen.method == "POST"]) == 1
    ticket.refresh_from_db()
    assert (ticket.notes, ticket.status) == ("", "open")


def test_action_through_the_choose_page(host: Any, exotel: Any, browse: Browse) -> None:
    host.ticket("Wet carpet")
    ticket = host.ticket(other="+919000001010")
    page = browse()
    page.goto("/admin/helpdesk/ticket/")

    run_action(page, "exotel_call_customer", ticket.pk)
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
    Agent.objects.filter(pk=asha.pk).update(exotel_user_id=exotel.agent(asha.contact_uri).user_id)
    seen_at = timezone.now() + datetime.timedelta(minutes=1)  # after the calls, so none of them makes it old news
    Device.objects.create(agent=asha, exotel_id="8", contact_uri="+919000000101", is_verified=True, seen_at=seen_at)
    failed = Announcement.objects.get(signal="call_ended")
    chosen = "&".join(f"exotel_ticket={ticket.pk}" for ticket in tickets)
    return {
        "form": f"/admin/helpdesk/ticket/{tickets[0].pk}/change/",
        "choose": f"/exotel/choose/?exotel_adapter=admin&exotel_type=helpdesk.ticket&{chosen}",
        "call": f"/admin/exotel_ccm/callrecord/{call.pk}/change/",
        "announcement": f"/admin/exotel_ccm/announcement/{failed.pk}/change/",
    }


def test_our_pages_can_be_read_and_used(addresses: dict[str, str], browse: Browse) -> None:
    problems = []
    for look, options in LOOKS.items():
        page = browse(**options)
        for name, address in addresses.items():
            page.goto(address)
            problems += look_at(page, f"{look}_{name}")
        page.goto("/admin/exotel_ccm/announcement/?state__exact=failed")
        run_action(page, "try_now", Announcement.objects.filter(signal="call_ended").earliest("pk").pk)
        page.wait_for_selector("form.exotel-confirm")
        problems += look_at(page, f"{look}_confirm")

    assert not problems, "\n".join(problems)
