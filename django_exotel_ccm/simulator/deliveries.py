"""Delivers callbacks: each is tried up to three times, until it is acknowledged (docs/exotel.md 4.6)."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

from django_exotel_ccm.simulator.agenda import Agenda
from django_exotel_ccm.simulator.book import Book, Delivery
from django_exotel_ccm.simulator.clock import Clock, StoppedError
from django_exotel_ccm.simulator.options import CallbackShape
from django_exotel_ccm.simulator.posting import REFUSED, Poster

Lane = Literal["call", "account"]
"""Whose URL a callback goes to: the call's own, or the account's."""

SPACING = (300.0, 900.0)  # simulated seconds before the second and the third try
MOST_AT_ONCE = 64  # deliveries; an application that hangs delays the others only then


@dataclass(eq=False)
class Errand:
    """One callback to be delivered: body and address are fixed when the event happens."""

    call_sid: str
    event: str
    url: str
    lane: Lane
    shape: CallbackShape
    body: dict[str, Any]
    faults: tuple[str, ...] = ()
    due: float = 0.0
    tries: int = 0
    done: bool = False
    followers: list[Errand] = field(default_factory=list)

    def __str__(self) -> str:
        return f"callback {self.event} of call {self.call_sid}, tried {self.tries} times"


class Courier:
    """Delivers callbacks, several at once; books every try."""

    def __init__(self, clock: Clock, book: Book, agenda: Agenda, *, deliver_anywhere: bool) -> None:
        self._clock = clock
        self._book = book
        self._agenda = agenda
        self._poster = Poster(clock, deliver_anywhere=deliver_anywhere)
        self._last: dict[tuple[str, Lane], Errand] = {}
        self._ready: deque[Errand] = deque()
        self._work = clock.condition()
        self._idle = 0
        self._threads: list[threading.Thread] = []
        self.open: set[Errand] = set()
        """What is still to be delivered."""
        self.first_tried: dict[str, str] = {}
        """The event that was told first of each call, by the call's sid."""

    def send(self, errand: Errand, *, in_order: bool, delay: float) -> None:
        """Deliver after simulated seconds. In order: not before the first try of the call's callback before it."""
        with self._clock.changed:
            errand.due = self._clock.moment() + delay
            self.open.add(errand)
            before = self._last.get((errand.call_sid, errand.lane))
            self._last[errand.call_sid, errand.lane] = errand
            if in_order and before and not (before.tries or before.done):
                before.followers.append(errand)
            else:
                self._plan(errand)

    def stop(self) -> None:
        """Break off what is being delivered, and wait for the threads. The clock must have been stopped before."""
        self._poster.break_off()
        deadline = time.monotonic() + 1.0
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def pause(self) -> None:
        """Break off what is being delivered, and deliver nothing until `resume`."""
        with self._clock.changed:
            self._poster.away = True
            self._poster.break_off()

    def resume(self) -> None:
        """Deliver again what is still to be delivered."""
        with self._clock.changed:
            self._poster.away = False
            self._work.notify_all()

    def forget(self) -> list[Errand]:
        """Give up everything that is still to be delivered; return it."""
        with self._clock.changed:
            lost = list(self.open)
            for errand in lost:
                self._close(errand)
            self._clock.changed.notify_all()
            return lost

    def _plan(self, errand: Errand) -> None:
        self._agenda.add(errand.due, lambda: self._hand_over(errand))

    def _hand_over(self, errand: Errand) -> None:
        if errand.done:
            return
        self._ready.append(errand)
        if len(self._ready) > self._idle and len(self._threads) < MOST_AT_ONCE:
            thread = threading.Thread(target=self._deliver_all, name="exotel-simulator", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._work.notify()

    def _deliver_all(self) -> None:
        try:
            while True:
                self._deliver(self._next())
        except StoppedError:
            return

    def _next(self) -> Errand:
        with self._clock.changed:
            while self._poster.away or not self._ready:
                self._idle += 1
                try:
                    self._clock.wait_on(self._work, float("inf"))
                finally:
                    self._idle -= 1
            return self._ready.popleft()

    def _deliver(self, errand: Errand) -> None:
        if errand.done:
            return
        at = self._clock.now()
        posted = self._poster.post(errand.url, errand.shape, errand.body)
        delivery = Delivery(
            call_sid=errand.call_sid,
            event=errand.event,
            url=errand.url,
            attempt=errand.tries + 1,
            status=posted.status,
            error=posted.error,
            at=at,
            content_type=posted.content_type,
            body=errand.body,
            lane=errand.lane,
            faults=errand.faults,
        )
        with self._clock.changed:
            self._book.deliveries.append(delivery)
            self._tried(errand, over=delivery.succeeded or delivery.error == REFUSED)
            self._clock.changed.notify_all()

    def _tried(self, errand: Errand, *, over: bool) -> None:
        """After a try: let those that wait for it go, and plan the next one."""
        now = self._clock.moment()
        errand.tries += 1
        self.first_tried.setdefault(errand.call_sid, errand.event)
        for follower in errand.followers:
            self._plan(follower)
        errand.followers.clear()
        if over or errand.tries > len(SPACING):
            self._close(errand)
        else:
            errand.due = now + SPACING[errand.tries - 1]
            self._plan(errand)

    def _close(self, errand: Errand) -> None:
        errand.done = True
        self.open.discard(errand)
        if self._last.get((errand.call_sid, errand.lane)) is errand:
            del self._last[errand.call_sid, errand.lane]
