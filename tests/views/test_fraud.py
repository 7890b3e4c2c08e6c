"""One session of an agent presses 150 times about one customer: after how many it is stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.conf import settings as project
from django.utils import timezone

from django_exotel_ccm.models import CallRecord
from tests.admin.pages import AGENT_WORK, BY_HAND, Session
from tests.templatetags.pages import changed

PRESSES = 150
A_DAY = 10  # the default of CallsPerDay


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    """Press all within one day: the next day allows as many calls again."""
    with time_machine.travel(timezone.localtime().replace(hour=12), tick=True):
        yield


@pytest.mark.parametrize("waits", [True, False])
def test_150_presses_about_one_customer(host: Any, exotel: Any, settings: Any, waits: bool) -> None:
    """The script presses on with the newest call that the answer names, and ``waits`` until each call is over."""
    settings.EXOTEL_CCM = {**project.EXOTEL_CCM, "POLICIES": None}
    exotel.speed = 10_000.0
    session = Session(host.user("asha", *AGENT_WORK))
    [form] = session.change_form(host.ticket(phone=BY_HAND)).call_buttons
    address, answers = form.attributes["action"], Counter[str]()

    for _press in range(PRESSES):
        answer = session.client.post(address, form.data, headers={"Accept": "application/json"}).json()
        answers[answer.get("level", "asked")] += 1
        address = changed(address, after=answer["after"]) if "after" in answer else address
        if waits:
            exotel.wait_until_quiet(timeout=20)

    placed = CallRecord.objects.exclude(state="refused").count()
    refused = Counter(CallRecord.objects.filter(state="refused").values_list("refusal_code", flat=True))
    posts = len([one for one in exotel.book.requests if one.method == "POST"])
    assert placed == posts
    # Each press is on record, or a page asked first because the call that went on has just ended.
    assert placed + sum(refused.values()) + answers["asked"] == PRESSES
    if waits:
        assert (placed, refused) == (A_DAY, {"CallsPerDay": PRESSES - A_DAY})
    else:
        assert 1 <= placed <= A_DAY
        assert set(refused) <= {"OneCallAtATime", "CallsPerDay"}
