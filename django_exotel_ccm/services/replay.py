"""Replays the ledger: compares each call with its events, and reprocesses events that were not applied."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.db import router
from django.db.models import Q, QuerySet

from django_exotel_ccm import lifecycle
from django_exotel_ccm.choices import Authentication, EventKind, EventReason
from django_exotel_ccm.exotel.callbacks import read_callback
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.exotel.redact import each_text, redact
from django_exotel_ccm.exotel.values import as_object
from django_exotel_ccm.masking import mask
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services.batches import batches
from django_exotel_ccm.services.events import Replayed, lock, rebuild, replay_facts
from django_exotel_ccm.services.transactions import run_durably

BATCH = 200
NOTHING = "nothing"
APPLIED = "applied"
_GARBAGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that a call's record, or an event of it, says otherwise than the ledger; numbers are masked.

    ``what`` is a column, ``facts.<register>`` or ``event <key>``.
    """

    reference: UUID
    what: str
    stored: str
    rebuilt: str


def replay(calls: QuerySet[CallRecord], *, apply: bool) -> Iterator[tuple[int, list[Difference]]]:
    """Compare ``calls`` with their events, and yield how many were looked at so far and how one of them differs.

    The list is empty after each batch. A call that seems to differ is looked at again under its lock, so one that is
    being written is not mistaken. With ``apply`` it is then rebuilt in the same transaction, and what was not
    announced is announced; events that came before their call was known are linked. Memory and the statements for a
    batch do not grow with the number of calls.
    """
    using = calls.db
    strays = _strays(calls, using)
    looked = 0
    for batch in batches(calls, BATCH):
        for reference in _suspects(batch, strays, using):
            differences = run_durably(partial(_settle, reference, using, apply=apply), using=using)
            if differences:
                yield looked, differences
        looked += len(batch)
        yield looked, []


def _strays(calls: QuerySet[CallRecord], using: str) -> set[UUID]:
    """Return the references of those ``calls`` that have events from before they were known."""
    events = CallEvent.objects.using(using).filter(reason=EventReason.UNKNOWN_CALL, reference__isnull=False)
    found: set[UUID] = set()
    for batch in batches(events.only("reference"), BATCH):
        named = calls.filter(reference__in={event.reference for event in batch})
        found.update(named.values_list("reference", flat=True))
    return found


def _unlinked(calls: Sequence[CallRecord], using: str) -> dict[CallEvent, list[str]]:
    """Return the events from before these calls were known, as they would be linked, and the columns to save then."""
    by_reference: dict[UUID | None, CallRecord] = {call.reference: call for call in calls}
    events = CallEvent.objects.using(using).filter(reason=EventReason.UNKNOWN_CALL, reference__in=by_reference)
    return {event: link(event, by_reference[event.reference]) for event in (events.order_by("pk") if calls else ())}


def _suspects(batch: Sequence[CallRecord], strays: set[UUID], using: str) -> list[UUID]:
    unlinked = _unlinked([call for call in batch if call.reference in strays], using)
    replayed = replay_facts(batch, using, unlinked=unlinked)
    return [one.call.reference for one in replayed if any(_differences(one, unlinked))]


def _settle(reference: UUID, using: str, *, apply: bool) -> list[Difference]:
    """Return how the locked call differs, having rebuilt it with ``apply``."""
    call = lock(reference, using)
    if call is None:
        return []
    unlinked = _unlinked([call], using)
    [replayed] = replay_facts([call], using, unlinked=unlinked)
    differences = list(_differences(replayed, unlinked))
    if apply and differences:
        for event, columns in unlinked.items():
            event.save(using=using, update_fields=columns)
        if not _is_sound(call.facts, replayed.facts):
            call.facts = {}
        rebuild(call, None, using)
    return differences


def _is_sound(stored: Any, facts: lifecycle.Registers) -> bool:
    """Return True if the stored facts can be joined with others; somebody may have changed them by hand."""
    try:
        lifecycle.project(lifecycle.join(stored, facts))
    except _GARBAGE:
        return False
    return True


def _differences(replayed: Replayed, unlinked: Iterable[CallEvent]) -> Iterator[Difference]:
    call, facts = replayed.call, replayed.facts
    differ = partial(Difference, call.reference)
    rebuilt = copy.copy(call)
    for column in rebuilt.apply_projection(lifecycle.project(facts)):
        yield differ(column, *(_shown(getattr(one, column), column) for one in (call, rebuilt)))
    stored = as_object(call.facts)
    for name in sorted(stored.keys() | facts.keys()):
        if stored.get(name) != facts.get(name):
            yield differ(f"facts.{name}", *(_shown(one.get(name), name) for one in (stored, facts)))
    reasons = {event.pk: reason for event, reason in replayed.reasons()}
    before = {event.pk: event.reason for event in replayed.events}
    mine = {event.pk: EventReason.UNKNOWN_CALL for event in unlinked if event.call_id == call.pk}
    for key in sorted(reasons.keys() | mine.keys()):
        yield differ(f"event {key}", mine.get(key, before[key]) or APPLIED, reasons.get(key, before[key]) or APPLIED)


def _shown(value: Any, name: str) -> str:
    """Return a value as a terminal may show it: without anybody's number, and without the way to a recording."""
    if value is None:
        return NOTHING
    if name == "recordings" and isinstance(value, dict):
        value = list(value.values())  # the keys are addresses without a scheme, which redact() does not find
    masked = value if name.startswith("call_sid") else each_text(value, mask)
    return redact(json.dumps(masked, default=str, ensure_ascii=False))


# One event.


#: The events that :func:`reprocess` can apply: they have a reason, and are not unverified.
REPROCESSABLE = ~Q(reason__in=("", EventReason.UNVERIFIED)) & ~Q(authentication=Authentication.ACCOUNT_URL)


def is_reprocessable(event: CallEvent) -> bool:
    """Return True if :data:`REPROCESSABLE` finds ``event``."""
    return event.reason not in ("", EventReason.UNVERIFIED) and event.authentication != Authentication.ACCOUNT_URL


def reprocess(event: CallEvent) -> CallEvent:
    """Read an event of the ledger again, apply it to the call that its URL names, and return it as it is now.

    Its ``reason`` is blank if it was applied; otherwise it says why not, and nothing but the reason has changed.
    Raises what :func:`~.record_event` raises.
    """
    using = router.db_for_write(CallRecord)
    return run_durably(partial(_reprocess, event, using), using=using)


def _reprocess(event: CallEvent, using: str) -> CallEvent:
    call = lock(event.reference, using)
    # It may have been applied, purged or erased since the caller read it.
    event = CallEvent.objects.using(using).get(pk=event.pk)
    if call is not None and is_reprocessable(event):
        event.save(using=using, update_fields=link(event, call))
        rebuild(call, event, using)
    return event


def link(event: CallEvent, call: CallRecord) -> list[str]:
    """Link ``event`` to its call and read its body again; saves nothing, and returns the columns to save."""
    event.reason = _reread(event)
    event.call = call
    columns = ["call", "reason", "event", "facts"]
    if call.erased_at is None:
        return columns
    event.redact()
    return [*columns, *CallEvent.REDACTED]


def _reread(event: CallEvent) -> str:
    """Read the body with the parser of this version, and return why it cannot be read, or "".

    Of a purged body the facts remain that were read when it was received.
    """
    if event.kind != EventKind.CALLBACK:
        return ""
    if event.purged_at is not None:
        unread = event.reason if not event.is_readable else EventReason.UNREADABLE
        return "" if event.facts else unread
    callback = read_callback(bytes(event.raw), event.content_type)
    facts = callback.facts or CallFacts()
    event.parsed, event.event = facts, facts.reported_event(event.url_event or event.event)
    return callback.reason
