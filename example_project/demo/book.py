"""The simulator's own book, read from its page ``/book.json``, and the life of one call in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests

ACTS = {
    "agent_ringing": "{agent}'s phone rings.",
    "customer_ringing": "{agent} answers. The customer's phone rings: {customer}.",
    "talking": "The customer answers. They talk.",
    "ended": "They hang up.",
}


def read_book(simulator: str) -> dict[str, Any]:
    """Return the book as the simulator serves it."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(f"{simulator}/book.json", timeout=10)
    answer.raise_for_status()
    book: dict[str, Any] = answer.json()
    return book


class CallInBook:
    """One call's pages of the book. ``read`` them again to see how it goes on."""

    def __init__(self, simulator: str, sid: str) -> None:
        self._simulator = simulator
        self.sid = sid
        self.call: dict[str, Any] = {}
        self.requests: list[dict[str, Any]] = []
        self.deliveries: list[dict[str, Any]] = []
        self._told: list[str] = []

    def read(self) -> None:
        """Read on."""
        book = read_book(self._simulator)
        self.call = next((call for call in book["calls"] if call["call_sid"] == self.sid), {})
        self.requests = [one for one in book["requests"] if one["method"] == "POST"]
        self.deliveries = [one for one in book["deliveries"] if one["call_sid"] == self.sid]

    def news(self) -> Iterator[str]:
        """Yield what has happened since the last time, a line each."""
        for phase in self._acts_so_far():
            if phase in self._told:
                continue
            self._told.append(phase)
            yield ACTS[phase].format(agent=self.call["agent"]["name"], customer=self.call["customer_number"])
        for delivery in self.deliveries:
            line = f'Exotel reports "{delivery["event"]}"; the helpdesk answers {delivery["status"] or "nothing"}.'
            key = f"{delivery['event']}, try {delivery['attempt']}"
            if key not in self._told:
                self._told.append(key)
                yield line

    def _acts_so_far(self) -> list[str]:
        """What the call has gone through; an act may have passed unseen between two readings."""
        acts, phase = list(ACTS), self.call.get("phase")
        if phase not in acts:
            return []
        if phase == "ended" and not self.call["talk_time"]:
            return [phase]  # how far it came before is not in the book
        return acts[: acts.index(phase) + 1]

    @property
    def is_over(self) -> bool:
        """Whether the network is done with the call and has tried to report its end."""
        return self.call.get("state") == "terminal" and any(one["event"] == "terminal" for one in self.deliveries)
