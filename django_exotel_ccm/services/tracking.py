"""``record_event``: the one way by which anything we are told changes a call."""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections, router
from django.db.models import F, QuerySet
from django.utils import timezone

from django_exotel_ccm import lifecycle
from django_exotel_ccm.choices import EventKind, EventReason, State
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.exotel.values import as_object
from django_exotel_ccm.lifecycle import Registers, Told
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services.announcements.announce import announce
from django_exotel_ccm.services.committing import commit
from django_exotel_ccm.services.scheduling import reschedule

logger = logging.getLogger("django_exotel_ccm.services")

NOT_JOINED = frozenset({EventReason.UNKNOWN_CALL, EventReason.UNVERIFIED})
UNREADABLE = frozenset(EventReason.values) - NOT_JOINED - {EventReason.ANOTHER_CALL}


PLANNED = ("details_check_at", "announce_at", "next_check_at", "checks", "gave_up_at")


@dataclass(frozen=True, slots=True)
class Rejoined:
    """What the ledger says of a call: its events, their joined facts, and the fingerprints of other calls' events."""

    call: CallRecord
    events: list[CallEvent]
    facts: Registers
    strangers: set[str]

    def reasons(self) -> Iterator[tuple[CallEvent, str]]:
        """Yield each event that has to get another reason, and that reason."""
        for event in self.events:
            reason = EventReason.ANOTHER_CALL if event.fingerprint in self.strangers else ""
            if event.reason != reason and event.reason not in UNREADABLE:
                yield event, reason


def record_event(event: CallEvent, *, canonical: bytes | None = None) -> CallEvent:
    """Keep ``event`` (unsaved) in the ledger and apply it to the call that its ``reference`` names; return it saved.

    ``canonical`` is the parsed body in canonical form: news told twice is kept once, and the earlier event is returned.
    An event that names no known call, or another call's sid, is kept with the reason and changes nothing. When this
    returns, the event is committed. Raises a ``DatabaseError`` when it could not be, ``RuntimeError`` inside somebody
    else's transaction.
    """
    using = router.db_for_write(CallRecord)
    canonical, unreadable = bytes(event.raw) if canonical is None else canonical, event.reason
    return commit(lambda: keep(event, canonical, unreadable, using), using=using)


def _fingerprint(event: CallEvent, canonical: bytes) -> str:
    vouched = f"{event.kind}|{event.reference}|{event.event}|{event.http_status}|{event.tries}|".encode()
    return hashlib.sha256(vouched + canonical).hexdigest()


def keep(event: CallEvent, canonical: bytes, unreadable: str, using: str) -> CallEvent:
    """Do the work of :func:`record_event` inside the caller's transaction; ``unreadable`` is the event's own reason."""
    event.fingerprint = _fingerprint(event, canonical)
    call = lock(event.reference, using)
    known = CallEvent.objects.using(using).filter(fingerprint=event.fingerprint).first()
    if known is not None:
        return known
    event.pk, event.call = None, call
    if call is not None and call.erased_at is not None:
        event.redact()
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
    return None if reference is None else lock_first(CallRecord.objects.using(using).filter(reference=reference))


def lock_first(calls: QuerySet[CallRecord]) -> CallRecord | None:
    """Return the one of ``calls`` as :func:`lock` does. SQLite begins its write here, also when there is none."""
    if not connections[calls.db].features.has_select_for_update:
        calls.update(account=F("account"))
        return calls.first()
    return calls.select_for_update().order_by().first()


def told_by(event: CallEvent) -> Told:
    """Return what an event of the ledger tells, for the join."""
    received_at = event.received_at
    if timezone.is_naive(received_at):
        # A host without USE_TZ. Of an hour that a clock shows twice the column does not say which it was.
        received_at = timezone.make_aware(received_at.replace(fold=0), timezone.get_default_timezone())
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
    taken = CallRecord.objects.using(using).filter(account=call.account, call_sid=sid).exists()
    if taken and event.kind == EventKind.ANSWER:
        logger.error("Exotel accepted call %s under sid %s, which another call has already.", call.reference, sid)
    return EventReason.ANOTHER_CALL if taken or call.call_sid else ""


def _take_over(
    call: CallRecord, event: CallEvent | None, facts: Registers, using: str, *, rebuilt: bool = False
) -> list[str]:
    """Give the call its new facts, save what changed and announce it; return the names of the changed columns."""
    before = call.facts
    changed = call.show(lifecycle.project(facts))
    call.facts = facts
    if facts == before and not changed:
        return []
    call.updated_at = timezone.now()
    reschedule(call, moved=not {"state", "call_sid"}.isdisjoint(changed))
    call.save(using=using, update_fields=[*changed, "facts", *PLANNED, "updated_at"])
    announce(call, event, before=before, changed=changed, using=using, rebuilt=rebuilt)
    return changed


def rebuild(call: CallRecord, event: CallEvent | None, using: str) -> list[str]:
    """Join all events of a locked call anew, decide which sid is the call's, and return the changed columns.

    ``event`` is what brought the news, for the announcements; None in a replay.
    """
    rejoined = rejoin(call, using)
    for one, reason in rejoined.reasons():
        CallEvent.objects.using(using).filter(pk=one.pk).update(reason=reason)
        if event is not None and one.pk == event.pk:
            event.reason = reason
    return _take_over(call, event, rejoined.facts, using, rebuilt=True)


def rejoin(call: CallRecord, using: str) -> Rejoined:
    """Return what the ledger says of one call."""
    return next(rejoin_all([call], using))


def rejoin_all(calls: Sequence[CallRecord], using: str, *, unlinked: Iterable[CallEvent] = ()) -> Iterator[Rejoined]:
    """Yield what the ledger says of each of the calls, with two statements for all of them.

    ``unlinked`` are events that belong to them, read and given their call, but not saved so.
    """
    ledger: dict[Any, list[CallEvent]] = defaultdict(list)
    linked = CallEvent.objects.using(using).filter(call__in=[call.pk for call in calls])
    # Bodies can be large, and what they say is in the facts.
    for event in [*linked.exclude(reason__in=NOT_JOINED).defer("raw").order_by("pk"), *unlinked]:
        ledger[event.call_id].append(event)
    owners = _owners(calls, ledger, using)
    for call in calls:
        events = ledger[call.pk]
        taken = {sid for sid in _named(events) if owners.get((call.account, sid), call.pk) != call.pk}
        yield Rejoined(call, events, *lifecycle.join_all(map(told_by, events), taken=taken))


def _owners(
    calls: Sequence[CallRecord], ledger: Mapping[Any, list[CallEvent]], using: str
) -> dict[tuple[str, str | None], Any]:
    """Return (account, sid) to key of the calls that have a sid which an event of another call names."""
    foreign = {sid for call in calls for sid in _named(ledger[call.pk]) if sid != call.call_sid}
    accounts = {call.account for call in calls}
    others = CallRecord.objects.using(using).filter(account__in=accounts, call_sid__in=foreign)
    return {(account, sid): key for account, sid, key in others.values_list("account", "call_sid", "pk")}


def _named(events: Iterable[CallEvent]) -> set[str]:
    return {sid for event in events if (sid := as_object(event.facts).get("call_sid"))}
