"""``record_event``: the one way by which an event changes a call."""

from __future__ import annotations

import copy
import hashlib
import itertools
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections, router, transaction
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from django_exotel_ccm import conf, lifecycle, metrics
from django_exotel_ccm.choices import EventKind, EventReason
from django_exotel_ccm.lifecycle import Registers
from django_exotel_ccm.models import CallEvent, CallRecord, FollowUp
from django_exotel_ccm.services.announcements.announce import plan_announcements, send_announcements
from django_exotel_ccm.services.scheduling import COLUMNS as PLAN
from django_exotel_ccm.services.scheduling import reschedule
from django_exotel_ccm.services.transactions import insert, run_durably, update

logger = logging.getLogger("django_exotel_ccm.services")

NOT_JOINED = frozenset({EventReason.UNKNOWN_CALL, EventReason.UNVERIFIED})
NOTHING_STORED = "events_stored = 0 AND events_not_stored = 0 AND erased_at IS NULL"
QUOTA = 1_000
"""How many events of one call are stored whatever they say; beyond, only those that change a fact."""


def record_event(event: CallEvent, *, canonical: bytes | None = None, placed: CallRecord | None = None) -> CallEvent:
    """Store ``event`` (unsaved), apply it to the call that its ``reference`` names, and return it.

    ``canonical`` is the parsed body in canonical form: when the same message comes twice, the first event is returned.
    ``placed`` is the call as it was committed before its request; if this is its first event, it is not read again.
    An event that names no known call, or another call's sid, is stored with the reason and changes nothing. In a flood
    (see :data:`QUOTA`) an event is counted on its call instead of stored, and returned without a primary key. When this
    returns, the transaction is committed. Raises a ``DatabaseError`` when it could not be, ``RuntimeError`` inside
    another transaction.
    """
    using = router.db_for_write(CallRecord)
    event.fingerprint = fingerprint_of(event, bytes(event.raw) if canonical is None else canonical)
    unreadable, attempts = event.reason, itertools.count()

    def work(*, deliver: bool = True) -> CallEvent:
        # On a second attempt the same message or the call's sid is stored, or the first commit succeeded and its
        # answer was lost.
        is_first = next(attempts) == 0
        if is_first and placed is not None and _store_first(event, copy.copy(placed), using):
            return event
        return store(event, unreadable, using, deliver=deliver, may_be_stored=not is_first)

    # On the last attempt no receiver runs, because a receiver may be what breaks the transaction.
    stored = run_durably(work, using=using, last_attempt=partial(work, deliver=False))
    metrics.observe_event(event.kind, (timezone.now() - event.received_at).total_seconds())
    return stored


def fingerprint_of(event: CallEvent, canonical: bytes) -> str:
    """Return what makes two events the same message: where they came from, and their body in canonical form."""
    origin = (event.kind, event.reference, event.url_event, event.event, event.http_status, event.tries)
    return hashlib.sha256("|".join(map(str, origin)).encode() + b"|" + canonical).hexdigest()


def store(
    event: CallEvent, unreadable: str, using: str, *, deliver: bool = True, may_be_stored: bool = False
) -> CallEvent:
    """Do the work of :func:`record_event` inside the caller's transaction.

    ``unreadable`` is the reason why the body cannot be read, or "". Without ``deliver`` the receivers are left to
    ``exotel_reconcile``. A callback that changes facts is looked up among the stored ones if it ``may_be_stored``.
    """
    call = lock(event.reference, using)
    event.pk, event.call, event.reason = None, call, unreadable
    if call is not None and call.erased_at is not None:
        event.redact()
    facts = _joined(call, event, using) if call is not None else None
    changes = call is not None and facts != call.facts
    # A callback that changes the facts is new, as a rule: a copy does so only if it was received earlier. Then the
    # INSERT fails, because the fingerprint is unique, and `run_durably` runs the work again. But the same Call Details
    # can count for more when they are fetched later.
    is_new = event.kind == EventKind.CALLBACK and facts is not None and changes
    if may_be_stored or not is_new:
        # Read no more than the key: the other columns are loaded when they are read.
        known = next(iter(CallEvent.objects.using(using).filter(fingerprint=event.fingerprint).only("pk")), None)
        if known is not None:
            return known
    if call is None:
        event.reason = EventReason.UNKNOWN_CALL
        insert([event], using)
        return event
    if event.kind == EventKind.CALLBACK and _is_over_quota(call, changes=changes):
        _count(call, using)
        return event
    insert([event], using)
    call.events_stored += 1
    if facts is None:
        rebuild(call, event, using, deliver=deliver)
    else:
        _apply(call, event, facts, using, deliver=deliver)
    return event


def _store_first(event: CallEvent, call: CallRecord, using: str) -> bool:
    """Store the first event of a call that was placed here, without reading the call; return False if it is not first.

    ``call`` is as it was committed.
    """
    event.pk, event.call = None, call
    call.facts = lifecycle.join({}, lifecycle.to_registers(event.as_message()))
    changed = call.apply_projection(lifecycle.project(call.facts))
    call.events_stored, call.updated_at = 1, timezone.now()
    announcements = plan_announcements(call, before={}, changed=changed, using=using, rebuilt=False, deliver=True)
    reschedule(call, moved=True)
    columns = [*changed, *PLAN, "facts", "events_stored", "updated_at"]
    if not update(call, columns, using, only_if=NOTHING_STORED):
        return False
    insert([event], using)
    _update_follow_ups(call, using, changed=changed, talked_before=False)
    _report_when_committed(call, changed, using)
    send_announcements(call, event, announcements, using)
    return True


def lock(reference: UUID | None, using: str) -> CallRecord | None:
    """Return the call, locked for this transaction before anything is read."""
    if reference is None:
        return None
    connection, reader = connections[using], _call_reader(using, conf.uses_time_zones())
    key = CallRecord._meta.get_field("reference").get_db_prep_value(reference, connection)
    with connection.cursor() as cursor:
        cursor.execute(reader.sql, [key])
        row = cursor.fetchone()
    if row is None:
        return None
    [values] = reader.compiler.apply_converters([row], reader.converters)
    return CallRecord.from_db(using, reader.names, values)


class _CallReader(NamedTuple):
    """The SELECT of :func:`lock`, and how its values are converted."""

    sql: str
    names: list[str]
    compiler: SQLCompiler
    converters: dict[int, Any]


@cache
def _call_reader(using: str, use_tz: bool) -> _CallReader:
    """Return the SELECT, made once: making it of 45 columns takes Django several times as long as reading them.

    The converters depend on ``use_tz``.
    """
    quote, fields = connections[using].ops.quote_name, CallRecord._meta.concrete_fields
    columns = ", ".join(quote(str(field.column)) for field in fields)
    sql = f"SELECT {columns} FROM {quote(CallRecord._meta.db_table)} WHERE reference = %s"  # noqa: S608 - names
    if connections[using].features.has_select_for_update:
        sql += " FOR UPDATE"
    # The compiler keeps its connection, so it gets one that is never opened.
    compiler = CallRecord.objects.all().query.get_compiler(connection=connections.create_connection(using))
    table = CallRecord._meta.db_table
    converters = compiler.get_converters([field.get_col(table) for field in fields])
    return _CallReader(sql, [field.attname for field in fields], compiler, converters)


def _joined(call: CallRecord, event: CallEvent, using: str) -> Registers | None:
    """Return the facts of the call after ``event``; None when all its events must be joined anew.

    Sets the event's reason when it names another call.
    """
    message = event.as_message()
    known: Registers = call.facts
    sid = message.facts.call_sid
    if sid and sid != call.call_sid:
        if call.call_sid != lifecycle.chosen_sid(known):
            return None  # somebody has changed the record by hand
        if not lifecycle.names_sooner(message, known):
            event.reason = EventReason.ANOTHER_CALL
            return known
        if CallRecord.objects.using(using).filter(account=call.account, call_sid=sid).exists():
            event.reason = EventReason.ANOTHER_CALL
            if event.kind != EventKind.ANSWER:
                return known
            logger.error("Exotel accepted call %s under sid %s, which another call has.", call.reference, sid)
            return None
        if call.call_sid:
            return None
    return lifecycle.join(known, lifecycle.to_registers(message))


def _is_over_quota(call: CallRecord, *, changes: bool) -> bool:
    return call.events_stored >= QUOTA and (call.is_flooded or not changes)


def _count(call: CallRecord, using: str) -> None:
    """Count an event that is not stored, and let Call Details decide once no event is stored any more."""
    call.events_not_stored += 1
    reschedule(call, moved=False)
    call.save(using=using, update_fields=["events_not_stored", *PLAN])


def _apply(
    call: CallRecord,
    event: CallEvent | None,
    facts: Registers,
    using: str,
    *,
    rebuilt: bool = False,
    deliver: bool = True,
) -> list[str]:
    """Give the call its new facts, save what changed and announce it; return the names of the changed columns."""
    before, talked_before, plan = call.facts, call.is_conversation, [getattr(call, name) for name in PLAN]
    changed = call.apply_projection(lifecycle.project(facts))
    call.facts = facts
    if facts == before and not changed:
        update(call, ["events_stored", "was_rebuilt"], using)
        return []
    call.updated_at = timezone.now()
    announcements = plan_announcements(
        call, before=before, changed=changed, using=using, rebuilt=rebuilt, deliver=deliver
    )
    reschedule(call, moved=not {"state", "call_sid"}.isdisjoint(changed))
    planned = [name for name, earlier in zip(PLAN, plan, strict=True) if getattr(call, name) != earlier]
    update(call, [*changed, *planned, "facts", "events_stored", "was_rebuilt", "updated_at"], using)
    _update_follow_ups(call, using, changed=changed, talked_before=talked_before)
    _report_when_committed(call, changed, using)
    send_announcements(call, event, announcements, using)
    return changed


def _report_when_committed(call: CallRecord, changed: Sequence[str], using: str) -> None:
    if not {"state", "outcome"}.isdisjoint(changed):
        report = partial(report_state, call.reference, call.state, call.outcome)
        transaction.on_commit(report, using=using, robust=True)


def report_state(reference: UUID, state: str, outcome: str) -> None:
    """Log where a call stands, once that is committed, and count it for Prometheus."""
    fields = {"reference": str(reference), "state": str(state), "outcome": str(outcome)}
    logger.info("Call %s: %s", reference, " ".join(filter(None, [state, outcome])), extra=fields)
    metrics.count_call(state, outcome)


def _update_follow_ups(call: CallRecord, using: str, *, changed: Sequence[str], talked_before: bool) -> None:
    """Settle the follow-ups about the call's ticket once it is known that the two talked; one statement, then."""
    if "talk_time" not in changed or not call.ticket_object_id or talked_before == call.is_conversation:
        return
    follow_ups = FollowUp.objects.using(using)
    if call.is_conversation:
        follow_ups.settle(call)
    else:
        follow_ups.reopen(call)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the ledger says of a call: its events, their joined facts, and the fingerprints of other calls' events."""

    call: CallRecord
    events: list[CallEvent]
    facts: Registers
    foreign: set[str]

    def reasons(self) -> Iterator[tuple[CallEvent, str]]:
        """Yield each event that must get another reason, and that reason."""
        for event in self.events:
            reason = EventReason.ANOTHER_CALL if event.fingerprint in self.foreign else ""
            if event.reason != reason and event.is_readable:
                yield event, reason


def rebuild(call: CallRecord, event: CallEvent | None, using: str, *, deliver: bool = True) -> list[str]:
    """Join all events of a locked call anew, and return the names of the changed columns.

    ``event`` is the event that made this necessary, for the announcements; None in a replay.
    """
    [replayed] = replay_facts([call], using)
    for one, reason in replayed.reasons():
        CallEvent.objects.using(using).filter(pk=one.pk).update(reason=reason)
        if event is not None and one.pk == event.pk:
            event.reason = reason
    # What is taken back may have been announced, so later announcements must be compared with the earlier ones.
    call.was_rebuilt |= lifecycle.join(call.facts, replayed.facts) != replayed.facts
    return _apply(call, event, replayed.facts, using, rebuilt=True, deliver=deliver)


def replay_facts(calls: Sequence[CallRecord], using: str, *, unlinked: Iterable[CallEvent] = ()) -> Iterator[Replayed]:
    """Yield what the ledger says of each of the calls, with two statements for all of them.

    ``unlinked`` are events that belong to them and have their call set, but are not saved so.
    """
    ledger: dict[Any, list[CallEvent]] = defaultdict(list)
    linked = CallEvent.objects.using(using).filter(call__in=[call.pk for call in calls])
    # The facts have what the bodies say, and bodies can be large.
    for event in [*linked.exclude(reason__in=NOT_JOINED).defer("raw").order_by("pk"), *unlinked]:
        ledger[event.call_id].append(event)
    owners = _owners(calls, ledger, using)
    for call in calls:
        events = ledger[call.pk]
        taken = {sid for sid in _named(events) if owners.get((call.account, sid), call.pk) != call.pk}
        yield Replayed(call, events, *lifecycle.join_events(map(CallEvent.as_message, events), taken=taken))


def _owners(
    calls: Sequence[CallRecord], ledger: Mapping[Any, list[CallEvent]], using: str
) -> dict[tuple[str, str | None], Any]:
    """Return (account, sid) to key of the calls that have a sid which an event of another call names."""
    foreign = {sid for call in calls for sid in _named(ledger[call.pk]) if sid != call.call_sid}
    accounts = {call.account for call in calls}
    others = CallRecord.objects.using(using).filter(account__in=accounts, call_sid__in=foreign)
    return {(account, sid): key for account, sid, key in others.values_list("account", "call_sid", "pk")}


def _named(events: Iterable[CallEvent]) -> set[str]:
    return {sid for event in events if (sid := event.parsed.call_sid)}
