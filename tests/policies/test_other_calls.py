"""The rules about the calls that there are already."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from django_exotel_ccm.choices import State
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.policies import CallsPerDay, CoolDown, OneCallAtATime
from django_exotel_ccm.simulator import Simulator

Press = Callable[..., str]
Rules = Callable[..., None]
ASHAS, OTHER = "+919000001001", "+919000001002"
MINUTE = datetime.timedelta(minutes=1)


def in_the_past(minutes: float, **fields: Any) -> None:
    """Have the only call been placed so long ago."""
    CallRecord.objects.update(created_at=timezone.now() - minutes * MINUTE, **fields)


@pytest.mark.books_differ("the call is ended by hand")
def test_agent_with_a_call_in_progress(exotel: Simulator, press: Press, rules: Rules) -> None:
    rules("OneCallAtATime")

    assert [press(ASHAS), press(OTHER)] == ["active", "OneCallAtATime"]

    CallRecord.objects.update(state=State.ENDED)
    assert press(OTHER) == "active"


def test_customer_whom_somebody_is_calling(host: Any, exotel: Simulator, press: Press, rules: Rules) -> None:
    rules("OneCallAtATime")
    vik = host.agent("Vik", "sip:vik4c1d77e2")

    press(ASHAS)

    assert press(ASHAS, agent=vik) == "OneCallAtATime"
    assert press(OTHER, agent=vik) == "active"


@pytest.mark.parametrize(
    ("state", "minutes", "fields", "code"),
    [
        ("requested", 0.5, {}, "OneCallAtATime"),
        ("requested", 1.1, {}, "active"),  # its process is dead
        ("unconfirmed", 0.9, {}, "OneCallAtATime"),
        ("unconfirmed", 1.1, {}, "active"),  # the agent was told to call again after a minute
        ("active", 4.9, {}, "OneCallAtATime"),
        ("active", 5.1, {}, "active"),  # nobody picked up, and no report came
        ("active", 59, {"answered_at": timezone.now()}, "OneCallAtATime"),
        ("active", 61, {"answered_at": timezone.now()}, "active"),
        ("active", 1, {"gave_up_at": timezone.now()}, "active"),
        ("ended", 0.1, {}, "active"),
        ("refused", 0.1, {}, "active"),
    ],
)
@pytest.mark.books_differ("the call is changed by hand")
def test_call_without_reports_ends_to_count_by_itself(  # noqa: PLR0917 - the table
    exotel: Simulator, press: Press, rules: Rules, state: str, minutes: float, fields: dict[str, Any], code: str
) -> None:
    rules("OneCallAtATime")
    press(ASHAS)
    in_the_past(minutes, state=state, **fields)

    assert press(OTHER) == code


@pytest.mark.books_differ("the call is changed by hand")
def test_bounds_can_be_set(exotel: Simulator, press: Press, rules: Rules) -> None:
    rules(OneCallAtATime={"ringing": 2, "longest": 3})
    press(ASHAS)

    in_the_past(2.5)
    assert press(OTHER) == "active"


def test_calls_to_a_customer_in_a_day(host: Any, exotel: Simulator, press: Press, rules: Rules) -> None:
    rules(CallsPerDay={"customer": 2, "agent": None})
    vik = host.agent("Vik", "sip:vik4c1d77e2")

    pressed = [press(ASHAS, agent=vik), press(ASHAS), press(ASHAS), press(ASHAS), press(OTHER), press(OTHER)]

    assert pressed == ["active", "active", "CallsPerDay", "CallsPerDay", "active", "active"]
    refused = CallRecord.objects.filter(state="refused").with_advice()
    assert [call.advice[:38] for call in refused] == ["This customer was called 2 times today"] * 2


def test_calls_of_an_agent_in_a_day(host: Any, exotel: Simulator, press: Press, rules: Rules) -> None:
    rules(CallsPerDay={"agent": 2, "customer": None})
    vik = host.agent("Vik", "sip:vik4c1d77e2")

    pressed = [press(ASHAS), press(ASHAS), press(OTHER), press(OTHER, agent=vik)]

    assert pressed == ["active", "active", "CallsPerDay", "active"]


@pytest.mark.books_differ("calls are moved to yesterday")
def test_day_begins_at_midnight_of_time_zone(exotel: Simulator, press: Press, rules: Rules) -> None:
    rules(CallsPerDay={"customer": 1})
    press(ASHAS)

    # 0:10 in India is 18:40 of the day before in UTC, which is what the database has.
    with time_machine.travel("2026-11-26T00:10:00+05:30", tick=True):
        CallRecord.objects.update(created_at=timezone.now() - 11 * MINUTE)
        assert press(ASHAS) == "active"
        assert press(ASHAS) == "CallsPerDay"


@pytest.mark.books_differ("calls are moved by an hour")
def test_day_begins_when_the_clock_first_shows_midnight(
    exotel: Simulator, press: Press, rules: Rules, settings: Any
) -> None:
    """In Havana it shows the hour after midnight twice on this day."""
    settings.TIME_ZONE = "America/Havana"
    rules(CallsPerDay={"customer": 1})
    press(ASHAS)

    with time_machine.travel("2026-11-01T00:30:00-05:00", tick=True):
        CallRecord.objects.update(created_at=timezone.now() - 80 * MINUTE)
        assert press(ASHAS) == "CallsPerDay"


@pytest.mark.books_differ("calls are moved to the past")
def test_cool_down(host: Any, exotel: Simulator, press: Press, rules: Rules) -> None:
    rules(CoolDown={"minutes": 10})
    press(ASHAS)

    in_the_past(9)
    assert press(ASHAS, agent=host.agent("Vik", "sip:vik4c1d77e2")) == "CoolDown"
    assert press(OTHER) == "active"
    in_the_past(11)
    assert press(ASHAS) == "active"


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        (OneCallAtATime, {"ringing": 0}),
        (OneCallAtATime, {"longest": "60"}),
        (CallsPerDay, {"agent": -1}),
        (CallsPerDay, {"customer": True}),
        (CoolDown, {"minutes": 1.5}),
        (CoolDown, {"minutes": 7 * 24 * 60 + 1}),
    ],
)
def test_unusable_options(rule: type, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is a whole number from 1 to"):
        rule(**options)
