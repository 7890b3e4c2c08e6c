"""Erasing: one customer's number and recordings go out of the records, while the calls are still counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote_plus

from django.db import router
from django.db.models import Q, QuerySet
from django.utils import timezone

from django_exotel_ccm.choices import AnnouncementState, EventReason, HintReason, SignalName
from django_exotel_ccm.exotel.redacting import redact
from django_exotel_ccm.exotel.values import as_object
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord, Hint
from django_exotel_ccm.phone_numbers import pattern_of, redact_number
from django_exotel_ccm.services.committing import commit
from django_exotel_ccm.services.fates import change_texts
from django_exotel_ccm.services.forgetting import FORGOTTEN, forget, tells
from django_exotel_ccm.services.tracking import lock, rebuild

BATCH = 100
ERASED = ("customer_number", "ticket_label", "ticket_object_id", "custom_field", "erased_at")


@dataclass(slots=True)
class Found:
    """How much there was of a customer so far."""

    calls: int = 0
    recordings: int = 0
    events: int = 0
    strays: int = 0
    """Events that tell of this customer and belong to no call of theirs."""


def erase(number: str, *, apply: bool) -> Iterator[Found]:
    """Take the customer with this number (E.164) out of all calls and events, and yield what was found so far.

    Without ``apply`` nothing is changed, and the same is found. States, outcomes, times and durations stay. A call and
    its events are erased in one transaction, so after a break the next run goes on.
    """
    erasure = _Erasure(number, pattern_of(number), router.db_for_write(CallRecord), apply)
    calls = CallRecord.objects.using(erasure.using)
    for batch in _batches(calls.filter(customer_number=number).only("reference")):
        for call in batch:
            erasure.erase_call(call)
        yield erasure.found
    for batch in _batches(_of_unread_numbers(erasure.using)):
        for event in filter(erasure.is_told_by, batch):
            erasure.erase_call(event.call)
        yield erasure.found
    for batch in _batches(_strays(erasure.using)):
        for event in erasure.theirs(batch):
            erasure.erase_stray(event)
        yield erasure.found


def _batches(rows: QuerySet[Any]) -> Iterator[list[Any]]:
    batch = list(rows.order_by("pk")[:BATCH])
    while batch:
        yield batch
        batch = list(rows.filter(pk__gt=batch[-1].pk).order_by("pk")[:BATCH])


def _of_unread_numbers(using: str) -> QuerySet[CallEvent]:
    """Return the events of calls whose number is not known."""
    events = CallEvent.objects.using(using).filter(call__customer_number="", call__erased_at=None)
    return events.exclude(reason=EventReason.ANOTHER_CALL).select_related("call").defer("call__facts")


def _strays(using: str) -> QuerySet[CallEvent]:
    """Return the events that belong to no call, or not to the one that they came to."""
    events = CallEvent.objects.using(using).filter(Q(call=None) | Q(reason=EventReason.ANOTHER_CALL))
    return events.select_related("call").defer("call__facts")


@dataclass(slots=True)
class _Erasure:
    """One customer's erasure: how the number is found in a text, and what was found."""

    number: str
    pattern: re.Pattern[str]
    using: str
    apply: bool
    found: Found = field(default_factory=Found)
    _seen: set[Any] = field(default_factory=set)

    def is_told_by(self, event: CallEvent) -> bool:
        """Say whether an event, or the call of unknown number that it is of, holds the number in any spelling."""
        body = bytes(event.raw).decode("utf-8", "replace")
        said = [str(value) for name, value in as_object(event.facts).items() if name != "call_sid"]
        call = event.call if event.reason != EventReason.ANOTHER_CALL else None
        if call is not None:
            said += [call.ticket_label, call.ticket_object_id, call.custom_field]
        return any(map(self.pattern.search, [body, unquote_plus(body), event.advice, *said]))

    def theirs(self, strays: list[CallEvent]) -> list[CallEvent]:
        """Return those of the strays that hold the number, or name a call that is erased."""
        names = {event.pk: _names_of(event) for event in strays}
        erased = self._erased(set().union(*names.values()))
        return [
            event
            for event in strays
            if event.call_id not in self._seen
            and (self.is_told_by(event) or (tells(event) and not erased.isdisjoint(names[event.pk])))
        ]

    def _erased(self, names: set[Any]) -> set[Any]:
        """Return those of the names (see :func:`_names_of`) that are names of calls which are erased."""
        references = {name for name in names if not isinstance(name, tuple)}
        accounts, sids = ({name[part] for name in names if isinstance(name, tuple)} for part in (0, 1))
        named = Q(reference__in=references) | Q(account__in=accounts, call_sid__in=sids)
        calls = CallRecord.objects.using(self.using).filter(named).only("reference", "account", "call_sid", "erased_at")
        erased = [call for call in calls if call.erased_at is not None or call.pk in self._seen]
        return {name for call in erased for name in (call.reference, (call.account, call.call_sid))}

    def erase_stray(self, event: CallEvent) -> None:
        """Erase an event that tells of the customer, and nothing of the call that it came to."""
        self.found.strays += 1
        if self.apply:
            commit(partial(self._forget_event, event), using=self.using)

    def erase_call(self, call: CallRecord) -> None:
        """Erase a call with its events and the texts of its announcements."""
        if call.pk in self._seen:
            return
        self._seen.add(call.pk)
        count = partial(self._forget_call, call) if self.apply else partial(self._count, call)
        recordings, events = commit(count, using=self.using)
        self.found.calls += 1
        self.found.recordings += recordings
        self.found.events += events

    def _count(self, call: CallRecord) -> tuple[bool, int]:
        """Return whether a call has a recording, and how many events."""
        told = list(call.events.using(self.using).values_list("facts", flat=True))
        return any("recordings" in as_object(facts) for facts in told), len(told)

    def _forget_call(self, call: CallRecord) -> tuple[bool, int]:
        found = self._count(call)
        locked = lock(call.reference, self.using)
        if locked is None:
            return found
        for event in locked.events.using(self.using).order_by("pk"):
            self._forget(event)
        for announcement in locked.announcements.using(self.using).select_for_update().order_by("pk"):
            self._forget_texts(announcement)
        locked.customer_number, locked.ticket_label = "", ""
        locked.custom_field = redact_number(locked.custom_field, self.pattern)
        # A host may have numbers for keys. Not blanked: a call about no ticket is seen by more people.
        locked.ticket_object_id = redact_number(locked.ticket_object_id, self.pattern)
        locked.erased_at = timezone.now()
        locked.save(using=self.using, update_fields=[*ERASED, "updated_at"])
        rebuild(locked, None, self.using)
        return found

    def _forget_texts(self, announcement: Announcement) -> None:
        """Clean what receivers failed with, and have nobody told of a recording who has not been told yet."""
        change_texts(announcement, self._cleaned)
        untold = announcement.state in (AnnouncementState.PENDING, AnnouncementState.FAILED)
        if untold and announcement.signal == SignalName.RECORDING_READY:
            announcement.state, announcement.next_try_at = AnnouncementState.SUPERSEDED, None
        announcement.save(using=self.using, update_fields=["receivers", "state", "next_try_at"])

    def _forget_event(self, event: CallEvent) -> None:
        call = lock(event.reference, self.using)
        stored = CallEvent.objects.using(self.using).get(pk=event.pk)
        self._forget(stored)
        sid = as_object(stored.facts).get("call_sid")
        if stored.account and sid:
            # A hint that Call Details confirmed would bring the number back.
            hints = Hint.objects.using(self.using).filter(account=stored.account, call_sid=sid, call=None)
            hints.update(code=HintReason.ERASED, next_check_at=None, gave_up_at=timezone.now())
        if call is not None and stored.call_id is not None:
            rebuild(call, None, self.using)

    def _forget(self, event: CallEvent) -> None:
        forget(event, self.pattern)
        event.save(using=self.using, update_fields=FORGOTTEN)

    def _cleaned(self, text: str) -> str:
        return redact(redact_number(text, self.pattern))


def _names_of(event: CallEvent) -> set[Any]:
    """Return what an event names its call by: (account, sid), and the reference unless that is another call's."""
    names: set[Any] = set()
    if event.reference is not None and event.reason != EventReason.ANOTHER_CALL:
        names.add(event.reference)
    sid = as_object(event.facts).get("call_sid")
    if sid:
        names.add((event.account if event.call is None else event.call.account, sid))
    return names
