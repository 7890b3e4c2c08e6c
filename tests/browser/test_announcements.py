"""Failed announcements in a real browser: found in the list, and "Try now" from the list and from the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.models import Announcement, CallRecord
from tests.browser.conftest import keep_picture, log_in, violations
from tests.factories import record_callback

pytestmark = pytest.mark.browser
LOOKS = {"wide": (1280, 900, False), "narrow_dark": (390, 844, True)}


class Mailer:
    """A receiver that fails while it is ``broken``."""

    broken = True

    def __call__(self, **kwargs: Any) -> None:
        if self.broken:
            raise ConnectionError("no mail server for +919000001001")


@pytest.fixture
def mailer(host: Any, receivers: Any) -> Mailer:
    """Three calls whose end could not be mailed, and a user who may retry."""
    made = Mailer()
    receivers(signals.call_ended, made, dispatch_uid="helpdesk.mail_the_manager")
    for _call in range(3):
        call = CallRecord.objects.create(account="default", created_at=timezone.now())
        record_callback(call, "terminal", status="completed", talk_time=42)
    permissions = ("view_announcement", "change_announcement", "view_callrecord")
    host.user("meera", *(f"exotel_ccm.{name}" for name in permissions), agent=None)
    return made


@pytest.mark.parametrize("look", LOOKS)
def test_failed_announcements_are_tried_now(
    look: str, mailer: Mailer, live_server: Any, open_page: Callable[..., Any]
) -> None:
    width, height, dark = LOOKS[look]
    page = open_page(width, height, dark=dark)
    found = {}

    def look_at(name: str) -> None:
        keep_picture(page, f"{look}_announcement_{name}")
        found[name] = violations(page)

    log_in(page, live_server.url, "meera")
    page.goto(f"{live_server.url}/admin/exotel_ccm/announcement/?state__exact=failed")
    look_at("list")
    page.check("#action-toggle")
    page.select_option("select[name=action]", "try_now")
    page.click("#changelist-form button[name=index]")
    page.wait_for_selector("form.exotel-confirm")
    look_at("confirmation")
    page.click("form.exotel-confirm button")
    page.wait_for_selector(".messagelist")
    assert "state__exact=failed" in page.url
    look_at("failed_again")

    page.click("#result_list tbody th a")
    page.wait_for_selector(".exotel-tool")
    look_at("page")
    mailer.broken = False
    page.click(".exotel-tool button")
    page.wait_for_selector(".messagelist .success")
    look_at("done")

    assert Announcement.objects.filter(signal="call_ended", state="done").count() == 1
    assert {name: seen for name, seen in found.items() if seen} == {}
