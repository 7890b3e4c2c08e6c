"""Rules asked before dialling, each with a reason that a person understands.

A policy is a callable named in ``EXOTEL_CCM["POLICIES"]``. It gets the ``CallRecord`` that is about to be dialled (not
saved yet) and returns None to let it pass, or the reason as text; its function's name is then the call's refusal code.
"""

from __future__ import annotations

from typing import NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from django_exotel_ccm import accounts, conf
from django_exotel_ccm.models import CallRecord


class Refusal(NamedTuple):
    """Why a call is not dialled: the rule's name, and what the agent should know or do."""

    code: str
    advice: str


def first_refusal(call: CallRecord) -> Refusal | None:
    """Return the first reason not to dial ``call``; None when there is none.

    Our own preconditions come first, then the host's policies in their order; the caller enters ``WORK_CONTEXT``. An
    exception of a policy is not caught: nothing is dialled then.
    """
    return _not_ready(call) or _policy_refusal(call)


def _not_ready(call: CallRecord) -> Refusal | None:
    try:
        accounts.get_account(call.account)
    except ImproperlyConfigured as error:
        return Refusal("not_configured", str(error))
    agent, exophone = call.agent, call.exophone
    if agent is None or not agent.is_active:
        return Refusal("agent_inactive", _("This agent is not active. An administrator can change that."))
    if not agent.has_device:
        return Refusal(
            "agent_without_device",
            _("This agent has no phone. An administrator can add a contact URI or an Exotel user id."),
        )
    if exophone is None or not exophone.is_active:
        return Refusal("no_exophone", _("There is no ExoPhone to call from. An administrator can add one."))
    if exophone.account != call.account:
        return Refusal(
            "exophone_of_another_account",
            _("The ExoPhone belongs to another account than the agent. An administrator can choose another."),
        )
    return None


def _policy_refusal(call: CallRecord) -> Refusal | None:
    for path in conf.get_settings().policies:
        reason = conf.load(path)(call)
        if reason:
            return Refusal(path.rpartition(".")[2][:40], str(reason))
    return None
