"""The host's receivers: who they are, and how one of them is called on its own."""

from __future__ import annotations

import copy
import logging
import time
import traceback
import weakref
from asyncio import CancelledError
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import Model
from django.dispatch import Signal

from django_exotel_ccm import signals, tickets
from django_exotel_ccm.background import work_context
from django_exotel_ccm.choices import SignalName
from django_exotel_ccm.exotel.values import storable
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services.committing import NotCommitted
from django_exotel_ccm.services.fates import Fate

logger = logging.getLogger("django_exotel_ccm.services")

SLOW = 1.0  # seconds; a callback is answered only when its receivers are done

Receiver = Callable[..., Any]


class ReceiverRolledBack(Exception):
    """A receiver asked for a rollback, or swallowed a database error, so its writes are undone."""


class TransactionLost(NotCommitted):
    """A receiver took the whole transaction with it (a deadlock, a closed connection)."""


# Who they are.


def receivers_of(signal: Signal, sender: type[Model]) -> list[tuple[str, Receiver]]:
    """Return (identity, callable) of every live receiver of ``signal`` for ``sender``, in the order of connection.

    A receiver's identity is its ``dispatch_uid``, else its module and qualified name; namesakes are numbered. Async
    receivers are called through ``async_to_sync``, in this thread and so in its transaction.
    """
    named: Counter[str] = Counter()
    live = []
    for identity, sender_id, receiver in _connected(signal):
        if sender_id in (id(None), id(sender)):
            named[identity] += 1
            live.append((identity if named[identity] == 1 else f"{identity} #{named[identity]}", receiver))
    return live


def namesakes_of(signal: Signal) -> list[str]:
    """Return the identities that several receivers of one sender share."""
    connected = [(identity, sender_id) for identity, sender_id, _receiver in _connected(signal)]
    shared: set[str] = set()
    for sender in {sender_id for _identity, sender_id in connected}:
        named = Counter(identity for identity, sender_id in connected if sender_id in (id(None), sender))
        shared.update(identity for identity, count in named.items() if count > 1)
    return sorted(shared)


def _connected(signal: Signal) -> Iterator[tuple[str, int, Receiver]]:
    # Django keeps the uid only here.
    with signal.lock:
        entries = list(signal.receivers or [])
    for (uid, sender_id), reference, *_middle, is_async in entries:
        receiver = reference() if isinstance(reference, weakref.ReferenceType) else reference
        if receiver is not None:
            yield _identity(uid, receiver), sender_id, async_to_sync(receiver) if is_async else receiver


def _identity(uid: Any, receiver: Receiver) -> str:
    if isinstance(uid, str):
        return uid
    named = receiver if hasattr(receiver, "__qualname__") else type(receiver)
    return f"{named.__module__}.{named.__qualname__}"


# How they are called.


class Caller:
    """Calls receivers about one call, each in a savepoint of its own; all share the ticket."""

    def __init__(self, call: CallRecord, event: CallEvent | None, using: str) -> None:
        self._call = call
        self._event = event
        self._using = using
        self._ticket = _Ticket(call, using)

    def receivers(self, announcement: Announcement) -> dict[str, Receiver]:
        """Return the receivers of an announcement's signal by identity, in the order of connection."""
        return dict(receivers_of(getattr(signals, announcement.signal), self._ticket.sender()))

    def tell(self, announcement: Announcement, fate: Fate, receiver: Receiver) -> float:
        """Call a receiver, write into ``fate`` what became of it, and return the seconds it took.

        Its writes are undone when it fails. Raises :class:`TransactionLost` when everything else is undone, too.
        """
        began = time.monotonic()
        fate["attempts"] += 1
        try:
            with transaction.atomic(using=self._using), work_context(self._call):
                receiver(**self._arguments(announcement))
                if transaction.get_rollback(using=self._using):
                    raise ReceiverRolledBack(
                        "The receiver left a failed database query behind, or asked for a rollback."
                    )
        except (Exception, CancelledError) as error:  # an async receiver may await what was cancelled
            logger.exception(
                "Receiver %s of %s failed for call %s.", fate["receiver"], announcement.signal, self._call.reference
            )
            blame(fate, error)
            self._ticket.forget()
            if transaction.get_rollback(using=self._using):
                raise TransactionLost(f"The receiver {fate['receiver']} ended the transaction.") from error
        else:
            fate["told"], fate["error"], fate["traceback"] = True, "", ""
        return time.monotonic() - began

    def _arguments(self, announcement: Announcement) -> dict[str, Any]:
        """Return what a receiver is given: a call and an event of its own, to change as it likes."""
        call, event = copy.copy(self._call), copy.copy(self._event)
        call.facts = copy.deepcopy(self._call.facts)
        if self._event is not None and event is not None:
            event.facts, event.call = copy.deepcopy(self._event.facts), call
        given = {
            "signal": getattr(signals, announcement.signal),
            "sender": self._ticket.sender(),
            "call": call,
            "ticket": self._ticket.load(),
            "event": event,
        }
        return given | {"changed": announcement.changed} if announcement.signal == SignalName.CALL_UPDATED else given


def blame(fate: Fate, error: BaseException) -> None:
    """Write into a receiver's fate that it was not told, and why."""
    try:
        shown = repr(error)
    except Exception:  # noqa: BLE001 - it may hold an object of the host that cannot be shown
        shown = type(error).__name__
    fate["told"] = False
    fate["error"], fate["traceback"] = _text(shown), _text("".join(traceback.format_exception(error)))


def _text(text: str) -> str:
    return storable(text)[:20_000]


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
