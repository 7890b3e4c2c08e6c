"""The draft of a call: its arguments are checked, its customer's number is found, its record is built."""

from __future__ import annotations

import datetime
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext as _

from django_exotel_ccm import ticket_numbers, tickets
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.exophone_choice import first_choice
from django_exotel_ccm.exotel.call_request import OPTIONS, check_option
from django_exotel_ccm.exotel.calls import LONGEST_CUSTOM_FIELD
from django_exotel_ccm.exotel.values import storable
from django_exotel_ccm.models import Agent, CallRecord, ExoPhone, FollowUp
from django_exotel_ccm.models.call import LONGEST_OVERRIDE_REASON
from django_exotel_ccm.models.ticket_link import ticket_columns
from django_exotel_ccm.phone_numbers import PhoneNumber, is_phone_number, parse_number
from django_exotel_ccm.policies import Refusal

logger = logging.getLogger("django_exotel_ccm.services")

GIVEN = "given"  # in ``CallRecord.exophone_choice``: by the one who asked for the call
LEASE = datetime.timedelta(seconds=60)  # longer than the client's deadline


def digest_of(request_key: str) -> str:
    """Return what ``CallRecord.request_key`` holds for a request key."""
    return hashlib.sha256(request_key.encode()).hexdigest()


def kept_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of Exotel's that are given, as ``CallRecord.options`` holds them.

    An address may name the customer or have a password in it, so a digest stands for it.
    """
    kept = {name: given[name] for name in OPTIONS if given.get(name)}
    if "wait_audio_url" in kept:
        kept["wait_audio_url"] = hashlib.sha256(kept["wait_audio_url"].encode(errors="surrogatepass")).hexdigest()
    return kept


def has_other_options(call: CallRecord, given: Mapping[str, Any]) -> bool:
    """Return whether an option of Exotel's is given that is not the call's; None is not given."""
    wanted = kept_options(given)
    named = [name for name in OPTIONS if given.get(name) is not None]
    return any(wanted.get(name) != call.options.get(name) for name in named)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceCallRequest:
    """The arguments of ``place_call``. Raises ``TypeError`` for a wrong type, ``ValueError`` for an unusable value."""

    agent: Agent
    to: PhoneNumber | None
    ticket: models.Model | None
    exophone: ExoPhone | None
    recording: bool | None
    recording_channels: str | None
    wait_audio_url: str | None
    max_time_limit: int | None
    attempt_time_out: int | None
    custom_field: str | None
    placed_by: Any
    request_key: str | None
    override_reason: str | None

    def __post_init__(self) -> None:
        kinds: dict[str, type] = {
            "agent": Agent,
            "ticket": models.Model,
            "exophone": ExoPhone,
            "custom_field": str,
            "placed_by": CallRecord._meta.get_field("placed_by").related_model,
            "request_key": str,
            "override_reason": str,
        }
        for name, kind in kinds.items():
            value = getattr(self, name)
            if not isinstance(value, kind) and (value is not None or name == "agent"):
                raise TypeError(f"place_call: {name} must be {kind.__name__}, not {type(value).__name__}.")
        if self.to is not None and not is_phone_number(self.to):
            raise TypeError(f"place_call: to must be str or a phone number, not {type(self.to).__name__}.")
        if self.to is None and self.ticket is None and not self.custom_field:
            raise TypeError("place_call: give to=, the customer's number, or ticket=, whose number is called.")
        if len(self.override_reason or "") > LONGEST_OVERRIDE_REASON:
            longest = LONGEST_OVERRIDE_REASON
            raise ValueError(f"place_call: override_reason may have {longest} characters.")
        for name, value in self.options.items():
            check_option(name, value)
        for name in ("agent", "ticket", "exophone"):
            if getattr(self, name) is not None and getattr(self, name).pk is None:
                raise ValueError(f"place_call: save the {name} first; it has no primary key yet.")

    @property
    def options(self) -> dict[str, Any]:
        """The options of Exotel's; None for one that is not given."""
        return {name: getattr(self, name) for name in OPTIONS}


def build_record(request: PlaceCallRequest) -> CallRecord:
    """Return the record of the call, not saved yet, without its ticket, its customer and its ExoPhone."""
    now = timezone.now()
    agent = request.agent
    return CallRecord(
        account=agent.account,
        agent=agent,
        agent_label=label_of(agent),
        placed_by=request.placed_by,
        placed_by_label=label_of(request.placed_by),
        request_key=digest_of(request.request_key) if request.request_key else None,
        created_at=now,
        details_check_at=now + LEASE,
        next_check_at=now + LEASE,
        recording_requested=bool(request.recording),
        options=kept_options(request.options),
        override_reason=storable(request.override_reason or ""),
    )


def add_exophone(call: CallRecord, given: ExoPhone | None) -> None:
    """Write the number that the customer sees into the call, and what chose it: ``given``, else ``EXOPHONE_CHOICE``.

    Strategies may read the host's objects, so it runs in the host's ``WORK_CONTEXT``.
    """
    call.exophone, call.exophone_choice = (given, GIVEN) if given is not None else first_choice(call)
    call.exophone_number = _number_of(call.exophone)


def _number_of(exophone: ExoPhone | None) -> str:
    """Return the ExoPhone's number as E.164; "" without one, or if code has stored what is no number."""
    try:
        return parse_number(exophone.number) if exophone else ""
    except InvalidNumber:
        return ""


def add_ticket_and_customer(call: CallRecord, request: PlaceCallRequest) -> Refusal | None:
    """Write the ticket and the customer's number into the call; return why nobody can be dialled, or None.

    Touches the host's objects, so it runs in the host's ``WORK_CONTEXT``.
    """
    ticket = request.ticket
    if ticket is None and request.custom_field:
        ticket = tickets.find(request.custom_field)
    if ticket is not None:
        link_ticket(call, ticket)
    call.custom_field = _custom_field(request.custom_field, ticket)
    number = resolve_number(request.to, ticket)
    if isinstance(number, Refusal):
        return number
    call.customer_number = number
    if ticket is not None:
        call.customer_label = customer_name(ticket, number)
    return None


def customer_name(ticket: models.Model, number: str) -> str:
    """Return the name of the row that has the number, such as the ticket's customer; "" if none has it, or a name."""
    try:
        customer = ticket_numbers.customer_of(ticket, number)
        has_name = customer is not None and type(customer).__str__ is not models.Model.__str__
        return label_of(customer) if has_name else ""
    except Exception:
        logger.exception("The name of the customer of %s could not be read.", ticket._meta.label)
        return ""  # a call without a name is better than none


def link_ticket(row: CallRecord | FollowUp, ticket: models.Model) -> None:
    """Write into an unsaved call or follow-up what it is about, and what that is called now."""
    row.ticket_content_type, row.ticket_object_id = ticket_columns(ticket)
    row.ticket_label = label_of(ticket)


def resolve_number(to: PhoneNumber | None, ticket: models.Model | None) -> str | Refusal:
    """Return the number to dial as E.164: ``to``, else the only one of the ticket; or why there is none."""
    if to is not None:
        try:
            return parse_number(to)
        except InvalidNumber as error:
            return Refusal("invalid_number", str(error))
    numbers = ticket_numbers.numbers_of(ticket) if ticket is not None else []
    number = ticket_numbers.only_number(numbers)
    if number:
        return number
    if not numbers:
        return Refusal("no_number", _("The ticket has no phone number. Add one, then call again."))
    usable = [one for one in numbers if one.number]
    if len(usable) > 1:
        return Refusal("several_numbers", _("The ticket has several phone numbers. Choose one."))
    with_note = _("Other words stand beside the ticket's phone number. Read them, then choose the number.")
    return Refusal("invalid_number", with_note if usable else numbers[0].problem)


def label_of(thing: object) -> str:
    """Return what agent, user or ticket are called, as a record keeps it; "" for None."""
    return storable(str(thing))[:200] if thing is not None else ""


def _custom_field(given: str | None, ticket: models.Model | None) -> str:
    text = given if given is not None else tickets.custom_field(ticket) if ticket is not None else ""
    if len(text) > LONGEST_CUSTOM_FIELD:
        raise ValueError(f"place_call: custom_field may have {LONGEST_CUSTOM_FIELD} characters, not {len(text)}.")
    if storable(text) != text.strip():
        raise ValueError("place_call: custom_field contains NUL or a lone surrogate, which no database keeps.")
    return text
