"""Events that were kept and not applied, applied again: read with today's parser, linked, joined."""

from __future__ import annotations

from django.db import router
from django.db.models import Q

from django_exotel_ccm import lifecycle
from django_exotel_ccm.choices import Authentication, EventKind, EventReason
from django_exotel_ccm.exotel.callbacks import read_callback
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services.events import lock, rebuild
from django_exotel_ccm.services.transactions import run_durably

#: What can be applied again: it has a reason, and is no mere hint.
APPLICABLE = ~Q(reason__in=("", EventReason.UNVERIFIED)) & ~Q(authentication=Authentication.ACCOUNT_URL)


def is_applicable(event: CallEvent) -> bool:
    """Say whether ``event`` is one of those that :data:`APPLICABLE` finds."""
    return event.reason not in ("", EventReason.UNVERIFIED) and event.authentication != Authentication.ACCOUNT_URL


def apply_again(event: CallEvent) -> CallEvent:
    """Apply an event of the ledger to the call that its URL named, and return it as it is now.

    Its ``reason`` is blank when it was applied, else it says what still stands against it; nothing has changed then
    but the reason. Raises what :func:`~.record_event` raises.
    """
    using = router.db_for_write(CallRecord)
    return run_durably(lambda: _apply(event, using), using=using)


def _apply(event: CallEvent, using: str) -> CallEvent:
    call = lock(event.reference, using)
    # What was shown may have been applied, purged or erased since.
    event = CallEvent.objects.using(using).get(pk=event.pk)
    if call is not None and is_applicable(event):
        event.save(using=using, update_fields=link(event, call))
        rebuild(call, event, using)
    return event


def link(event: CallEvent, call: CallRecord) -> list[str]:
    """Give ``event`` its call and read its body anew; saves nothing, but returns the columns to save."""
    event.reason = _reread(event)
    event.call = call
    columns = ["call", "reason", "event", "facts"]
    if call.erased_at is None:
        return columns
    event.redact()
    return [*columns, *CallEvent.REDACTED]


def _reread(event: CallEvent) -> str:
    """Read an event's body with today's parser, and return why it cannot be read, or "".

    A body that was purged is what was read of it when it came.
    """
    if event.kind != EventKind.CALLBACK:
        return ""
    if event.purged_at is not None:
        unread = event.reason if not event.is_readable else EventReason.UNREADABLE
        return "" if event.facts else unread
    callback = read_callback(bytes(event.raw), event.content_type)
    facts = callback.facts or CallFacts()
    event.parsed, event.event = facts, lifecycle.event_of(facts, event.url_event or event.event)
    return callback.reason
