"""Invalid bodies at the real view and at every parser: no server error, and nothing dropped.

python -m tests.properties.fuzz [--seconds 60] [--seed 1] [--postgres]

Stops by itself, prints what was tried, and exits with 1 at the first body that breaks a law, after making it small.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.properties import request_bodies
from tests.properties.database import in_a_database, rolled_back

SLOW = 3.0  # seconds of work; Exotel waits fifteen
EVENTS = st.sampled_from(["answered", "terminal"])
STATUSES = st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 409, 422, 429, 499, 500, 502, 599])


@dataclass
class Tried:
    """How often a target was fuzzed, and what took longest."""

    name: str
    examples: int = 0
    slowest: float = 0.0

    def timed(self, work: Callable[[], Any]) -> Any:
        """Return what ``work`` returns; raises ``AssertionError`` when it takes longer than :data:`SLOW`."""
        began = time.process_time()
        result = work()
        took = time.process_time() - began
        self.examples += 1
        self.slowest = max(self.slowest, took)
        assert took < SLOW, f"{took:.1f} s"
        return result

    def __str__(self) -> str:
        return f"{self.name}: {self.examples} bodies, slowest {self.slowest * 1000:.0f} ms"


def fuzz_view(tried: Tried, **options: Any) -> Callable[[], None]:
    """Return a test that delivers bodies to the view, each to a call of its own."""
    from django.test import Client

    from tests.properties.invariants import accepts_later_end, is_stored_once

    client = Client()

    @settings(**options)
    @given(body=request_bodies.anything, content_type=request_bodies.content_types.filter(reaches_views), event=EVENTS)
    def fuzz(body: bytes, content_type: str, event: str) -> None:
        account = uuid.uuid4().hex  # or another call would have the sid already
        call = tried.timed(lambda: is_stored_once(client, body, content_type, event, account))
        if call is not None:
            accepts_later_end(client, call)

    return fuzz


def fuzz_callbacks(tried: Tried, **options: Any) -> Callable[[], None]:
    """Return a test that reads bodies as callbacks."""
    from tests.properties.invariants import check_callback

    @settings(**options)
    @given(body=request_bodies.anything, content_type=request_bodies.content_types)
    def fuzz(body: bytes, content_type: str) -> None:
        tried.timed(lambda: check_callback(body, content_type))

    return fuzz


def fuzz_answers(tried: Tried, **options: Any) -> Callable[[], None]:
    """Return a test that reads bodies as Exotel's answers."""
    from tests.properties.invariants import check_answer

    @settings(**options)
    @given(body=request_bodies.anything, status=STATUSES, header=request_bodies.texts, placing=st.booleans())
    def fuzz(body: bytes, status: int, header: str, placing: bool) -> None:
        tried.timed(lambda: check_answer(body, status, header, placing=placing))

    return fuzz


TARGETS = {"view": fuzz_view, "callbacks": fuzz_callbacks, "answers": fuzz_answers}


def reaches_views(content_type: str) -> bool:
    """Say whether Django can make a request of a header; some it refuses before any view."""
    from django.core.exceptions import BadRequest
    from django.test import RequestFactory

    try:
        RequestFactory().generic("POST", "/", b"x", content_type)
    except (BadRequest, ValueError):
        return False
    return True


def main(arguments: Sequence[str]) -> int:
    """Fuzz every target in turn until the time is up, print what was tried and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL of its own instead of SQLite")
    options = parser.parse_args(arguments)
    print(f"Seed {options.seed}.", flush=True)
    until = time.monotonic() + options.seconds
    tried = [Tried(name) for name in TARGETS]
    quiet = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
    with in_a_database(postgres=options.postgres):
        for number in range(options.seed, options.seed + 10**6):
            for one in tried:
                target = TARGETS[one.name](one, max_examples=200, phases=[Phase.generate, Phase.shrink], **quiet)
                with rolled_back():
                    seed(number)(target)()
            if time.monotonic() > until:
                break
    print("\n".join(map(str, tried)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
