"""A small soak; `make soak` runs the large one."""

from __future__ import annotations

import logging

from django_exotel_ccm.choices import State
from django_exotel_ccm.simulator import Simulator
from tests.concurrency.soak import Plan, soak

PLAN = Plan(calls=150, seed=3, within=60, ordinary=0.5, duplicates=0.2, reordered=0.2, lost=0.2)

logger = logging.getLogger("tests.concurrency")


def test_small_soak(exotel_simulator: Simulator, transactional_db: None) -> None:
    result = soak(exotel_simulator, PLAN, logger.info)

    assert not result.complaints
    assert not result.verdict, result.verdict
    assert result.calls >= PLAN.calls
    assert {"duplicate", "lost", "reordered"} <= set(result.faults)
    assert result.fetched
    assert {State.ENDED, State.REFUSED, State.UNCONFIRMED} == set(result.states)
    logger.info("%s", result)
