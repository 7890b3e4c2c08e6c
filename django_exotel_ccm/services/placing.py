"""``place_call``: commits the call, sends it to Exotel once, and records the answer."""

from __future__ import annotations

import datetime
import itertools
import logging
import time
from typing import Any, NoReturn

from django.db import Error as DatabaseFailure
from django.db import models, router
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from django_exotel_ccm import accounts, conf, lifecycle
from django_exotel_ccm.choices import Authentication, DoNotCallSource, EventKind, State
from django_exotel_ccm.exceptions import CallRefused, PlacedInsideTransaction, RequestKeyReused
from django_exotel_ccm.exotel.call_request import CallRequest
from django_exotel_ccm.exotel.client import Answer, ExotelClient
from django_exotel_ccm.exotel.errors import CustomerBlocked, ExotelError, NotPlaced
from django_exotel_ccm.models import Agent, CallEvent, CallRecord, Device, ExoPhone
from django_exotel_ccm.phone_numbers import PhoneNumber
from django_exotel_ccm.policies import Refusal, asks_again, callbacks_of, first_refusal, refusal_by_other_calls
from django_exotel_ccm.services.do_not_call import add_do_not_call
from django_exotel_ccm.services.drafts import (
    PlaceCallRequest,
    add_exophone,
    add_ticket_and_customer,
    build_record,
    digest_of,
    has_other_options,
)
from django_exotel_ccm.services.events import record_event, report_state
from django_exotel_ccm.services.press_locks import LockMissing, create_locks, lock_presses
from django_exotel_ccm.services.synchronisation.switching import device_refusal
from django_exotel_ccm.services.transactions import insert, open_transaction, reset_connection, run_durably

logger = logging.getLogger("django_exotel_ccm.services")

SAVE_FOR = 10.0  # seconds
BLOCKED_FOR = datetime.timedelta(days=30)
"""How long a customer stays on the do-not-call list whom Exotel did not call."""


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
    override_reason: str | None = None,
) -> CallRecord:
    """Ring ``agent``, then the customer, and return the call: ``active`` (accepted by Exotel) or ``unconfirmed``.

    ``to`` is the customer's number: text, read in the region of ``NUMBER_REGION``, or a phone number object of
    phonenumbers or django-phonenumber-field. Without it the ticket's only number is called. ``exophone`` is the
    caller id; without it ``EXOPHONE_CHOICE`` decides. ``recording`` to ``attempt_time_out`` (seconds) are Exotel's
    and are not sent when None (docs/exotel.md 2.3). ``custom_field`` defaults to the ticket's name. Two calls with
    the same ``request_key`` are one: the second returns the first, and may leave out options. ``override_reason``
    (200 characters) is why the customer is called although a rule of ``POLICIES`` says no: it is kept on the call. A
    blank one overrides nothing, and none overrides a rule about safety.

    Trusted code: the rules are asked, permissions are not (nor is ``override_policy``). Raises :class:`~.CallRefused`
    when nothing was dialled, :class:`~.PlacedInsideTransaction`, :class:`~.RequestKeyReused`, ``TypeError`` for wrong
    types, ``ValueError`` for options Exotel does not have.
    """
    request = PlaceCallRequest(
        agent=agent,
        to=to,
        ticket=ticket,
        exophone=exophone,
        recording=recording,
        recording_channels=recording_channels,
        wait_audio_url=wait_audio_url,
        max_time_limit=max_time_limit,
        attempt_time_out=attempt_time_out,
        custom_field=custom_field,
        placed_by=placed_by,
        request_key=request_key,
        override_reason=override_reason,
    )
    alias = open_transaction()
    if alias is not None:
        raise PlacedInsideTransaction(alias)
    return _place(request)


def _place(request: PlaceCallRequest) -> CallRecord:
    call = build_record(request)
    with conf.get_settings().work_context_for(call):
        refusal = add_ticket_and_customer(call, request)
        if refusal is None:
            add_exophone(call, request.exophone)
            refusal = first_refusal(call)
        to_send = refusal or _to_exotel(call, request)
    if conf.get_settings().check_device_first and isinstance(to_send, CallRequest):
        to_send = device_refusal(request.agent) or to_send

    written, decided = _write(call, to_send)
    if written is not call:
        return _earlier(written, call, request)
    report_state(call.reference, call.state, call.outcome)
    if isinstance(decided, CallEvent):
        _refuse(call, decided)
    return _dial(call, decided)


def agents_for(user: Any) -> list[Agent]:
    """Return the agents as whom ``user`` may call: what ``AGENT_FOR_USER`` says, else the user's active agents."""
    path = conf.get_settings().agent_for_user
    if path:
        agent = conf.load(path)(user)
        return [agent] if agent is not None and agent.is_active else []
    own = Agent.objects.of_user(user).select_related("exophone").with_usual_number()
    return list(own.order_by("account", "pk"))


def _to_exotel(call: CallRecord, request: PlaceCallRequest) -> CallRequest | Refusal:
    """Return the request to send to Exotel, or why Exotel could not report about the call."""
    urls = callbacks_of(call)
    if isinstance(urls, Refusal):
        return urls
    user_id, contact_uri = request.agent.device()
    return CallRequest(
        user_id=user_id,
        user_contact_uri=contact_uri,
        to=call.customer_number,
        virtual_number=call.exophone_number,
        custom_field=call.custom_field or None,
        status_callback=tuple(urls.items()),
        **request.options,
    )


def _write(call: CallRecord, to_send: CallRequest | Refusal) -> tuple[CallRecord, CallRequest | CallEvent]:
    """Commit the call, and return it with what comes next: the request to send, or the event of its refusal.

    If its request key has placed a call before, that one is returned. The rules that depend on other calls are asked
    again here, where no other press of the agent or to the customer can go on.
    """
    using = router.db_for_write(CallRecord)
    same = Q(reference=call.reference)
    if call.request_key:
        same |= Q(request_key=call.request_key)
    placed = CallRecord.objects.using(using).filter(same)
    decided: CallRequest | CallEvent = _refusal_event(call, to_send) if isinstance(to_send, Refusal) else to_send
    prepared, attempts = decided, itertools.count()
    is_asked = isinstance(prepared, CallRequest) and asks_again()
    # Look up before the transaction: SQLite cannot upgrade a read lock.
    earlier = placed.first() if call.request_key else None

    def work() -> CallRecord:
        nonlocal decided
        is_first = next(attempts) == 0
        if is_asked:
            lock_presses(call, using)
        # On a second attempt another process has the key, or the first commit succeeded and its answer was lost. A
        # press that has waited for a lock may be the second click.
        found = placed.first() if not is_first or (is_asked and call.request_key) else None
        if found is not None:
            return found
        if is_asked:
            refusal = refusal_by_other_calls(call, using)
            decided = prepared if refusal is None else _refusal_event(call, refusal)
        call.pk, call.state, call.refusal_code = None, State.REQUESTED, ""
        if isinstance(decided, CallEvent):
            # At once, because what is requested counts as a call in progress.
            call.state, call.refusal_code = State.REFUSED, decided.code
        insert([call], using)
        return call

    try:
        written = earlier or run_durably(work, using=using)
    except LockMissing:
        create_locks(using)
        written = run_durably(work, using=using)
    if written.reference == call.reference:
        call.pk = written.pk
        return call, decided
    return written, decided


def _earlier(earlier: CallRecord, call: CallRecord, request: PlaceCallRequest) -> CallRecord:
    """Return the call that the request key placed before; raises as ``place_call`` did then."""
    same = ["agent_id", "ticket_content_type_id", "ticket_object_id"]
    # An erased customer has no number any more, and must not be rung twice because of that.
    same += ["customer_number", "override_reason"] if earlier.erased_at is None else []
    # What was chosen, and not given, may have changed since; an ExoPhone may have been deleted.
    same += ["custom_field"] if earlier.erased_at is None and request.custom_field is not None else []
    same += ["exophone_id"] if earlier.exophone_id is not None and request.exophone is not None else []
    is_other = any(getattr(earlier, name) != getattr(call, name) for name in same)
    if is_other or has_other_options(earlier, request.options):
        raise RequestKeyReused(earlier)
    raise_if_refused(earlier)
    return earlier


def call_with_key(request_key: str) -> CallRecord | None:
    """Return the call that this request key has placed; None if it has placed none."""
    return CallRecord.objects.filter(request_key=digest_of(request_key)).first()


def raise_if_refused(call: CallRecord) -> None:
    """Raise ``CallRefused`` as ``place_call`` did, if the call was refused."""
    if call.state == State.REFUSED:
        events = call.events.using(router.db_for_write(CallEvent))
        event = events.filter(verdict=State.REFUSED).order_by("-pk").first()
        raise CallRefused(call, call.refusal_code, event.advice if event is not None else "")


def _dial(call: CallRecord, request: CallRequest) -> CallRecord:
    """Send the request once, and record what its answer proves."""
    event = CallEvent(kind=EventKind.ANSWER, authentication=Authentication.CREDENTIALS, reference=call.reference)
    answer: Answer | ExotelError
    try:
        client = ExotelClient(accounts.get_account(call.account))
        answer = client.make_call(request, reference=str(call.reference))
    except ExotelError as error:
        answer = error
        event.verdict = State.REFUSED if isinstance(error, NotPlaced) else State.UNCONFIRMED
        event.code, event.advice = error.code[:40], _advice(error)
        _note_refusal(call.agent, error.code)
    else:
        event.verdict, event.parsed = State.ACTIVE, answer.facts
    event.http_status, event.request_id = answer.http_status, answer.request_id
    event.raw, event.tries = answer.raw, answer.tries
    event.received_at = timezone.now()
    _record(call, event)
    # A callback that came before the answer proves that the call was placed.
    if event.verdict == State.REFUSED == call.state:
        if isinstance(answer, CustomerBlocked):
            _block(call)
        raise CallRefused(call, event.code, event.advice)
    return call


def _note_refusal(agent: Agent | None, code: str) -> None:
    """Keep what a refusal says of the agent's device. It is only news: the refusal stands without it."""
    try:
        if agent is not None:
            Device.objects.note_refusal(agent, code)
    except DatabaseFailure:
        logger.exception("What code %s says of a device could not be saved.", code)
        reset_connection(router.db_for_write(Device))


def _block(call: CallRecord) -> None:
    """Call the customer no more for a while, after Exotel's refusal that they may not be disturbed."""
    expires_at, source = timezone.now() + BLOCKED_FOR, DoNotCallSource.EXOTEL
    reason = f"Exotel 10717, {call.created_at:%Y-%m-%d}"
    try:
        add_do_not_call(call.customer_number, source=source, reason=reason, expires_at=expires_at)
    except Exception:
        logger.exception("The customer of call %s could not be put on the do-not-call list.", call.reference)


def _advice(error: ExotelError) -> str:
    """Return what to tell the agent, with Exotel's own words if we do not know its code."""
    if type(error) is NotPlaced and error.text:
        return _("%(advice)s Exotel says: %(text)s") % {"advice": error.advice, "text": error.text}
    return str(error.advice)


def _refusal_event(call: CallRecord, refusal: Refusal) -> CallEvent:
    """Return the event, not saved yet, that a rule says no."""
    return CallEvent(
        kind=EventKind.POLICY,
        authentication=Authentication.OURSELVES,
        reference=call.reference,
        verdict=State.REFUSED,
        code=refusal.code[:40],
        advice=refusal.advice,
        received_at=timezone.now(),
    )


def _refuse(call: CallRecord, event: CallEvent) -> NoReturn:
    """Record the refusal of a call that was not sent, and raise it."""
    _record(call, event)
    raise CallRefused(call, event.code, event.advice)


def _record(call: CallRecord, event: CallEvent) -> None:
    """Record the event, and update ``call`` by it. If the database is away, try for 10 seconds."""
    until = time.monotonic() + SAVE_FOR
    while True:
        try:
            saved = record_event(event, placed=call)
        except Exception as error:
            if isinstance(error, DatabaseFailure):
                reset_connection(router.db_for_write(CallRecord))
                if time.monotonic() < until:
                    time.sleep(0.5)
                    continue
            # Else it is code of the host's that hears of saved rows. The phones ring all the same.
            logger.exception(
                "The answer for call %s (sid %s) could not be saved.", call.reference, event.parsed.call_sid or ""
            )
            call.facts = lifecycle.to_registers(event.as_message())
        else:
            call.facts = saved.call.facts if saved.call is not None else {}
        call.apply_projection(lifecycle.project(call.facts))
        return
