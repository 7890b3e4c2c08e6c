"""Each figure against a second computation by Python alone, in time zones of all kinds."""

from __future__ import annotations

import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_exotel_ccm.models import Agent, CallRecord, ExoPhone
from django_exotel_ccm.services.live_board import live_board
from django_exotel_ccm.services.reports.figures import Report, Row, report_of
from django_exotel_ccm.services.reports.periods import Period
from tests.helpdesk.models import Lead, Ticket
from tests.services.reports import plain_python

pytestmark = pytest.mark.django_db
ZONES = ("Asia/Kolkata", "America/New_York", "Asia/Kathmandu")
FIRST, LAST = datetime.date(2026, 10, 20), datetime.date(2026, 11, 10)  # New York puts its clock back on November 1
BEGAN = datetime.datetime(2026, 10, 17, tzinfo=datetime.UTC)
HOURS = [BEGAN + datetime.timedelta(hours=hour) for hour in range(28 * 24)]
AROUND_THE_CHANGE = [datetime.datetime(2026, 11, 1, hour, tzinfo=datetime.UTC) for hour in range(4, 8)]
KNOWN_STATEMENTS = 6


def names(rows: list[Row]) -> dict[str, Any]:
    return {row.name: row.figures for row in rows}


def assert_equals_second_computation(report: Report, calls: list[CallRecord], zone: datetime.tzinfo) -> None:
    local = {call.pk: call.created_at.astimezone(zone) for call in calls}
    calls = [call for call in calls if FIRST <= local[call.pk].date() <= LAST]
    by_hour = plain_python.grouped(calls, lambda call: local[call.pk].hour)
    by_day = plain_python.grouped(calls, lambda call: local[call.pk].date())

    assert report.total == plain_python.figures(calls)
    assert list(report.days) == [FIRST + datetime.timedelta(days=number) for number in range(22)]
    assert {day: figures for day, figures in report.days.items() if not figures.is_empty} == by_day
    assert {hour: figures for hour, figures in report.hours.items() if not figures.is_empty} == by_hour
    assert names(report.agents) == plain_python.grouped(calls, lambda call: call.agent_label)
    exophones = plain_python.grouped(calls, lambda call: call.exophone_number)
    assert {name.rpartition(" ")[2]: found for name, found in names(report.exophones).items()} == {
        number or "ExoPhone": found for number, found in exophones.items()
    }
    kinds = plain_python.grouped(calls, lambda call: call.ticket_content_type and call.ticket_content_type.model)
    assert names(report.ticket_types) == {str(kind or "no ticket").capitalize(): one for kind, one in kinds.items()}
    assert report.outcomes == plain_python.outcomes(calls)
    refused = [call.refusal_code for call in calls if call.state == "refused"]
    assert report.refusals == {code: refused.count(code) for code in set(refused)}
    found = {row.name: (row.figures.calls, row.figures.reached) for row in report.dispositions}
    assert found == plain_python.dispositions([call for call in calls if call.state != "refused"])


def test_figures_equal_a_second_computation() -> None:
    tickets = [Ticket.objects.create(subject="Fan"), Lead.objects.create(name="Quote")]
    plain_python.make_calls(10_000, HOURS + 40 * AROUND_THE_CHANGE, tickets)
    calls = list(CallRecord.objects.select_related("ticket_content_type"))
    assert len(calls) == 10_000

    for name in ZONES:
        with timezone.override(ZoneInfo(name)), CaptureQueriesContext(connection) as statements:
            report = report_of(CallRecord.objects.all(), Period(FIRST, LAST))
        assert_equals_second_computation(report, calls, ZoneInfo(name))
        assert len([one for one in statements if "django_content_type" not in one["sql"]]) == KNOWN_STATEMENTS


@pytest.mark.parametrize("zone", ZONES)
def test_without_use_tz(settings: Any, zone: str) -> None:
    settings.TIME_ZONE, settings.USE_TZ = zone, False
    day = datetime.date(2026, 10, 20)
    for clock in ("2026-10-19 23:59:59", "2026-10-20 00:00:00", "2026-10-20 13:30:00", "2026-10-20 23:59:59.5"):
        CallRecord.objects.create(account="default", state="ended", created_at=datetime.datetime.fromisoformat(clock))

    report = report_of(CallRecord.objects.all(), Period(day, day))

    assert report.total.calls == 3
    assert report.days[day].calls == 3
    assert {hour: one.calls for hour, one in report.hours.items() if one.calls} == {0: 1, 13: 1, 23: 1}


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/New_York", "2026-03-08", 23),
        ("America/New_York", "2026-11-01", 25),
        ("Africa/Cairo", "2026-04-24", 23),  # its clock skips midnight
        ("America/Havana", "2026-11-01", 25),  # its clock shows the first hour twice
        ("Pacific/Apia", "2011-12-30", 0),  # a day that never was
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
    ],
)
def test_day_on_which_the_clock_is_changed(zone: str, day: str, hours: float) -> None:
    date = datetime.date.fromisoformat(day)
    with timezone.override(ZoneInfo(zone)):
        period = Period(date, date)
        assert period.end - period.start == datetime.timedelta(hours=hours)
        moments = [period.start - datetime.timedelta(seconds=1), period.end]
        quarters = round(hours * 4)
        moments += [period.start + number * datetime.timedelta(minutes=15) for number in range(quarters)]
        CallRecord.objects.bulk_create(
            CallRecord(account="default", state="ended", created_at=moment) for moment in moments
        )

        report = report_of(CallRecord.objects.all(), period)

    assert report.total.calls == quarters
    assert report.days == {date: report.total}
    assert sum(one.calls for one in report.hours.values()) == quarters


@pytest.mark.parametrize(
    ("zone", "now", "begins"),
    [
        ("America/Havana", "2026-11-01T00:30-04:00", "2026-11-01T00:00-04:00"),
        ("America/Havana", "2026-11-01T00:30-05:00", "2026-11-01T00:00-04:00"),  # the clock shows it again
        ("Africa/Cairo", "2026-04-24T01:10+03:00", "2026-04-24T01:00+03:00"),
        ("Asia/Kolkata", "2026-11-01T23:59+05:30", "2026-11-01T00:00+05:30"),
    ],
)
def test_today_of_the_live_board_begins_when_that_of_a_report_does(zone: str, now: str, begins: str) -> None:
    first = datetime.datetime.fromisoformat(begins)
    with timezone.override(ZoneInfo(zone)), time_machine.travel(datetime.datetime.fromisoformat(now), tick=False):
        for seconds in (-1, 0, 1):
            CallRecord.objects.create(account="default", created_at=first + datetime.timedelta(seconds=seconds))
        today = timezone.localdate()
        report = report_of(CallRecord.objects.all(), Period(today, today))
        board = live_board()

    assert (report.total.calls, board.today.calls) == (2, 2)


def test_last_moment_of_a_day_is_of_that_day() -> None:
    day = datetime.date(2026, 10, 20)
    with timezone.override(ZoneInfo("Asia/Kolkata")):
        period = Period(day, day + datetime.timedelta(days=1))
        last = period.start + datetime.timedelta(days=1, microseconds=-1)
        CallRecord.objects.create(account="default", state="ended", created_at=last)

        report = report_of(CallRecord.objects.all(), period)

    assert [one.calls for one in report.days.values()] == [1, 0]
    assert {hour: one.calls for hour, one in report.hours.items() if one.calls} == {23: 1}


def test_no_calls_are_no_division_by_zero() -> None:
    report = report_of(CallRecord.objects.none(), Period(FIRST, LAST))

    assert report.total.is_empty
    assert report.total.answer_rate is None
    assert report.total.mean_talk_time is None
    assert len(report.days) == 22
    assert report.agents == []


def test_refused_is_no_call(calls: Any) -> None:
    now = datetime.datetime(2026, 10, 25, 12, tzinfo=datetime.UTC)
    calls.requested(state="refused", refusal_code="DoNotCall", created_at=now)
    calls.requested(state="ended", outcome="busy", talk_time=0, created_at=now, refusal_code="1012")

    report = report_of(CallRecord.objects.all(), Period(FIRST, LAST))

    assert (report.total.calls, report.total.refused) == (1, 1)
    assert report.refusals == {"DoNotCall": 1}
    assert report.outcomes == {"busy": 1}
    assert sum(one.refused for one in report.days.values()) == 1


def test_answer_rate_is_of_ended_calls(calls: Any) -> None:
    now = datetime.datetime(2026, 10, 25, 12, tzinfo=datetime.UTC)
    calls.requested(state="active", talk_time=30, created_at=now)
    calls.requested(state="ended", outcome="completed", talk_time=30, created_at=now)
    calls.requested(state="ended", outcome="busy", talk_time=0, created_at=now)

    total = report_of(CallRecord.objects.all(), Period(FIRST, LAST)).total

    assert (total.ended, total.reached, total.mean_talk_time) == (2, 2, 30)
    assert total.answer_rate == 0.5


@pytest.mark.parametrize("is_first", [True, False])
def test_exophone_that_was_added_again_keeps_its_label(calls: Any, *, is_first: bool) -> None:
    now = datetime.datetime(2026, 10, 25, 12, tzinfo=datetime.UTC)
    exophone = ExoPhone.objects.create(number="+918000000701", label="Sales")
    for one in (exophone, None) if is_first else (None, exophone):
        fields = {"exophone": one, "exophone_number": exophone.number}
        calls.requested(state="ended", created_at=now, **fields)

    [row] = report_of(CallRecord.objects.all(), Period(FIRST, LAST)).exophones

    assert (row.name, row.figures.calls) == ("Sales +918000000701", 2)


def test_agents_of_two_accounts_are_told_apart(calls: Any) -> None:
    now = datetime.datetime(2026, 10, 25, 12, tzinfo=datetime.UTC)
    for account in ("default", "mumbai"):
        asha = Agent.objects.create(name="Asha", account=account, contact_uri="+919000000101")
        calls.requested(state="ended", agent=asha, agent_label="Asha", created_at=now)

    report = report_of(CallRecord.objects.all(), Period(FIRST, LAST))

    assert [row.name for row in report.agents] == ["Asha", "Asha (mumbai)"]


def test_deleted_agents_keep_their_names(calls: Any) -> None:
    now = datetime.datetime(2026, 10, 25, 12, tzinfo=datetime.UTC)
    for name in ("Asha", "Vik"):
        calls.requested(state="ended", agent_label=name, created_at=now)

    report = report_of(CallRecord.objects.all(), Period(FIRST, LAST))

    assert [row.name for row in report.agents] == ["Asha", "Vik"]
