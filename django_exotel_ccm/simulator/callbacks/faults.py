"""Faults by chance, with a seed: which callbacks are lost, come twice or come late."""

from __future__ import annotations

import random
from typing import NamedTuple

from django_exotel_ccm.simulator.options import Options


class DrawnFaults(NamedTuple):
    """What chance does to one callback: is it lost, does it come twice, which copies come after `terminal`."""

    lost: bool
    twice: bool
    late: tuple[bool, bool]


def draw_faults(options: Options, call_key: str, callback_key: str) -> DrawnFaults:
    """Draw for a callback. The same seed and keys draw the same, and no rate changes what another draws."""
    draw = random.Random(f"{options.seed}/{call_key}/{callback_key}").random  # noqa: S311 - nothing here is a secret
    lost, twice = draw() < options.loss_rate, draw() < options.duplicate_rate
    return DrawnFaults(lost, twice, (draw() < options.reorder_rate, draw() < options.reorder_rate))
