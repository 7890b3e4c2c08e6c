"""The agent's own phones in a real browser: a refused press leads there, and the phone is turned on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_exotel_ccm.models import Device
from django_exotel_ccm.services import sync_agents
from tests.admin.pages import AGENT_WORK
from tests.browser.conftest import CALLING, keep_picture, log_in, violations

pytestmark = pytest.mark.browser
PHONE = "+919000000101"


@pytest.fixture
def asha(host: Any, exotel: Any) -> Any:
    """An agent whose phone is off, and whose softphone is not verified."""
    user = host.user("asha", *AGENT_WORK)
    agent = exotel.agent(PHONE)
    exotel.directory.add_device(agent, "sip:asha4c1d77e2", "unverified")
    agent.device = "off"
    sync_agents("default")
    return user


def test_phone_is_turned_on_after_a_refusal(
    asha: Any, host: Any, exotel: Any, site: Any, open_page: Callable[..., Any]
) -> None:
    page = open_page()
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/{host.ticket().pk}/change/")
    page.click("button.exotel-call")
    page.wait_for_selector(".exotel-panel >> text=Turn the device on, then call again.")
    page.goto(site.url + page.get_attribute(".exotel-panel a:has-text('Correct it')", "href"))
    page.click("button:has-text('Turn it on')")
    page.wait_for_selector(f"text=Your calls ring on {PHONE} now.")

    assert Device.objects.get(contact_uri=PHONE).is_on
    assert exotel.agent(PHONE).device == "on"


SAID = ".exotel-phone [role=status]"


@pytest.fixture
def open_ticket(asha: Any, host: Any, site: Any, open_page: Callable[..., Any]) -> Callable[..., Any]:
    """Open a ticket's page, with an edit that is not saved."""

    def open_one(**options: Any) -> Any:
        page = open_page(**options)
        log_in(page, site.url, "asha")
        page.goto(f"{site.url}/admin/helpdesk/ticket/{host.ticket().pk}/change/")
        page.fill("#id_notes", "Wants a new fan")
        page.evaluate("window.isSamePage = true")
        return page

    return open_one


def test_phone_is_turned_on_where_the_call_was_refused(asha: Any, exotel: Any, open_ticket: Callable[..., Any]) -> None:
    """The page does not know yet that the phone is off. It stays, and so does what was typed."""
    Device.objects.filter(contact_uri=PHONE).update(is_on=True)
    page = open_ticket()
    assert f"Your calls ring on {PHONE}." in page.inner_text(SAID)
    page.click("button.exotel-call")
    page.wait_for_selector(f"{SAID} >> text=Your phone is off in Exotel, so your calls may be refused.")
    keep_picture(page, "my_phone_on_the_ticket_refused")

    sent: list[Any] = []

    def keep(route: Any) -> None:
        sent.append(route)

    page.route("**/my-phone/**", keep)
    page.click("button.exotel-switch")
    assert page.inner_text("button.exotel-switch[aria-disabled=true]") == "Turning it on…"
    page.click("button.exotel-switch", force=True)
    page.wait_for_timeout(200)
    [route] = sent
    route.continue_()
    page.wait_for_selector(f"{SAID} >> text=Your calls ring on {PHONE} now.")
    assert exotel.agent(PHONE).device == "on"
    assert page.locator("button.exotel-switch").count() == 0
    assert page.evaluate("document.activeElement.textContent") == "My phone"
    page.click("button.exotel-call")
    page.wait_for_selector(CALLING)

    assert page.evaluate("window.isSamePage")
    assert page.input_value("#id_notes") == "Wants a new fan"
    assert len(page.context.pages) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "The phone is not verified in Exotel."),
        ({"status": 302, "headers": {"Location": "/admin/login/"}}, "You are logged out, so nothing was changed."),
        ({"status": 403, "body": "CSRF"}, "Nothing was changed: this page is too old."),
        ({"status": 502, "body": "<p>Sorry</p>"}, "We don't know whether that worked."),
    ],
    ids=["refused", "logged out", "old page", "broken"],
)
def test_phone_that_is_not_turned_on(
    asha: Any, host: Any, exotel: Any, open_ticket: Callable[..., Any], answer: Any, said: str
) -> None:
    page = open_ticket()
    exotel.agent(PHONE).device = "unverified"
    if answer is not None:
        page.route("**/my-phone/**", lambda route: route.fulfill(**answer))

    page.focus("button.exotel-switch")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{SAID} >> text={said}")

    assert page.evaluate("document.activeElement.matches('button.exotel-switch:not([aria-disabled=true])')")
    assert page.evaluate("window.isSamePage")
    assert page.input_value("#id_notes") == "Wants a new fan"


def test_without_script_the_way_leads_back(
    asha: Any, host: Any, exotel: Any, site: Any, open_page: Callable[..., Any]
) -> None:
    page = open_page(java_script_enabled=False)
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/{host.ticket().pk}/change/")
    with page.context.expect_page() as opened:
        page.click("text=Turn it on")
    opened.value.click("button:has-text('Turn it on')")
    opened.value.wait_for_selector(f".messagelist >> text=Your calls ring on {PHONE} now.")

    assert opened.value.url == page.url
    opened.value.reload()
    assert exotel.agent(PHONE).device == "on"


LOOKS = [{}, {"dark": True}, {"width": 360}, {"width": 360, "dark": True}]


@pytest.mark.parametrize("options", LOOKS, ids=["wide", "dark", "narrow", "narrow_dark"])
def test_ticket_looks(open_ticket: Callable[..., Any], options: dict[str, Any], request: Any) -> None:
    page, look = open_ticket(**options), request.node.callspec.id
    keep_picture(page, f"my_phone_off_on_the_ticket_{look}")
    found = violations(page)
    page.click("button.exotel-switch")
    page.wait_for_selector(f"{SAID} >> text=Your calls ring on {PHONE} now.")
    keep_picture(page, f"my_phone_turned_on_on_the_ticket_{look}")
    found += violations(page)
    page.reload()
    page.wait_for_selector("button.exotel-call")
    keep_picture(page, f"my_phone_on_on_the_ticket_{look}")
    found += violations(page)

    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("options", LOOKS, ids=["wide", "dark", "narrow", "narrow_dark"])
def test_page_looks(asha: Any, site: Any, open_page: Callable[..., Any], options: dict[str, Any], request: Any) -> None:
    page = open_page(**options)
    log_in(page, site.url, "asha")
    found = []
    for name in ("my-phone", "my-calls"):
        page.goto(f"{site.url}/exotel/{name}/")
        page.wait_for_selector("button:has-text('Turn it on')")
        keep_picture(page, f"{name}_{request.node.callspec.id}")
        found += violations(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    assert found == []
