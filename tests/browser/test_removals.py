"""The list of purges and erasures in a real browser: the clocks above, what was removed below."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm.models import DoNotCall, Removal
from tests.browser.conftest import keep_picture, log_in, violations

pytestmark = pytest.mark.browser
CLOCKS = {"raw_bodies": 90, "recordings": 180, "do_not_call": 30}


@pytest.mark.parametrize(
    "options",
    [{}, {"dark": True}, {"width": 360}, {"width": 360, "dark": True}, {"locale": "hi"}],
    ids=["wide", "dark", "narrow", "phone", "hindi"],
)
def test_page_looks(
    host: Any, site: Any, open_page: Callable[..., Any], settings: Any, options: dict[str, Any], request: Any
) -> None:
    look = request.node.callspec.id
    host.user("root", is_superuser=True, agent=None)
    page = open_page(**options)
    log_in(page, site.url, "root")
    address = f"{site.url}/admin/exotel_ccm/removal/"

    page.goto(address)
    page.wait_for_selector(".exotel-empty")
    keep_picture(page, f"removals_empty_{look}")
    found = violations(page)
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RETENTION": CLOCKS}
    now = timezone.now()
    DoNotCall.objects.create(number="+919000001009", expires_at=now - datetime.timedelta(days=40))
    for days, kind, removed in ((1, "raw_bodies", 412), (2, "customer", 3), (2, "recordings", 57)):
        moment = now - datetime.timedelta(days=days)
        before = moment - datetime.timedelta(days=90) if kind != "customer" else None
        ended_at = None if kind == "recordings" else moment
        Removal.objects.create(kind=kind, removed=removed, before=before, started_at=moment, ended_at=ended_at)
    page.goto(f"{address}add/")
    page.fill("#id_number", "+919000001009")
    keep_picture(page, f"removals_erase_{look}")
    found += violations(page)
    page.click("input[name=_save]")
    page.goto(address)
    page.wait_for_selector("#result_list")
    keep_picture(page, f"removals_{look}")
    found += violations(page)

    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
