""" "Apply again" in a real browser: from the list over the confirmation page and back, without findings of axe."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_exotel_ccm.choices import EventReason
from django_exotel_ccm.models import CallEvent, CallRecord
from tests.admin.pages import LEDGER, SEES_CALLS
from tests.browser.conftest import keep_picture, log_in, violations
from tests.factories import body_of

pytestmark = pytest.mark.browser


def stored_event(reason: str, reference: uuid.UUID, raw: bytes) -> CallEvent:
    return CallEvent.objects.create(
        kind="callback",
        event="terminal",
        authentication="signed_url",
        reference=reference,
        reason=reason,
        raw=raw,
        fingerprint=uuid.uuid4().hex,
        received_at=timezone.now(),
    )


@pytest.mark.parametrize(("look", "width", "dark"), [("wide", 1280, False), ("narrow_dark", 390, True)])
def test_apply_again_from_the_list(
    look: str, width: int, dark: bool, host: Any, live_server: Any, open_page: Callable[..., Any]
) -> None:
    host.user("meera", SEES_CALLS, "exotel_ccm.change_callevent", *LEDGER, agent=None)
    call = CallRecord.objects.create(account="default", created_at=timezone.now())
    event = stored_event(EventReason.UNKNOWN_CALL, call.reference, body_of(call_status="busy"))
    stored_event(EventReason.UNKNOWN_CALL, uuid.uuid4(), body_of())
    stored_event("", call.reference, b"")
    page = open_page(width, 900, dark=dark)
    log_in(page, live_server.url, "meera")
    found = {}

    page.goto(f"{live_server.url}/admin/exotel_ccm/callevent/{event.pk}/change/")
    keep_picture(page, f"{look}_event")
    found["event"] = violations(page)
    page.goto(f"{live_server.url}/admin/exotel_ccm/callevent/?kind__exact=callback")
    page.check("#action-toggle")
    page.select_option("select[name=action]", "apply_again")
    page.click("button[name=index]")
    page.wait_for_selector(".exotel-confirm")
    keep_picture(page, f"{look}_apply_again")
    found["apply_again"] = violations(page)
    page.click(".exotel-confirm button")
    page.wait_for_selector(".messagelist")
    keep_picture(page, f"{look}_applied")
    found["applied"] = violations(page)

    assert page.url.endswith("?kind__exact=callback")
    assert "1 event was applied." in page.inner_text(".messagelist")
    assert CallRecord.objects.get().outcome == "busy"
    assert {name: seen for name, seen in found.items() if seen} == {}
