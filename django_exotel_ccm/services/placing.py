"""``place_call``: written down first, dialled once, and never told as more than is known."""

from __future__ import annotations

import itertools
import logging
import time
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseFailure
from django.db import models, router
from django.db.models import Q
from django.urls import NoReverseMatch
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_exotel_ccm import accounts, callback_urls, conf, lifecycle
from django_exotel_ccm.background import work_context
from django_exotel_ccm.choices import Authentication, EventKind, State
from django_exotel_ccm.exceptions import CallRefused, PlacedInsideTransaction, RequestKeyReused
from django_exotel_ccm.exotel.calls import OPTIONS, CallRequest
from django_exotel_ccm.exotel.client import ExotelClient
from django_exotel_ccm.exotel.errors import ExotelError, NotPlaced
from django_exotel_ccm.models import Agent, CallEvent, CallRecord, ExoPhone
from django_exotel_ccm.phone_numbers import PhoneNumber
from django_exotel_ccm.policies import Refusal, first_refusal
from django_exotel_ccm.services.drafts import address, check_arguments, draft
from django_exotel_ccm.services.events import record_event
from django_exotel_ccm.services.transactions import open_transaction, reset_connection, run_durably

logger = logging.getLogger("django_exotel_ccm.services")

SAVING = 10.0  # seconds during which saving an answer in hand is tried again
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


def place_call(  # noqa: PLR0913 - the parameters of Exotel's call
    *,
    agent: Agent,
    to: PhoneNumber | None = None,
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

    ``to`` is the customer's number: text, read in the region of ``NUMBER_REGION``, or a phone number object of
    phonenumbers or django-phonenumber-field. Without it the ticket's only number is called. ``exophone`` is the caller
    id; without it the agent's, else the account's default. ``recording`` to ``attempt_time_out`` (seconds) are Exotel's
    and are not sent when None (docs/exotel.md 2.3). ``custom_field`` defaults to the ticket's name. Two calls with
    the same ``request_key`` are one: the second returns the first.

    Trusted code: policies are asked, permissions are not. Raises :class:`~.CallRefused` when nothing was dialled,
    :class:`~.PlacedInsideTransaction`, :class:`~.RequestKeyReused`, ``TypeError`` for wrong types, ``ValueError`` for
    options Exotel does not have.
    """
    arguments = locals()  # all of them, by name
    check_arguments(arguments)
    alias = open_transaction()
    if alias is not None:
        raise PlacedInsideTransaction(alias)

    call = draft(arguments)
    with work_context(call):
        order = address(call, arguments) or first_refusal(call) or _order(call, arguments)

    written = _write(call)
    if written is not call:
        return _earlier(written, call)
    if isinstance(order, Refusal):
        _record(call, _policy_event(call, order))
        raise CallRefused(call, *order)
    return _dial(call, order)


def agents_for(user: Any) -> list[Agent]:
    """Return the agents as whom ``user`` may call: what ``AGENT_FOR_USER`` says, else the user's active agents."""
    path = conf.get_settings().agent_for_user
    if path:
        agent = conf.load(path)(user)
        return [agent] if agent is not None and agent.is_active else []
    return list(Agent.objects.of_user(user).select_related("exophone").order_by("account", "pk"))


def _order(call: CallRecord, arguments: dict[str, Any]) -> CallRequest | Refusal:
    """Return what Exotel is to be asked, or why it could not report."""
    try:
        urls = callback_urls.callback_urls(call)
    except (ImproperlyConfigured, NoReverseMatch) as error:
        return Refusal("not_configured", str(_NOT_CONFIGURED[type(error)]))
    agent: Agent = arguments["agent"]
    user_id, contact_uri = agent.device()
    return CallRequest(
        user_id=user_id,
        user_contact_uri=contact_uri,
        to=call.customer_number,
        virtual_number=call.exophone_number,
        custom_field=call.custom_field or None,
        status_callback=tuple(urls.items()),
        **{name: arguments[name] for name in OPTIONS},
    )


def _write(call: CallRecord) -> CallRecord:
    """Commit the call, and return it; or the call that was placed with its request key before."""
    using = router.db_for_write(CallRecord)
    placed = CallRecord.objects.using(using).filter(
        Q(reference=call.reference) | Q(request_key=call.request_key, request_key__isnull=False)
    )
    # Looked up before the transaction, which then begins with its write: SQLite makes no writer of a reader.
    earlier = placed.first() if call.request_key else None
    tries = itertools.count()

    def work() -> CallRecord:
        # A second try: a rival has won the key, or the first commit was kept though its answer was lost.
        found = placed.first() if next(tries) else None
        if found is None:
            call.pk = None
            call.save(using=using, force_insert=True)
        return found or call

    written = earlier or run_durably(work, using=using)
    if written.reference == call.reference:
        call.pk = written.pk
        return call
    return written


def _earlier(earlier: CallRecord, call: CallRecord) -> CallRecord:
    same = ["agent_id", "ticket_content_type_id", "ticket_object_id"]
    # Of an erased customer the number is not known any more, and they must not be rung twice for that.
    same += ["customer_number"] if earlier.erased_at is None else []
    if any(getattr(earlier, name) != getattr(call, name) for name in same):
        raise RequestKeyReused(earlier)
    if earlier.state == State.REFUSED:
        events = earlier.events.using(router.db_for_write(CallEvent))
        event = events.filter(verdict=State.REFUSED).order_by("-pk").first()
        raise CallRefused(earlier, earlier.refusal_code, event.advice if event is not None else "")
    return earlier


def _dial(call: CallRecord, request: CallRequest) -> CallRecord:
    event = _new_event(call, EventKind.ANSWER, Authentication.CREDENTIALS)
    refused: NotPlaced | None = None
    try:
        answer = ExotelClient(accounts.get_account(call.account)).make_call(request)
    except ExotelError as error:
        refused = error if isinstance(error, NotPlaced) else None
        event.verdict = State.UNCONFIRMED if refused is None else State.REFUSED
        event.code, event.advice = error.code[:40], _advice(error)
        event.http_status, event.request_id = error.http_status, error.request_id
        event.raw, event.tries = error.raw, error.tries
    else:
        event.verdict, event.parsed = State.ACTIVE, answer.facts
        event.http_status, event.request_id = answer.http_status, answer.request_id
        event.raw, event.tries = answer.raw, answer.tries
    event.received_at = timezone.now()
    _record(call, event)
    if refused is not None and call.state == State.REFUSED:
        raise CallRefused(call, event.code, event.advice)
    return call


def _advice(error: ExotelError) -> str:
    """Return what the agent is told; Exotel's own words too, where nobody knows its code."""
    if type(error) is NotPlaced and error.text:
        return _("%(advice)s Exotel says: %(text)s") % {"advice": error.advice, "text": error.text}
    return str(error.advice)


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
        except DatabaseFailure:
            reset_connection(router.db_for_write(CallRecord))
            if time.monotonic() < until:
                time.sleep(0.5)
                continue
            sid = event.facts.get("call_sid", "")
            logger.exception("The answer for call %s (sid %s) could not be saved.", call.reference, sid)
            call.facts = lifecycle.to_registers(event.as_message())
        else:
            call.facts = saved.call.facts if saved.call is not None else {}
        call.apply_projection(lifecycle.project(call.facts))
        return
