"""Retention: raw bodies are emptied when they are old; what was read of them stays."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from django.db import router
from django.db.models import Q, QuerySet
from django.utils import timezone

from django_exotel_ccm.choices import EventReason
from django_exotel_ccm.models import CallEvent
from django_exotel_ccm.services.committing import commit

BATCH = 500
APPLIED = Q(reason__in=("", EventReason.HINT))


def with_bodies(before: datetime.datetime) -> QuerySet[CallEvent]:
    """Return the events received before a moment whose raw bodies are still there."""
    events = CallEvent.objects.using(router.db_for_write(CallEvent))
    return events.filter(received_at__lt=before, purged_at=None).exclude(raw=b"")


def purge(events: QuerySet[CallEvent]) -> Iterator[int]:
    """Empty the raw bodies of ``events`` (see :func:`with_bodies`), and yield after each batch how many so far.

    Each batch is a short transaction of its own: the next run goes on where one was broken off.
    """
    purged, rest = 0, events
    while batch := list(rest.order_by("received_at").values_list("pk", "received_at")[:BATCH]):
        keys = [key for key, _received_at in batch]

        def empty(keys: list[int] = keys) -> int:
            return events.filter(pk__in=keys).update(raw=b"", purged_at=timezone.now())

        purged += commit(empty, using=events.db)
        yield purged
        # What is emptied is left out by the filter; what came before it need not be walked through again.
        rest = events.filter(received_at__gte=batch[-1][1])
