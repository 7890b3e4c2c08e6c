"""A long table, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet


def batches(rows: QuerySet[Any], size: int) -> Iterator[list[Any]]:
    """Yield all rows in the order of their keys, at most ``size`` at a time. Rows may change or go meanwhile."""
    batch = list(rows.order_by("pk")[:size])
    while batch:
        yield batch
        batch = list(rows.filter(pk__gt=batch[-1].pk).order_by("pk")[:size])
