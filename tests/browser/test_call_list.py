"""A call list in a real browser: called, skipped and ended by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_exotel_ccm.models import CallListItem, DoNotCall
from django_exotel_ccm.services.call_lists import create_call_list
from tests.admin.pages import AGENT_WORK, BY_HAND, SEES_CALLS
from tests.browser.conftest import CALLING, keep_picture, log_in, violations
from tests.helpdesk.models import Ticket

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    "options",
    [{}, {"dark": True}, {"width": 360}, {"width": 360, "dark": True}],
    ids=["wide", "dark", "narrow", "phone"],
)
def test_list_from_its_first_ticket_to_its_end(
    host: Any, site: Any, open_page: Callable[..., Any], options: dict[str, Any], request: Any, settings: Any
) -> None:
    asha, look = host.user("asha", *AGENT_WORK, SEES_CALLS), request.node.callspec.id
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": None}
    DoNotCall.objects.create(number=BY_HAND)
    keys = [host.ticket("Wants the yearly plan").pk, host.ticket("Ceiling fan hums at night", phone=BY_HAND).pk]
    made = create_call_list(owner=asha, name="Renewals November", model=Ticket, keys=keys)
    page = open_page(**options)
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/exotel/call-lists/{made.pk}/")
    page.focus("button.exotel-call")
    page.keyboard.press("Enter")
    page.wait_for_selector(CALLING)
    keep_picture(page, f"call_list_{look}")
    found = violations(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # "Next"
    page.wait_for_selector("h2:has-text('Ceiling fan hums at night')")
    page.keyboard.press("Tab")
    page.wait_for_selector("text=This customer is on the do-not-call list.")
    keep_picture(page, f"call_list_denied_{look}")
    found += violations(page)
    page.click("button[value=skip]")
    page.wait_for_selector("text=The end of the list")
    keep_picture(page, f"call_list_end_{look}")
    found += violations(page)
    page.click("text=My calls >> nth=-1")
    page.wait_for_selector("text=Renewals November")
    keep_picture(page, f"call_list_my_calls_{look}")
    found += violations(page)

    assert found == []
    assert list(CallListItem.objects.order_by("position").values_list("state", flat=True)) == ["called", "skipped"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
