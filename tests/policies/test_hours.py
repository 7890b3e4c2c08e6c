"""The rule about the time of day where the customer is."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.policies import CallingHours

INDIA, SINGAPORE, NEW_YORK, HONOLULU, TOLL_FREE = (
    "+919000001001",
    "+6581234567",
    "+12125550123",
    "+18085550123",
    "+18005550123",  # any of the zones of North America
)
DIWALI = datetime.date(2026, 11, 8)


def is_holiday(day: datetime.date) -> bool:
    return day == DIWALI


def denied(number: str, at: str, **options: Any) -> str:
    """Return what the rule says at that moment; "" if nothing."""
    with time_machine.travel(at, tick=False):
        return CallingHours(**options)(CallRecord(customer_number=number)) or ""


@pytest.mark.parametrize(
    ("number", "at", "is_denied"),
    [
        (INDIA, "2026-11-26T08:59:00+05:30", True),
        (INDIA, "2026-11-26T09:00:00+05:30", False),
        (INDIA, "2026-11-26T20:59:00+05:30", False),
        (INDIA, "2026-11-26T21:00:00+05:30", True),
        (SINGAPORE, "2026-11-26T18:29:00+05:30", False),  # 20:59 there
        (SINGAPORE, "2026-11-26T18:30:00+05:30", True),
        (NEW_YORK, "2026-11-26T10:00:00+05:30", True),  # 23:30 of the day before
        (NEW_YORK, "2026-07-01T13:00:00+00:00", False),  # 9:00 in summer
        (NEW_YORK, "2026-12-01T13:00:00+00:00", True),  # 8:00 in winter
        (HONOLULU, "2026-12-01T18:59:00+00:00", True),
        (HONOLULU, "2026-12-01T19:00:00+00:00", False),
        (TOLL_FREE, "2026-12-01T14:00:00+00:00", True),  # 9:00 in New York, and night in Honolulu
    ],
)
def test_hours_are_the_customers(number: str, at: str, is_denied: bool) -> None:
    assert bool(denied(number, at)) == is_denied


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        ("2026-11-26T22:00:00+05:30", "November 27, 09:00"),
        ("2026-11-26T06:00:00+05:30", "November 26, 09:00"),
    ],
)
def test_says_from_when_on(at: str, opens: str) -> None:
    with timezone.override("Asia/Kolkata"):
        assert f"You can call from {opens} on." in denied(INDIA, at)


def test_moment_is_told_by_the_agents_clock() -> None:
    with timezone.override("Asia/Kolkata"):
        assert "You can call from November 26, 19:30 on." in denied(NEW_YORK, "2026-11-26T12:00:00+05:30")


def test_weekdays_and_holidays() -> None:
    options = {"weekdays": (0, 1, 2, 3, 4), "holidays": f"{__name__}.is_holiday"}
    with timezone.override("Asia/Kolkata"):
        assert "from November 9, 09:00 on" in denied(INDIA, "2026-11-07T12:00:00+05:30", **options)  # Saturday
        assert "from November 9, 09:00 on" in denied(INDIA, "2026-11-08T12:00:00+05:30", holidays=options["holidays"])
        assert denied(INDIA, "2026-11-09T12:00:00+05:30", **options) == ""


def test_always_closed_says_no_time() -> None:
    said = denied(INDIA, "2026-11-07T12:00:00+05:30", holidays=f"{__name__}.always")

    assert said.endswith("they are called from 09:00 to 21:00.")


def always(day: datetime.date) -> bool:
    return True


def test_host_without_time_zones(settings: Any) -> None:
    settings.USE_TZ = False

    # A naive moment is one of TIME_ZONE.
    assert denied(INDIA, "2026-11-26T08:59:00+05:30")
    assert denied(INDIA, "2026-11-26T09:01:00+05:30") == ""


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"start": "9"}, 'start is a time such as "9:00"'),
        ({"end": "24:00"}, 'end is a time such as "9:00"'),
        ({"start": 9}, 'start is a time such as "9:00"'),
        ({"start": "21:00", "end": "9:00"}, "start is before end"),
        ({"weekdays": []}, "weekdays is a list of numbers from 0 for Monday to 6"),
        ({"weekdays": ["mon"]}, "weekdays is a list of numbers from 0 for Monday to 6"),
        ({"weekdays": [7]}, "weekdays is a list of numbers from 0 for Monday to 6"),
        ({"holidays": "is_holiday"}, "holidays is a dotted path"),
        ({"holidays": is_holiday}, "holidays is a dotted path"),
    ],
)
def test_unusable_options(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        CallingHours(**options)


def test_rule_through_place_call(exotel: Any, press: Callable[..., str], rules: Callable[..., None]) -> None:
    rules(CallingHours={"start": "00:00", "end": "23:59", "holidays": f"{__name__}.always"})

    assert press(INDIA) == "CallingHours"
    assert press(INDIA, override_reason="She asked for a call at night") == "active"
