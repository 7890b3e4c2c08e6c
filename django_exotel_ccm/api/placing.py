"""A POST becomes a call: the same questions as at a press of the button, and the same call for the same key."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.core.validators import URLValidator
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from rest_framework import serializers, status
from rest_framework.response import Response

from django_exotel_ccm.api.base import BaseView
from django_exotel_ccm.api.errors import APIError, Conflict, Forbidden, Invalid, invalid_fields
from django_exotel_ccm.api.number_choice import check_may_write_number, is_number_of, number_choices, number_to_call
from django_exotel_ccm.api.serializers import Body, Text, WholeNumber, YesOrNo, calls_as_shown
from django_exotel_ccm.api.throttles import PlacingThrottle
from django_exotel_ccm.api.tickets import visible_ticket
from django_exotel_ccm.choices import Permission, State
from django_exotel_ccm.exceptions import CallRefused, RequestKeyReused
from django_exotel_ccm.exotel.call_request import OPTIONS, RECORDING_CHANNELS
from django_exotel_ccm.exotel.calls import LONGEST_CUSTOM_FIELD
from django_exotel_ccm.exotel.values import storable
from django_exotel_ccm.masking import visible_to
from django_exotel_ccm.models import Agent, CallRecord, ExoPhone
from django_exotel_ccm.models.call import LONGEST_OVERRIDE_REASON
from django_exotel_ccm.services import agents_for, place_call
from django_exotel_ccm.services.drafts import has_other_options
from django_exotel_ccm.services.placing import call_with_key, raise_if_refused
from django_exotel_ccm.services.selection import choose_agent, choose_exophone
from django_exotel_ccm.tickets import TicketType

LARGEST_KEY = 2**63 - 1
LONGEST_OPTION = 4 * 60 * 60  # seconds (docs/exotel.md 2.3)
LONGEST_REQUEST_KEY = 255


class PlaceCall(Body):
    """The body of a POST that places a call."""

    ticket = Text(
        max_length=LONGEST_CUSTOM_FIELD, help_text="The ticket by its name, such as ticket_7: its prefix and its key."
    )
    to = Text(
        required=False,
        max_length=64,
        help_text="The customer's number, if the ticket has several; or its to in the answer several_numbers. "
        "A number that is not one of the ticket's needs dial_any_number.",
    )
    agent = WholeNumber(
        required=False,
        min_value=0,
        max_value=LARGEST_KEY,
        help_text="The id of the agent whose phone rings first. Another's needs place_call_for_others.",
    )
    exophone = WholeNumber(
        required=False,
        min_value=0,
        max_value=LARGEST_KEY,
        help_text="The id of the ExoPhone that the customer sees; needs choose_exophone.",
    )
    recording = YesOrNo(
        required=False,
        help_text="Whether Exotel records the call. Not false where the site records calls about such tickets.",
    )
    recording_channels = serializers.ChoiceField(
        RECORDING_CHANNELS, required=False, help_text="One channel for both, or one for each."
    )
    wait_audio_url = Text(
        required=False,
        max_length=2000,
        validators=[URLValidator(schemes=["http", "https"])],
        help_text="What the first to pick up hears: an address with http or https.",
    )
    max_time_limit = WholeNumber(
        required=False, min_value=1, max_value=LONGEST_OPTION, help_text="Seconds after which Exotel ends the call."
    )
    attempt_time_out = WholeNumber(
        required=False, min_value=1, max_value=LONGEST_OPTION, help_text="Seconds for which each phone rings."
    )
    override_reason = Text(
        required=False,
        allow_blank=True,
        max_length=LONGEST_OVERRIDE_REASON,
        help_text="Why to call although a rule says no; needs override_policy.",
    )


def place(view: BaseView, wanted: dict[str, Any]) -> Response:
    """Place the call that the checked body wants, and return the answer; raises what the API says instead."""
    request = view.http_request
    check_may_write_number(request.user, wanted.get("to", ""))
    request_key = _request_key(request)
    earlier = call_with_key(request_key) if request_key is not None else None
    if earlier is not None:
        return _placed_before(view, wanted, earlier)
    ticket_type, ticket = visible_ticket(request, view.adapter, wanted["ticket"])
    if not ticket_type.allows(request.user, ticket):
        raise APIError(status.HTTP_403_FORBIDDEN, "can_call", _("This ticket is not yours to call."))
    agent = _agent(request, wanted.get("agent"))
    given: dict[str, Any] = {
        "exophone": _exophone(request, wanted.get("exophone")),
        "to": number_to_call(request.user, ticket, wanted.get("to", "")),
        "override_reason": _override_reason(request, wanted.get("override_reason", "")),
        "request_key": request_key,
    }
    options = _options(ticket_type, wanted)
    _check_throttle(view)
    try:
        call = place_call(agent=agent, ticket=ticket, placed_by=request.user, **options, **given)
    except CallRefused as refused:
        if refused.call.agent is not agent and not _is_wanted(wanted, refused.call):
            raise _key_reused(refused.call) from None  # another request took the key meanwhile
        raise _refusal(view, wanted["ticket"], refused) from None
    except RequestKeyReused as reused:
        raise _key_reused(reused.call) from None
    except ImproperlyConfigured as error:
        raise Conflict("not_configured", visible_to(str(error), request.user)) from None
    is_new = call.agent is agent  # an earlier one is loaded from the database
    if not is_new and not _is_wanted(wanted, call):
        raise _key_reused(call)
    return _answer(view, call, is_new=is_new)


def _placed_before(view: BaseView, wanted: dict[str, Any], call: CallRecord) -> Response:
    """Return the answer to a request that was sent again.

    Nothing else is asked: whatever has changed since, nobody is called, and the sender learns what came of the call.
    """
    if not _is_wanted(wanted, call):
        raise _key_reused(call)
    try:
        raise_if_refused(call)
    except CallRefused as refused:
        raise _refusal(view, wanted["ticket"], refused) from None
    return _answer(view, call, is_new=False)


def _is_wanted(wanted: dict[str, Any], call: CallRecord) -> bool:
    """Return whether the call is the one that the body names, as far as the call still says; placed or refused.

    A reason to call anyway is another request: what was refused without it is not refused again in its name.
    Its ticket may have been deleted or moved meanwhile, its agent or ExoPhone deleted, and its customer erased. Where
    it was moved to is not asked: the answer would tell it to who may not see that ticket.
    """
    known = {"agent": call.agent_id, "exophone": call.exophone_id}
    if any(wanted.get(name, value) != value for name, value in known.items() if value is not None):
        return False
    if has_other_options(call, wanted):
        return False
    if call.erased_at is not None:
        return True
    if storable(wanted.get("override_reason", "")) != call.override_reason:
        return False
    to = wanted.get("to", "")
    return wanted["ticket"] == call.custom_field and (not to or is_number_of(call, to))


def _answer(view: BaseView, call: CallRecord, *, is_new: bool) -> Response:
    [shown] = calls_as_shown([call], view.http_request, view.adapter)
    location = view.http_request.build_absolute_uri(reverse("exotel_ccm:api-call", args=[call.reference]))
    return Response(shown, status=_status(call, is_new=is_new), headers={"Location": location})


def _agent(request: HttpRequest, wanted: int | None) -> Agent:
    try:
        agent = choose_agent(request.user, "" if wanted is None else str(wanted))
    except PermissionDenied:
        advice = _("You may not call as this agent. The list of agents has those as whom you may call.")
        raise APIError(status.HTTP_403_FORBIDDEN, "agent_not_yours", advice) from None
    if agent is not None:
        return agent
    if agents_for(request.user):
        raise invalid_fields({"agent": [_("You can call as several agents. Choose one.")]})
    advice = _("You have no phone in Exotel yet. An administrator can add an agent for you.")
    raise Conflict("no_agent", advice)


def _exophone(request: HttpRequest, wanted: int | None) -> ExoPhone | None:
    try:
        return choose_exophone(request.user, "" if wanted is None else str(wanted))
    except PermissionDenied:
        raise Forbidden(Permission.CHOOSE_EXOPHONE) from None
    except ExoPhone.DoesNotExist:
        raise invalid_fields({"exophone": [_("This ExoPhone is not used any more. Choose another.")]}) from None


def _options(ticket_type: TicketType, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the options of the ticket's entry, and over them those of the body, which switch no recording off."""
    if ticket_type.call.get("recording") and wanted.get("recording") is False:
        raise invalid_fields({"recording": [_("Calls about such tickets are recorded. Leave this field out.")]})
    return {**ticket_type.call, **{name: wanted[name] for name in OPTIONS if name in wanted}}


def _override_reason(request: HttpRequest, reason: str) -> str:
    if reason and not Permission.OVERRIDE_POLICY.granted_to(request.user):
        raise Forbidden(Permission.OVERRIDE_POLICY)
    return reason


def _request_key(request: HttpRequest) -> str | None:
    """Return the header's key, as one of this user's alone; None without the header."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    key = key.strip()
    if not key or len(key) > LONGEST_REQUEST_KEY or not key.isascii() or not key.isprintable():
        advice = _("The header Idempotency-Key takes 1 to %(longest)d printable ASCII characters, such as a UUID.")
        raise Invalid("invalid_idempotency_key", advice % {"longest": LONGEST_REQUEST_KEY})
    return f"api|{request.user.pk}|{key}"


def _check_throttle(view: BaseView) -> None:
    """Count calls, and not requests that were refused before: nobody's phone rings for those."""
    throttle = PlacingThrottle()
    if not throttle.allow_request(view.request, view):
        view.throttled(view.request, throttle.wait() or 0)


def _refusal(view: BaseView, ticket_name: str, refused: CallRefused) -> Conflict:
    more: dict[str, Any] = {"reference": str(refused.call.reference)}
    if refused.code == "several_numbers":
        more["numbers"] = number_choices(view, ticket_name)
    return Conflict(refused.code, visible_to(refused.advice, view.request.user), **more)


def _key_reused(call: CallRecord) -> Conflict:
    advice = _(
        "This Idempotency-Key belongs to another request: with another ticket, number, agent, ExoPhone, reason or "
        "option. Nobody was called now. Send each request that you change with a new key."
    )
    return Conflict("request_key_reused", advice, reference=str(call.reference))


def _status(call: CallRecord, *, is_new: bool) -> int:
    if not is_new:
        return status.HTTP_200_OK
    return status.HTTP_202_ACCEPTED if call.state == State.UNCONFIRMED else status.HTTP_201_CREATED
