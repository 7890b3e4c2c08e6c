"""Why calls were refused, in a few words for the people who read a report."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

REASONS = {
    "1010": _("Exotel does not accept the key of this site"),
    "1012": _("the agent's phone was switched off in Exotel"),
    "1017": _("Exotel does not know the account"),
    "10705": _("the agent's phone was not verified in Exotel"),
    "10706": _("the agent was on another call"),
    "10708": _("the agent's phone was switched off in Exotel"),
    "10716": _("Exotel does not know the ExoPhone"),
    "10717": _("the customer's number is blocked at Exotel"),
    "10724": _("too many requests at once"),
    "10731": _("Exotel does not know the agent"),
    "AllowedCountries": _("the number is in a country, or of a kind, that is not called"),
    "CallingHours": _("outside of the hours in which customers are called"),
    "CallsPerDay": _("too many calls that day"),
    "CoolDown": _("too soon after the last call"),
    "DoNotCall": _("on the do-not-call list"),
    "OneCallAtATime": _("agent or customer was on another call"),
    "OwnNumbers": _("the number is one of our own"),
    "agent_inactive": _("the agent was switched off here"),
    "agent_phone_invalid": _("the agent's phone cannot be dialled"),
    "agent_without_device": _("the agent had no phone"),
    "exophone_invalid": _("the ExoPhone cannot be dialled"),
    "exophone_of_another_account": _("agent and ExoPhone are of different accounts"),
    "invalid_number": _("no valid phone number"),
    "no_exophone": _("there was no ExoPhone"),
    "no_number": _("the ticket had no phone number"),
    "not_configured": _("the set-up was not complete"),
    "several_numbers": _("the ticket had several numbers, and none was chosen"),
    "unreachable": _("Exotel could not be reached"),
}
"""By the refusal's code. Others are shown as they are: rules of the host, and codes that Exotel has added."""


def describe_refusal_code(code: str) -> str:
    """Return why a call with this ``refusal_code`` was refused; the code alone if it is not known."""
    return str(REASONS.get(code, code)) or str(_("no reason recorded"))
