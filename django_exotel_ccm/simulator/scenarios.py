"""Named scenarios for all calls, and magic customer numbers for one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django_exotel_ccm.simulator.options import EVENTS

Action = Literal["answer", "nothing", "decline", "busy", "cannot_dial", "network_failure", "hang_up"]

RING_TIME_OUT = 30  # seconds a phone rings unless `attempt_time_out` says otherwise
MAX_DURATION = 14_400  # seconds a call lasts unless `max_time_limit` says otherwise


@dataclass(frozen=True)
class Step:
    """What happens to a ringing phone, and after how many simulated seconds."""

    action: Action
    after: float


NOTHING = Step("nothing", math.inf)


@dataclass(frozen=True)
class Script:
    """What happens in a call. `reported_status` replaces the status that Exotel reports in the end."""

    title: str
    number: str
    agent: Step = Step("answer", 3)
    customer: Step = Step("answer", 6)
    talk: float = 42
    reported_status: str | None = None
    refusal: int | None = None
    rings_anyway: bool = False

    def length(self, request: Mapping[str, Any]) -> float:
        """Return how many seconds the call lasts if nobody presses anything."""
        ring_limit = request.get("attempt_time_out") or RING_TIME_OUT
        seconds = 0.0
        for step in (self.agent, self.customer):
            seconds += min(step.after, ring_limit)
            if step.action != "answer" or step.after > ring_limit:
                return seconds
        return seconds + min(self.talk, request.get("max_time_limit") or MAX_DURATION)


BY_HAND = Script(
    "by hand: rings half a minute, or until you press on the page", "+919000001009", NOTHING, NOTHING, math.inf
)

SCRIPTS = (
    Script("completed after 42 s of talk", "+919000001001"),
    Script("customer_unanswered: the customer's phone rings out", "+919000001002", customer=NOTHING),
    Script("agent_unanswered: the agent's phone rings out", "+919000001003", agent=NOTHING),
    Script("agent_canceled: the agent hangs up first", "+919000001004", customer=Step("hang_up", 5)),
    Script("customer_no_dial: no way to the customer", "+919000001005", customer=Step("cannot_dial", 2)),
    Script("agent_no_dial: no way to the agent", "+919000001006", agent=Step("cannot_dial", 2)),
    Script("failed: the network fails", "+919000001007", customer=Step("network_failure", 2)),
    Script("customer_busy: the customer's line is busy", "+919000001008", customer=Step("busy", 2)),
    BY_HAND,
    Script("customer_unanswered: the customer declines", "+919000001010", customer=Step("decline", 4)),
    Script("agent_canceled, though they talked for 42 s", "+919000001011", reported_status="agent_canceled"),
    Script("completed, though nobody talked (0 s)", "+919000001012", talk=0),
    Script("missed: a word no document knows", "+919000001013", reported_status="missed", customer=NOTHING),
    Script("completed after 20 minutes of talk", "+919000001014", talk=1200),
    Script("refused, 10717: do not disturb", "+919000001017", refusal=10717),
    Script("refused, 1100: internal error, nothing rings", "+919000001100", refusal=1100),
    Script("1100: internal error, yet the phones ring", "+919000001101", refusal=1100, rings_anyway=True),
)
"""The magic numbers. A call to any other number goes like the first one."""


def script_for(number: str) -> Script:
    """Return the script of a customer's number."""
    return next((script for script in SCRIPTS if script.number == number), SCRIPTS[0])


class Scenario:
    """Something that goes wrong with every call: a name, what happens in words, and the options that make it."""

    def __init__(self, name: str, title: str, text: str, **options: Any) -> None:
        self.name, self.title, self.text, self.options = name, title, text, options


ALL, TERMINAL = frozenset(EVENTS), frozenset({"terminal"})

SCENARIOS = (
    Scenario("everything_works", "Everything works", "Exotel answers at once and reports each event once."),
    Scenario("no_report", "No report arrives", "Only Call Details show how the call ended.", lost_events=ALL),
    Scenario("no_end", "The end is not reported", "Only the report of the answer arrives.", lost_events=TERMINAL),
    Scenario("twice", "Reports come twice", "Each callback is delivered a second time.", duplicate_callbacks=True),
    Scenario("wrong_order", "Reports in the wrong order", "The answering comes after the end.", answered_last=True),
    Scenario("early_report", "Report before the answer", "It outruns the answer to Make a Call.", early_callbacks=True),
    Scenario("late_reports", "Reports come late", "Each comes two minutes after the event.", callback_delay=120.0),
    Scenario(
        "contradiction",
        "Two different ends",
        "A second report names another outcome; Call Details decide.",
        conflicting_finals=True,
    ),
    Scenario("lost_answer", "The answer is lost", "The call is placed; the connection breaks.", answer_fault="reset"),
    Scenario("too_many", "Too many requests", "Calls are refused with code 10724.", refuse_with=10724, retry_after=30),
    Scenario("wrong_key", "Wrong API key", "Calls are refused with code 1010.", refuse_with=1010),
    Scenario(
        *("silence", "Nothing is known", "No report arrives, and Call Details fail."),
        lost_events=ALL,
        details_fault="bad_gateway",
    ),
    Scenario(
        *("late_recording", "The recording comes late", "Only Call Details name it, five minutes after the call."),
        recordings_shape="late",
        recording_delay=300.0,
    ),
    Scenario(
        *("bad_network", "A bad network", "One callback in five is lost, one comes twice, one comes late."),
        loss_rate=0.2,
        duplicate_rate=0.2,
        reorder_rate=0.2,
    ),
)
"""The scenarios in the order of the web page; the first one is the reset."""
