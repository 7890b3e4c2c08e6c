"""``place_call``: written down first, dialled once, and never told as more than is known."""

from __future__ import annotations

import datetime
import hashlib
import logging
import time
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, connections, models, router
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from django_exotel_ccm import conf, lifecycle, links, tickets
from django_exotel_ccm.choices import Authentication, EventKind, State
from django_exotel_ccm.exceptions import CallRefused, InvalidNumber, PlacedInsideTransaction, RequestKeyReused
from django_exotel_ccm.exotel.calls import CallRequest
from django_exotel_ccm.exotel.client import ExotelClient
from django_exotel_ccm.exotel.errors import ExotelError, NotPlaced
from django_exotel_ccm.models import Agent, CallEvent, CallRecord, ExoPhone
from django_exotel_ccm.numbers import parse_number
from django_exotel_ccm.policies import Refusal, first_refusal
from django_exotel_ccm.services.committing import commit, open_transaction
from django_exotel_ccm.services.tracking import record_event, told_by

logger = logging.getLogger("django_exotel_ccm.services")

LEASE = datetime.timedelta(seconds=60)  # longer than the client's deadline
SAVING = 10.0  # seconds during which saving an answer in hand is tried again


def place_call(  # noqa: PLR0913 - the parameters of Exotel's call
    *,
    agent: Agent,
    to: str | None = None,
    ticket: models.Model | None = None,
    exophone: ExoPhone | None = None,
    recording: bool | None = None,
    recording_channels: str | None = None,
    wait_audio_url: str | None = None,
    max_time_limit: int | None = None,
    attempt_time_out: int | None = None,
    custom_field: str | None = None,
    placed_by: Any = None,
    request_key: str | None = None,
) -> CallRecord:
    """Ring ``agent``, then the customer, and return the call: ``active`` (accepted by Exotel) or ``unconfirmed``.

    ``to`` is the customer's number (E.164, or as written in the region of ``NUMBER_REGION``); without it the ticket's
    only number. ``exophone`` is the caller id; without it the agent's, else the account's default. ``recording`` to
    ``attempt_time_out`` (seconds) are Exotel's and are not sent when None (Exotel: Make a Call). ``custom_field``
    defaults to the ticket's name. Two calls with the same ``request_key`` are one: the second returns the first.

    Trusted code: policies are asked, permissions are not. Raises :class:`~.CallRefused` when nothing was dialled,
    :class:`~.PlacedInsideTransaction`, :class:`~.RequestKeyReused`, ``TypeError`` for wrong types, ``ValueError`` for
    options Exotel does not have.
    """
    options = {
        "recording": recording,
        "recording_channels": recording_channels,
        "wait_audio_url": wait_audio_url,
        "max_time_limit": max_time_limit,
        "attempt_time_out": attempt_time_out,
    }
    _check_types(agent, to, ticket, exophone, custom_field, request_key, options)
    alias = open_transaction()
    if alias is not None:
        raise PlacedInsideTransaction(alias)

    if ticket is None and custom_field:
        ticket = tickets.find(custom_field)
    number, refusal = _customer(to, ticket)
    call = _draft(agent, number, ticket, exophone, custom_field, placed_by, request_key)
    refusal = refusal or first_refusal(call)
    urls: tuple[tuple[str, str], ...] = ()
    if refusal is None:
        urls, refusal = _callback_urls(call)

    written = _write(call)
    if written is not call:
        return _earlier(written, call)
    if refusal is not None:
        _record(call, _policy_event(call, refusal))
        raise CallRefused(call, *refusal)
    return _dial(call, _request(call, agent, urls, options))


def agents_for(user: Any) -> list[Agent]:
    """Return the agents as whom ``user`` may call: what ``AGENT_FOR_USER`` says, else the user's active agents."""
    path = conf.get_settings().agent_for_user
    if path:
        agent = conf.load(path)(user)
        return [agent] if agent is not None and agent.is_active else []
    return list(Agent.objects.of_user(user).select_related("exophone").order_by("account", "pk"))


def digest_of(request_key: str) -> str:
    """Return what ``CallRecord.request_key`` holds for a request key."""
    return hashlib.sha256(request_key.encode()).hexdigest()


def _check_types(  # noqa: PLR0913, PLR0917 - one for each parameter
    agent: Any,
    to: Any,
    ticket: Any,
    exophone: Any,
    custom_field: Any,
    request_key: Any,
    options: dict[str, Any],
) -> None:
    expected: dict[str, tuple[Any, type]] = {
        "agent": (agent, Agent),
        "to": (to, str),
        "ticket": (ticket, models.Model),
        "exophone": (exophone, ExoPhone),
        "custom_field": (custom_field, str),
        "request_key": (request_key, str),
        "recording": (options["recording"], bool),
        "recording_channels": (options["recording_channels"], str),
        "wait_audio_url": (options["wait_audio_url"], str),
        "max_time_limit": (options["max_time_limit"], int),
        "attempt_time_out": (options["attempt_time_out"], int),
    }
    for name, (value, kind) in expected.items():
        wrong = not isinstance(value, kind) or (kind is int and isinstance(value, bool))
        if wrong and (value is not None or name == "agent"):
            raise TypeError(f"place_call: {name} must be {kind.__name__}, not {type(value).__name__}.")
    if to is None and ticket is None and not custom_field:
        raise TypeError("place_call: give to=, the customer's number, or ticket=, whose number is called.")


def _customer(to: str | None, ticket: models.Model | None) -> tuple[str, Refusal | None]:
    if to is not None:
        try:
            return parse_number(to), None
        except InvalidNumber as error:
            return "", Refusal("invalid_number", str(error))
    numbers = tickets.numbers_of(ticket) if ticket is not None else []
    if not numbers:
        return "", Refusal("no_number", _("The ticket has no phone number. Add one, then call again."))
    if len(numbers) > 1:
        return "", Refusal("several_numbers", _("The ticket has several phone numbers. Choose one."))
    if numbers[0].problem:
        return "", Refusal("invalid_number", numbers[0].problem)
    return numbers[0].number, None


def _draft(  # noqa: PLR0913, PLR0917 - all that is written once
    agent: Agent,
    number: str,
    ticket: models.Model | None,
    exophone: ExoPhone | None,
    custom_field: str | None,
    placed_by: Any,
    request_key: str | None,
) -> CallRecord:
    now = timezone.now()
    exophone = exophone or agent.exophone or ExoPhone.objects.default_of(agent.account)
    name = custom_field if custom_field is not None else tickets.custom_field(ticket) if ticket is not None else ""
    if len(name) > tickets.LONGEST_CUSTOM_FIELD:
        raise ValueError(
            f"place_call: custom_field may have {tickets.LONGEST_CUSTOM_FIELD} characters, not {len(name)}."
        )
    return CallRecord(
        account=agent.account,
        agent=agent,
        agent_label=str(agent)[:200],
        exophone=exophone,
        exophone_number=exophone.number if exophone else "",
        customer_number=number,
        ticket_content_type=ContentType.objects.get_for_model(ticket) if ticket is not None else None,
        ticket_object_id=str(ticket.pk) if ticket is not None else "",
        ticket_label=str(ticket)[:200] if ticket is not None else "",
        custom_field=name,
        placed_by=placed_by,
        placed_by_label=str(placed_by)[:200] if placed_by is not None else "",
        request_key=digest_of(request_key) if request_key else None,
        created_at=now,
        lease_until=now + LEASE,
        next_check_at=now + LEASE,
    )


def _callback_urls(call: CallRecord) -> tuple[tuple[tuple[str, str], ...], Refusal | None]:
    """Return (event, URL) of both callbacks, or why there is nowhere to send them."""
    base = conf.get_settings().callback_base_url
    if base and "://" not in base:
        base = conf.load(base)(call)
    if not conf.is_safe_base_url(base):
        advice = _(
            "Calls cannot be placed yet: Exotel would not know where to report. An administrator sets "
            'EXOTEL_CCM["CALLBACK_BASE_URL"] = "https://…".'
        )
        return (), Refusal("not_configured", advice)
    try:
        paths = {
            event: reverse("exotel_ccm:callback", args=[links.sign(call.reference, event)]) for event in links.EVENTS
        }
    except NoReverseMatch:
        advice = _(
            "Calls cannot be placed yet: the callback address is not in the URLs. An administrator adds "
            'path("exotel/", include("django_exotel_ccm.urls")).'
        )
        return (), Refusal("not_configured", advice)
    return tuple((event, base.rstrip("/") + path) for event, path in paths.items()), None


def _request(call: CallRecord, agent: Agent, urls: tuple[tuple[str, str], ...], options: dict[str, Any]) -> CallRequest:
    return CallRequest(
        user_id=agent.exotel_user_id,
        user_contact_uri=None if agent.exotel_user_id else agent.contact_uri,
        to=call.customer_number,
        virtual_number=call.exophone_number,
        custom_field=call.custom_field or None,
        status_callback=urls,
        **options,
    )


def _write(call: CallRecord) -> CallRecord:
    """Commit the call, and return it; or the call that was placed with its request key before."""
    using = router.db_for_write(CallRecord)
    calls = CallRecord.objects.using(using)

    def work() -> CallRecord:
        earlier = calls.filter(request_key=call.request_key).first() if call.request_key else None
        if earlier is None:
            call.pk = None
            call.save(using=using, force_insert=True)
        return earlier or call

    return commit(work, using=using)


def _earlier(earlier: CallRecord, call: CallRecord) -> CallRecord:
    same = ("agent_id", "customer_number", "ticket_content_type_id", "ticket_object_id")
    if any(getattr(earlier, name) != getattr(call, name) for name in same):
        raise RequestKeyReused(earlier)
    if earlier.state == State.REFUSED:
        event = earlier.events.filter(verdict=State.REFUSED).order_by("-pk").first()
        raise CallRefused(earlier, earlier.refusal_code, event.advice if event is not None else "")
    return earlier


def _dial(call: CallRecord, request: CallRequest) -> CallRecord:
    event = _new_event(call, EventKind.ANSWER, Authentication.CREDENTIALS)
    refused: NotPlaced | None = None
    try:
        answer = ExotelClient(conf.get_account(call.account)).make_call(request)
    except ExotelError as error:
        refused = error if isinstance(error, NotPlaced) else None
        event.verdict = State.UNCONFIRMED if refused is None else State.REFUSED
        event.code, event.advice = error.code[:40], str(error.advice)
        event.http_status, event.request_id = error.http_status, error.request_id
        event.raw, event.tries = error.raw, error.tries
    else:
        event.verdict, event.facts = State.ACTIVE, answer.facts.as_json()
        event.http_status, event.request_id = answer.http_status, answer.request_id
        event.raw, event.tries = answer.raw, answer.tries
    event.received_at = timezone.now()
    _record(call, event)
    if refused is not None and call.state == State.REFUSED:
        raise CallRefused(call, event.code, event.advice)
    return call


def _policy_event(call: CallRecord, refusal: Refusal) -> CallEvent:
    event = _new_event(call, EventKind.POLICY, Authentication.OURSELVES)
    event.verdict, event.code, event.advice = State.REFUSED, refusal.code[:40], refusal.advice
    return event


def _new_event(call: CallRecord, kind: EventKind, authentication: Authentication) -> CallEvent:
    return CallEvent(reference=call.reference, kind=kind, authentication=authentication, received_at=timezone.now())


def _record(call: CallRecord, event: CallEvent) -> None:
    """Save what we were told, and show it on ``call``; an answer in hand is tried to be saved for 10 seconds."""
    until = time.monotonic() + SAVING
    while True:
        try:
            saved = record_event(event)
        except DatabaseError:
            connections[router.db_for_write(CallRecord)].close_if_unusable_or_obsolete()
            if time.monotonic() < until:
                time.sleep(0.5)
                continue
            sid = event.facts.get("call_sid", "")
            logger.exception("The answer for call %s (sid %s) could not be saved.", call.reference, sid)
            call.facts = lifecycle.registers_of(told_by(event))
        else:
            call.facts = saved.call.facts if saved.call is not None else {}
        call.show(lifecycle.project(call.facts))
        return
