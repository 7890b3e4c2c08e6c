"""The agent's own phones in a real browser: a refused press leads there, and the phone is turned on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_exotel_ccm.models import Device
from django_exotel_ccm.services import sync_agents
from tests.admin.pages import AGENT_WORK
from tests.browser.conftest import keep_picture, log_in, violations

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


@pytest.mark.parametrize(
    "options",
    [{}, {"dark": True}, {"width": 360}, {"width": 360, "dark": True}],
    ids=["wide", "dark", "narrow", "narrow_dark"],
)
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
