"""The user's clock: moments in the current time zone. Hosts without ``USE_TZ`` have naive moments, which are local."""

from __future__ import annotations

import datetime

from django.utils import timezone


def to_local(moment: datetime.datetime) -> datetime.datetime:
    """Return ``moment`` as the user's clock shows it."""
    return timezone.localtime(moment) if timezone.is_aware(moment) else moment


def local_now() -> datetime.datetime:
    """Return the present moment as the user's clock shows it."""
    return to_local(timezone.now())


def start_of_today() -> datetime.datetime:
    """Return the last midnight of the user's clock."""
    return local_now().replace(hour=0, minute=0, second=0, microsecond=0)
