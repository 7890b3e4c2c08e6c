"""Rules asked before dialling, each with a reason that a person understands.

A policy is a callable named in ``EXOTEL_CCM["POLICIES"]``. It gets the ``CallRecord`` that is about to be dialled (not
saved yet). It returns None if the call may be dialled, else the reason as text. The name of its function is then the
call's refusal code.
"""

from __future__ import annotations

from typing import NamedTuple

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.utils.translation import gettext as _

from django_exotel_ccm import accounts, conf
from django_exotel_ccm.models import CallRecord


class Refusal(NamedTuple):
    """Why a call is not dialled: the rule's name, and a sentence for the agent."""

    code: str
    advice: str


def first_refusal(call: CallRecord) -> Refusal | None:
    """Return the first reason not to dial ``call``; None if there is none.

    First comes what every call needs, then the host's policies in their order. The caller enters ``WORK_CONTEXT``. An
    exception of a policy is not caught: nothing is dialled then.
    """
    return _account_refusal(call) or _agent_refusal(call) or _exophone_refusal(call) or _policy_refusal(call)


def _account_refusal(call: CallRecord) -> Refusal | None:
    try:
        accounts.get_account(call.account)
    except ImproperlyConfigured as error:
        return Refusal("not_configured", str(error))
    return None


def _agent_refusal(call: CallRecord) -> Refusal | None:
    agent = call.agent
    if agent is None or not agent.is_active:
        return Refusal("agent_inactive", _("This agent is not active. An administrator can change that."))
    if not agent.has_device:
        return Refusal(
            "agent_without_device",
            _("This agent has no phone. An administrator can add a contact URI or an Exotel user id."),
        )
    try:
        agent.device()
    except ValidationError as error:
        advice = _("This agent's phone cannot be called. %(reason)s An administrator can correct it.")
        return Refusal("agent_phone_invalid", advice % {"reason": " ".join(error.messages)})
    return None


def _exophone_refusal(call: CallRecord) -> Refusal | None:
    exophone = call.exophone
    if exophone is None or not exophone.is_active:
        return Refusal("no_exophone", _("There is no ExoPhone to call from. An administrator can add one."))
    if exophone.account != call.account:
        return Refusal(
            "exophone_of_another_account",
            _("The ExoPhone belongs to another account than the agent. An administrator can choose another."),
        )
    if not call.exophone_number:
        return Refusal(
            "exophone_invalid",
            _("The ExoPhone's number is not one valid phone number. An administrator can correct it."),
        )
    return None


def _policy_refusal(call: CallRecord) -> Refusal | None:
    for path in conf.get_settings().policies:
        reason = conf.load(path)(call)
        if reason:
            return Refusal(path.rpartition(".")[2][:40], str(reason))
    return None
