"""The clock: how fast it runs, and that it reports no time in the application's future."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from django_exotel_ccm.simulator import Simulator
from django_exotel_ccm.simulator.clock import Clock, StoppedError
from tests.simulator.conftest import AUTH, BY_HAND, COMPLETED, Application, Place

TALKS_LONG = "+919000001014"  # 20 minutes
NAMES = ("created_time", "updated_time", "start_time", "end_time")


def times_in(body: dict[str, Any]) -> list[datetime]:
    """Return the times in a callback or in an answer, whole seconds or finer."""
    details = body.get("call_details") or body["response"].get("call_details") or body["response"]
    return [datetime.fromisoformat(details[name]) for name in NAMES if details.get(name)]


@pytest.mark.parametrize("number", [COMPLETED, TALKS_LONG])
def test_no_time_is_in_the_future(exotel: Simulator, place: Place, application: Application, number: str) -> None:
    exotel.speed = 1e6
    exotel.clock.wait(100_000)  # it is a day ahead by now
    exotel.speed = 1000.0

    answer = place(number, status_callback=application.entries()).json()
    asked = [answer]
    exotel.wait_until_quiet()
    url = f"{exotel.url}/v2/accounts/simulated1/calls/{answer['response']['call_sid']}"
    asked.append(requests.get(url, auth=AUTH, timeout=5).json())

    bodies = [json.loads(one.content) for one in application.heard]
    assert len(bodies) == 2
    for body in [*bodies, *asked]:
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
    sid = place(BY_HAND, status_callback=application.entries()).json()["response"]["call_sid"]
    exotel.press(sid, "agent", "answer")
    exotel.press(sid, "customer", "answer")
    exotel.speed = 1000.0
    exotel.clock.wait(200)
    exotel.press(sid, "agent", "hang_up")
    exotel.wait_until_quiet()

    ended = json.loads(application.heard[-1].content)
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


def test_speed_may_change_while_somebody_waits() -> None:
    clock = Clock(speed=1.0)
    threading.Timer(0.05, lambda: setattr(clock, "speed", 100_000.0)).start()
    began = time.monotonic()
    clock.wait(1000)
    assert time.monotonic() - began < 2.0
    for speed in (0, -1.0, float("nan"), 1e9):
        with pytest.raises(ValueError, match="speed="):
            clock.speed = speed


def test_stopped_clock_ends_every_wait() -> None:
    clock = Clock(speed=1.0)
    threading.Timer(0.05, clock.stop).start()
    with pytest.raises(StoppedError):
        clock.wait(1000)
