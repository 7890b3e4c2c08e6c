"""When a customer is called back: the times that a page offers, and what a form says in return."""

from __future__ import annotations

import datetime

from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.translation import gettext as _

from django_exotel_ccm import conf
from django_exotel_ccm.exceptions import InvalidFollowUp
from django_exotel_ccm.local_time import local_now, to_local

EVENING, MORNING = datetime.time(18), datetime.time(10)
HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)
LONGEST_DATE, LONGEST_MOMENT = 10, 40  # characters


def offered_times() -> list[tuple[str, str]]:
    """Return the times that are offered now: each as a form sends it to :func:`chosen_time`, and as people read it."""
    evening = [("evening", _("This evening, %(time)s") % {"time": time_format(EVENING, "H:i")})]
    return [
        ("hour", _("In an hour")),
        *(evening if _now().time() < EVENING else []),
        ("tomorrow", _("Tomorrow, %(time)s") % {"time": time_format(MORNING, "H:i")}),
    ]


def chosen_time(choice: str, typed: str) -> datetime.datetime:
    """Return the moment that ``choice``, one of the offered times or "chosen", stands for.

    ``typed`` is the date and time of "chosen" in the user's time zone. Raises :class:`InvalidFollowUp` for what is no
    moment. Whether it is past or too far away is for ``services.follow_ups`` to say.
    """
    match choice:
        case "hour":
            return timezone.now() + HOUR
        case "evening":
            return _moment(datetime.datetime.combine(_now(), EVENING))
        case "tomorrow":
            return _moment(datetime.datetime.combine(_now() + DAY, MORNING))
        case "chosen" if typed.strip():
            return _typed(typed.strip())
    raise InvalidFollowUp(_("Choose when to call back."))


def describe_call_back(moment: datetime.datetime) -> str:
    """Return when somebody is called back, in the user's time zone."""
    local = to_local(moment)
    words = {"date": date_format(local, "DATE_FORMAT"), "time": time_format(local, "H:i")}
    return _("Call back on %(date)s at %(time)s.") % words


def _now() -> datetime.datetime:
    """Return what the user's clock shows, naive."""
    return local_now().replace(tzinfo=None)


def _typed(text: str) -> datetime.datetime:
    try:
        if len(text) <= LONGEST_DATE:
            raise ValueError("Python reads a date alone as its midnight.")
        return _moment(datetime.datetime.fromisoformat(text[:LONGEST_MOMENT]))
    except (ValueError, OverflowError) as error:
        if isinstance(error, InvalidFollowUp):
            raise
        raise InvalidFollowUp(_("Choose a date and a time to call back.")) from None


def _moment(local: datetime.datetime) -> datetime.datetime:
    """Return a moment of the user's clock. Of an hour that the clock shows twice, it is the first."""
    if not conf.uses_time_zones():
        return local if local.tzinfo is None else timezone.make_naive(local, timezone.get_default_timezone())
    if local.tzinfo is not None:
        return local.astimezone(datetime.UTC)
    zone = timezone.get_current_timezone()
    moment = local.replace(tzinfo=zone, fold=0).astimezone(datetime.UTC)
    shown = moment.astimezone(zone)
    if shown.replace(tzinfo=None) != local:
        raise InvalidFollowUp(_("The clock skips that hour on that day. Choose another time to call back."))
    return moment
