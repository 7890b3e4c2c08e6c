"""Calls by the quarter of an hour in which they were placed: the finest step in which clocks of two zones differ.

The database counts by it without knowing any time zone: MariaDB has tables of them only where somebody has loaded them,
and SQLite would call Python for each row. What remains for Python are at most 96 rows a day.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from django.db import models

from django_exotel_ccm import conf
from django_exotel_ccm.local_time import local_zone

SECONDS = 15 * 60
EPOCH = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 - what the database's own clock shows


class QuarterHour(models.Func):
    """The quarters of an hour from the beginning of 1970 to a moment, by the clock in which the database keeps it."""

    output_field = models.BigIntegerField()
    arity = 1

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """PostgreSQL keeps moments."""
        template = "FLOOR(EXTRACT(EPOCH FROM %(expressions)s) / 900)::bigint"
        return super().as_sql(compiler, connection, template=template, **context)

    def as_mysql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """MariaDB keeps what a clock shows."""
        template = "FLOOR(TIMESTAMPDIFF(SECOND, '1970-01-01', %(expressions)s) / 900)"
        return super().as_sql(compiler, connection, template=template, **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """SQLite keeps the text of what a clock shows. Its own functions would round up the end of a second."""
        template = "(CAST(strftime('%%%%s', substr(%(expressions)s, 1, 19)) AS INTEGER) / 900)"
        return super().as_sql(compiler, connection, template=template, **context)


def local_clock(connection: Any) -> Callable[[int], datetime.datetime]:
    """Return a function that says when a :class:`QuarterHour` of this database begins, as the user's clock shows it."""
    zone = local_zone()
    if connection.features.supports_timezones:
        # Without USE_TZ, Django has the session of such a database in the zone of the settings.
        return lambda quarter: datetime.datetime.fromtimestamp(quarter * SECONDS, zone)
    if not conf.uses_time_zones():
        return _shown
    return lambda quarter: _shown(quarter).replace(tzinfo=connection.timezone).astimezone(zone)


def _shown(quarter: int) -> datetime.datetime:
    return EPOCH + datetime.timedelta(seconds=quarter * SECONDS)
