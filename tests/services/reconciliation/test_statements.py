"""How many statements a pass needs: the same for each call, however many calls there are."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services.reconciliation.reconcile import reconcile
from tests.services.reconciliation.due_calls import make_due
from tests.services.test_placing_statements import BEGIN, statements

HEARTBEAT = ["UPDATE accountusage"]
CLAIM = [*BEGIN, "UPDATE callrecord", "COMMIT"]
BUDGET = ["UPDATE accountusage"]
ANSWERED = ["UPDATE accountusage"]  # failures in a row are over
STORED = [
    *BEGIN,
    "SELECT callrecord",
    "SELECT callevent",
    "INSERT callevent",
    "UPDATE callrecord",
    "INSERT announcement",
    "COMMIT",
]


def test_pass_without_due_calls(db: None) -> None:
    reconcile()

    with CaptureQueriesContext(connection) as captured:
        reconcile()

    assert statements(captured) == [*HEARTBEAT, "SELECT callrecord", "SELECT unverifiedcall"]


def test_each_call_needs_the_same_statements(silent: Callable[[int], list[CallRecord]]) -> None:
    silent(4)
    CallRecord.objects.update(details_check_at=None, next_check_at=None)
    first, *others = CallRecord.objects.all()
    CallRecord.objects.filter(pk=first.pk).update(details_check_at=first.created_at, next_check_at=first.created_at)
    minute = timezone.now().replace(second=0, microsecond=0) + datetime.timedelta(minutes=1)
    with time_machine.travel(minute):
        reconcile()  # the minute is begun, and has a minute left
        CallRecord.objects.exclude(pk=first.pk).update(details_check_at=first.created_at)
        make_due()
        with CaptureQueriesContext(connection) as captured:
            reconcile()

    each = [*CLAIM, *BUDGET, *ANSWERED, *STORED]
    batch = ["SELECT callrecord"]
    assert statements(captured) == [*HEARTBEAT, *batch, *each * len(others), *batch, "SELECT unverifiedcall"]
