"""What waits for ``exotel_reconcile``: how much is due, how much overdue, and whether anybody reconciles."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping

from django.db import Error as DatabaseError
from django.db import connections, router
from django.utils import timezone

from django_exotel_ccm.models import AccountUsage, CallRecord, UnverifiedCall

logger = logging.getLogger("django_exotel_ccm.services")

OVERDUE_AFTER = datetime.timedelta(minutes=15)
MOST_COUNTED = 1000
"""To how many calls of each kind is counted."""


def count_due(before: datetime.datetime) -> int:
    """Return how many calls were to be checked before this moment; those beyond ``MOST_COUNTED`` are not counted."""
    return sum(
        model.objects.filter(next_check_at__lt=before).order_by()[:MOST_COUNTED].count()
        for model in (CallRecord, UnverifiedCall)
    )


def reconciled_at() -> datetime.datetime | None:
    """Return when a process last reconciled; None if none ever has."""
    ran = AccountUsage.objects.filter(reconciled_at__isnull=False).order_by("-reconciled_at")
    return ran.values_list("reconciled_at", flat=True).first()


def is_reconciler_missing() -> bool:
    """Return True if calls have been due for 15 minutes and no process has reconciled."""
    since = timezone.now() - OVERDUE_AFTER
    due = any(model.objects.filter(next_check_at__lt=since).exists() for model in (CallRecord, UnverifiedCall))
    return due and not AccountUsage.objects.filter(reconciled_at__gte=since).exists()


def gauges() -> Mapping[str, tuple[str, float]]:
    """Return what ``metrics.export`` takes; nothing where the database does not answer. Takes five statements."""
    now = timezone.now()
    # A thread of prometheus-client's own server is no request, at whose end Django would do this.
    _close_old_connection()
    try:
        due, overdue, ran = count_due(now), count_due(now - OVERDUE_AFTER), reconciled_at()
    except DatabaseError:
        logger.exception("What is due could not be counted for Prometheus.")
        return {}
    finally:
        _close_old_connection()
    found: dict[str, tuple[str, float]] = {
        "exotel_ccm_due": (f"Calls to be checked now, at most {MOST_COUNTED} of each kind.", due),
        "exotel_ccm_overdue": ("Those that have waited for more than 15 minutes.", overdue),
    }
    if ran is not None:
        at = timezone.make_aware(ran) if timezone.is_naive(ran) else ran
        found["exotel_ccm_reconciled_timestamp_seconds"] = ("When exotel_reconcile last ran.", at.timestamp())
    return found


def _close_old_connection() -> None:
    connection = connections[router.db_for_read(CallRecord)]
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
