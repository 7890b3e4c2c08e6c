"""A short fuzz of the view and the parsers; ``python -m tests.properties.fuzz`` runs longer."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck

from tests.properties.fuzz import TARGETS, Tried

QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def test_no_body_breaks_the_view(db: None) -> None:
    fuzz("view", 150)


@pytest.mark.parametrize("target", ["callbacks", "answers"])
def test_no_body_breaks_a_parser(target: str) -> None:
    fuzz(target, 300)


def fuzz(target: str, bodies: int) -> None:
    tried = Tried(target)
    # Each target asserts the invariants of every body.
    TARGETS[target](tried, max_examples=bodies, deadline=None, suppress_health_check=QUIET)()
    assert tried.examples >= bodies
