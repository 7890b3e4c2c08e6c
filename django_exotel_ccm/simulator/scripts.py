"""Magic customer numbers: which number makes a call take which course."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Action = Literal["answer", "nothing", "decline", "busy", "cannot_dial", "network_failure", "hang_up"]


@dataclass(frozen=True)
class Step:
    """What happens to a ringing phone, and after how many simulated seconds."""

    action: Action
    after: float


NOTHING = Step("nothing", math.inf)


@dataclass(frozen=True)
class Script:
    """The course of a call: who does what when. `told` replaces the status that Exotel tells in the end."""

    title: str
    number: str = ""
    agent: Step = Step("answer", 3)
    customer: Step = Step("answer", 6)
    talk: float = 42
    told: str | None = None
    refusal: int | None = None
    rings_anyway: bool = False


USUAL = Script("completed after 42 s of talk")
BY_HAND = Script("by hand: rings until you press on the page", "+919000001009", NOTHING, NOTHING, math.inf)

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
    Script("agent_canceled, though they talked for 42 s", "+919000001011", told="agent_canceled"),
    Script("completed, though nobody talked (0 s)", "+919000001012", talk=0),
    Script("missed: a word no document knows", "+919000001013", told="missed", customer=NOTHING),
    Script("completed after 20 minutes of talk", "+919000001014", talk=1200),
    Script("refused, 10717: do not disturb", "+919000001017", refusal=10717),
    Script("refused, 1100: internal error, nothing rings", "+919000001100", refusal=1100),
    Script("1100: internal error, yet the phones ring", "+919000001101", refusal=1100, rings_anyway=True),
)
"""The table of magic numbers, in the order of the web page; any other number takes the usual course."""

_BY_NUMBER = {script.number: script for script in SCRIPTS}


def script_for(number: str) -> Script:
    """The script of a customer's number."""
    return _BY_NUMBER.get(number, USUAL)
