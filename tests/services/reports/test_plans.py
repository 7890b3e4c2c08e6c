"""How SQLite finds the calls of a day and of a month: by the index of their time, and never by reading all."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_exotel_ccm.models import CallRecord, Device
from django_exotel_ccm.models.call_queryset import CallRecordQuerySet
from django_exotel_ccm.services.live_board import live_board
from django_exotel_ccm.services.reports.export import Seen, csv_pieces
from django_exotel_ccm.services.reports.figures import report_of, within
from django_exotel_ccm.services.reports.filters import ReportFilter, calls_in_reach_of
from django_exotel_ccm.services.reports.periods import Period

pytestmark = pytest.mark.sqlite_only(reason="the plans of other databases depend on how many rows there are")
LAST = datetime.date(2026, 11, 26)


def plans_of(work: Any) -> list[str]:
    """Return how SQLite reads tables of ours in each statement of ``work``."""
    with CaptureQueriesContext(connection) as captured:
        work()
    found = []
    with connection.cursor() as cursor:
        for statement in captured:
            cursor.execute(f"EXPLAIN QUERY PLAN {statement['sql']}")
            found += [row[3] for row in cursor.fetchall() if row[3].startswith(("SCAN", "SEARCH"))]
    return found


FILTERS = [
    ("agent", "1"),
    ("group", "1"),
    ("exophone", "1"),
    ("ticket_type", "helpdesk.ticket"),
    ("ticket_type", "none"),
    ("outcome", "busy"),
    ("outcome", "open"),
    ("outcome", "refused"),
    ("disposition", "1"),
]


def read(work: str, calls: CallRecordQuerySet, days: int, user: Any) -> list[str]:
    """Return how SQLite reads tables for the report or the file of so many days."""
    period = Period(LAST - datetime.timedelta(days=days - 1), LAST)

    def report() -> None:
        report_of(calls, period)

    def file() -> None:
        list(csv_pieces(within(calls, period), user, lambda batch: Seen(set(), set())))

    return plans_of({"report": report, "file": file}[work])


def not_by_period(plans: list[str]) -> list[str]:
    """Return those that read more than the calls of some days, and what belongs to them."""
    by_time_or_key = ("created_at>?", "created_at<?", "rowid=?", "call_id=?")
    plans = [plan for plan in plans if not plan.startswith("SCAN exotel_ccm_disposition")]  # a few rows, read once
    return [plan for plan in plans if not plan.startswith("SEARCH") or not any(map(plan.count, by_time_or_key))]


@pytest.mark.django_db
@pytest.mark.parametrize("days", [1, 30])
@pytest.mark.parametrize("work", ["report", "file"])
@pytest.mark.parametrize(("name", "value"), [("", ""), *FILTERS])
def test_calls_of_some_days_are_found_by_an_index(host: Any, days: int, work: str, name: str, value: str) -> None:
    user = host.user("boss")
    calls = ReportFilter(**{name: value} if name else {}).apply(CallRecord.objects.all())

    plans = read(work, calls, days, user)

    assert plans
    if name == "group":  # who is in it is read, too
        plans = [plan for plan in plans if "auth_user_groups" not in plan and "agent_user_id" not in plan]
    assert not_by_period(plans) == []


@pytest.mark.django_db
@pytest.mark.parametrize("work", ["report", "file"])
def test_own_calls_of_some_days_are_found_by_an_index(host: Any, work: str) -> None:
    user = host.user("asha", "exotel_ccm.place_call")

    plans = read(work, calls_in_reach_of(user), 30, user)

    assert plans
    assert not_by_period(plans) == []


@pytest.mark.django_db
def test_live_board_reads_no_table_to_its_end(host: Any) -> None:
    Device.objects.create(agent=host.agent(), exotel_id="1", contact_uri="+919000000101", seen_at=timezone.now())

    plans = [plan for plan in plans_of(live_board) if "exotel_ccm_call" in plan]

    assert plans
    assert [plan for plan in plans if not plan.startswith("SEARCH")] == []
