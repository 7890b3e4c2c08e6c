"""What every call needs before any rule is asked: an account, an agent with a phone, an ExoPhone."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.urls import NoReverseMatch
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_exotel_ccm import accounts, callback_urls
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.policies.base import Refusal

EXOPHONE_CODES = ("no_exophone", "exophone_of_another_account", "exophone_invalid")
_NOT_CONFIGURED = {
    ImproperlyConfigured: gettext_lazy(
        "Calls cannot be placed yet: Exotel would not know where to report. An administrator sets "
        'EXOTEL_CCM["CALLBACK_BASE_URL"] = "https://…".'
    ),
    NoReverseMatch: gettext_lazy(
        "Calls cannot be placed yet: the callback address is not in the URLs. An administrator adds "
        'path("exotel/", include("django_exotel_ccm.urls")).'
    ),
}


def missing_requirement(call: CallRecord) -> Refusal | None:
    """Return what ``call`` lacks; None if it can be sent to Exotel."""
    return account_refusal(call) or agent_refusal(call) or exophone_refusal(call)


def callbacks_of(call: CallRecord) -> dict[str, str] | Refusal:
    """Return the callback URL of ``call`` for each event, or why Exotel could not report about it."""
    try:
        return callback_urls.callback_urls(call)
    except (ImproperlyConfigured, NoReverseMatch) as error:
        return Refusal("not_configured", str(_NOT_CONFIGURED[type(error)]))


def account_refusal(call: CallRecord) -> Refusal | None:
    """Return why nothing can be sent to Exotel for the account of ``call``; None if it can."""
    try:
        accounts.get_account(call.account)
    except ImproperlyConfigured as error:
        return Refusal("not_configured", str(error))
    return None


def agent_refusal(call: CallRecord) -> Refusal | None:
    """Return why the agent of ``call`` cannot be rung; None if they can."""
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


def exophone_refusal(call: CallRecord) -> Refusal | None:
    """Return why ``call`` cannot be placed from its ExoPhone; None if it can."""
    exophone = call.exophone
    if exophone is None or not exophone.is_active:
        return Refusal(
            "no_exophone",
            _("There is no ExoPhone to call from. An administrator can add one, or make one the default."),
        )
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
