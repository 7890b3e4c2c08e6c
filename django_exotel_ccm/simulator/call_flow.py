"""A call, and how it goes: the agent's phone rings, then the customer's, they talk, it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from django_exotel_ccm.simulator.clock import Clock
from django_exotel_ccm.simulator.directory import Agent
from django_exotel_ccm.simulator.scenarios import MAX_DURATION, RING_TIME_OUT, Action, Script, Step

Phase = Literal["agent_ringing", "customer_ringing", "talking", "ended"]
Leg = Literal["agent", "customer"]
Press = Literal["answer", "decline", "hang_up"]

PROCESSING = 2  # seconds from the hang-up until Exotel calls the call terminal
UNKNOWN_STATUS = "vanished"  # a status word that no document has

PRESSES: dict[Phase, frozenset[tuple[Leg, Press]]] = {
    "agent_ringing": frozenset({("agent", "answer"), ("agent", "decline")}),
    "customer_ringing": frozenset({("agent", "hang_up"), ("customer", "answer"), ("customer", "decline")}),
    "talking": frozenset({("agent", "hang_up"), ("customer", "hang_up")}),
    "ended": frozenset(),
}
"""What can be pressed on which phone."""


@dataclass
class SimulatedCall:
    """The truth of a call. Times are aware and UTC, durations seconds; `ended` is a moment of the simulated clock.

    Faults by chance are drawn with `fault_key`. The callbacks in `held_back` are sent after that of the end.
    """

    sid: str
    request: dict[str, Any] = field(repr=False)
    agent: Agent
    customer_number: str
    virtual_number: str
    script: Script
    created_at: datetime
    fault_key: str = ""
    external: bool = False
    phase: Phase = "agent_ringing"
    state: Literal["active", "terminal"] = "active"
    status: str | None = None
    agent_leg: str | None = None
    customer_leg: str | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    updated_at: datetime | None = None
    ended: float | None = None
    recording_url: str | None = None
    talk_time: int | None = None
    total_duration: int | None = None
    held_back: list[Any] = field(default_factory=list, repr=False)

    @property
    def custom_field(self) -> str | None:
        """The application's own reference."""
        value: str | None = self.request.get("custom_field")
        return value

    @property
    def recorded(self) -> bool:
        """Whether there is, or will be, a recording."""
        return bool(self.request.get("recording")) and bool(self.talk_time)

    def callback_urls(self, event: str) -> list[str]:
        """Return where to report an event, in the order of the request."""
        return [entry["url"] for entry in self.request.get("status_callback") or [] if entry["event"] == event]


class Outcome(NamedTuple):
    """How a call ends: Exotel's status word, and what became of each leg (None: never dialled)."""

    status: str
    agent_leg: str | None
    customer_leg: str | None


AGENT_OUTCOMES: dict[Action, Outcome] = {
    "cannot_dial": Outcome("agent_no_dial", "failed", None),
    "decline": Outcome("agent_unanswered", "no-answer", None),
    "nothing": Outcome("agent_unanswered", "no-answer", None),
}
CUSTOMER_OUTCOMES: dict[Action, Outcome] = {
    "cannot_dial": Outcome("customer_no_dial", "completed", "failed"),
    "network_failure": Outcome("failed", "failed", "failed"),
    "busy": Outcome("customer_busy", "completed", "busy"),
    "hang_up": Outcome("agent_canceled", "completed", "canceled"),
    # Exotel reports a rejected call like an unanswered one (docs/exotel.md 3.2).
    "decline": Outcome("customer_unanswered", "completed", "no-answer"),
    "nothing": Outcome("customer_unanswered", "completed", "no-answer"),
}
TALKED = Outcome("completed", "completed", "completed")


class CallFlow:
    """Leads one call from the first ring to its end; every step under the simulator's lock.

    `report` is called with the call and "answered" or "terminal", `hung_up` when the agent's phone is free.
    Moments are nominal: 42 seconds of talk in a script are 42 in the report, however slow the machine.
    On a clock that runs fast those 42 seconds pass in less, and the end would lie in the application's future.
    So the times of such a call are put back by its expected length, and more where that is not enough.
    """

    def __init__(
        self,
        call: SimulatedCall,
        clock: Clock,
        *,
        report: Callable[[SimulatedCall, str], None],
        hung_up: Callable[[SimulatedCall], None],
    ) -> None:
        self.call = call
        self._clock, self._report, self._hung_up = clock, report, hung_up
        self._ring_limit = call.request.get("attempt_time_out") or RING_TIME_OUT
        self._started = self._moment = self._answered = clock.moment()
        if clock.speed > 1:
            call.created_at -= timedelta(seconds=call.script.length(call.request) + PROCESSING)
        self._enter("agent_ringing", call.script.agent, self._ring_limit, self._agent_rang)

    def press(self, leg: Leg, press: Press) -> None:
        """Do on a phone what a person would. ValueError if it cannot be done now."""
        possible = PRESSES[self.call.phase]
        if (leg, press) not in possible:
            can = ", ".join(f"{b} on the {a}'s phone" for a, b in sorted(possible)) or "nothing"
            raise ValueError(f"The call is {self.call.phase}: one can press {can}; not {press} on the {leg}'s phone")
        self._moment = min(max(self._moment, self._clock.moment()), self._until)
        self._leave(press)

    def _enter(self, phase: Phase, step: Step, limit: float, leave: Callable[[Action], None]) -> None:
        """Stay in a phase until somebody presses, the script acts, or the limit is reached; then `leave` it."""
        self.call.phase = phase
        self._leave = leave
        self._until = until = self._moment + min(step.after, limit)

        def act() -> None:
            if self.call.phase == phase:  # nobody pressed meanwhile
                self._moment = until
                leave(step.action if step.after <= limit else "nothing")

        self._clock.plan(until, act)

    def _agent_rang(self, action: Action) -> None:
        if outcome := AGENT_OUTCOMES.get(action):
            self._end(outcome)
            return
        self.call.agent_leg = "in-progress"
        self._enter("customer_ringing", self.call.script.customer, self._ring_limit, self._customer_rang)

    def _customer_rang(self, action: Action) -> None:
        if outcome := CUSTOMER_OUTCOMES.get(action):
            self._end(outcome)
            return
        call = self.call
        call.customer_leg = "in-progress"
        call.answered_at = self._time()
        self._answered = self._moment
        limit = call.request.get("max_time_limit") or MAX_DURATION
        self._enter("talking", Step("hang_up", call.script.talk), limit, self._talked)
        self._report(call, "answered")

    def _talked(self, _action: Action) -> None:
        self.call.talk_time = round(self._moment - self._answered)
        self._end(TALKED)

    def _end(self, outcome: Outcome) -> None:
        call = self.call
        call.phase = "ended"
        call.agent_leg, call.customer_leg = outcome.agent_leg, outcome.customer_leg
        call.talk_time = call.talk_time or 0
        call.total_duration = round(self._moment - self._started)
        call.ended, call.ended_at = self._moment, self._time()
        self._hung_up(call)
        self._moment += PROCESSING
        self._clock.plan(self._moment, lambda: self._finish(call.script.reported_status or outcome.status))

    def _finish(self, status: str) -> None:
        call = self.call
        call.updated_at = self._time()
        call.state, call.status = "terminal", status
        self._report(call, "terminal")

    def _time(self) -> datetime:
        """Return the time of day of the moment; put all times of the call back if it is in the future."""
        call = self.call
        time = call.created_at + timedelta(seconds=self._moment - self._started)
        ahead = max(time - datetime.now(UTC), timedelta())
        call.created_at -= ahead
        call.answered_at = call.answered_at and call.answered_at - ahead
        call.ended_at = call.ended_at and call.ended_at - ahead
        return time - ahead
