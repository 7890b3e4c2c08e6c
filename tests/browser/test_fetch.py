"""Agents from Exotel in a real browser: one press fetches them, and a user is chosen by typing, in the list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_exotel_ccm.models import Agent
from tests.browser.conftest import keep_picture, log_in, violations

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("name", "look"), [("agents", {}), ("agents-phone-dark", {"width": 360, "dark": True})])
def test_fetch_and_choose(
    name: str, look: dict[str, Any], host: Any, site: Any, exotel: Any, open_page: Callable[..., Any]
) -> None:
    host.user("root", is_superuser=True, agent=None)
    asha = host.user("asha", agent=None)
    page = open_page(**look)
    log_in(page, site.url, "root")
    page.goto(f"{site.url}/admin/exotel_ccm/agent/")
    page.click("text=Fetch agents from Exotel")
    page.wait_for_selector(".messagelist")

    assert "4 added" in page.inner_text(".messagelist")
    assert Agent.objects.get(user=asha).name == "Asha"
    # Select2, which is Django's own, gives the text inside its box no name; the box itself has one.
    assert [found for found in violations(page) if "select2-id_form" not in found] == []
    keep_picture(page, name)
    row = page.locator("#result_list tbody tr", has_text="Vik")
    row.locator(".select2-selection").click()
    page.keyboard.type("roo")
    page.click(".select2-results__option:has-text('root')")
    page.click("[name=_save]")
    page.wait_for_selector(".messagelist .success")

    assert Agent.objects.get(name="Vik").user.username == "root"
