"""Tells the application of a call: which callbacks it is sent, and what goes wrong with them."""

from __future__ import annotations

from dataclasses import replace

from django_exotel_ccm.simulator.book import Book, Fault
from django_exotel_ccm.simulator.callbacks import callback
from django_exotel_ccm.simulator.calls import UNKNOWN_STATUS, SimulatedCall
from django_exotel_ccm.simulator.chance import luck
from django_exotel_ccm.simulator.clock import Clock
from django_exotel_ccm.simulator.deliveries import Courier, Errand, Lane
from django_exotel_ccm.simulator.options import Options

EARLY_WITHIN = 10.0  # real seconds for which an answer waits for its first callback


class Teller:
    """Makes the callbacks of an event, puts the switched faults in, and gives them to the courier."""

    def __init__(self, clock: Clock, book: Book, options: Options, courier: Courier) -> None:
        self._clock = clock
        self._book = book
        self._options = options
        self._courier = courier

    def tell(self, call: SimulatedCall, event: str) -> None:
        """Send the callbacks of an event; those that come late wait for the call's `terminal`."""
        with self._clock.changed:
            errands = self._errands(call, event)
            if event == "answered":
                call.held = [errand for errand in errands if "reordered" in errand.faults]
                errands = [errand for errand in errands if "reordered" not in errand.faults]
            else:
                errands += call.held
            for errand in errands:
                self._courier.send(errand, in_order=self._options.in_order, delay=self._options.callback_delay)

    def wait_for_first(self, call: SimulatedCall) -> None:
        """Return when a callback of this call was tried, or none will be, or after 10 real seconds."""
        with self._clock.changed:
            tried = self._courier.first_tried
            self._clock.changed.wait_for(lambda: call.sid in tried or self._nothing_left(call), EARLY_WITHIN)
            if call.sid in tried:
                self.note("early", call.sid, tried[call.sid])

    def note(self, fault: str, call_sid: str, what: str) -> None:
        """Write a fault into the book."""
        with self._clock.changed:
            self._book.faults.append(Fault(fault, call_sid, what, self._clock.now()))
            self._clock.changed.notify_all()

    def _nothing_left(self, call: SimulatedCall) -> bool:
        left = any(errand.call_sid == call.sid for errand in self._courier.open)
        return self._clock.stopped or (call.state == "terminal" and not left)

    def _errands(self, call: SimulatedCall, event: str) -> list[Errand]:
        errands = self._errands_of(call, event)
        if event == "terminal" and self._options.conflicting_finals:
            errands += self._errands_of(contradicted(call), event, "conflicting")
        return errands

    def _errands_of(self, call: SimulatedCall, event: str, version: str = "") -> list[Errand]:
        """A callback for each address and each of its copies."""
        options = self._options
        body = callback(call, event, options, call.recording_url if call.state == "terminal" else None)
        switched = {
            version: bool(version),
            "delayed": options.callback_delay > 0,
            "sparse": options.sparse_terminal and event == "terminal",
            "unknown_status": call.status == UNKNOWN_STATUS,
        }
        found = []
        for index, (lane, url) in enumerate(self._addresses(call, event)):
            for copied in self._copies(call, event, f"{event}{version}/{index}"):
                faults = tuple(name for name, so in {**switched, **copied}.items() if so)
                for fault in faults:
                    self.note(fault, call.sid, event)
                found.append(Errand(call.sid, event, url, lane, options.callback_shape, body, faults))
        return found

    def _addresses(self, call: SimulatedCall, event: str) -> list[tuple[Lane, str]]:
        own: list[tuple[Lane, str]] = [("call", url) for url in call.callback_urls(event)]
        account = self._options.account_callback_url
        return [*own, ("account", account)] if account else own

    def _copies(self, call: SimulatedCall, event: str, which: str) -> list[dict[str, bool]]:
        """What is wrong with each copy of a callback; no copy if it is lost."""
        options = self._options
        drawn = luck(options, call.story, which)
        if event in options.lost_events or drawn.lost:
            self.note("lost", call.sid, event)
            return []
        copies = 2 if options.duplicate_callbacks or drawn.twice else 1
        can_be_late = event == "answered" and bool(self._addresses(call, "terminal"))
        return [
            {"duplicate": copy > 0, "reordered": can_be_late and (options.answered_last or drawn.late[copy])}
            for copy in range(copies)
        ]


def contradicted(call: SimulatedCall) -> SimulatedCall:
    """The same call with another status word and longer durations."""
    return replace(
        call,
        status="customer_unanswered" if call.status == "completed" else "completed",
        talk_time=(call.talk_time or 0) + 7,
        total_duration=(call.total_duration or 0) + 11,
    )
