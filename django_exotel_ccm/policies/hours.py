"""The rule about the time of day where the customer is."""

from __future__ import annotations

import datetime
import re
import zoneinfo
from collections.abc import Iterable, Sequence

import phonenumbers
from django.utils import timezone
from django.utils.translation import gettext as _
from phonenumbers import timezone as phone_zones

from django_exotel_ccm import conf
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.policies.base import Denial, Policy, moment
from django_exotel_ccm.policies.known import Known

DAY = datetime.timedelta(days=1)
LOOKED_AHEAD = 15  # days, for the next hour in which the customer can be called
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


class CallingHours(Policy):
    """Customers are called from ``start`` (9:00) to ``end`` (21:00) by their own clock, on ``weekdays``.

    The zone is that of the customer's number; of a number that may be in several zones, the hours of all of them hold,
    and of one without a known zone those of ``TIME_ZONE``. ``weekdays`` are numbers from 0, Monday, to 6 (all).
    ``holidays`` is the dotted path of a callable ``(day) -> bool`` that returns True for a date without calls.

    Off by default: a customer who waits for a call at 21:30 shall get it, and which hours bind whom is no question for
    a program (docs/rules.md has the Indian facts).
    """

    def __init__(
        self,
        start: str = "9:00",
        end: str = "21:00",
        weekdays: Iterable[int] = range(7),
        holidays: str | None = None,
    ) -> None:
        self._start, self._end = _time("start", start), _time("end", end)
        if self._start >= self._end:
            raise ValueError(f"start is before end on the same day, not {start!r} and {end!r}.")
        self._weekdays = frozenset(weekdays)
        if not self._weekdays or not self._weekdays <= frozenset(range(7)):
            raise ValueError("weekdays is a list of numbers from 0 for Monday to 6 for Sunday.")
        if holidays is not None and not conf.is_dotted_path(holidays):
            raise ValueError(f'holidays is a dotted path, such as "crm.calendar.is_holiday", not {holidays!r}.')
        if holidays is not None:
            conf.load(holidays)
        self._holidays = holidays

    def denials(self, calls: Sequence[CallRecord], known: Known) -> list[Denial | None]:
        """Ask the clock; no statement of ours."""
        now, opening = _aware_now(), _Days(self._weekdays, self._holidays)
        by_zones: dict[frozenset[datetime.tzinfo], Denial | None] = {}
        found: list[Denial | None] = []
        for call in calls:
            zones = _zones_of(call.customer_number) if call.customer_number else frozenset()
            if zones and zones not in by_zones:
                by_zones[zones] = self._denial(zones, now, opening)
            found.append(by_zones.get(zones))
        return found

    def _denial(self, zones: frozenset[datetime.tzinfo], now: datetime.datetime, days: _Days) -> Denial | None:
        opens = self._next_opening(zones, now, days)
        if opens == now:
            return None
        hours = {"start": f"{self._start:%H:%M}", "end": f"{self._end:%H:%M}"}
        text = _("By the customer's clock this is no time to call: they are called from %(start)s to %(end)s.") % hours
        if opens is not None:
            text = _("%(text)s You can call from %(from)s on.") % {"text": text, "from": moment(opens)}
        return Denial(_("outside calling hours"), text)

    def _next_opening(
        self, zones: frozenset[datetime.tzinfo], now: datetime.datetime, days: _Days
    ) -> datetime.datetime | None:
        """Return the first moment from ``now`` on at which it is time to call in all of the zones; None if far ahead.

        Such a moment is ``now``, or the start of a day in one of the zones.
        """
        starts = [
            datetime.datetime.combine(now.astimezone(zone).date() + ahead * DAY, self._start, zone).astimezone(
                datetime.UTC
            )
            for zone in zones
            for ahead in range(LOOKED_AHEAD)
        ]
        for at in [now, *sorted(start for start in starts if start > now)]:
            local = [at.astimezone(zone) for zone in zones]
            if all(self._start <= one.time() < self._end and days.are_open(one.date()) for one in local):
                return at
        return None


class _Days:
    """On which days customers are called. The host is asked once about each."""

    def __init__(self, weekdays: frozenset[int], holidays: str | None) -> None:
        self._weekdays = weekdays
        self._is_holiday = conf.load(holidays) if holidays else None
        self._known: dict[datetime.date, bool] = {}

    def are_open(self, day: datetime.date) -> bool:
        if day not in self._known:
            is_closed = day.weekday() not in self._weekdays or (self._is_holiday is not None and self._is_holiday(day))
            self._known[day] = not is_closed
        return self._known[day]


def _time(name: str, text: object) -> datetime.time:
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f'{name} is a time such as "9:00", not {text!r}.')
    return datetime.time(int(found[1]), int(found[2]))


def _aware_now() -> datetime.datetime:
    now = timezone.now()
    return now if timezone.is_aware(now) else timezone.make_aware(now, timezone.get_default_timezone())


def _zones_of(number: str) -> frozenset[datetime.tzinfo]:
    """Return the zones in which the number (E.164) can be; that of ``TIME_ZONE`` if none is known."""
    zones: set[datetime.tzinfo] = set()
    for name in phone_zones.time_zones_for_number(phonenumbers.parse(number)):
        try:
            zones.add(zoneinfo.ZoneInfo(name))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):  # "Etc/Unknown"
            continue
    return frozenset(zones) or frozenset({timezone.get_default_timezone()})
