"""Makes the callbacks of an event, with the faults that the options ask for."""

from __future__ import annotations

from dataclasses import replace

from django_exotel_ccm.simulator.call_flow import UNKNOWN_STATUS, SimulatedCall
from django_exotel_ccm.simulator.callbacks.delivery import DeliveryQueue, PendingCallback
from django_exotel_ccm.simulator.callbacks.faults import draw_faults
from django_exotel_ccm.simulator.callbacks.payloads import callback_body, encoded
from django_exotel_ccm.simulator.clock import Clock
from django_exotel_ccm.simulator.options import Options
from django_exotel_ccm.simulator.recorder import Book, Delivery, Destination, Fault

EARLY_WITHIN = 10.0  # real seconds for which an answer waits for its first callback


class Notifier:
    """Makes callbacks and gives them to the delivery queue."""

    def __init__(self, clock: Clock, book: Book, options: Options, queue: DeliveryQueue) -> None:
        self._clock = clock
        self._book = book
        self._options = options
        self._queue = queue

    def notify(self, call: SimulatedCall, event: str) -> None:
        """Send the callbacks of an event; those that come late wait for the call's `terminal`."""
        with self._clock.changed:
            made = self._callbacks(call, event)
            if event == "terminal" and self._options.conflicting_finals:
                made += self._callbacks(contradicted(call), event, "conflicting")
            if event == "answered":
                call.held = [one for one in made if "reordered" in one.delivery.faults]
                made = [one for one in made if one not in call.held]
            for pending in made if event == "answered" else made + call.held:
                self._queue.add(pending, in_order=self._options.in_order, delay=self._options.callback_delay)

    def wait_for_first(self, call: SimulatedCall) -> None:
        """Return when a callback of this call was tried, or none will be, or after 10 real seconds."""
        with self._clock.changed:
            self._clock.changed.wait_for(lambda: self._clock.stopped or self._is_first_tried(call), EARLY_WITHIN)
            if call.sid in self._queue.first_tried:
                self.note("early", call.sid, self._queue.first_tried[call.sid])

    def _is_first_tried(self, call: SimulatedCall) -> bool:
        is_open = call.state != "terminal" or any(one.delivery.call_sid == call.sid for one in self._queue.open)
        return call.sid in self._queue.first_tried or not is_open

    def note(self, fault: str, call_sid: str, what: str) -> None:
        """Record a fault."""
        with self._clock.changed:
            self._book.faults.append(Fault(fault, call_sid, what, self._clock.now()))
            self._clock.changed.notify_all()

    def _callbacks(self, call: SimulatedCall, event: str, version: str = "") -> list[PendingCallback]:
        """Return a callback for each destination and each of its copies."""
        options = self._options
        body = callback_body(call, event, options)
        content_type, content = encoded(body, options.callback_shape)
        asked_for = {
            version: bool(version),
            "delayed": options.callback_delay > 0,
            "sparse": options.sparse_terminal and event == "terminal",
            "unknown_status": call.status == UNKNOWN_STATUS,
        }
        made = []
        for index, (destination, url) in enumerate(self._destinations(call, event)):
            for drawn in self._copies(call, event, f"{event}{version}/{index}"):
                faults = tuple(name for name, is_made in {**asked_for, **drawn}.items() if is_made)
                for fault in faults:
                    self.note(fault, call.sid, event)
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
        drawn = draw_faults(options, call.draw_key, callback_key)
        if event in options.lost_events or drawn.lost:
            self.note("lost", call.sid, event)
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
