"""What is known of a call, in sentences for people: never more than Exotel reported."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from django.utils.formats import date_format, time_format
from django.utils.text import Truncator, capfirst
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, npgettext_lazy, pgettext, pgettext_lazy

from django_exotel_ccm import tickets
from django_exotel_ccm.choices import Outcome, Permission, State, Step
from django_exotel_ccm.local_time import local_now, to_local
from django_exotel_ccm.masking import visible_to
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.models.ticket_link import link_key_of

LONGEST_TICKET = 50
"""Characters of a ticket's name in the panel, whose height shall not depend on it."""
WITHOUT_CONVERSATION = {
    Outcome.COMPLETED: pgettext_lazy("telephony", "completed"),
    Outcome.AGENT_UNANSWERED: gettext_lazy("the agent did not pick up"),
    Outcome.CUSTOMER_UNANSWERED: gettext_lazy("no answer"),
    Outcome.AGENT_CANCELED: gettext_lazy("the agent hung up first"),
    Outcome.CUSTOMER_NO_DIAL: gettext_lazy("the customer could not be called"),
    Outcome.AGENT_NO_DIAL: gettext_lazy("the agent could not be called"),
    Outcome.FAILED: pgettext_lazy("telephony", "failed"),
    Outcome.BUSY: pgettext_lazy("telephony", "busy"),
    Outcome.UNKNOWN: gettext_lazy("Exotel did not say how"),
}

WITHOUT_ANSWER = {
    Outcome.COMPLETED: pgettext_lazy("telephony", "Ended"),
    Outcome.AGENT_UNANSWERED: gettext_lazy("%(agent)s did not pick up"),
    Outcome.CUSTOMER_UNANSWERED: gettext_lazy("No answer"),
    Outcome.AGENT_CANCELED: gettext_lazy("%(agent)s hung up first"),
    Outcome.CUSTOMER_NO_DIAL: gettext_lazy("%(customer)s could not be reached"),
    Outcome.AGENT_NO_DIAL: gettext_lazy("%(agent)s's phone could not be reached"),
    Outcome.FAILED: gettext_lazy("The call failed"),
    Outcome.BUSY: pgettext_lazy("telephony", "Busy"),
    Outcome.UNKNOWN: gettext_lazy("Ended; Exotel did not say how"),
}
OWN_WITHOUT_ANSWER = {
    Outcome.AGENT_UNANSWERED: gettext_lazy("You did not pick up"),
    Outcome.AGENT_CANCELED: gettext_lazy("You hung up first"),
    Outcome.AGENT_NO_DIAL: gettext_lazy("Your phone could not be reached"),
}

MINUTE = datetime.timedelta(minutes=1)
# Django's own are not translated into all of our languages.
UNITS = {
    "year": npgettext_lazy("telephony", "%(num)d year", "%(num)d years", "num"),
    "month": npgettext_lazy("telephony", "%(num)d month", "%(num)d months", "num"),
    "week": npgettext_lazy("telephony", "%(num)d week", "%(num)d weeks", "num"),
    "day": npgettext_lazy("telephony", "%(num)d day", "%(num)d days", "num"),
    "hour": npgettext_lazy("telephony", "%(num)d hour", "%(num)d hours", "num"),
    "minute": npgettext_lazy("telephony", "%(num)d minute", "%(num)d minutes", "num"),
}


@dataclass(frozen=True, slots=True)
class CallStatus:
    """Where a call stands and what to do now, for the person who looks at a page; ``since`` is when the step began."""

    step: Step
    headline: str
    hint: str
    since: datetime.datetime

    @property
    def is_over(self) -> bool:
        """Whether no further step is expected."""
        return self.step in (Step.ENDED, Step.REFUSED, Step.NEVER_CONFIRMED)


def describe_status(call: CallRecord, user: Any, *, advice: str = "") -> CallStatus:
    """Return where ``call`` stands. ``advice`` is what the agent was told when it was refused.

    Numbers are masked unless ``user`` may see them. The owner of the phone that rings first is spoken to as "you".
    """
    is_own = call.agent is not None and call.agent.user_id is not None and call.agent.user_id == user.pk
    words = {
        "agent": call.agent_label or _("the agent"),
        "customer": visible_to(call.customer_label or call.customer_number, user) or _("the customer"),
        "ticket": Truncator(visible_to(call.ticket_label, user)).chars(LONGEST_TICKET),
        "time": _time(call.created_at),
        "advice": visible_to(advice, user),
        "gave_up": _time(call.gave_up_at) if call.gave_up_at is not None else "",
    }
    step = step_of(call)
    headline, hint = _phrases(call, step, is_own=is_own)
    since = {Step.ANSWERED: call.answered_at, Step.ENDED: call.ended_at, Step.NEVER_CONFIRMED: call.gave_up_at}
    return CallStatus(step, capfirst(headline % words), capfirst(hint % words), since.get(step) or call.created_at)


def step_of(call: CallRecord) -> Step:
    """Return where the call stands."""
    match call.state:
        case State.ENDED:
            return Step.ENDED
        case State.REFUSED:
            return Step.REFUSED
        case _ if call.gave_up_at is not None:
            return Step.NEVER_CONFIRMED
        case State.ACTIVE:
            return Step.ACCEPTED if call.answered_at is None else Step.ANSWERED
        case State.UNCONFIRMED:
            return Step.UNCONFIRMED
        case _state:
            return Step.REQUESTED


def _phrases(call: CallRecord, step: Step, *, is_own: bool) -> tuple[str, str]:
    """Return headline and hint, whose words are still to be put in."""
    about = _("About %(ticket)s") if is_about_first_ticket(call) else ""
    match step:
        case Step.ACCEPTED if call.is_external:
            phrases = _("Exotel knows of a call of %(agent)s to %(customer)s"), about
        case Step.REQUESTED | Step.ACCEPTED:
            own, other = (
                _("Calling %(customer)s. Your phone rings first: pick up."),
                _("Calling %(customer)s. First %(agent)s's phone rings."),
            )
            then = _("About %(ticket)s. Then we dial the customer.") if about else _("Then we dial the customer.")
            phrases = own if is_own else other, then
        case Step.ANSWERED:
            phrases = _("In progress with %(customer)s: a phone was picked up"), about
        case Step.REFUSED:
            phrases = _("Not called: %(customer)s"), "%(advice)s"
        case Step.UNCONFIRMED:
            own, other = (
                _("If your phone does not ring within a minute, call again."),
                _("If %(agent)s's phone does not ring within a minute, call again."),
            )
            phrases = _("We don't know whether this call went out (%(time)s)"), own if is_own else other
        case Step.NEVER_CONFIRMED:
            silent = _("Exotel did not say how it ended. We stopped asking at %(gave_up)s.")
            phrases = _("We don't know how the call to %(customer)s ended"), silent
        case Step.ENDED:
            phrases = _ended_headline(call, is_own=is_own), about
    return phrases


def is_about_first_ticket(call: CallRecord) -> bool:
    """Return whether the caller has seen the ticket: a call that was moved is about one that they may not see."""
    model, key = tickets.model_of(call.custom_field), call.custom_field.partition("_")[2]
    return bool(call.ticket_label) and model is not None and call.link_key == link_key_of(model, key)


def _ended_headline(call: CallRecord, *, is_own: bool) -> str:
    if call.is_conversation:
        # A percent sign of a translation would be read as a word to put in.
        return _("Talked with %%(customer)s for %(length)s") % {"length": describe_length(call.talk_time or 0)}
    outcome = Outcome(call.outcome or Outcome.UNKNOWN)
    if outcome == Outcome.COMPLETED and call.talk_time == 0:
        return _("Ended: nobody talked")
    own = OWN_WITHOUT_ANSWER.get(outcome) if is_own else None
    return str(own or WITHOUT_ANSWER[outcome])


def describe_result(call: CallRecord, user: Any) -> str:
    """Return how far ``call`` has come, or how it ended, in the few words with which a line of the history begins."""
    step = step_of(call)
    if call.is_conversation and step == Step.ENDED:
        return _("Talked for %(length)s") % {"length": describe_length(call.talk_time or 0)}
    results = {
        Step.REQUESTED: pgettext("telephony", "Calling"),
        Step.ACCEPTED: _("Exotel knows of this call") if call.is_external else pgettext("telephony", "Calling"),
        Step.ANSWERED: _("In progress: a phone was picked up"),
        Step.REFUSED: _("Not called"),
        Step.UNCONFIRMED: _("We don't know whether this call went out"),
        Step.NEVER_CONFIRMED: _("We don't know how it ended"),
    }
    return results[step] if step in results else describe_status(call, user).headline


def describe_customer(call: CallRecord, user: Any) -> str:
    """Return the customer's name, else the number, masked unless ``user`` may see it."""
    if call.erased_at is not None:
        return _("a customer who was erased on request")
    return visible_to(call.customer_label or call.customer_number, user) or _("the customer")


def describe_length(seconds: int) -> str:
    """Return a duration in minutes and seconds."""
    minutes, rest = divmod(seconds, 60)
    text = _("%(minutes)d min %(seconds)d s") if minutes else _("%(seconds)d s")
    return text % {"minutes": minutes, "seconds": rest}


def describe_talk_time(seconds: int) -> str:
    """Return how long many conversations were together, in hours, minutes and seconds."""
    if seconds < 3600:
        return describe_length(seconds)
    words = {"hours": seconds // 3600, "minutes": seconds // 60 % 60, "seconds": seconds % 60}
    return _("%(hours)d h %(minutes)d min %(seconds)d s") % words


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
    local = to_local(moment)
    if local.date() == local_now().date():
        return time_format(local, "H:i")
    return f"{date_format(local, 'SHORT_DATE_FORMAT')} {time_format(local, 'H:i')}"


def describe_time(moment: datetime.datetime) -> str:
    """Return day and time of day, as short as can be told apart: "today 10:04", "November 24, 11:02"."""
    local, today = to_local(moment), local_now().date()
    words = {"time": time_format(local, "H:i")}
    if local.date() == today:
        return _("today %(time)s") % words
    if local.date() == today - datetime.timedelta(days=1):
        return _("yesterday %(time)s") % words
    if local.date() == today + datetime.timedelta(days=1):
        return _("tomorrow %(time)s") % words
    style = "MONTH_DAY_FORMAT" if local.year == today.year else "DATE_FORMAT"
    return _("%(date)s, %(time)s") % {"date": date_format(local, style), **words}


def describe_age(moment: datetime.datetime) -> str:
    """Return how long ago something was, in its largest unit: "just now", "5 minutes ago"."""
    if local_now() - to_local(moment) < MINUTE:
        return _("just now")
    return _("%(age)s ago") % {"age": _time_since(moment)}


def describe_overdue(due_at: datetime.datetime, now: datetime.datetime) -> str:
    """Return how long ago something was due, in its largest unit: "due now", "overdue 5 minutes"."""
    if now - due_at < MINUTE:
        return _("due now")
    return _("overdue %(time)s") % {"time": _time_since(due_at, now)}


def _time_since(moment: datetime.datetime, now: datetime.datetime | None = None) -> str:
    """Return the time from ``moment`` to ``now``, or to the present, in its largest unit: "5 minutes"."""
    return timesince(moment, now, depth=1, time_strings=UNITS)  # type: ignore[arg-type] # they are lazy


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


def describe_override(call: CallRecord, user: Any) -> str:
    """Return why the call was placed although a rule said no, in the caller's words; "" if no rule was overridden."""
    if not call.overridden_rules:
        return ""
    words = {"rules": call.overridden_rules, "reason": visible_to(call.override_reason, user) or "-"}
    return _("Called although a rule said no (%(rules)s): %(reason)s") % words


def repeated_call_warning(call: CallRecord) -> str:
    """Return what to consider before the customer of ``call``, whom the user has called just now, is called again."""
    if call.is_over:
        return _("You have called this number since this page was loaded. Call again only if you mean to.")
    if not call.is_in_progress:
        text = _("We don't know how your call at %(time)s to this number ended. Call again only if you mean to.")
    elif call.may_not_have_gone_out:
        text = _(
            "You called this number at %(time)s; we don't know whether that call went out. "
            "Call again only if you mean to."
        )
    else:
        text = _("A call to this number is still going on. Call again only if you mean to.")
    return text % {"time": _time(call.created_at)}


def colleague_of(call: CallRecord, user: Any) -> str:
    """Return who placed ``call``, for users who may see calls; for others "A colleague"."""
    who = call.placed_by_label or call.agent_label if Permission.VIEW_CALL.granted_to(user) else ""
    return who or _("A colleague")


def describe_caller(call: CallRecord, user: Any) -> str:
    """Return who called, how long ago, and how it went."""
    words = {
        "who": colleague_of(call, user),
        "ago": describe_age(call.created_at),
        "result": describe_result(call, user),
    }
    if call.placed_by_id == user.pk:
        return _("You called %(ago)s: %(result)s") % words
    return _("%(who)s called %(ago)s: %(result)s") % words


def colleague_called_warning(call: CallRecord, user: Any) -> str:
    """Return that somebody else has called, to be considered before the ticket of ``call`` is called about again."""
    return _("%(known)s. Call only if you mean to.") % {"known": describe_caller(call, user)}


def colleague_calling_warning(call: CallRecord, user: Any) -> str:
    """Return that somebody else is, or may be, on ``call``, to be considered before its ticket is called about."""
    if call.may_not_have_gone_out:
        text = _("%(who)s called at %(time)s; we don't know whether that call went out. Call only if you mean to.")
    else:
        text = _("%(who)s is calling about this ticket right now. Call only if you mean to.")
    return text % {"who": colleague_of(call, user), "time": _time(call.created_at)}


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
