"""The box after a call: how it went, a note, and when to call back."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.translation import gettext as _

from django_exotel_ccm import conf
from django_exotel_ccm.adapters import TicketAdapter
from django_exotel_ccm.exceptions import InvalidFollowUp
from django_exotel_ccm.models import CallRecord, Disposition

EVENING, MORNING = datetime.time(18), datetime.time(10)
HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)
LONGEST_MOMENT = 40  # characters


def note_url(reference: UUID, adapter: TicketAdapter | None, next_url: str = "") -> str:
    """Return the address of the box of a call, to which it is posted, and from there the user goes to ``next_url``."""
    query = {"exotel_adapter": adapter.name if adapter is not None else "", "exotel_next": next_url}
    given = urlencode({name: value for name, value in query.items() if value})
    return reverse("exotel_ccm:note", args=[reference]) + (f"?{given}" if given else "")


def note_box(
    request: HttpRequest,
    call: CallRecord,
    adapter: TicketAdapter | None,
    *,
    next_url: str = "",
    posted: Mapping[str, str] | None = None,
    problem: str = "",
) -> dict[str, Any]:
    """Return the context of ``exotel_ccm/note_box.html``.

    ``posted`` is what a user has sent that was not saved because of ``problem``; it is shown again.
    """
    posted = posted or {}
    return {
        "url": note_url(call.reference, adapter),
        "csrf_token": get_token(request),
        "key": posted.get("exotel_key") or secrets.token_urlsafe(16),
        "next_url": next_url,
        "problem": problem,
        "dispositions": list(Disposition.objects.offered()),
        "disposition": posted.get("exotel_disposition", ""),
        "text": posted.get("exotel_text", ""),
        "choices": _choices(_now()),
        "choice": posted.get("exotel_call_back", ""),
        "typed": posted.get("exotel_call_back_at", ""),
    }


def _choices(now: datetime.datetime) -> list[tuple[str, str]]:
    """Return the moments that are offered at ``now``: what the form sends, and what people read."""
    evening = [("evening", _("This evening, %(time)s") % {"time": time_format(EVENING, "H:i")})]
    return [
        ("", _("No")),
        ("hour", _("In an hour")),
        *(evening if now.time() < EVENING else []),
        ("tomorrow", _("Tomorrow, %(time)s") % {"time": time_format(MORNING, "H:i")}),
        ("chosen", _("Choose…")),
    ]


def read_call_back(choice: str, typed: str) -> datetime.datetime | None:
    """Return when to call back, as the form says it; None for not at all.

    ``typed`` is a date and time in the user's time zone. Without script it may be filled in and not chosen.
    Raises :class:`InvalidFollowUp` for what is no moment.
    """
    now = _now()
    match choice:
        case "hour":
            return timezone.now() + HOUR
        case "evening":
            return _moment(datetime.datetime.combine(now, EVENING))
        case "tomorrow":
            return _moment(datetime.datetime.combine(now + DAY, MORNING))
        case "chosen" | "":
            if typed.strip():
                return _typed(typed.strip())
            if not choice:
                return None
    raise InvalidFollowUp(_("Choose when to call back."))


def describe_call_back(moment: datetime.datetime) -> str:
    """Return when somebody is called back, in the user's time zone."""
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    words = {"date": date_format(local, "DATE_FORMAT"), "time": time_format(local, "H:i")}
    return _("Call back on %(date)s at %(time)s.") % words


def _now() -> datetime.datetime:
    """Return the user's time of day, naive."""
    now = timezone.now()
    return timezone.localtime(now).replace(tzinfo=None) if timezone.is_aware(now) else now


def _typed(text: str) -> datetime.datetime:
    try:
        return _moment(datetime.datetime.fromisoformat(text[:LONGEST_MOMENT]))
    except (ValueError, OverflowError) as error:
        if isinstance(error, InvalidFollowUp):
            raise
        raise InvalidFollowUp(_("Choose a date and a time to call back.")) from None


def _moment(local: datetime.datetime) -> datetime.datetime:
    """Return a moment of the user's clock. Of an hour that the clock shows twice, it is the first."""
    if not conf.uses_time_zones():
        return local.replace(tzinfo=None)
    if local.tzinfo is not None:
        return local.astimezone(datetime.UTC)
    zone = timezone.get_current_timezone()
    moment = local.replace(tzinfo=zone, fold=0).astimezone(datetime.UTC)
    shown = moment.astimezone(zone)
    if shown.replace(tzinfo=None) != local:
        raise InvalidFollowUp(_("The clock skips that hour on that day. Choose another time to call back."))
    return moment
