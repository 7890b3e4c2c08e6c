"""The life of a call: what each event proves, how events are joined, and what the call's record then says.

Nothing else decides a state. ``join`` is commutative, associative and idempotent, so any order and any repetition of
the same events make the same record.
"""

from __future__ import annotations

from django_exotel_ccm.lifecycle.facts import (
    Projection,
    chosen_sid,
    is_settled,
    join,
    join_events,
    names_sooner,
    needs_verification,
    project,
    recordings,
    status_words,
)
from django_exotel_ccm.lifecycle.registers import (
    LEG_WORDS,
    OUTCOMES,
    PHASES,
    Message,
    Registers,
    Source,
    to_registers,
)

__all__ = [
    "LEG_WORDS",
    "OUTCOMES",
    "PHASES",
    "Message",
    "Projection",
    "Registers",
    "Source",
    "chosen_sid",
    "is_settled",
    "join",
    "join_events",
    "names_sooner",
    "needs_verification",
    "project",
    "recordings",
    "status_words",
    "to_registers",
]
