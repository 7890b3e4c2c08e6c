"""Rules about the customer's number: what kind it is, whose it is, and whether it asked not to be called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import phonenumbers
from django.utils.translation import gettext as _
from phonenumbers import PhoneNumberType

from django_exotel_ccm import conf, models
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.phone_numbers import parse_number
from django_exotel_ccm.policies.base import Denial, Known, Policy, moment

COSTLY_TYPES = {PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST}
NO_COUNTRY = "001"
"""The region of numbers that belong to no country: satellite phones, international premium numbers and networks."""


class AllowedCountries(Policy):
    """Customers are called in the country of ``NUMBER_REGION`` only, and never at a premium or satellite number.

    ``countries`` are the country codes to call instead, such as ``("IN", "SG")``. The default is one country, because
    calls abroad are what stolen logins are used for, and most desks make none. Premium, shared-cost, satellite and
    short numbers cost a multiple of a call or pay whoever owns them: nobody can override that.
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
        """Look for the numbers among the ExoPhones, and for the agents' devices, in one statement each."""
        numbers = {call.customer_number for call in calls if call.customer_number}
        if not numbers:
            return [None] * len(calls)
        exophones = models.ExoPhone.objects.using(known.using).filter(number__in=numbers)
        ours = set(exophones.values_list("number", flat=True))
        phones = self._phones({call.agent_id: call.agent for call in calls if call.agent is not None}, known.using)
        return [self._denial(call, ours, phones.get(call.agent_id, set())) for call in calls]

    def _phones(self, agents: Mapping[Any, models.Agent], using: str | None) -> dict[Any, set[str]]:
        """Return by the key of an agent the numbers of their phones (E.164)."""
        written = [(key, agent.contact_uri or "") for key, agent in agents.items()]
        devices = models.Device.objects.using(using).filter(agent__in=agents).values_list("agent_id", "contact_uri")
        found: defaultdict[Any, set[str]] = defaultdict(set)
        for key, contact_uri in [*written, *(devices if agents else ())]:
            found[key].add(_phone(contact_uri))
        return found

    def _denial(self, call: CallRecord, ours: set[str], phones: set[str]) -> Denial | None:
        number = call.customer_number
        if number and number in {*ours, call.exophone_number}:
            text = _("This is the number of one of our own ExoPhones, not a customer's. Correct it in the ticket.")
            return Denial(_("our own number"), text, is_safety=True)
        if number and number in phones:
            text = _("This is the agent's own phone, not a customer's. Correct the number in the ticket.")
            return Denial(_("the agent's own phone"), text, is_safety=True)
        return None


def _phone(contact_uri: str) -> str:
    """Return the number of an agent's phone (E.164); "" for a SIP address."""
    try:
        return parse_number(contact_uri)
    except InvalidNumber:
        return ""


class DoNotCall(Policy):
    """Nobody calls a number on the do-not-call list before its entry expires.

    On by default: the list is empty until somebody adds to it, and whoever is on it has asked for it, or is refused by
    Exotel. It has no options.
    """

    LIST: ClassVar = models.DoNotCall

    def denials(self, calls: Sequence[CallRecord], known: Known) -> list[Denial | None]:
        """Look the numbers up in one statement."""
        numbers = {call.customer_number for call in calls if call.customer_number}
        listed = self.LIST.objects.using(known.using).expiries_of(numbers) if numbers else {}
        found: list[Denial | None] = []
        for call in calls:
            if call.customer_number not in listed:
                found.append(None)
                continue
            text, expires_at = _("This customer is on the do-not-call list."), listed[call.customer_number]
            if expires_at is not None:
                text = _("This customer is on the do-not-call list until %(until)s.") % {"until": moment(expires_at)}
            found.append(Denial(_("on the do-not-call list"), text))
        return found
