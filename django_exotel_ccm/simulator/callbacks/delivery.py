"""Delivers callbacks: each is tried up to three times, until it is acknowledged (docs/exotel.md 4.6)."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from django_exotel_ccm.simulator.callbacks.http_client import NOT_SENT, HttpClient
from django_exotel_ccm.simulator.clock import Clock, Scheduler, StoppedError
from django_exotel_ccm.simulator.recorder import Book, Delivery, Destination

logger = logging.getLogger("django_exotel_ccm.simulator")

RETRY_DELAYS = (300.0, 900.0)  # simulated seconds before the second and the third try
MAX_AT_ONCE = 64  # deliveries; only beyond that does an application that hangs delay the others


@dataclass(eq=False)
class PendingCallback:
    """One callback to be delivered: its last try (`attempt` 0: none yet), and its content."""

    delivery: Delivery
    content: bytes
    done: bool = False
    followers: list[tuple[float, PendingCallback]] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, Destination]:
        """The callbacks with one key can be kept in order."""
        return self.delivery.call_sid, self.delivery.destination

    def __str__(self) -> str:
        delivery = self.delivery
        return f"callback {delivery.event} of call {delivery.call_sid}, tried {delivery.attempt} times"


class DeliveryQueue:
    """Delivers callbacks, several at once, and records every try."""

    def __init__(self, clock: Clock, book: Book, scheduler: Scheduler, *, deliver_anywhere: bool) -> None:
        self._clock = clock
        self._book = book
        self._scheduler = scheduler
        self._client = HttpClient(clock, deliver_anywhere=deliver_anywhere)
        self._workers = ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="exotel-simulator")
        self._last: dict[tuple[str, Destination], PendingCallback] = {}
        self._waiting: list[PendingCallback] = []
        self.open: set[PendingCallback] = set()
        """What is still to be delivered."""
        self.first_tried: dict[str, str] = {}
        """The event that was reported first of each call, by the call's sid."""

    def add(self, pending: PendingCallback, *, in_order: bool, delay: float) -> None:
        """Deliver after simulated seconds. In order: not before the first try of the call's callback before it."""
        with self._clock.changed:
            self.open.add(pending)
            before = self._last.get(pending.key)
            self._last[pending.key] = pending
            due = self._clock.moment() + delay
            if in_order and before and not (before.delivery.attempt or before.done):
                before.followers.append((due, pending))
            else:
                self._schedule(due, pending)

    def pause(self) -> None:
        """Break off what is being delivered, and deliver nothing until `resume`."""
        self._client.pause()

    def resume(self) -> None:
        """Deliver again what is still to be delivered."""
        with self._clock.changed:
            self._client.paused = False
            waiting, self._waiting = self._waiting, []
            for pending in waiting:
                self._hand_over(pending)

    def discard(self) -> list[PendingCallback]:
        """Give up everything that is still to be delivered; return it."""
        with self._clock.changed:
            lost = list(self.open)
            for pending in lost:
                self._close(pending)
            self._clock.changed.notify_all()
            return lost

    def stop(self) -> None:
        """Break off what is being delivered, and wait for the threads. The clock must have been stopped before."""
        self._client.break_off()
        self._workers.shutdown(cancel_futures=True)

    def _schedule(self, due: float, pending: PendingCallback) -> None:
        self._scheduler.add(due, lambda: self._hand_over(pending))

    def _hand_over(self, pending: PendingCallback) -> None:
        if not self._clock.stopped:
            self._workers.submit(self._deliver, pending)

    def _deliver(self, pending: PendingCallback) -> None:
        with self._clock.changed:
            if self._client.paused:
                self._waiting.append(pending)
            if self._client.paused or pending.done:
                return
        try:
            self._try(pending)
        except StoppedError:
            return
        except Exception:
            logger.exception("The simulator failed to deliver a callback")

    def _try(self, pending: PendingCallback) -> None:
        at, really_at = self._clock.now(), datetime.now(UTC)
        delivery = pending.delivery
        status, error = self._client.post(delivery.url, delivery.content_type, pending.content)
        delivery = replace(
            delivery, attempt=delivery.attempt + 1, status=status, error=error, at=at, really_at=really_at
        )
        with self._clock.changed:
            pending.delivery = delivery
            self._book.deliveries.append(delivery)
            self.first_tried.setdefault(delivery.call_sid, delivery.event)
            for due, follower in pending.followers:
                self._schedule(due, follower)
            pending.followers.clear()
            if delivery.succeeded or error == NOT_SENT or delivery.attempt > len(RETRY_DELAYS):
                self._close(pending)
            else:
                self._schedule(self._clock.moment() + RETRY_DELAYS[delivery.attempt - 1], pending)
            self._clock.changed.notify_all()

    def _close(self, pending: PendingCallback) -> None:
        pending.done = True
        self.open.discard(pending)
        if self._last.get(pending.key) is pending:
            del self._last[pending.key]
