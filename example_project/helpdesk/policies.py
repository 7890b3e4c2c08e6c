"""Whom this helpdesk never rings."""

from __future__ import annotations

from django.utils.translation import gettext as _

from django_exotel_ccm.accounts import get_account
from django_exotel_ccm.models import CallRecord
from helpdesk.seeding import AGENTS, CUSTOMERS


def no_made_up_numbers(call: CallRecord) -> str | None:
    """Refuse to ring the made-up numbers of the demo through a real account: they may be somebody's."""
    if get_account(call.account).is_loopback:
        return None
    made_up = {agent.contact_uri for agent in AGENTS}
    made_up |= {number for customer in CUSTOMERS for number in (customer.phone, customer.other_phone)}
    rung = {call.customer_number, call.agent.contact_uri if call.agent else None}
    if rung & made_up:
        return _("The demo's people have made-up numbers. Only the simulator may ring them.")
    return None


no_made_up_numbers.is_safety = True  # type: ignore[attr-defined] # nobody overrides it
