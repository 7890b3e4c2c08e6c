"""Promise 5: nothing on screen claims more than is known."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
import time_machine
from django.utils import timezone, translation

from django_exotel_ccm.descriptions import describe_call
from django_exotel_ccm.models import CallRecord

NOON = datetime.datetime(2026, 3, 4, 6, 30, tzinfo=datetime.UTC)  # 12:00 in Kolkata


class Seeing:
    is_authenticated = True

    def has_perm(self, name: str) -> bool:
        return name == "exotel_ccm.view_customer_number"


def text_of(user: Any = None, **fields: Any) -> str:
    with time_machine.travel(NOON + datetime.timedelta(minutes=1), tick=False):
        defaults = {"agent_label": "Asha", "customer_number": "+919000001001", "created_at": NOON}
        call = CallRecord(**{**defaults, **fields})
        return describe_call(call, user or Seeing())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"state": "requested"}, "Asking Exotel since 12:00 to connect Asha with +919000001001."),
        (
            {"state": "unconfirmed"},
            (
                "Outcome unknown since 12:00: we don't know whether the call to +919000001001 went out. "
                "If Asha's phone does not ring within a minute, call again."
            ),
        ),
        ({"state": "refused"}, "Not called at 12:00: the call to +919000001001 was refused."),
        ({"state": "refused", "customer_number": ""}, "Not called at 12:00: the call to the customer was refused."),
        ({"state": "active"}, "Exotel accepted the request to ring Asha first, then +919000001001, placed at 12:00."),
        (
            {"state": "active", "answered_at": NOON},
            "In progress: a phone was picked up in the call of Asha to +919000001001, placed at 12:00.",
        ),
        (
            {"state": "ended", "outcome": "completed", "talk_time": 102},
            "The call of Asha to +919000001001, placed at 12:00, ended: talked for 1 min 42 s.",
        ),
        (
            {"state": "ended", "outcome": "completed", "talk_time": 0},
            "The call of Asha to +919000001001, placed at 12:00, ended: completed, but nobody talked.",
        ),
        (
            {"state": "ended", "outcome": "completed", "talk_time": None},
            "The call of Asha to +919000001001, placed at 12:00, ended: completed.",
        ),
        (
            {"state": "ended", "outcome": "customer_unanswered", "answered_at": NOON},
            "The call of Asha to +919000001001, placed at 12:00, ended: no answer.",
        ),
        (
            {"state": "ended", "outcome": "failed", "talk_time": 9},
            "The call of Asha to +919000001001, placed at 12:00, ended: failed, talked for 9 s.",
        ),
    ],
)
def test_description_of_each_state(fields: dict[str, Any], sentence: str) -> None:
    assert text_of(**fields) == sentence


def test_description_of_older_call_has_date() -> None:
    with translation.override("en-gb"):
        assert text_of(state="refused", created_at=NOON - datetime.timedelta(days=20)).startswith(
            "Not called at 12/02/2026 12:00: "
        )


def test_description_uses_local_day() -> None:
    # 00:15 in Kolkata is still yesterday in Greenwich.
    early = datetime.datetime(2026, 3, 3, 18, 45, tzinfo=datetime.UTC)

    assert text_of(state="refused", created_at=early).startswith("Not called at 00:15: ")


def test_description_without_use_tz(settings: Any) -> None:
    settings.USE_TZ = False

    assert text_of(state="refused", created_at=timezone.now().replace(hour=9, minute=5)).startswith("Not called at ")


def test_description_masks_number() -> None:
    class Blind:
        is_authenticated = True

        def has_perm(self, name: str) -> bool:
            return False

    assert text_of(Blind(), state="refused") == "Not called at 12:00: the call to +••••••••••01 was refused."
