"""Rules about the customer's number: what kind it is, whose it is, and whether it asked not to be called."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence

import phonenumbers
from django.utils.translation import gettext as _
from phonenumbers import PhoneNumberType

from django_exotel_ccm import conf
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.policies.base import Denial, Policy, is_by_its_agent, moment
from django_exotel_ccm.policies.known import Known

COSTLY_TYPES = {PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST}
NO_COUNTRY = "001"
"""The region of numbers that belong to no country: satellite phones, international premium numbers and networks."""


class AllowedCountries(Policy):
    """Customers are called in the country of ``NUMBER_REGION`` only, and never at a premium or satellite number.

    ``countries`` are the country codes to call instead, such as ``("IN", "SG")``. The default is one country, because
    calls abroad are what stolen logins are used for, and most desks make none. Premium, shared-cost and
    satellite numbers cost a multiple of a call or pay whoever owns them: nobody can override that.
    """

    def __init__(self, countries: Iterable[str] | None = None) -> None:
        self._countries = None if countries is None else frozenset(countries)
        unknown = sorted(map(str, (self._countries or frozenset()) - phonenumbers.SUPPORTED_REGIONS))
        if isinstance(countries, str) or unknown or self._countries == frozenset():
            raise ValueError(f'countries is a list of country codes, such as ["IN", "SG"], not {countries!r}.')

    def denials(self, calls: Sequence[CallRecord], known: Known) -> list[Denial | None]:
        """Ask the data of phonenumbers; no statement."""
        return [self._denial(call.customer_number) if call.customer_number else None for call in calls]

    def _denial(self, number: str) -> Denial | None:
        parsed = phonenumbers.parse(number)
        region = phonenumbers.region_code_for_number(parsed)
        if region == NO_COUNTRY or phonenumbers.number_type(parsed) in COSTLY_TYPES:
            text = _("This is a premium, shared-cost or satellite number. Such numbers are never called from here.")
            return Denial(_("costly number"), text, is_safety=True)
        if region not in (self._countries or {conf.get_settings().number_region}):
            text = _(
                "This customer's number is in a country that is not called from here. An administrator can add it."
            )
            return Denial(_("country not allowed"), text)
        return None


class OwnNumbers(Policy):
    """Nobody is connected to one of our own ExoPhones, or to the agent's own phone.

    Such a number got into the ticket by mistake. The call would come back to us, or find the agent's phone busy, and
    both legs are paid. Nobody can override that. It has no options.
    """

    def denials(self, calls: Sequence[CallRecord], known: Known) -> list[Denial | None]:
        """Look for the numbers among the ExoPhones, and among the agents' own phones."""
        return [self._denial(call, known) if call.customer_number else None for call in calls]

    def _denial(self, call: CallRecord, known: Known) -> Denial | None:
        number = call.customer_number
        if number == call.exophone_number or number in known.exophone_numbers:
            text = _("This is the number of one of our own ExoPhones, not a customer's. Correct it in the ticket.")
            return Denial(_("our own number"), text, is_safety=True)
        if number in known.phone_numbers.get(call.agent_id, ()):
            own, other = (
                (_("your own phone"), _("This is your own phone, not a customer's. Correct the number in the ticket.")),
                (
                    _("the agent's own phone"),
                    _("This is the agent's own phone, not a customer's. Correct the number in the ticket."),
                ),
            )
            title, text = own if is_by_its_agent(call) else other
            return Denial(title, text, is_safety=True)
        return None


class DoNotCall(Policy):
    """Nobody calls a number on the do-not-call list before its entry expires.

    On by default: the list is empty until somebody adds to it, and whoever is on it has asked for it, or is refused by
    Exotel. It has no options.
    """

    def denials(self, calls: Sequence[CallRecord], known: Known) -> list[Denial | None]:
        """Look the numbers up in the list."""
        return [self._denial(call.customer_number, known.do_not_call) for call in calls]

    def _denial(self, number: str, listed: Mapping[str, datetime.datetime | None]) -> Denial | None:
        if number not in listed:
            return None
        text, expires_at = _("This customer is on the do-not-call list."), listed[number]
        if expires_at is not None:
            text = _("This customer is on the do-not-call list until %(until)s.") % {"until": moment(expires_at)}
        return Denial(_("on the do-not-call list"), text)
