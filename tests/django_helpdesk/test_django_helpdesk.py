"""The cookbook's recipe for django-helpdesk, from a press on its own ticket page to the follow-up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from helpdesk.models import CustomField, Queue, Ticket

from django_exotel_ccm.models import CallRecord
from tests.browser.conftest import CALLING, answer_and_hang_up, chromium, keep_picture, open_page, site  # noqa: F401
from tests.django_helpdesk.settings import CODE, TEMPLATE

PHONE = "+919000001001"
LOOKS: dict[str, dict[str, Any]] = {"wide": {}, "dark": {"dark": True}, "narrow": {"width": 360, "height": 800}}


@pytest.fixture
def ticket(host: Any) -> Ticket:
    host.user("asha", "exotel_ccm.place_call", "helpdesk.view_ticket")
    field = CustomField.objects.create(
        name="phone", label="Phone", data_type="varchar", max_length=30, required=False, staff_only=False
    )
    ticket = Ticket.objects.create(
        title="Invoice shows the old address", queue=Queue.objects.create(title="Support", slug="support")
    )
    ticket.ticketcustomfieldvalue_set.create(field=field, value=PHONE)
    return ticket


@pytest.mark.parametrize("look", LOOKS)
def test_press_to_public_follow_up(
    ticket: Ticket,
    exotel: Any,
    site: Any,  # noqa: F811
    open_page: Callable[..., Any],  # noqa: F811
    look: str,
) -> None:
    page, phones = open_page(**LOOKS[look]), open_page(1000, 800)
    page.goto(f"{site.url}/helpdesk/login/?next=/helpdesk/tickets/{ticket.pk}/")
    page.fill("[name=username]", "asha")
    page.fill("[name=password]", "pw")
    page.press("[name=password]", "Enter")
    page.wait_for_selector("button.exotel-call")
    keep_picture(page, f"django_helpdesk_{look}")

    page.click("button.exotel-call")
    page.wait_for_selector(CALLING)
    phones.goto(exotel.url)
    answer_and_hang_up(phones)
    page.wait_for_selector(".exotel-headline:has-text('Talked with')")
    keep_picture(page, f"django_helpdesk_{look}_ended")

    call = CallRecord.objects.get()
    assert (call.ticket, call.customer_number) == (ticket, PHONE)
    [follow_up] = ticket.followup_set.all()
    assert follow_up.title.startswith("Call: talked for")
    assert (follow_up.public, follow_up.user) == (True, call.placed_by)
    page.reload()
    page.wait_for_selector("text=Call: talked for")


def test_recipe_is_short() -> None:
    lines = [line for text in (*CODE.values(), TEMPLATE) for line in text.splitlines() if line.strip()]

    assert len(lines) < 20
