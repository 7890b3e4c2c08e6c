"""The doctor's page in a real browser: what is wrong can be read on a phone and in the dark, and mended from there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm.models import AccountUsage, ExoPhone
from django_exotel_ccm.services.groups import OF_AGENTS
from tests.browser.conftest import keep_picture, log_in, log_in_by_form, violations
from tests.helpdesk.models import Customer

pytestmark = pytest.mark.browser


@pytest.fixture
def root(host: Any) -> Any:
    """A superuser, and a set-up in which nothing is wrong."""
    host.user("asha", *OF_AGENTS)
    host.ticket()
    AccountUsage.objects.save_moment("default", reconciled_at=timezone.now())
    return host.user("root", is_superuser=True, agent=None)


@pytest.mark.parametrize(
    "options",
    [{}, {"dark": True}, {"width": 360}, {"width": 360, "dark": True}, {"locale": "hi"}],
    ids=["wide", "dark", "narrow", "narrow_dark", "hindi"],
)
def test_page_looks(
    root: Any, site: Any, exotel: Any, open_page: Callable[..., Any], options: Any, request: Any
) -> None:
    Customer.objects.update(phone="12345")
    ExoPhone.objects.update(is_active=False)
    exotel.options.balance = 0
    page = open_page(**options)
    log_in(page, site.url, "root")
    page.goto(f"{site.url}/exotel/doctor/")
    keep_picture(page, f"doctor_before_{request.node.callspec.id}")
    before = violations(page)
    page.click(".exotel-run button")
    page.wait_for_selector(".exotel-is-refused")
    keep_picture(page, f"doctor_{request.node.callspec.id}")

    assert page.locator(".exotel-is-refused").count() == 3
    assert violations(page) == before == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_run_again(root: Any, site: Any, open_page: Callable[..., Any]) -> None:
    ExoPhone.objects.update(is_active=False)
    page = open_page()
    log_in_by_form(page, site.url, "root")
    page.click("text=Check of the set-up")
    page.click("text=Run the check")
    page.wait_for_selector("h2:has-text('1 thing is wrong')")
    ExoPhone.objects.update(is_active=True)

    page.click("text=Run again")

    page.wait_for_selector("h2:has-text('All is well.')")
    keep_picture(page, "doctor_well")
    assert violations(page) == []


def test_page_without_script(root: Any, site: Any, open_page: Callable[..., Any]) -> None:
    page = open_page(java_script_enabled=False)
    log_in(page, site.url, "root")
    page.goto(f"{site.url}/exotel/doctor/")

    page.click("text=Run the check")

    assert page.locator("h2").first.inner_text() == "All is well."
