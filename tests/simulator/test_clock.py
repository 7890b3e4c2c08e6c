"""The clock: how fast it runs, and that it reports no time in the application's future."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from django_exotel_ccm.simulator import Simulator
from django_exotel_ccm.simulator.clock import Clock, StoppedError
from tests.simulator.conftest import BY_HAND, COMPLETED, TALKS_20_MINUTES, Application, Place, get_details, sid_of

NAMES = ("created_time", "updated_time", "start_time", "end_time")


def times_in(body: dict[str, Any]) -> list[datetime]:
    """Return the times in a callback or in an answer, whole seconds or finer."""
    details = body.get("call_details") or body["response"].get("call_details") or body["response"]
    return [datetime.fromisoformat(details[name]) for name in NAMES if details.get(name)]


@pytest.mark.parametrize("number", [COMPLETED, TALKS_20_MINUTES])
def test_no_time_is_in_the_future(exotel: Simulator, place: Place, application: Application, number: str) -> None:
    exotel.speed = 1e6
    exotel.clock.wait(100_000)  # it is a day ahead by now
    exotel.speed = 1000.0

    answer = place(number, status_callback=application.entries())
    exotel.wait_until_quiet()

    bodies = [json.loads(one.content) for one in application.received]
    assert len(bodies) == 2
    for body in [*bodies, answer.json(), get_details(exotel, sid_of(answer)).json()]:
        assert max(times_in(body)) <= datetime.now(UTC)
    [call] = exotel.book.calls.values()
    assert call.answered_at
    assert call.ended_at
    assert round((call.ended_at - call.answered_at).total_seconds()) == call.talk_time
    assert round((call.ended_at - call.created_at).total_seconds()) == call.total_duration
    starts = {datetime.fromisoformat(body["call_details"]["start_time"]) for body in bodies}
    assert starts == {call.created_at.replace(microsecond=0)}


def test_clock_that_is_made_faster_reports_the_past(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.speed = 1.0
    sid = sid_of(place(BY_HAND, status_callback=application.entries()))
    exotel.press(sid, "agent", "answer")
    exotel.press(sid, "customer", "answer")
    exotel.speed = 1000.0
    exotel.clock.wait(200)
    exotel.press(sid, "agent", "hang_up")
    exotel.wait_until_quiet()

    ended = json.loads(application.received[-1].content)
    call = exotel.book.calls[sid]
    assert (call.talk_time or 0) >= 200
    assert max(times_in(ended)) <= datetime.now(UTC)
    assert call.ended_at
    assert round((call.ended_at - call.created_at).total_seconds()) == call.total_duration


def test_real_time_is_reported_at_speed_1(exotel: Simulator, place: Place) -> None:
    exotel.speed = 1.0
    before = datetime.now(UTC)
    created = place(BY_HAND).json()["response"]["created_time"]
    assert abs((datetime.fromisoformat(created) - before).total_seconds()) < 1


def test_clock_runs_at_its_speed() -> None:
    clock = Clock(speed=1000.0)
    began = time.monotonic()
    clock.wait(100)
    assert 0.05 < time.monotonic() - began < 2.0
    assert clock.moment() >= 100
    assert clock.now().utcoffset() is not None
    for speed in (0, -1.0, float("nan"), 1e9):
        with pytest.raises(ValueError, match="speed="):
            clock.speed = speed


def test_speed_and_stop_reach_who_waits() -> None:
    clock = Clock(speed=1.0)
    threading.Timer(0.05, lambda: setattr(clock, "speed", 100_000.0)).start()
    began = time.monotonic()
    clock.wait(1000)
    assert time.monotonic() - began < 2.0
    clock.speed = 1.0
    threading.Timer(0.05, clock.stop).start()
    with pytest.raises(StoppedError):
        clock.wait(1000)
