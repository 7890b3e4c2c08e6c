"""How SQLite finds the calls of a day and of a month: by the index of their time, and never by reading all."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services.live_board import live_board
from django_exotel_ccm.services.reports.export import Seen, csv_pieces
from django_exotel_ccm.services.reports.figures import report_of, within
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
            found += [row[3] for row in cursor.fetchall() if "exotel_ccm_call" in row[3]]
    return found


@pytest.mark.django_db
@pytest.mark.parametrize("days", [1, 30])
@pytest.mark.parametrize("work", ["report", "file"])
def test_calls_of_some_days_are_found_by_an_index(host: Any, days: int, work: str) -> None:
    period = Period(LAST - datetime.timedelta(days=days - 1), LAST)
    calls, user = CallRecord.objects.all(), host.user("boss")

    def report() -> None:
        report_of(calls, period)

    def file() -> None:
        list(csv_pieces(within(calls, period), user, lambda batch: Seen(set(), set())))

    plans = plans_of({"report": report, "file": file}[work])

    assert plans
    by_time_or_key = ("created_at>?", "created_at<?", "rowid=?", "call_id=?")
    assert [plan for plan in plans if not plan.startswith("SEARCH") or not any(map(plan.count, by_time_or_key))] == []


@pytest.mark.django_db
def test_live_board_reads_no_table_to_its_end(host: Any) -> None:
    plans = plans_of(live_board)

    assert plans
    assert [plan for plan in plans if not plan.startswith("SEARCH")] == []
