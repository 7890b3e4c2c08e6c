"""Calls that end in silence, and become due."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from django_exotel_ccm.models import Announcement, CallRecord
from django_exotel_ccm.simulator import Simulator


def finish(exotel: Simulator) -> None:
    """Let every call take its course."""
    exotel.speed = 20_000.0
    exotel.wait_until_quiet(timeout=60)


def make_due(**fields: Any) -> None:
    """Have everything that is planned be due now, and the calls asked about have these ``fields``."""
    now = timezone.now()
    CallRecord.objects.filter(details_check_at__isnull=False).update(details_check_at=now, next_check_at=now, **fields)
    CallRecord.objects.filter(announce_at__isnull=False).update(announce_at=now, next_check_at=now)
    Announcement.objects.filter(next_try_at__isnull=False).update(next_try_at=now)


def asked(exotel: Simulator) -> list[str]:
    """The sids that Exotel was asked about."""
    return [one.path.rpartition("/")[2] for one in exotel.book.requests if one.method == "GET"]
