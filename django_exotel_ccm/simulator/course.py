"""A call takes its course: the agent's phone rings, then the customer's, they talk, it ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

from django_exotel_ccm.simulator.agenda import Agenda
from django_exotel_ccm.simulator.calls import Leg, Move, Phase, SimulatedCall
from django_exotel_ccm.simulator.clock import Clock
from django_exotel_ccm.simulator.scripts import Action

RING_TIME_OUT = 30  # seconds a leg rings unless `attempt_time_out` says otherwise
LONGEST_CALL = 14_400  # seconds a call lasts unless `max_time_limit` says otherwise
PROCESSING = 2  # seconds from the hang-up until Exotel calls the call terminal

Said = TypeVar("Said")
Waiting = Generator[float, Move | None, Said]
"""Part of a course: yields the moment until which nothing happens unless somebody presses, is sent what was pressed."""


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
    # Exotel tells a rejected call like an unanswered one (docs/exotel.md 3).
    "decline": Ending("customer_unanswered", "completed", "no-answer"),
    "nothing": Ending("customer_unanswered", "completed", "no-answer"),
}
TALKED = Ending("completed", "completed", "completed")


class Course:
    """Leads one call from the first ring to its end, on the simulated clock; every step under the simulator's lock.

    `tell` is called with the call and "answered" or "terminal"; `hung_up` when the agent's phone is free.
    Moments are nominal: 42 seconds of talk in a script are told as 42, however slow the machine.
    """

    def __init__(
        self,
        call: SimulatedCall,
        clock: Clock,
        agenda: Agenda,
        *,
        tell: Callable[[SimulatedCall, str], None],
        hung_up: Callable[[SimulatedCall], None],
    ) -> None:
        self.call = call
        self._clock = clock
        self._agenda = agenda
        self._tell = tell
        self._hung_up = hung_up
        self._moment = self._start = clock.moment()
        self._steps = self._story()
        self._step = 0

    def begin(self) -> None:
        """Let the agent's phone ring."""
        self._go_on()

    def press(self, leg: Leg, move: Move) -> None:
        """Do on a phone what a person would. ValueError if it cannot be done now."""
        call = self.call
        if (leg, move) not in call.moves():
            can = ", ".join(f"{a} on the {b}'s phone" for b, a in sorted(call.moves())) or "nothing"
            raise ValueError(f"The call is {call.phase}: one can press {can}; not {move} on the {leg}'s phone")
        self._go_on(move)

    def _go_on(self, pressed: Move | None = None) -> None:
        """Do the next step, and be woken for the one after it."""
        self._step = step = self._step + 1
        with contextlib.suppress(StopIteration):
            until = self._steps.send(pressed)
            self._agenda.add(until, lambda: self._go_on() if step == self._step else None)
        self._clock.changed.notify_all()

    def _story(self) -> Waiting[None]:
        """The whole course."""
        ending = (yield from self._agent_rings()) or (yield from self._customer_rings())
        yield from self._end(ending or (yield from self._they_talk()))

    def _agent_rings(self) -> Waiting[Ending | None]:
        step = self.call.script.agent
        heard = yield from self._phase("agent_ringing", step.action, step.after, self._ring_limit())
        return AGENT_ENDINGS.get(heard)

    def _customer_rings(self) -> Waiting[Ending | None]:
        self.call.agent_leg = "in-progress"
        step = self.call.script.customer
        heard = yield from self._phase("customer_ringing", step.action, step.after, self._ring_limit())
        return CUSTOMER_ENDINGS.get(heard)

    def _they_talk(self) -> Waiting[Ending]:
        call = self.call
        call.customer_leg = "in-progress"
        call.answered_at = self._clock.at(self._moment)
        self._tell(call, "answered")
        began = self._moment
        limit = call.request.get("max_time_limit") or LONGEST_CALL
        yield from self._phase("talking", "hang_up", call.script.talk, limit)
        call.talk_time = round(self._moment - began)
        return TALKED

    def _end(self, ending: Ending) -> Waiting[None]:
        call = self.call
        call.phase = "ended"
        call.agent_leg, call.customer_leg = ending.agent_leg, ending.customer_leg
        call.talk_time = call.talk_time or 0
        call.total_duration = round(self._moment - self._start)
        call.ended_at = self._clock.at(self._moment)
        self._hung_up(call)
        yield self._moment + PROCESSING
        call.updated_at = self._clock.at(self._moment + PROCESSING)
        call.status = call.script.told or ending.status
        call.state = "terminal"
        self._tell(call, "terminal")

    def _ring_limit(self) -> float:
        limit: float = self.call.request.get("attempt_time_out") or RING_TIME_OUT
        return limit

    def _phase(self, phase: Phase, action: Action, after: float, limit: float) -> Waiting[Action]:
        """Stay in a phase until somebody presses, the script acts, or the limit is reached. What ended it."""
        self.call.phase = phase
        until = self._moment + min(after, limit)
        pressed = yield until
        if pressed:
            self._moment = min(max(self._moment, self._clock.moment()), until)
            return pressed
        self._moment = until
        return action if after <= limit else "nothing"
