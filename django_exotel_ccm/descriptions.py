"""What is known of a call, in a sentence for people: never more than we were told."""

from __future__ import annotations

import datetime
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_exotel_ccm.choices import Outcome, State
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.phone_numbers import visible_to


def describe_call(call: CallRecord, user: Any) -> str:
    """Return what is known of ``call`` in a sentence, its number masked unless ``user`` may see it."""
    known = _known(call, user)
    if call.is_external:
        return _("%(known)s It was placed elsewhere, not from here.") % {"known": known}
    return known


def _known(call: CallRecord, user: Any) -> str:
    words = {
        "agent": call.agent_label or _("an agent"),
        "customer": visible_to(call.customer_number, user) or _("the customer"),
        "time": _time(call.created_at),
    }
    match call.state:
        case State.REQUESTED:
            return _("Asking Exotel since %(time)s to connect %(agent)s with %(customer)s.") % words
        case State.UNCONFIRMED | State.ACTIVE if call.gave_up_at is not None:
            words |= {"since": _time(call.gave_up_at)}
            return (
                _(
                    "Never confirmed: how the call of %(agent)s to %(customer)s, placed at %(time)s, ended is not "
                    "known. Exotel is not asked any more since %(since)s; "
                    "if it reports the call after all, that counts."
                )
                % words
            )
        case State.UNCONFIRMED:
            return (
                _(
                    "Outcome unknown since %(time)s: Exotel gave no clear answer, so %(agent)s's phone may ring. "
                    "The call to %(customer)s is not repeated."
                )
                % words
            )
        case State.REFUSED:
            return _("The call to %(customer)s, placed at %(time)s, was refused.") % words
        case State.ACTIVE:
            return _accepted(call) % words
        case _state:
            text = _("The call of %(agent)s to %(customer)s, placed at %(time)s, ended: %(outcome)s.")
            return text % (words | {"outcome": describe_outcome(call)})


def _accepted(call: CallRecord) -> str:
    if call.answered_at is not None:
        return _("A phone was answered in the call of %(agent)s to %(customer)s, placed at %(time)s.")
    if call.is_external:
        return _("Exotel knows of a call of %(agent)s to %(customer)s, placed at %(time)s.")
    return _("Exotel accepted the request to ring %(agent)s first, then %(customer)s, placed at %(time)s.")


def _time(moment: datetime.datetime) -> str:
    """Return the time of day, with the date unless it is today."""
    local, now = _local(moment), _local(timezone.now())
    if local.date() == now.date():
        return time_format(local, "H:i")
    return f"{date_format(local, 'SHORT_DATE_FORMAT')} {time_format(local, 'H:i')}"


def _local(moment: datetime.datetime) -> datetime.datetime:
    # Hosts without USE_TZ have naive times, which are local already.
    return timezone.localtime(moment) if timezone.is_aware(moment) else moment


def describe_outcome(call: CallRecord) -> str:
    """Return how a call ended, with the length of the conversation if there was one."""
    if call.is_conversation:
        minutes, seconds = divmod(call.talk_time or 0, 60)
        talked = _("%(minutes)d:%(seconds)02d minutes of conversation") % {
            "minutes": minutes,
            "seconds": seconds,
        }
        return talked if call.outcome == Outcome.COMPLETED else f"{call.get_outcome_display()}, {talked}"
    if call.outcome == Outcome.COMPLETED and call.talk_time == 0:
        return _("completed, without a conversation")
    return str(call.get_outcome_display())


def reconciler_missing_message() -> str:
    """Return what to do when calls are due and nobody has reconciled for a quarter of an hour."""
    return _(
        "Calls wait to be settled, and exotel_reconcile has not run for 15 minutes: some may be shown as going on that "
        "are over. An administrator runs: python manage.py exotel_reconcile --forever"
    )


def hidden_tickets_message(count: int) -> str:
    """Return how many of the chosen tickets this user does not get to see."""
    return ngettext(
        "%(count)d chosen ticket is not shown: it does not exist, or is not yours to see.",
        "%(count)d chosen tickets are not shown: they do not exist, or are not yours to see.",
        count,
    ) % {"count": count}
