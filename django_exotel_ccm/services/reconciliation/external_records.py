"""What Call Details say about a call placed elsewhere: its record, and which call placed here it may be instead."""

from __future__ import annotations

import datetime
import logging

from django.db import Error as DatabaseError
from django.db.models import Q

from django_exotel_ccm import conf, tickets
from django_exotel_ccm.choices import Origin, State
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.models import Agent, CallRecord, UnverifiedCall
from django_exotel_ccm.phone_numbers import parse_number
from django_exotel_ccm.services.drafts import label_of, link_ticket
from django_exotel_ccm.services.scheduling import NEVER_CONFIRMED

logger = logging.getLogger("django_exotel_ccm.services")

TOLERANCE = datetime.timedelta(minutes=10)  # for clocks, and from our request to the first ring
# Not a refused call: nothing rang then, and the agent may have called the customer from the dashboard at once.
MAY_HAVE_RUNG = (State.REQUESTED, State.UNCONFIRMED, State.ACTIVE, State.ENDED)


def build_external_record(unverified: UnverifiedCall, facts: CallFacts) -> CallRecord:
    """Return an unsaved record of a call that was not placed here.

    Reads the host's objects, so it enters the host's ``WORK_CONTEXT``.
    """
    agent = _find_agent(unverified.account, facts)
    call = CallRecord(
        account=unverified.account,
        origin=Origin.EXTERNAL,
        call_sid=unverified.call_sid,
        agent=agent,
        agent_label=label_of(agent),
        customer_number=_parse_or_blank(facts.customer_number),
        custom_field=facts.custom_field or "",
        created_at=_placed_at(unverified, facts),
    )
    try:
        with conf.get_settings().work_context_for(call):
            ticket = tickets.find(call.custom_field)
            if ticket is not None:
                link_ticket(call, ticket)
    except DatabaseError:
        raise  # the claim runs out, and the call is verified again
    except Exception:
        # A mistake in the settings or in the host's code must not cost the call's history.
        logger.exception("The ticket of call %s, placed elsewhere, was not found.", unverified.call_sid)
    return call


def _placed_at(unverified: UnverifiedCall, facts: CallFacts) -> datetime.datetime:
    """Return when the call began, as Exotel says, but no later than it was reported."""
    if facts.started_at is None:
        return unverified.reported_at
    started_at: datetime.datetime = conf.as_column(facts.started_at.at)
    return min(started_at, unverified.reported_at)


def _find_agent(account: str, facts: CallFacts) -> Agent | None:
    device = Q()
    if facts.agent_id:
        device |= Q(exotel_user_id=facts.agent_id)
    if facts.agent_uri:
        device |= Q(contact_uri__in={facts.agent_uri, _parse_or_blank(facts.agent_uri) or facts.agent_uri})
    agents = list(Agent.objects.filter(device, account=account)) if device else []
    # The id is the person's; another person may have the device now.
    return max(agents, key=lambda agent: agent.exotel_user_id == facts.agent_id, default=None)


def _parse_or_blank(text: str | None) -> str:
    try:
        return parse_number(text)
    except InvalidNumber:
        return ""


def possible_own_calls(unverified: UnverifiedCall, facts: CallFacts, using: str) -> list[CallRecord]:
    """Return the calls placed here, still without a sid, that Call Details may be about.

    The customer's number is compared only to withhold a second record, never to decide whose the sid is.
    """
    calls = CallRecord.objects.using(using).filter(
        account=unverified.account,
        call_sid=None,
        state__in=MAY_HAVE_RUNG,
        created_at__range=_placed_between(unverified, facts),
    )
    calls = calls.only("customer_number", "gave_up_at")
    return [call for call in calls if _may_be_same(facts.customer_number, call.customer_number)]


def _placed_between(unverified: UnverifiedCall, facts: CallFacts) -> tuple[datetime.datetime, datetime.datetime]:
    if facts.started_at is None or not facts.started_at.zoned:
        # A time without a zone may be hours off.
        return unverified.reported_at - NEVER_CONFIRMED, unverified.reported_at + TOLERANCE
    placed_at = _placed_at(unverified, facts)
    return placed_at - TOLERANCE, placed_at + TOLERANCE


def _may_be_same(reported: str | None, ours: str) -> bool:
    """Return True if a number as Exotel writes it (local, masked, missing) may be ours (E.164; "" once erased)."""
    if not reported or not ours or not _parse_or_blank(reported):
        return True
    # Exotel's local form is Indian, whatever NUMBER_REGION says.
    is_local_form = not reported.startswith("+") and ours.endswith(reported.lstrip("0"))
    return is_local_form or _parse_or_blank(reported) == ours
