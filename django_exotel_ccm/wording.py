"""What is known of a call, in a sentence for people: never more than we were told."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.formats import time_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_exotel_ccm.choices import Outcome, State
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.numbers import shown


def describe(call: CallRecord, user: Any) -> str:
    """Return one sentence about ``call``, its number masked unless ``user`` may see it."""
    words = {
        "agent": call.agent_label,
        "customer": shown(call.customer_number, user),
        "time": time_format(timezone.localtime(call.created_at), "H:i"),
    }
    match call.state:
        case State.REQUESTED:
            return _("Exotel is being asked to connect %(agent)s with %(customer)s since %(time)s.") % words
        case State.UNCONFIRMED:
            return (
                _(
                    "Outcome unknown since %(time)s: Exotel gave no clear answer, so %(agent)s's phone may ring. "
                    "The call to %(customer)s is not repeated."
                )
                % words
            )
        case State.REFUSED:
            return _("The call to %(customer)s was refused at %(time)s.") % words
        case State.ACTIVE if call.answered_at is not None:
            return _("A phone was answered in the call of %(agent)s to %(customer)s.") % words
        case State.ACTIVE:
            return _("Exotel accepted the request at %(time)s to ring %(agent)s first, then %(customer)s.") % words
        case _state:
            return _("The call of %(agent)s to %(customer)s ended: %(outcome)s.") % (words | {"outcome": outcome(call)})


def outcome(call: CallRecord) -> str:
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


def skipped(count: int) -> str:
    """Return how many of the chosen tickets this user does not get to see."""
    return ngettext(
        "%(count)d chosen ticket is not shown: it does not exist, or is not yours to see.",
        "%(count)d chosen tickets are not shown: they do not exist, or are not yours to see.",
        count,
    ) % {"count": count}
