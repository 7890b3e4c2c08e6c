"""A call: what was asked for, what has become of it, and what can be pressed on its two phones."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from django_exotel_ccm.simulator.directory import Agent
from django_exotel_ccm.simulator.scripts import Script

Phase = Literal["agent_ringing", "customer_ringing", "talking", "ended"]
Leg = Literal["agent", "customer"]
Move = Literal["answer", "decline", "hang_up"]

UNKNOWN_STATUS = "vanished"  # a status word that no document has

MOVES: dict[Phase, frozenset[tuple[Leg, Move]]] = {
    "agent_ringing": frozenset({("agent", "answer"), ("agent", "decline")}),
    "customer_ringing": frozenset({("agent", "hang_up"), ("customer", "answer"), ("customer", "decline")}),
    "talking": frozenset({("agent", "hang_up"), ("customer", "hang_up")}),
    "ended": frozenset(),
}
"""What can be pressed on which phone while a call is where it is."""


@dataclass
class SimulatedCall:
    """The truth of a call, as only the network knows it. Times are aware and UTC, durations seconds."""

    sid: str
    request: dict[str, Any]
    agent: Agent
    customer_number: str
    virtual_number: str
    script: Script
    created_at: datetime
    story: str = ""
    elsewhere: bool = False
    phase: Phase = "agent_ringing"
    state: Literal["active", "terminal"] = "active"
    status: str | None = None
    agent_leg: str | None = None
    customer_leg: str | None = None
    updated_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    recording_url: str | None = None
    talk_time: int | None = None
    total_duration: int | None = None
    held: list[Any] = field(default_factory=list, repr=False)

    def moves(self) -> frozenset[tuple[Leg, Move]]:
        """What can be pressed now."""
        return MOVES[self.phase]

    @property
    def custom_field(self) -> str | None:
        """The application's own reference, echoed."""
        value: str | None = self.request.get("custom_field")
        return value

    @property
    def recorded(self) -> bool:
        """Is there, or will there be, a recording?"""
        return bool(self.request.get("recording")) and bool(self.talk_time)

    @property
    def channels(self) -> int:
        """Channels of the recording: 2 when agent and customer were asked for apart."""
        return 2 if self.request.get("recording_channels") == "dual" else 1

    def callback_urls(self, event: str) -> list[str]:
        """Where to tell an event, in the order of the request."""
        return [entry["url"] for entry in self.request.get("status_callback") or [] if entry["event"] == event]
