"""Chance with a seed: which callbacks are lost, come twice or come late, whatever the threads do meanwhile."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from django_exotel_ccm.simulator.options import Options

MOST_COPIES = 2


@dataclass(frozen=True)
class Luck:
    """What chance does to one callback: is it lost; which of its copies come after `terminal`."""

    lost: bool
    twice: bool
    late: tuple[bool, ...]


def luck(options: Options, story: str, event: str) -> Luck:
    """Draw for a callback. The same seed, story and event draw the same, and no rate changes another's draws."""
    draw = random.Random(f"{options.seed}/{story}/{event}").random  # noqa: S311 - nothing here is a secret
    return Luck(
        lost=draw() < options.loss_rate,
        twice=draw() < options.duplicate_rate,
        late=tuple(draw() < options.reorder_rate for _ in range(MOST_COPIES)),
    )


class Stories:
    """Names calls by what was asked for, not by when: "the second call of Asha to +91… about ticket_7".

    Clients that place calls at the same time get other sids and another order in each run, but the same names.
    """

    def __init__(self) -> None:
        self._told: Counter[str] = Counter()

    def name(self, agent: str, customer: str, custom_field: str | None) -> str:
        """The name of the next such call. Hold the simulator's lock."""
        asked = f"{agent}/{customer}/{custom_field or ''}"
        self._told[asked] += 1
        return f"{asked}/{self._told[asked]}"
