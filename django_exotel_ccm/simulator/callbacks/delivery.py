"""Delivers callbacks: each is tried up to three times, until it is acknowledged (docs/exotel.md 4.6)."""

from __future__ import annotations

import contextlib
import http.client
import logging
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from django_exotel_ccm.simulator.clock import Clock
from django_exotel_ccm.simulator.http_server import is_loopback
from django_exotel_ccm.simulator.recorder import Book, Delivery, Destination

logger = logging.getLogger("django_exotel_ccm.simulator")

RETRY_DELAYS = (300.0, 900.0)  # simulated seconds before the second and the third try
TIMEOUT = 15.0  # simulated seconds
MIN_TIMEOUT = 2.0  # real seconds: however fast the clock, the application runs in real time
MAX_AT_ONCE = 64  # deliveries; only beyond that does an application that hangs delay the others
NOT_SENT = (
    "not delivered: the simulator reports to this machine only. Set CALLBACK_BASE_URL to http://127.0.0.1:8000, "
    "or in a test start the simulator with deliver_anywhere=True"
)


@dataclass(eq=False)
class PendingCallback:
    """One callback to be delivered: its last try (`attempt` 0: none yet), its content, and who waits for its try."""

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

    def __init__(self, clock: Clock, book: Book, *, deliver_anywhere: bool) -> None:
        self._clock = clock
        self._book = book
        self._deliver_anywhere = deliver_anywhere
        self._workers = ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="exotel-simulator")
        self._last: dict[tuple[str, Destination], PendingCallback] = {}
        self._connections: set[socket.socket] = set()
        self._paused = False
        self.open: set[PendingCallback] = set()
        """What is still to be delivered."""

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
        with self._clock.changed:
            self._paused = True
            self._break_off()

    def resume(self) -> None:
        """Deliver again what is still to be delivered."""
        with self._clock.changed:
            self._paused = False
            self._clock.changed.notify_all()

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
        with self._clock.changed:
            self._break_off()
        self._workers.shutdown(cancel_futures=True)

    def _schedule(self, due: float, pending: PendingCallback) -> None:
        self._clock.plan(due, lambda: self._workers.submit(self._deliver, pending))

    def _deliver(self, pending: PendingCallback) -> None:
        with self._clock.changed:
            self._clock.changed.wait_for(lambda: self._clock.stopped or not self._paused)
            if self._clock.stopped or pending.done:
                return
        try:
            self._try(pending)
        except Exception:
            logger.exception("The simulator failed to deliver a callback")

    def _try(self, pending: PendingCallback) -> None:
        at, wall_time = self._clock.now(), datetime.now(UTC)
        attempt = pending.delivery.attempt + 1
        status, error = self._post(pending.delivery, pending.content)
        with self._clock.changed:
            if self._clock.stopped:
                return
            pending.delivery = delivery = replace(
                pending.delivery, attempt=attempt, status=status, error=error, at=at, wall_time=wall_time
            )
            self._book.deliveries.append(delivery)
            for due, follower in pending.followers:
                self._schedule(due, follower)
            pending.followers.clear()
            if delivery.succeeded or error == NOT_SENT or attempt > len(RETRY_DELAYS):
                self._close(pending)
            else:
                self._schedule(self._clock.moment() + RETRY_DELAYS[attempt - 1], pending)
            self._clock.changed.notify_all()

    def _post(self, delivery: Delivery, content: bytes) -> tuple[int | None, str]:
        """Return the status, or None and the reason. A redirect is not followed."""
        try:
            parts = urlsplit(delivery.url)
            host = parts.hostname or ""
            if not (self._deliver_anywhere or is_loopback(host)):
                return None, NOT_SENT
            kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
            timeout = max(MIN_TIMEOUT, TIMEOUT / self._clock.speed)
            connection = kind(host, parts.port, timeout=timeout)
            with contextlib.closing(connection), self._watched(connection):
                target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
                headers = {"Content-Type": delivery.content_type, "User-Agent": "exotel-simulator"}
                connection.request("POST", target, content, {**headers, "Connection": "close"})
                with connection.getresponse() as answer:
                    return answer.status, ""
        except (OSError, http.client.HTTPException, ValueError) as problem:
            return None, f"{type(problem).__name__}: {problem}"

    @contextlib.contextmanager
    def _watched(self, connection: http.client.HTTPConnection) -> Iterator[None]:
        """Connect; the connection is broken off meanwhile when the simulator pauses or stops."""
        connection.connect()
        opened: socket.socket = connection.sock
        with self._clock.changed:
            self._connections.add(opened)
            if self._clock.stopped or self._paused:
                self._break_off()
        try:
            yield
        finally:
            with self._clock.changed:
                self._connections.discard(opened)

    def _break_off(self) -> None:
        """Break off what is being sent: the receiver may have got it, but its answer is lost."""
        for connection in self._connections:
            with contextlib.suppress(OSError):  # it may have been closed meanwhile
                connection.shutdown(socket.SHUT_RDWR)

    def _close(self, pending: PendingCallback) -> None:
        pending.done = True
        self.open.discard(pending)
        if self._last.get(pending.key) is pending:
            del self._last[pending.key]
