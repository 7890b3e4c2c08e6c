"""A rule in a real browser: the button says why not, a reason calls all the same, and a press is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_exotel_ccm.models import CallRecord, DoNotCall
from tests.admin.pages import AGENT_WORK, BY_HAND, OTHER, SEES_CALLS, SEES_NUMBERS
from tests.browser.conftest import CALLING, keep_picture, log_in, violations

pytestmark = pytest.mark.browser
LISTED = "This customer is on the do-not-call list."
LOOKS = [{}, {"dark": True}, {"width": 360}, {"width": 360, "dark": True}]


@pytest.fixture(autouse=True)
def default_rules(site: Any, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": None}


@pytest.mark.parametrize("options", LOOKS, ids=["wide", "dark", "narrow", "phone"])
def test_reason_to_call_anyway(
    host: Any, site: Any, open_page: Callable[..., Any], options: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    look = request.node.callspec.id
    host.user("asha", *AGENT_WORK, SEES_CALLS, SEES_NUMBERS, "exotel_ccm.override_policy")
    ticket = host.ticket("Wants the yearly plan", phone=BY_HAND)
    other = host.ticket("Ceiling fan hums", phone=OTHER)
    DoNotCall.objects.create(number=BY_HAND)
    page = open_page(**options)
    log_in(page, site.url, "asha")

    page.goto(f"{site.url}/admin/helpdesk/ticket/")
    page.wait_for_selector("summary:has-text('on the do-not-call list')")
    keep_picture(page, f"rules_list_{look}")
    found = violations(page)
    page.goto(f"{site.url}/admin/helpdesk/ticket/{ticket.pk}/change/")
    assert page.is_disabled("button:has-text('Call customer')")
    assert LISTED in page.inner_text("#exotel-obstacle")
    keep_picture(page, f"rules_form_{look}")
    found += violations(page)
    page.click("text=Call anyway")
    page.fill("input[name=exotel_override]", "She wrote that she waits for our call")
    keep_picture(page, f"rules_choose_{look}")
    found += violations(page)
    page.click("button.exotel-call")
    page.wait_for_selector(CALLING)
    page.wait_for_selector("text=Called although a rule said no")
    keep_picture(page, f"rules_called_{look}")
    found += violations(page)
    chosen = f"exotel_ticket={ticket.pk}&exotel_ticket={other.pk}"
    page.goto(f"{site.url}/exotel/choose/?exotel_adapter=admin&exotel_type=helpdesk.ticket&{chosen}")
    page.wait_for_selector("text=1 of 2 can be called now.")
    keep_picture(page, f"rules_preview_{look}")
    found += violations(page)

    assert found == []
    assert CallRecord.objects.get().overridden_rules == "DoNotCall"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_press_during_the_own_call_is_refused_without_a_reload(
    host: Any, site: Any, exotel: Any, open_page: Callable[..., Any]
) -> None:
    """The panel says the refusal, and follows the call in progress on."""
    host.user("asha", *AGENT_WORK, SEES_CALLS)
    first, second = host.ticket("First", phone=BY_HAND), host.ticket("Second", phone=OTHER)
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/{first.pk}/change/")
    page.click("button.exotel-call")
    page.wait_for_selector(CALLING)

    page.goto(f"{site.url}/admin/helpdesk/ticket/{second.pk}/change/")
    page.click("button.exotel-call")

    page.wait_for_selector(".exotel-panel [role=status] >> text=You are in a call. Call again when it is over.")
    assert page.is_visible(CALLING)  # of the call in progress
    keep_picture(page, "rules_own_call")
    assert violations(page) == []
    assert page.is_enabled("button.exotel-call")
    assert page.locator(".exotel-panel a:has-text('Call anyway')").count() == 0
    assert list(CallRecord.objects.order_by("pk").values_list("state", flat=True)) == ["active", "refused"]
    [sid] = exotel.book.calls
    exotel.press(sid, "agent", "decline")
    page.wait_for_selector(".exotel-headline:has-text('You did not pick up')")
    assert page.inner_text(".exotel-notice") == ""


@pytest.mark.parametrize("options", [{}, {"width": 360, "dark": True}], ids=["wide", "phone"])
def test_reason_after_a_refusal(
    host: Any, site: Any, open_page: Callable[..., Any], options: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    """The panel leads from the refusal to the reason, in another tab where this one has unsaved edits."""
    host.user("asha", *AGENT_WORK, SEES_CALLS, "exotel_ccm.override_policy")
    first, second = host.ticket("First", phone=BY_HAND), host.ticket("Second", phone=OTHER)
    page, look = open_page(**options), request.node.callspec.id
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/{first.pk}/change/")
    page.click("button.exotel-call")
    page.wait_for_selector(CALLING)
    page.goto(f"{site.url}/admin/helpdesk/ticket/{second.pk}/change/")
    page.fill("#id_notes", "Wants a new fan")
    page.click("button.exotel-call")

    with page.context.expect_page() as opened:
        page.click(".exotel-panel a:has-text('Call anyway')")
    keep_picture(page, f"rules_anyway_panel_{look}")
    asked = opened.value
    asked.wait_for_selector(".exotel-choose >> text=You are in a call.")
    keep_picture(asked, f"rules_anyway_{look}")
    found = violations(page) + violations(asked)
    asked.fill("input[name=exotel_override]", "Her line is dead, and the call before hangs")
    asked.click("button.exotel-call")
    asked.wait_for_selector("text=Called although a rule said no (OneCallAtATime)")

    assert found == []
    assert page.input_value("#id_notes") == "Wants a new fan"
    assert CallRecord.objects.latest("pk").override_reason == "Her line is dead, and the call before hangs"


@pytest.mark.parametrize("options", LOOKS, ids=["wide", "dark", "narrow", "phone"])
def test_import(
    host: Any,
    site: Any,
    open_page: Callable[..., Any],
    tmp_path: Any,
    options: dict[str, Any],
    request: pytest.FixtureRequest,
) -> None:
    host.user("meera", "exotel_ccm.view_donotcall", "exotel_ccm.add_donotcall", SEES_NUMBERS, agent=None)
    look, path = request.node.callspec.id, tmp_path / "list.csv"
    path.write_text(f"phone;reason\n{BY_HAND};Wrote to us\n9.19E+11;\n=1+1;\n{OTHER};\n")
    page = open_page(**options)
    log_in(page, site.url, "meera")

    page.goto(f"{site.url}/admin/exotel_ccm/donotcall/")
    keep_picture(page, f"do_not_call_empty_{look}")
    found = violations(page)
    page.click("text=Import from a file")
    page.set_input_files("input[type=file]", path)
    page.click("button:has-text('Import')")
    page.wait_for_selector("text=2 numbers added")
    keep_picture(page, f"do_not_call_import_{look}")
    found += violations(page)
    page.click("text=Back to the list")
    page.wait_for_selector(f"text={BY_HAND}")
    keep_picture(page, f"do_not_call_list_{look}")
    found += violations(page)

    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
