"""``record_event``: the one way by which anything we are told changes a call."""

from __future__ import annotations

import hashlib
import logging
from uuid import UUID

from django.db import connections, router
from django.utils import timezone

from django_exotel_ccm import lifecycle
from django_exotel_ccm.choices import EventKind, EventReason, State
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.lifecycle import Registers, Told
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services.announcing import announce
from django_exotel_ccm.services.committing import commit
from django_exotel_ccm.services.scheduling import reschedule

logger = logging.getLogger("django_exotel_ccm.services")

NOT_JOINED = frozenset({EventReason.UNKNOWN_CALL, EventReason.HINT})
UNREADABLE = frozenset(EventReason.values) - NOT_JOINED - {EventReason.ANOTHER_CALL}


PLANNED = ("details_at", "announce_at", "next_check_at", "checks", "gave_up_at")


def record_event(event: CallEvent, *, canonical: bytes | None = None) -> CallEvent:
    """Keep ``event`` (unsaved) in the ledger and apply it to the call that its ``reference`` names; return it saved.

    ``canonical`` is the parsed body in canonical form: news told twice is kept once, and the earlier event is returned.
    An event that names no known call, or another call's sid, is kept with the reason and changes nothing. When this
    returns, the event is committed. Raises a ``DatabaseError`` when it could not be, ``RuntimeError`` inside somebody
    else's transaction.
    """
    using = router.db_for_write(CallRecord)
    event.fingerprint = _fingerprint(event, bytes(event.raw) if canonical is None else canonical)
    unreadable = event.reason
    return commit(lambda: _keep(event, unreadable, using), using=using)


def _fingerprint(event: CallEvent, canonical: bytes) -> str:
    vouched = f"{event.kind}|{event.reference}|{event.event}|{event.http_status}|{event.tries}|".encode()
    return hashlib.sha256(vouched + canonical).hexdigest()


def _keep(event: CallEvent, unreadable: str, using: str) -> CallEvent:
    call = lock(event.reference, using)
    known = CallEvent.objects.using(using).filter(fingerprint=event.fingerprint).first()
    if known is not None:
        return known
    event.pk, event.call = None, call
    event.reason = EventReason.UNKNOWN_CALL if call is None else unreadable or _stranger(call, event, using)
    event.save(using=using, force_insert=True)
    if call is not None and event.reason == EventReason.ANOTHER_CALL:
        rebuild(call, event, using)
    elif call is not None:
        facts = lifecycle.join(call.facts, lifecycle.registers_of(told_by(event)))
        _take_over(call, event, facts, using)
    return event


def lock(reference: UUID | None, using: str) -> CallRecord | None:
    """Return the call, locked for this transaction before anything is read."""
    if reference is None:
        return None
    calls = CallRecord.objects.using(using).filter(reference=reference)
    if not connections[using].features.has_select_for_update:
        calls.update(reference=reference)
        return calls.first()
    return calls.select_for_update().order_by().first()


def told_by(event: CallEvent) -> Told:
    """Return what an event of the ledger tells, for the join."""
    received_at = event.received_at
    if timezone.is_naive(received_at):
        # A host without USE_TZ.
        received_at = timezone.make_aware(received_at, timezone.get_default_timezone())
    return Told(
        kind=event.kind,
        facts=CallFacts.from_json(event.facts),
        received_at=received_at,
        fingerprint=event.fingerprint,
        # What cannot be read proves that Exotel has the call, and nothing else.
        event="" if event.reason in UNREADABLE else event.event,
        verdict=event.verdict,
        refusal=event.code if event.verdict == State.REFUSED else "",
        tries=event.tries,
    )


def _stranger(call: CallRecord, event: CallEvent, using: str) -> str:
    """Return ANOTHER_CALL when the event names a sid that is not this call's, or is another call's already."""
    sid = event.facts.get("call_sid")
    if not sid or sid == call.call_sid:
        return ""
    others = CallRecord.objects.using(using).filter(account=call.account, call_sid=sid)
    if not call.call_sid and not others.exists():
        return ""
    if event.kind == EventKind.ANSWER:
        logger.error("Exotel accepted call %s under sid %s, which another call has already.", call.reference, sid)
    return EventReason.ANOTHER_CALL


def _take_over(call: CallRecord, event: CallEvent | None, facts: Registers, using: str) -> list[str]:
    """Give the call its new facts, save what changed and announce it; return the names of the changed columns."""
    before = call.facts
    changed = call.show(lifecycle.project(facts))
    call.facts = facts
    if facts == before and not changed:
        return []
    call.updated_at = timezone.now()
    reschedule(call, moved="state" in changed)
    call.save(using=using, update_fields=[*changed, "facts", *PLANNED, "updated_at"])
    announce(call, event, before=before, changed=changed, using=using)
    return changed


def rebuild(call: CallRecord, event: CallEvent | None, using: str) -> list[str]:
    """Join all events of a locked call anew, decide which sid is the call's, and return the changed columns.

    ``event`` is what brought the news, for the announcements; None in a replay.
    """
    events, facts, strangers = rejoin(call, using)
    for one in events:
        reason = EventReason.ANOTHER_CALL if one.fingerprint in strangers else ""
        if one.reason != reason and one.reason not in UNREADABLE:
            CallEvent.objects.using(using).filter(pk=one.pk).update(reason=reason)
            if event is not None and one.pk == event.pk:
                event.reason = reason
    return _take_over(call, event, facts, using)


def rejoin(call: CallRecord, using: str) -> tuple[list[CallEvent], Registers, set[str]]:
    """Return a call's events, their joined facts, and the fingerprints of those that name another call."""
    events = list(CallEvent.objects.using(using).filter(call=call).exclude(reason__in=NOT_JOINED).order_by("pk"))
    named = {one.facts["call_sid"] for one in events if "call_sid" in one.facts}
    others = CallRecord.objects.using(using).filter(account=call.account, call_sid__in=named).exclude(pk=call.pk)
    taken = set(others.values_list("call_sid", flat=True))
    return events, *lifecycle.join_all((told_by(one) for one in events), taken=taken)
