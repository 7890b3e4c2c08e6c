"""Makes the callbacks of an event, with the faults that the options set."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import NamedTuple

from django_exotel_ccm.simulator.call_flow import UNKNOWN_STATUS, SimulatedCall
from django_exotel_ccm.simulator.callbacks.delivery import DeliveryQueue, PendingCallback
from django_exotel_ccm.simulator.clock import Clock
from django_exotel_ccm.simulator.options import Options
from django_exotel_ccm.simulator.payloads import callback_body, encoded
from django_exotel_ccm.simulator.recorder import Book, Delivery, Destination, Fault

EARLY_WITHIN = 10.0  # real seconds for which an answer waits for its first callback


class DrawnFaults(NamedTuple):
    """What chance does to one callback: is it lost, does it come twice, which copies come after `terminal`."""

    lost: bool
    twice: bool
    late: tuple[bool, bool]


def draw_faults(options: Options, call_key: str, callback_key: str) -> DrawnFaults:
    """Draw for a callback. The same seed and keys draw the same, and no rate changes what another draws."""
    draw = random.Random(f"{options.seed}/{call_key}/{callback_key}").random  # noqa: S311 - nothing here is a secret
    lost, twice = draw() < options.loss_rate, draw() < options.duplicate_rate
    return DrawnFaults(lost, twice, (draw() < options.reorder_rate, draw() < options.reorder_rate))


class Notifier:
    """Makes callbacks and gives them to the delivery queue."""

    def __init__(self, clock: Clock, book: Book, options: Options, queue: DeliveryQueue) -> None:
        self._clock = clock
        self._book = book
        self._options = options
        self._queue = queue

    def notify(self, call: SimulatedCall, event: str) -> None:
        """Send the callbacks of an event; those that come late wait for the call's `terminal`."""
        options = self._options
        with self._clock.changed:
            made = self._callbacks(call, event)
            if event == "answered":
                call.held_back = [one for one in made if "reordered" in one.delivery.faults]
                made = [one for one in made if one not in call.held_back]
            else:
                if options.conflicting_finals and not options.sparse_terminal:  # which would send the same again
                    made += self._callbacks(contradicted(call), event, "conflicting")
                made += call.held_back
            for pending in made:
                self._queue.add(pending, in_order=options.in_order, delay=options.callback_delay)

    def wait_for_first(self, call: SimulatedCall) -> None:
        """Return when a callback of this call was tried, or none will be, or after 10 real seconds."""

        def tried() -> list[str]:
            return [one.event for one in self._book.deliveries if one.call_sid == call.sid]

        def is_done() -> bool:
            is_pending = any(one.delivery.call_sid == call.sid for one in self._queue.open)
            return self._clock.stopped or bool(tried()) or (call.state == "terminal" and not is_pending)

        with self._clock.changed:
            self._clock.changed.wait_for(is_done, EARLY_WITHIN)
            if events := tried():
                self.record_fault("early", call.sid, events[0])

    def record_fault(self, name: str, call_sid: str, what: str) -> None:
        """Record that something was made to go wrong."""
        with self._clock.changed:
            self._book.faults.append(Fault(name, call_sid, what, self._clock.now()))
            self._clock.changed.notify_all()

    def _callbacks(self, call: SimulatedCall, event: str, version: str = "") -> list[PendingCallback]:
        """Return a callback for each destination and each of its copies."""
        options = self._options
        body = callback_body(call, event, options)
        content_type, content = encoded(body, options.callback_shape)
        set_on_purpose = {
            version: bool(version),
            "delayed": options.callback_delay > 0,
            "sparse": options.sparse_terminal and event == "terminal",
            "unknown_status": call.status == UNKNOWN_STATUS,
        }
        made = []
        for index, (destination, url) in enumerate(self._destinations(call, event)):
            for drawn in self._copies(call, event, f"{event}{version}/{index}"):
                faults = tuple(name for name, is_made in {**set_on_purpose, **drawn}.items() if is_made)
                for fault in faults:
                    self.record_fault(fault, call.sid, event)
                delivery = Delivery(call.sid, event, url, content_type, body, destination, faults)
                made.append(PendingCallback(delivery, content))
        return made

    def _destinations(self, call: SimulatedCall, event: str) -> list[tuple[Destination, str]]:
        own: list[tuple[Destination, str]] = [("call", url) for url in call.callback_urls(event)]
        account = self._options.account_callback_url
        return [*own, ("account", account)] if account else own

    def _copies(self, call: SimulatedCall, event: str, callback_key: str) -> list[dict[str, bool]]:
        """Return what is wrong with each copy of a callback; no copy if it is lost."""
        options = self._options
        drawn = draw_faults(options, call.fault_key, callback_key)
        if event in options.lost_events or drawn.lost:
            self.record_fault("lost", call.sid, event)
            return []
        can_be_late = event == "answered" and bool(self._destinations(call, "terminal"))
        return [
            {"duplicate": copy > 0, "reordered": can_be_late and (options.answered_last or drawn.late[copy])}
            for copy in range(2 if options.duplicate_callbacks or drawn.twice else 1)
        ]


def contradicted(call: SimulatedCall) -> SimulatedCall:
    """Return the same call with another status word and longer durations."""
    return replace(
        call,
        status="customer_unanswered" if call.status == "completed" else "completed",
        talk_time=(call.talk_time or 0) + 7,
        total_duration=(call.total_duration or 0) + 11,
    )
