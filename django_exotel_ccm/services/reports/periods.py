"""The days of a report, in the user's time zone."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

from django_exotel_ccm.local_time import local_now, start_of_day

MAX_DAYS = 366
FIRST, LAST = datetime.date(1970, 1, 2), datetime.date(2999, 12, 30)
DAY = datetime.timedelta(days=1)
DEFAULT = "this_week"
NAMES = {
    "today": pgettext_lazy("telephony", "Today"),
    "yesterday": pgettext_lazy("telephony", "Yesterday"),
    "this_week": pgettext_lazy("telephony", "This week"),
    "last_week": pgettext_lazy("telephony", "Last week"),
    "this_month": pgettext_lazy("telephony", "This month"),
    "last_month": pgettext_lazy("telephony", "Last month"),
}
"""The periods that have a name. A week begins on Monday."""


class InvalidPeriod(ValueError):
    """The dates are no period; the text says what to change."""


@dataclass(frozen=True, slots=True)
class Period:
    """All days from ``first`` to ``last``, both included."""

    first: datetime.date
    last: datetime.date

    @property
    def start(self) -> datetime.datetime:
        """The moment at which the first day begins."""
        return start_of_day(self.first)

    @property
    def end(self) -> datetime.datetime:
        """The moment at which the day after the last one begins."""
        return start_of_day(self.last + DAY)

    @property
    def days(self) -> list[datetime.date]:
        """Each day, in order."""
        return [self.first + number * DAY for number in range((self.last - self.first).days + 1)]


def read_period(values: Mapping[str, str]) -> Period:
    """Return the period of an address: ``from`` and ``to``, dates in ISO format, or ``dates``, one of :data:`NAMES`.

    Without ``to`` it ends today, without ``from`` it is the one day. Raises :class:`InvalidPeriod` for dates that are
    none, that are reversed, or that are more than :data:`MAX_DAYS` apart.
    """
    first, last = values.get("from", "").strip(), values.get("to", "").strip()
    if not first and not last:
        return named_period(values.get("dates", ""))
    today = local_now().date()
    begins = _date(first) if first else _date(last)
    ends = _date(last) if last else max(today, begins)
    if ends < begins:
        raise InvalidPeriod(_("The first day is after the last day. Change one of the dates."))
    if (ends - begins).days >= MAX_DAYS:
        raise InvalidPeriod(
            _("A report has at most %(count)d days. Choose dates that are nearer to each other.") % {"count": MAX_DAYS}
        )
    return Period(begins, ends)


def named_period(name: str) -> Period:
    """Return the period that is called so today; that of :data:`DEFAULT` for any other name."""
    today = local_now().date()
    monday, first = today - today.weekday() * DAY, today.replace(day=1)
    match name:
        case "today":
            return Period(today, today)
        case "yesterday":
            return Period(today - DAY, today - DAY)
        case "last_week":
            return Period(monday - 7 * DAY, monday - DAY)
        case "this_month":
            return Period(first, today)
        case "last_month":
            return Period((first - DAY).replace(day=1), first - DAY)
    return Period(monday, today)


def _date(text: str) -> datetime.date:
    try:
        date = datetime.date.fromisoformat(text)
    except ValueError:
        raise InvalidPeriod(_("That is not a date. Write it as year, month and day, such as 2026-11-26.")) from None
    if not FIRST <= date <= LAST:
        raise InvalidPeriod(_("There are no calls at that date. Choose one between 1970 and 2999."))
    return date
