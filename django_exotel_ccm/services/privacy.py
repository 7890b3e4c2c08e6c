"""Customers are erased on request, while the calls still count: at once, or by the next purge."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote

from django.db import router
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Length
from django.utils import timezone

from django_exotel_ccm.choices import EventReason, RemovalKind, UnverifiedReason
from django_exotel_ccm.exotel.redact import redact
from django_exotel_ccm.exotel.values import as_object
from django_exotel_ccm.masking import contains_number, mask
from django_exotel_ccm.models import (
    Announcement,
    CallEvent,
    CallList,
    CallListItem,
    CallNote,
    CallRecord,
    DoNotCall,
    FollowUp,
    Removal,
    UnverifiedCall,
)
from django_exotel_ccm.models.ticket_link import mask_key
from django_exotel_ccm.services.announcements.deliveries import drop_recording
from django_exotel_ccm.services.batches import batches
from django_exotel_ccm.services.events import lock, rebuild
from django_exotel_ccm.services.transactions import reset_connection, run_durably

logger = logging.getLogger("django_exotel_ccm.services")

BATCH = 100
SHORTEST = 6
"""Characters of a phone number."""


@dataclass(slots=True)
class Found:
    """How much there was of a customer so far."""

    calls: int = 0
    recordings: int = 0
    events: int = 0
    notes: int = 0
    """Notes and follow-ups that say something."""
    other_events: int = 0
    """Events that name the customer or a call of theirs, and belong to no call of theirs."""
    call_lists: int = 0
    """Call lists whose name has the number in it."""
    do_not_call: int = 0
    """Entries of the do-not-call list."""


def erase(number: str, *, apply: bool, do_not_call: bool = False) -> Iterator[Found]:
    """Erase the customer with this ``number`` (E.164), and yield after each batch what was found so far.

    Their number stays on the do-not-call list, without its reason, unless ``do_not_call``: whoever asked not to be
    called must stay uncalled. Without ``apply`` nothing is changed, and the same is found. States, outcomes, times and
    durations stay. A call and its events are erased in one transaction. That somebody was erased, and how many calls,
    is kept as a :class:`Removal`. It has the number until the end, so after an interruption the next run, or
    :func:`erase_due`, continues.
    """
    using = router.db_for_write(CallRecord)
    if not apply:
        yield from _erase(_Erasure(number, using, apply), do_not_call=do_not_call)
        return
    begin = partial(_save_due, number, using, do_not_call=do_not_call, is_waiting=False)
    yield from _carry_out(run_durably(begin, using=using), using)


def _carry_out(removal: Removal, using: str) -> Iterator[Found]:
    row = Removal.objects.using(using).filter(pk=removal.pk)
    erasure = _Erasure(removal.number, using, apply=True, removal=row)
    yield from _erase(erasure, do_not_call=removal.off_do_not_call)
    run_durably(partial(row.update, ended_at=timezone.now(), number=""), using=using)


def schedule_erasure(number: str, *, do_not_call: bool = False) -> Removal:
    """Have the customer with this ``number`` (E.164) erased by the next :func:`erase_due`, and return what waits.

    What waits for the number already, or was broken off, is returned instead of a second one. ``do_not_call`` takes
    the number off the do-not-call list, too.
    """
    return _save_due(number, router.db_for_write(Removal), do_not_call=do_not_call, is_waiting=True)


def _save_due(number: str, using: str, *, do_not_call: bool, is_waiting: bool) -> Removal:
    """Return the row of an erasure that waits, or begins now: that of the number, else a new one."""
    due = Removal.objects.using(using).due_erasures().filter(number=number).first()
    removal = due or Removal(kind=RemovalKind.CUSTOMER, number=number, is_waiting=True)
    removal.off_do_not_call |= do_not_call
    if due is None:
        removal.started_at = timezone.now()
    removal.is_waiting &= is_waiting
    # Not the count, which another run may be writing.
    removal.save(using=using, update_fields=["off_do_not_call", "is_waiting"] if due else None)
    return removal


def erase_due(
    *, stopped: Callable[[], bool] = lambda: False, progress: Callable[[Found], None] = lambda found: None
) -> tuple[int, int]:
    """Carry out the erasures that wait or were broken off; return how many are done, and how many failed.

    ``stopped`` is called before each batch, ``progress`` after it. What fails is logged, without its message, because
    a database's may quote the number.
    """
    using, done, failed = router.db_for_write(Removal), 0, 0
    due = Removal.objects.using(using).due_erasures()
    for removal in list(due):
        if stopped():
            break
        try:
            # From here on it cannot be taken back. It may have been meanwhile, or another run has done it.
            if not due.filter(pk=removal.pk).order_by().update(is_waiting=False):
                continue
            for found in _carry_out(removal, using):
                progress(found)
                if stopped():
                    return done, failed
            done += 1
        except Exception as error:  # noqa: BLE001 - one that fails must not keep the others from being erased
            logger.error("An erasure failed (%s); the next run goes on.", type(error).__name__)
            reset_connection(using)
            failed += 1
    return done, failed


def _erase(erasure: _Erasure, *, do_not_call: bool) -> Iterator[Found]:
    events = CallEvent.objects.using(erasure.using).select_related("call").defer("call__facts")
    for calls in batches(CallRecord.objects.using(erasure.using).filter(customer_number=erasure.number), BATCH):
        for call in calls:
            erasure.erase_call(call)
        yield erasure.found
    nobody_known = events.filter(call__customer_number="", call__erased_at=None)
    for batch in batches(nobody_known.exclude(reason=EventReason.ANOTHER_CALL), BATCH):
        for event in batch:
            if erasure.is_named_by(event, event.call):
                erasure.erase_call(event.call)
        yield erasure.found
    for batch in batches(events.filter(Q(call=None) | Q(reason=EventReason.ANOTHER_CALL)), BATCH):
        erasure.erase_events(batch)
        yield erasure.found
    erasure.erase_entry(keep=not do_not_call)
    yield erasure.found
    for call_lists in batches(CallList.objects.using(erasure.using), BATCH):
        erasure.erase_names(call_lists)
        yield erasure.found
    # Also tickets about which nobody was called. Most keys are too short for a number.
    long_key, noted_alone = Q(length__gte=SHORTEST), Q(call=None)
    for model, condition in ((CallListItem, long_key), (FollowUp, long_key | noted_alone)):
        keyed = model.objects.using(erasure.using).alias(length=Length("ticket_object_id"))
        for rows in batches(keyed.filter(condition), BATCH):
            erasure.erase_about_tickets(rows)
            yield erasure.found


@dataclass(slots=True)
class _Erasure:
    number: str
    using: str
    apply: bool
    found: Found = field(default_factory=Found)
    removal: QuerySet[Removal] | None = None
    """The row that counts the erased calls, each in the transaction that erases it."""
    _calls: set[Any] = field(default_factory=set)
    _follow_ups_found: set[Any] = field(default_factory=set)

    def is_named_by(self, event: CallEvent, call: CallRecord | None = None) -> bool:
        """Return True if the event, or what the host wrote into its call, has the number in a readable spelling."""
        facts, body = as_object(event.facts), bytes(event.raw).decode("utf-8", "replace")
        texts = [event.advice, body, *(str(facts.get(name, "")) for name in ("customer_number", "custom_field"))]
        texts += [call.customer_label, call.ticket_label, call.ticket_object_id, call.custom_field] if call else []
        return any(contains_number(text, self.number) for text in (*texts, unquote(body)))

    def erase_call(self, call: CallRecord) -> None:
        """Erase a call with its events and announcements."""
        if call.pk in self._calls:
            return
        self._calls.add(call.pk)
        facts = list(call.events.using(self.using).values_list("facts", flat=True))
        self.found.calls += 1
        self.found.recordings += any("recordings" in as_object(one) for one in facts)
        self.found.events += len(facts)
        self.found.notes += call.notes.using(self.using).exclude(text="").count()
        follow_ups = set(self._follow_ups(call).exclude(text="").values_list("pk", flat=True))
        self.found.notes += len(follow_ups - self._follow_ups_found)
        self._follow_ups_found |= follow_ups
        if self.apply:
            run_durably(partial(self._redact_call, call), using=self.using)

    def _redact_call(self, call: CallRecord) -> None:
        locked = lock(call.reference, self.using)
        if locked is None or locked.erased_at is not None:  # another run was faster
            return
        for event in locked.events.using(self.using).order_by("pk"):
            event.redact()
            event.save(using=self.using, update_fields=CallEvent.REDACTED)
        for announcement in locked.announcements.using(self.using).select_for_update().order_by("pk"):
            self._redact_announcement(announcement)
        self._redact_notes(locked)
        locked.redact(self.number)
        locked.save(using=self.using, update_fields=[*CallRecord.REDACTED, "updated_at"])
        rebuild(locked, None, self.using)
        if self.removal is not None:
            self.removal.update(removed=F("removed") + 1)

    def _follow_ups(self, call: CallRecord) -> QuerySet[FollowUp]:
        """Return the follow-ups that belong to a call: noted after it, or about its ticket and after no call."""
        follow_ups = Q(call=call)
        if call.ticket_object_id:
            kind, key = call.ticket_content_type_id, call.ticket_object_id
            follow_ups |= Q(call=None, ticket_content_type_id=kind, ticket_object_id=key)
        return FollowUp.objects.using(self.using).filter(follow_ups)

    def _redact_notes(self, call: CallRecord) -> None:
        """Empty the texts of the call's notes and follow-ups; author, disposition and times stay."""
        for note in call.notes.using(self.using).order_by("pk"):
            note.redact()
            note.save(using=self.using, update_fields=CallNote.REDACTED)
        for follow_up in self._follow_ups(call).order_by("pk"):
            follow_up.redact(self.number)
            follow_up.save(using=self.using, update_fields=FollowUp.REDACTED)

    def _redact_announcement(self, announcement: Announcement) -> None:
        """Mask what receivers failed with, and announce no recording that was not announced yet."""
        drop_recording(announcement, lambda text: redact(mask(text)))
        announcement.save(using=self.using, update_fields=["receivers", "state", "next_try_at"])

    def erase_events(self, events: Sequence[CallEvent]) -> None:
        """Erase those events that name the number, or an erased call, and do not belong to that call."""
        names = {event.pk: _names_in(event) for event in events}
        erased = self._erased(set().union(*names.values()))
        for event in events:
            named = event.is_personal and not erased.isdisjoint(names[event.pk])
            if event.call_id not in self._calls and (named or self.is_named_by(event)):
                self.found.other_events += 1
                if self.apply:
                    run_durably(partial(self._redact_event, event), using=self.using)

    def erase_names(self, call_lists: Sequence[CallList]) -> None:
        """Mask the number in names of call lists, which people type."""
        for call_list in call_lists:
            name = mask_key(call_list.name, self.number)
            if name != call_list.name:
                self.found.call_lists += 1
                if self.apply:
                    CallList.objects.using(self.using).filter(pk=call_list.pk, name=call_list.name).update(name=name)

    def erase_about_tickets(self, rows: Sequence[CallListItem | FollowUp]) -> None:
        """Mask the number in the keys of the rows' tickets, and empty the follow-ups that are the customer's."""
        for row in rows:
            if contains_number(row.ticket_object_id, self.number) or self._is_theirs(row):
                if isinstance(row, FollowUp):
                    self.found.notes += bool(row.text) and row.pk not in self._follow_ups_found
                if self.apply:
                    row.redact(self.number)
                    run_durably(partial(row.save, using=self.using, update_fields=row.REDACTED), using=self.using)

    def _is_theirs(self, row: CallListItem | FollowUp) -> bool:
        """Return True for a follow-up after no call that names the number, if its ticket has no other customer's."""
        if not isinstance(row, FollowUp) or row.call_id is not None:
            return False
        if not any(contains_number(text, self.number) for text in (row.text, row.ticket_label)):
            return False
        calls = CallRecord.objects.using(self.using).exclude(customer_number__in=("", self.number))
        kind, key = row.ticket_content_type_id, row.ticket_object_id
        return not calls.filter(ticket_content_type_id=kind, ticket_object_id=key).exists()

    def erase_entry(self, *, keep: bool) -> None:
        """Empty the reason of the number on the do-not-call list, or take the number off the list."""
        entry = DoNotCall.objects.using(self.using).filter(number=self.number)
        self.found.do_not_call += entry.count()
        if self.apply:
            run_durably(partial(entry.update, reason="") if keep else entry.delete, using=self.using)

    def _erased(self, names: set[Any]) -> set[Any]:
        """Return those of the ``names`` (see :func:`_names_in`) that are names of erased calls."""
        references = {name for name in names if not isinstance(name, tuple)}
        accounts, sids = ({name[part] for name in names if isinstance(name, tuple)} for part in (0, 1))
        named = Q(reference__in=references) | Q(account__in=accounts, call_sid__in=sids)
        calls = CallRecord.objects.using(self.using).filter(named).only("reference", "account", "call_sid", "erased_at")
        erased = [call for call in calls if call.erased_at is not None or call.pk in self._calls]
        return {name for call in erased for name in (call.reference, (call.account, call.call_sid))}

    def _redact_event(self, event: CallEvent) -> None:
        call = lock(event.reference, self.using)
        stored = CallEvent.objects.using(self.using).get(pk=event.pk)
        stored.redact()
        stored.save(using=self.using, update_fields=CallEvent.REDACTED)
        sid = as_object(stored.facts).get("call_sid")
        if stored.account and sid:
            # Call Details would bring the number back.
            reported = UnverifiedCall.objects.using(self.using).filter(account=stored.account, call_sid=sid, call=None)
            reported.update(code=UnverifiedReason.ERASED, next_check_at=None, gave_up_at=timezone.now())
        if call is not None and stored.call_id is not None:
            rebuild(call, None, self.using)


def _names_in(event: CallEvent) -> set[Any]:
    """Return what an event names its call by: (account, sid), and the reference unless that is another call's."""
    names: set[Any] = set()
    if event.reference is not None and event.reason != EventReason.ANOTHER_CALL:
        names.add(event.reference)
    sid = as_object(event.facts).get("call_sid")
    if sid:
        names.add((event.account if event.call is None else event.call.account, sid))
    return names
