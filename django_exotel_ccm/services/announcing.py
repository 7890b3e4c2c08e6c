"""Announcements: the host is told of each change of a call once, each receiver on its own."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import Model
from django.dispatch import Signal
from django.utils import timezone

from django_exotel_ccm import signals, tickets
from django_exotel_ccm.background import work_context
from django_exotel_ccm.choices import AnnouncementState, SignalName, State
from django_exotel_ccm.exotel.values import storable
from django_exotel_ccm.lifecycle import PHASES, Registers
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord

logger = logging.getLogger("django_exotel_ccm.services")

SLOW = 1.0  # seconds; a callback is answered only when its receivers are done


class ReceiverRolledBack(Exception):
    """A receiver asked for a rollback, or swallowed a database error, so its writes are undone."""


@dataclass(slots=True)
class _News:
    """One announcement to make: its signal, the key that makes it unique, and whether it comes too late."""

    signal: SignalName
    key: str
    changed: list[str] = field(default_factory=list)
    superseded: bool = False


def announce(call: CallRecord, event: CallEvent | None, *, before: Registers, changed: list[str], using: str) -> None:
    """Send the signals for what changed in ``call.facts`` since ``before``, and keep what became of each receiver.

    Runs inside the transaction that changes the call. ``event`` is what brought the news, None in a replay;
    ``changed`` names the changed columns. After a replay, and for a call of which strangers told too, what was
    announced earlier is looked up and not announced again.
    """
    news = list(_news(before, call.facts, changed))
    if news and (event is None or "strangers" in call.facts):
        told = set(call.announcements.using(using).values_list("key", flat=True))
        news = [one for one in news if one.key not in told]
    if not news:
        return
    ticket = _Ticket(call, using)
    rows = [_row(call, event, one, _fates(one, call, ticket, event, using)) for one in news]
    Announcement.objects.using(using).bulk_create(rows)


def _news(before: Registers, after: Registers, changed: list[str]) -> Iterator[_News]:
    was, now = _phase(before), _phase(after)
    accepted, refused, ended = (PHASES.index(state) for state in (State.ACTIVE, State.REFUSED, State.ENDED))
    if was < accepted <= now:
        yield _News(SignalName.CALL_ACCEPTED, "accepted")
    if was < refused == now:
        yield _News(SignalName.CALL_REFUSED, "refused")
    if "answered_seen" in after and "answered_seen" not in before:
        yield _News(SignalName.CALL_ANSWERED, "answered", superseded=now == ended)
    if was < ended == now:
        yield _News(SignalName.CALL_ENDED, "ended")
    for recording in sorted(set(after.get("recordings") or {}) - set(before.get("recordings") or {})):
        yield _News(SignalName.RECORDING_READY, f"recording:{_digest(recording)}")
    later = [name for name in changed if name != "recording_url"]
    if was == ended and later:
        yield _News(SignalName.CALL_UPDATED, f"updated:{_digest(json.dumps(after, sort_keys=True))}", changed=later)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _phase(facts: Registers) -> int:
    return int((facts.get("phase") or [0])[0])


class _Ticket:
    """The call's ticket, loaded when the first receiver needs it and inside that receiver's savepoint."""

    def __init__(self, call: CallRecord, using: str) -> None:
        self._call = call
        self._using = using
        self._loaded: list[Model | None] = []

    def sender(self) -> type[Model]:
        """Return the ticket's model, else ``CallRecord``; asks the database once per process and model at most."""
        model = self._linked_model()
        if model is None:
            # The call's history matters more than TICKETS, whose mistakes the checks report.
            with suppress(ImproperlyConfigured):
                model = tickets.model_of(self._call.custom_field)
        return model or CallRecord

    def load(self) -> Model | None:
        """Return the ticket, or None when there is none any more."""
        if not self._loaded:
            model = self._linked_model()
            if model is not None:
                self._loaded.append(tickets.load(model, self._call.ticket_object_id, using=self._using))
            else:
                self._loaded.append(tickets.find(self._call.custom_field, using=self._using))
        return self._loaded[0]

    def forget(self) -> None:
        """Have the ticket loaded anew: a receiver that failed may have left it half changed."""
        self._loaded.clear()

    def _linked_model(self) -> type[Model] | None:
        key = self._call.ticket_content_type_id
        if key is None:
            return None
        return ContentType.objects.db_manager(self._using).get_for_id(key).model_class()


def _fates(news: _News, call: CallRecord, ticket: _Ticket, event: CallEvent | None, using: str) -> list[dict[str, Any]]:
    if news.superseded:
        return []
    signal: Signal = getattr(signals, news.signal.value)
    extra = {"changed": news.changed} if news.signal == SignalName.CALL_UPDATED else {}
    sender = ticket.sender()
    fates = []
    for identity, receiver in receivers_of(signal, sender):
        own_call, own_event = _copies(call, event)
        began = time.monotonic()
        fate = {"receiver": identity, "error": "", "traceback": "", "attempts": 1}
        try:
            with transaction.atomic(using=using), work_context(call):
                receiver(signal=signal, sender=sender, call=own_call, ticket=ticket.load(), event=own_event, **extra)
                if transaction.get_rollback(using=using):
                    raise ReceiverRolledBack(
                        "The receiver left a failed database query behind, or asked for a rollback."
                    )
        except Exception as error:
            logger.exception("Receiver %s of %s failed for call %s.", identity, news.signal.value, call.reference)
            fate |= {"error": _text(repr(error)), "traceback": _text(traceback.format_exc())}
            ticket.forget()
        seconds = time.monotonic() - began
        if seconds > SLOW:
            logger.warning("Receiver %s of %s took %.1f s; Exotel waits.", identity, news.signal.value, seconds)
        fates.append(fate)
    return fates


def _copies(call: CallRecord, event: CallEvent | None) -> tuple[CallRecord, CallEvent | None]:
    """Return a call and an event that one receiver may change without the others, or us, noticing."""
    own_call, own_event = copy.copy(call), copy.copy(event)
    own_call.facts = copy.deepcopy(call.facts)
    if event is not None and own_event is not None:
        own_event.facts, own_event.call = copy.deepcopy(event.facts), own_call
    return own_call, own_event


def _text(text: str) -> str:
    return storable(text)[:20_000]


def _row(call: CallRecord, event: CallEvent | None, news: _News, fates: list[dict[str, Any]]) -> Announcement:
    state = AnnouncementState.DONE
    if news.superseded:
        state = AnnouncementState.SUPERSEDED
    elif any(fate["error"] for fate in fates):
        state = AnnouncementState.FAILED
    return Announcement(
        call=call,
        event=event,
        signal=news.signal,
        key=news.key,
        state=state,
        changed=news.changed,
        receivers=fates,
        created_at=timezone.now(),
    )


def receivers_of(signal: Signal, sender: type[Model]) -> list[tuple[str, Callable[..., Any]]]:
    """Return (identity, callable) of every live receiver of ``signal`` for ``sender``, in the order of connection.

    A receiver's identity is its ``dispatch_uid``, else its module and qualified name. Django keeps the uid only inside
    ``Signal.receivers``; async receivers are called through ``async_to_sync``.
    """
    live = []
    with signal.lock:
        entries = list(signal.receivers or [])
    for (uid, sender_id), reference, *_middle, is_async in entries:
        if sender_id not in (id(None), id(sender)):
            continue
        receiver = reference() if isinstance(reference, weakref.ReferenceType) else reference
        if receiver is not None:
            live.append((_identity(uid, receiver), async_to_sync(receiver) if is_async else receiver))
    return live


def _identity(uid: Any, receiver: Callable[..., Any]) -> str:
    if isinstance(uid, str):
        return uid
    named = receiver if hasattr(receiver, "__qualname__") else type(receiver)
    return f"{named.__module__}.{named.__qualname__}"
