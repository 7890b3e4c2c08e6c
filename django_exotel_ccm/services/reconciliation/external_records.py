"""Calls placed elsewhere: the record that Call Details make of one, and which call of ours it may be after all."""

from __future__ import annotations

import datetime
import logging

from django.db import Error as DatabaseFailure
from django.db.models import Q

from django_exotel_ccm import conf, tickets
from django_exotel_ccm.background import work_context
from django_exotel_ccm.choices import Origin, State
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.models import Agent, CallRecord, UnverifiedCall
from django_exotel_ccm.phone_numbers import parse_number
from django_exotel_ccm.services.drafting import label_of, link_ticket
from django_exotel_ccm.services.scheduling import NEVER_CONFIRMED

logger = logging.getLogger("django_exotel_ccm.services")

AROUND = datetime.timedelta(minutes=10)  # two clocks, and the time from our request to the first ring
# A refusal proves that nothing rang, and its customer is often called by another way at once.
MAY_HAVE_RUNG = (State.REQUESTED, State.UNCONFIRMED, State.ACTIVE, State.ENDED)


def build_external_record(hint: UnverifiedCall, facts: CallFacts) -> CallRecord:
    """Return the record of a call that was not placed from here, not saved yet, as far as Call Details tell it.

    Touches the host's objects, so it enters the host's ``WORK_CONTEXT``.
    """
    agent = _agent(hint.account, facts)
    call = CallRecord(
        account=hint.account,
        origin=Origin.EXTERNAL,
        call_sid=hint.call_sid,
        agent=agent,
        agent_label=label_of(agent),
        customer_number=_number(facts.customer_number),
        custom_field=facts.custom_field or "",
        created_at=_began(hint, facts),
    )
    try:
        with work_context(call):
            ticket = tickets.find(call.custom_field)
            if ticket is not None:
                link_ticket(call, ticket)
    except DatabaseFailure:
        raise  # tried again later
    except Exception:
        # The call's history matters more than a mistake in the settings or the host's code.
        logger.exception("The ticket of call %s, placed elsewhere, was not found.", hint.call_sid)
    return call


def _began(hint: UnverifiedCall, facts: CallFacts) -> datetime.datetime:
    """Return when the call was placed: as Exotel tells, but no later than we heard of it."""
    if facts.started_at is None:
        return hint.heard_at
    began: datetime.datetime = conf.as_column(facts.started_at.at)
    return min(began, hint.heard_at)


def _agent(account: str, facts: CallFacts) -> Agent | None:
    device = Q()
    if facts.agent_id:
        device |= Q(exotel_user_id=facts.agent_id)
    if facts.agent_uri:
        device |= Q(contact_uri__in={facts.agent_uri, _number(facts.agent_uri) or facts.agent_uri})
    found = list(Agent.objects.filter(device, account=account)) if device else []
    # The id is the person's, the device may have changed hands.
    return max(found, key=lambda agent: agent.exotel_user_id == facts.agent_id, default=None)


def _number(text: str | None) -> str:
    try:
        return parse_number(text)
    except InvalidNumber:
        return ""


def possible_own_calls(hint: UnverifiedCall, facts: CallFacts, using: str) -> list[CallRecord]:
    """Return the calls placed from here, without a sid yet, that Call Details may be about: never a second record.

    The customer's number is used to hold back a record, never to say whose the sid is.
    """
    first, last = _window(hint, facts)
    calls = CallRecord.objects.using(using).filter(
        account=hint.account, call_sid=None, state__in=MAY_HAVE_RUNG, created_at__range=(first, last)
    )
    candidates = calls.only("customer_number", "gave_up_at")
    return [call for call in candidates if _may_be_same(facts.customer_number, call.customer_number)]


def _window(hint: UnverifiedCall, facts: CallFacts) -> tuple[datetime.datetime, datetime.datetime]:
    """Return from when to when the call may have been placed."""
    if facts.started_at is None or not facts.started_at.zoned:
        # A time without a zone may be hours off.
        return hint.heard_at - NEVER_CONFIRMED, hint.heard_at + AROUND
    began = _began(hint, facts)
    return began - AROUND, began + AROUND


def _may_be_same(told: str | None, ours: str) -> bool:
    """Say whether a number in any form of Exotel's (local, masked, missing) may be ours (E.164; "" once erased)."""
    if not told or not ours or not _number(told):
        return True
    # Exotel's local form is Indian, whatever NUMBER_REGION says.
    local = not told.startswith("+") and ours.endswith(told.lstrip("0"))
    return local or _number(told) == ours
