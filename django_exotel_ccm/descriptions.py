"""What is known of a call, in sentences for people: never more than Exotel reported."""

from __future__ import annotations

import datetime
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from django_exotel_ccm.choices import Outcome, State
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.phone_numbers import visible_to

WITHOUT_CONVERSATION = {
    Outcome.COMPLETED: gettext_lazy("completed"),
    Outcome.AGENT_UNANSWERED: gettext_lazy("the agent did not pick up"),
    Outcome.CUSTOMER_UNANSWERED: gettext_lazy("no answer"),
    Outcome.AGENT_CANCELED: gettext_lazy("the agent hung up first"),
    Outcome.CUSTOMER_NO_DIAL: gettext_lazy("the customer could not be called"),
    Outcome.AGENT_NO_DIAL: gettext_lazy("the agent could not be called"),
    Outcome.FAILED: gettext_lazy("failed"),
    Outcome.BUSY: gettext_lazy("busy"),
    Outcome.UNKNOWN: gettext_lazy("Exotel did not say how"),
}


def describe_call(call: CallRecord, user: Any) -> str:
    """Return what is known of ``call`` in a sentence; the number is masked unless ``user`` may see it."""
    words = {
        "agent": call.agent_label or _("an agent"),
        "customer": visible_to(call.customer_number, user) or _("the customer"),
        "time": _time(call.created_at),
        "outcome": describe_outcome(call),
    }
    if call.gave_up_at is not None:
        words["since"] = _time(call.gave_up_at)
    known = _sentence(call) % words
    return _("%(known)s It was placed elsewhere, not from here.") % {"known": known} if call.is_external else known


def _sentence(call: CallRecord) -> str:
    match call.state:
        case State.REQUESTED:
            text = _("Asking Exotel since %(time)s to connect %(agent)s with %(customer)s.")
        case State.UNCONFIRMED | State.ACTIVE if call.gave_up_at is not None:
            text = _(
                "Never confirmed: nobody knows how the call of %(agent)s to %(customer)s, placed at %(time)s, ended. "
                "Exotel is not asked any more since %(since)s. If it reports the call later, that counts."
            )
        case State.UNCONFIRMED:
            text = _(
                "Outcome unknown since %(time)s: we don't know whether the call to %(customer)s went out. "
                "If %(agent)s's phone does not ring within a minute, call again."
            )
        case State.REFUSED:
            text = _("Not called at %(time)s: the call to %(customer)s was refused.")
        case State.ACTIVE if call.answered_at is not None:
            text = _("In progress: a phone was picked up in the call of %(agent)s to %(customer)s, placed at %(time)s.")
        case State.ACTIVE if call.is_external:
            text = _("Exotel knows of a call of %(agent)s to %(customer)s, placed at %(time)s.")
        case State.ACTIVE:
            text = _("Exotel accepted the request to ring %(agent)s first, then %(customer)s, placed at %(time)s.")
        case _state:
            text = _("The call of %(agent)s to %(customer)s, placed at %(time)s, ended: %(outcome)s.")
    return text


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
    ended = str(WITHOUT_CONVERSATION.get(Outcome(call.outcome), call.outcome)) if call.outcome else ""
    if not call.is_conversation:
        nobody_talked = call.outcome == Outcome.COMPLETED and call.talk_time == 0
        return _("completed, but nobody talked") if nobody_talked else ended
    minutes, seconds = divmod(call.talk_time or 0, 60)
    text = _("talked for %(minutes)d min %(seconds)d s") if minutes else _("talked for %(seconds)d s")
    talked = text % {"minutes": minutes, "seconds": seconds}
    return talked if call.outcome == Outcome.COMPLETED else f"{ended}, {talked}"


def reconciler_missing_message() -> str:
    """Return what to do when calls are due and nobody has reconciled for 15 minutes."""
    return _(
        "The command exotel_reconcile has not run for 15 minutes, so calls that are over may still look "
        "unfinished. An administrator runs: python manage.py exotel_reconcile --forever"
    )


def hidden_tickets_message(count: int) -> str:
    """Return how many of the chosen tickets this user may not see."""
    return ngettext(
        "%(count)d chosen ticket is not shown: it does not exist, or is not yours to see.",
        "%(count)d chosen tickets are not shown: they do not exist, or are not yours to see.",
        count,
    ) % {"count": count}
