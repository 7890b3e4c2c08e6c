"""Calls that end without a report, and become due."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from django_exotel_ccm.models import Announcement, CallRecord
from django_exotel_ccm.simulator import Simulator


def end_calls(exotel: Simulator) -> None:
    """Run the simulator fast until every call has ended."""
    exotel.speed = 20_000.0
    exotel.wait_until_quiet(timeout=60)


def make_due(**fields: Any) -> None:
    """Change everything that is planned to be due now, and set ``fields`` of the calls to check."""
    now = timezone.now()
    CallRecord.objects.filter(details_check_at__isnull=False).update(details_check_at=now, next_check_at=now, **fields)
    CallRecord.objects.filter(announce_at__isnull=False).update(announce_at=now, next_check_at=now)
    Announcement.objects.filter(next_try_at__isnull=False).update(next_try_at=now)


def requested_sids(exotel: Simulator) -> list[str]:
    """Return the sids for which Call Details were requested, in order."""
    return [one.path.rpartition("/")[2] for one in exotel.book.requests if one.method == "GET"]
