"""A call that takes its course: the agent's phone rings, then the customer's, they talk, it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from django_exotel_ccm.simulator.clock import Clock, StoppedError
from django_exotel_ccm.simulator.directory import Agent
from django_exotel_ccm.simulator.scripts import Action, Script

Phase = Literal["agent_ringing", "customer_ringing", "talking", "ended"]
Leg = Literal["agent", "customer"]
Move = Literal["answer", "decline", "hang_up"]

RING_TIME_OUT = 30  # seconds a leg rings unless `attempt_time_out` says otherwise
LONGEST_CALL = 14_400  # seconds a call lasts unless `max_time_limit` says otherwise
PROCESSING = 2  # seconds from the hang-up until Exotel calls the call terminal

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
    phase: Phase = "agent_ringing"
    state: Literal["active", "terminal"] = "active"
    status: str | None = None
    agent_leg: str | None = None
    customer_leg: str | None = None
    updated_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    talk_time: int | None = None
    total_duration: int | None = None
    pressed: tuple[Leg, Move] | None = None
    turn: int = 0
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


@dataclass(frozen=True)
class Ending:
    """How a call ended: Exotel's status word, and what became of each leg (None: never dialled)."""

    status: str
    agent_leg: str | None
    customer_leg: str | None


AGENT_ENDINGS: dict[Action, Ending] = {
    "cannot_dial": Ending("agent_no_dial", "failed", None),
    "network_failure": Ending("failed", "failed", None),
    "decline": Ending("agent_unanswered", "no-answer", None),
    "nothing": Ending("agent_unanswered", "no-answer", None),
}
CUSTOMER_ENDINGS: dict[Action, Ending] = {
    "cannot_dial": Ending("customer_no_dial", "completed", "failed"),
    "network_failure": Ending("failed", "failed", "failed"),
    "busy": Ending("customer_busy", "completed", "busy"),
    "hang_up": Ending("agent_canceled", "completed", "canceled"),
    # Exotel tells a rejected call like an unanswered one (contract, section 3).
    "decline": Ending("customer_unanswered", "completed", "no-answer"),
    "nothing": Ending("customer_unanswered", "completed", "no-answer"),
}
TALKED = Ending("completed", "completed", "completed")


class Course:
    """Leads one call from the first ring to its end, on the simulated clock.

    `tell` is called with the call and "answered" or "terminal"; `hung_up` when the agent's phone is free.
    Moments are nominal: 42 seconds of talk in a script are told as 42, however slow the machine.
    """

    def __init__(
        self,
        call: SimulatedCall,
        clock: Clock,
        *,
        tell: Callable[[SimulatedCall, str], None],
        hung_up: Callable[[SimulatedCall], None],
    ) -> None:
        self.call = call
        self._clock = clock
        self._tell = tell
        self._hung_up = hung_up
        self._moment = self._start = clock.moment()

    def run(self) -> None:
        """The whole course; what a call's thread does."""
        try:
            ending = self._agent_rings() or self._customer_rings() or self._they_talk()
            self._end(ending)
        except StoppedError:
            return

    def _agent_rings(self) -> Ending | None:
        heard = self._phase(
            "agent_ringing", self.call.script.agent.action, self.call.script.agent.after, self._ring_limit()
        )
        return AGENT_ENDINGS.get(heard)

    def _customer_rings(self) -> Ending | None:
        self.call.agent_leg = "in-progress"
        step = self.call.script.customer
        heard = self._phase("customer_ringing", step.action, step.after, self._ring_limit())
        return CUSTOMER_ENDINGS.get(heard)

    def _they_talk(self) -> Ending:
        call = self.call
        with self._clock.changed:
            call.customer_leg = "in-progress"
            call.answered_at = self._clock.at(self._moment)
        self._tell(call, "answered")
        began = self._moment
        self._phase("talking", "hang_up", call.script.talk, call.request.get("max_time_limit") or LONGEST_CALL)
        call.talk_time = round(self._moment - began)
        return TALKED

    def _end(self, ending: Ending) -> None:
        call = self.call
        with self._clock.changed:
            call.agent_leg, call.customer_leg = ending.agent_leg, ending.customer_leg
            call.talk_time = call.talk_time or 0
            call.total_duration = round(self._moment - self._start)
            call.ended_at = self._clock.at(self._moment)
            self._enter("ended")
        self._hung_up(call)
        self._clock.wait_until(self._moment + PROCESSING)
        with self._clock.changed:
            call.updated_at = self._clock.at(self._moment + PROCESSING)
            call.status = call.script.told or ending.status
            call.state = "terminal"
            self._tell(call, "terminal")
            self._clock.changed.notify_all()

    def _ring_limit(self) -> float:
        limit: float = self.call.request.get("attempt_time_out") or RING_TIME_OUT
        return limit

    def _enter(self, phase: Phase) -> None:
        with self._clock.changed:
            if self.call.phase == phase:
                return  # a new call rings already, and somebody may have pressed before its thread got here
            self.call.phase = phase
            self.call.pressed = None
            self.call.turn += 1
            self._clock.changed.notify_all()

    def _phase(self, phase: Phase, action: Action, after: float, limit: float) -> Action:
        """Stay in a phase until somebody presses, the script acts, or the limit is reached. What ended it."""
        call = self.call
        self._enter(phase)
        until = self._moment + min(after, limit)
        if self._clock.wait_until(until, unless=lambda: call.pressed is not None) and call.pressed:
            self._moment = min(max(self._moment, self._clock.moment()), until)
            return call.pressed[1]
        self._moment = until
        return action if after <= limit else "nothing"
