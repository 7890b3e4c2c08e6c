"""The user's clock: moments in the current time zone. Hosts without ``USE_TZ`` have naive moments, which are local."""

from __future__ import annotations

import datetime

from django.utils import timezone

from django_exotel_ccm import conf


def local_zone() -> datetime.tzinfo:
    """Return the zone of the user's clock. Without ``USE_TZ`` all users have that of the settings."""
    return timezone.get_current_timezone() if conf.uses_time_zones() else timezone.get_default_timezone()


def to_local(moment: datetime.datetime) -> datetime.datetime:
    """Return ``moment`` as the user's clock shows it."""
    return timezone.localtime(moment) if timezone.is_aware(moment) else moment


def local_now() -> datetime.datetime:
    """Return the present moment as the user's clock shows it."""
    return to_local(timezone.now())


def start_of_today() -> datetime.datetime:
    """Return the first moment of today by the user's clock."""
    return start_of_day(day_of(timezone.now()))


def day_of(moment: datetime.datetime, zone: datetime.tzinfo | None = None) -> datetime.date:
    """Return the day of ``moment`` by the user's clock, or by that of ``zone``."""
    return (timezone.localtime(moment, zone) if timezone.is_aware(moment) else moment).date()


def start_of_day(day: datetime.date, zone: datetime.tzinfo | None = None) -> datetime.datetime:
    """Return the first moment of ``day`` by the user's clock, or by that of ``zone``.

    Where the clock skips midnight, it is when it does so; where it shows that hour twice, it is the first time.
    """
    midnight = datetime.datetime.combine(day, datetime.time())
    if not conf.uses_time_zones():
        return midnight
    zone = zone or timezone.get_current_timezone()
    return midnight.replace(tzinfo=zone, fold=0).astimezone(datetime.UTC)
