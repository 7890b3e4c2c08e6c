"""What every call needs before any rule is asked: an account, an agent with a phone, an ExoPhone."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.utils.translation import gettext as _

from django_exotel_ccm import accounts
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.policies.base import Refusal


def missing_requirement(call: CallRecord) -> Refusal | None:
    """Return what ``call`` lacks; None if it can be sent to Exotel."""
    return _account_refusal(call) or _agent_refusal(call) or _exophone_refusal(call)


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
