"""What commands say when the database fails: no traceback, but what to type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db import Error as DatabaseFailure

ADVICE = "Run it again; if a table is missing, first type: python manage.py migrate"


@contextmanager
def explain_database_errors() -> Iterator[None]:
    """Raise ``CommandError`` with advice for any database error inside; what was committed before stays."""
    try:
        yield
    except DatabaseFailure as error:
        raise CommandError(f"The database failed, nothing is lost: {error}\n{ADVICE}") from error
