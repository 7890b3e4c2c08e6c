"""When to call back: what is offered, and the moments of a clock that skips hours and shows some of them twice."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from django_exotel_ccm.call_back_times import chosen_time, offered_times
from django_exotel_ccm.exceptions import InvalidFollowUp

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


@pytest.fixture
def berlin() -> Iterator[None]:
    with time_machine.travel(datetime.datetime(2027, 3, 27, 12, tzinfo=BERLIN), tick=False), timezone.override(BERLIN):
        yield


@pytest.mark.parametrize(
    ("choice", "typed", "moment"),
    [
        ("hour", "", datetime.datetime(2027, 3, 27, 13, tzinfo=BERLIN)),
        ("evening", "", datetime.datetime(2027, 3, 27, 18, tzinfo=BERLIN)),
        ("tomorrow", "", datetime.datetime(2027, 3, 28, 10, tzinfo=BERLIN)),
        ("chosen", "2027-04-01T09:30", datetime.datetime(2027, 4, 1, 9, 30, tzinfo=BERLIN)),
        ("chosen", " 2027-04-01T09:30 ", datetime.datetime(2027, 4, 1, 9, 30, tzinfo=BERLIN)),
        ("chosen", "2027-10-31T02:30", datetime.datetime(2027, 10, 31, 0, 30, tzinfo=datetime.UTC)),
        ("chosen", "2027-04-01T09:30Z", datetime.datetime(2027, 4, 1, 9, 30, tzinfo=datetime.UTC)),
    ],
)
def test_moment(choice: str, typed: str, moment: datetime.datetime, berlin: None) -> None:
    assert chosen_time(choice, typed) == moment


def test_hour_that_the_clock_skips(berlin: None) -> None:
    with pytest.raises(InvalidFollowUp, match="skips that hour"):
        chosen_time("chosen", "2027-03-28T02:30")


@pytest.mark.parametrize(
    ("choice", "typed"),
    [("", ""), ("chosen", " "), ("never", "2027-04-01T09:30"), ("chosen", "9" * 1_000_000)]
    + [("chosen", date) for date in ("2027-04-01", "20270401", "2027-W13-4")],
)
def test_what_is_no_moment(choice: str, typed: str, berlin: None) -> None:
    with pytest.raises(InvalidFollowUp, match="Choose"):
        chosen_time(choice, typed)


def test_naive_times(settings: Any, berlin: None) -> None:
    settings.USE_TZ = False

    assert chosen_time("chosen", "2027-03-28T02:30") == datetime.datetime(2027, 3, 28, 2, 30)  # noqa: DTZ001
    # TIME_ZONE is Asia/Kolkata, and counts here; not the zone of the user.
    assert chosen_time("chosen", "2027-04-01T10:00Z") == datetime.datetime(2027, 4, 1, 15, 30)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("hour", "names"), [(12, ["hour", "evening", "tomorrow"]), (18, ["hour", "tomorrow"]), (23, ["hour", "tomorrow"])]
)
def test_evening_is_offered_until_it_comes(hour: int, names: list[str]) -> None:
    now = datetime.datetime(2027, 3, 27, hour, tzinfo=BERLIN)
    with time_machine.travel(now, tick=False), timezone.override(BERLIN):
        assert [name for name, _label in offered_times()] == names
