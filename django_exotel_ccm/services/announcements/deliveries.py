"""The host's receivers, and the delivery of an announcement to each: what is pending, and when it is tried next."""

from __future__ import annotations

import copy
import datetime
import logging
import time
import traceback
import weakref
from asyncio import CancelledError
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import Model
from django.dispatch import Signal
from django.utils import timezone

from django_exotel_ccm import conf, signals, tickets
from django_exotel_ccm.choices import AnnouncementState, SignalName, State
from django_exotel_ccm.exotel.recordings import recording_id
from django_exotel_ccm.exotel.redact import redact
from django_exotel_ccm.exotel.values import as_object, storable
from django_exotel_ccm.masking import mask
from django_exotel_ccm.models import Announcement, CallEvent, CallNote, CallRecord
from django_exotel_ccm.models.announcement import Delivery
from django_exotel_ccm.services.transactions import NotCommitted

logger = logging.getLogger("django_exotel_ccm.services")

MINUTE = datetime.timedelta(minutes=1)
RETRY_DELAYS = tuple(MINUTE * minutes for minutes in (1, 5, 15, 60, 180, 360))  # the last one repeats
MAX_ATTEMPTS = 17  # the last is about three days after the first
UPDATED_FIELDS = ("state", "receivers", "next_try_at")
"""The columns that a delivery changes."""
MAX_ERROR_LENGTH = 20_000  # characters
SLOW_SECONDS = 1.0
NOTE_KEY = "note:"
"""What the key of an announced note begins with; its primary key follows."""

Receiver = Callable[..., Any]


class ReceiverRolledBack(Exception):
    """A receiver asked for a rollback, or caught a database error and went on; its writes are undone."""


class TransactionLost(NotCommitted):
    """A receiver ended the whole transaction, for example by a deadlock or by closing the connection."""


def connected_receivers(signal: Signal, sender: type[Model]) -> dict[str, Receiver]:
    """Return the live receivers of ``signal`` for ``sender`` by identity, in the order of connection.

    The identity is the ``dispatch_uid``, else the module and qualified name; duplicates are numbered. Async receivers
    are wrapped in ``async_to_sync``, so they run in this thread and inside its transaction.
    """
    counts: Counter[str] = Counter()
    found: dict[str, Receiver] = {}
    for identity, sender_id, receiver in _connections(signal):
        if sender_id in (id(None), id(sender)):
            counts[identity] += 1
            found[identity if counts[identity] == 1 else f"{identity} #{counts[identity]}"] = receiver
    return found


def duplicate_identities(signal: Signal) -> list[str]:
    """Return the identities that several receivers of the same sender share."""
    connections = [(identity, sender_id) for identity, sender_id, _receiver in _connections(signal)]
    shared: set[str] = set()
    for sender in {sender_id for _identity, sender_id in connections}:
        counts = Counter(identity for identity, sender_id in connections if sender_id in (id(None), sender))
        shared.update(identity for identity, count in counts.items() if count > 1)
    return sorted(shared)


def _connections(signal: Signal) -> Iterator[tuple[str, int, Receiver]]:
    """Yield (identity, id of the sender, callable); Django keeps the ``dispatch_uid`` only in ``Signal.receivers``."""
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


class Dispatcher:
    """Calls receivers about one call, each in a savepoint of its own. All of them share the ticket."""

    def __init__(self, call: CallRecord, event: CallEvent | None, using: str) -> None:
        self._call = call
        self._event = event
        self._using = using

    def receivers(self, announcement: Announcement) -> dict[str, Receiver]:
        """Return the receivers of an announcement by identity, in the order of connection."""
        return connected_receivers(getattr(signals, announcement.signal), self._sender)

    def deliver(self, announcement: Announcement, delivery: Delivery, receiver: Receiver) -> float:
        """Call a receiver, record the result in ``delivery`` and return the seconds it took.

        If the receiver fails, its writes are undone and a retry is scheduled. Raises :class:`TransactionLost` if the
        writes of everybody else are undone, too.
        """
        started = time.monotonic()
        delivery["attempts"] += 1
        try:
            with transaction.atomic(using=self._using), conf.get_settings().work_context_for(self._call):
                receiver(**self._arguments(announcement))
                if transaction.get_rollback(using=self._using):
                    raise ReceiverRolledBack(
                        "The receiver left a failed database query behind, or asked for a rollback."
                    )
        except (Exception, CancelledError) as error:  # an async receiver may await a cancelled task
            logger.exception(
                "Receiver %s of %s failed for call %s.", delivery["receiver"], announcement.signal, self._call.reference
            )
            record_failure(delivery, error)
            schedule_retry(announcement, delivery, timezone.now())
            vars(self).pop("_ticket", None)  # the receiver may have left it half changed
            if transaction.get_rollback(using=self._using):
                raise TransactionLost(f"The receiver {delivery['receiver']} ended the transaction.") from error
        else:
            delivery["delivered"], delivery["error"], delivery["traceback"] = True, "", ""
        return time.monotonic() - started

    def _arguments(self, announcement: Announcement) -> dict[str, Any]:
        """Return the receiver's arguments. Call and event are copies, which the receiver may change."""
        call, event = copy.copy(self._call), copy.copy(self._event)
        call.facts = copy.deepcopy(self._call.facts)
        if self._event is not None and event is not None:
            event.facts, event.call = copy.deepcopy(self._event.facts), call
        arguments = {
            "signal": getattr(signals, announcement.signal),
            "sender": self._sender,
            "call": call,
            "ticket": self._ticket,
            "event": event,
        }
        if announcement.signal == SignalName.CALL_UPDATED:
            arguments["changed"] = announcement.changed
        if announcement.signal == SignalName.RECORDING_READY:
            arguments["recording_url"] = self._recording_url(announcement)
        if announcement.signal == SignalName.NOTE_ADDED:
            arguments["note"] = self._note(announcement)
        return arguments

    def _recording_url(self, announcement: Announcement) -> str:
        """Return the URL of the announced recording; "" if it was erased meanwhile."""
        recordings = as_object(as_object(self._call.facts).get("recordings"))
        urls = {f"recording:{recording_id(key)}": str(entry[-1]) for key, entry in recordings.items()}
        return urls.get(announcement.key, "")

    def _note(self, announcement: Announcement) -> CallNote | None:
        """Return the announced note as it is now, each receiver's own copy; None if it was deleted meanwhile."""
        notes = CallNote.objects.using(self._using).select_related("disposition", "author")
        return notes.filter(pk=announcement.key.removeprefix(NOTE_KEY)).first()

    @cached_property
    def _sender(self) -> type[Model]:
        """The ticket's model, else ``CallRecord``."""
        model = self._linked_model
        if model is None:
            # Broken TICKETS are reported by the checks; the call's history must be stored all the same.
            with suppress(ImproperlyConfigured):
                model = tickets.model_of(self._call.custom_field)
        return model or CallRecord

    @cached_property
    def _ticket(self) -> Model | None:
        """The ticket, loaded inside the savepoint of the first receiver; None if it does not exist any more."""
        if self._linked_model is None:
            return tickets.find(self._call.custom_field, using=self._using)
        return tickets.load(self._linked_model, self._call.ticket_object_id, using=self._using)

    @cached_property
    def _linked_model(self) -> type[Model] | None:
        key = self._call.ticket_content_type_id
        if key is None:
            return None
        return ContentType.objects.db_manager(self._using).get_for_id(key).model_class()


def record_failure(delivery: Delivery, error: BaseException) -> None:
    """Record in ``delivery`` that the receiver failed with ``error``."""
    try:
        shown = repr(error)
    except Exception:  # noqa: BLE001 - the host's object in it may fail to show itself
        shown = type(error).__name__
    delivery["delivered"], delivery["error"] = False, storable(shown)[:MAX_ERROR_LENGTH]
    delivery["traceback"] = storable("".join(traceback.format_exception(error)))[:MAX_ERROR_LENGTH]


def deliver_now(rows: list[Announcement], call: CallRecord, event: CallEvent | None, using: str) -> None:
    """Call every receiver of the announcements (unsaved) that has no pending delivery of an earlier one."""
    dispatcher = Dispatcher(call, event, using)
    earlier = EarlierPending()
    if call.announce_at is not None:
        pending = Announcement.objects.using(using).filter(call=call, next_try_at__isnull=False)
        if call.state == State.ENDED:
            # The end supersedes call_answered, so nobody waits for it.
            pending = pending.exclude(signal=SignalName.CALL_ANSWERED)
        earlier = EarlierPending(pending.order_by("pk"), until=call.announce_at)
    for row in rows:
        for identity, receiver in dispatcher.receivers(row).items():
            delivery = new_delivery(identity)
            row.receivers.append(delivery)
            if earlier.blocked_until(delivery) is None:
                _warn_if_slow(row, identity, dispatcher.deliver(row, delivery, receiver))
        update_status(row, earlier, timezone.now())
        earlier.add(row)


def _warn_if_slow(row: Announcement, identity: str, seconds: float) -> None:
    if seconds > SLOW_SECONDS:
        logger.warning(
            "Receiver %s of %s took %.1f s, and Exotel waits. Write "
            '"RUNNER": "django_tasks" or "celery" in EXOTEL_CCM, and a worker calls it.',
            identity,
            row.signal,
            seconds,
        )


def new_delivery(receiver: str) -> Delivery:
    """Return a pending delivery to a receiver that was not called yet."""
    return Delivery(receiver=receiver, delivered=False, error="", traceback="", attempts=0, abandoned=False)


def is_pending(delivery: Delivery) -> bool:
    """Return True if the receiver is still to be called."""
    return not (delivery["delivered"] or delivery["abandoned"])


def rewrite_errors(announcement: Announcement, rewrite: Callable[[str], str]) -> None:
    """Replace each stored error and traceback by what ``rewrite`` makes of it."""
    for delivery in announcement.receivers:
        delivery["error"], delivery["traceback"] = rewrite(delivery["error"]), rewrite(delivery["traceback"])


def drop_recording(announcement: Announcement, rewrite: Callable[[str], str]) -> None:
    """Rewrite the stored errors, and announce no recording that was not announced yet. Saves nothing."""
    rewrite_errors(announcement, rewrite)
    pending = announcement.state in (AnnouncementState.PENDING, AnnouncementState.FAILED)
    if pending and announcement.signal == SignalName.RECORDING_READY:
        announcement.state, announcement.next_try_at = AnnouncementState.SUPERSEDED, None


class EarlierPending:
    """The receivers with a pending delivery of an earlier announcement, and when that delivery is tried.

    Such a receiver is called for no later announcement: each receives a call's announcements in order.
    """

    def __init__(self, announcements: Iterable[Announcement] = (), *, until: datetime.datetime | None = None) -> None:
        self._until: dict[str, datetime.datetime] = {}
        self._all_until: datetime.datetime | None = None
        for announcement in announcements:
            self.add(announcement, until=until)

    def add(self, announcement: Announcement, *, until: datetime.datetime | None = None) -> None:
        """Block the receivers of its pending deliveries until ``until``, by default until its next try."""
        moment = until or announcement.next_try_at
        if announcement.next_try_at is None or moment is None:
            return
        for delivery in filter(is_pending, announcement.receivers):
            self._until.setdefault(delivery["receiver"], moment)
        if not announcement.receivers:  # its receivers are looked up when it is delivered
            self._all_until = self._all_until or moment

    def blocked_until(self, delivery: Delivery) -> datetime.datetime | None:
        """Return when the earlier delivery to this receiver is tried; None if there is none."""
        return self._until.get(delivery["receiver"], self._all_until)


def schedule_retry(announcement: Announcement, delivery: Delivery, now: datetime.datetime) -> None:
    """Plan the next try after a failure at ``now``, or abandon the delivery after the last attempt."""
    delivery["abandoned"] = delivery["attempts"] >= MAX_ATTEMPTS
    if not delivery["abandoned"]:
        announcement.next_try_at = now + RETRY_DELAYS[min(delivery["attempts"], len(RETRY_DELAYS)) - 1]


def update_status(announcement: Announcement, earlier: EarlierPending, now: datetime.datetime) -> None:
    """Set ``state`` and ``next_try_at`` of an announcement from its deliveries."""
    if announcement.call.erased_at is not None:
        # The host's ticket may still have the number, and an error may quote it.
        rewrite_errors(announcement, lambda text: redact(mask(text)))
    deliveries = announcement.receivers
    pending = list(filter(is_pending, deliveries))
    failing = any(delivery["attempts"] for delivery in pending)
    blocked = [earlier.blocked_until(delivery) for delivery in pending]
    if not pending:
        announcement.next_try_at = None
    elif not failing or (all(blocked) and announcement.next_try_at is not None and announcement.next_try_at <= now):
        # A failed delivery can be due and still blocked, because an admin retried an earlier announcement.
        announcement.next_try_at = min(moment or now for moment in blocked)
    if all(delivery["delivered"] for delivery in deliveries):
        announcement.state = AnnouncementState.DONE
    elif failing or any(delivery["abandoned"] for delivery in deliveries):
        announcement.state = AnnouncementState.FAILED
    else:
        announcement.state = AnnouncementState.PENDING
