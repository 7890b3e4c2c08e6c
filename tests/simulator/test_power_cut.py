"""Exotel goes away for a while and comes back: at the same address, with its book, its calls going on."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import requests

from django_exotel_ccm import simulator
from django_exotel_ccm.simulator import Simulator
from tests.simulator.conftest import AGENT_UNANSWERED, BY_HAND, Application, Place, sid_of


def test_simulator_comes_back_with_its_book(exotel: Simulator, place: Place) -> None:
    sid = sid_of(place())
    with requests.Session() as session:
        session.get(exotel.url, timeout=5)
        with exotel.power_cut():
            for get in (session.get, requests.get):
                with pytest.raises(requests.ConnectionError, match="refused"):
                    get(exotel.url, timeout=5)
        assert session.get(exotel.url, timeout=5).status_code == 200
    assert list(exotel.book.calls) == [sid]
    exotel.wait_until_quiet()
    assert place(AGENT_UNANSWERED).status_code == 200


def test_calls_go_on_meanwhile(exotel: Simulator, place: Place) -> None:
    exotel.speed = 1.0
    sid = sid_of(place(BY_HAND))
    with exotel.power_cut():
        exotel.speed = 1000.0
        exotel.wait_until_quiet()
    assert exotel.book.calls[sid].status == "agent_unanswered"


@pytest.mark.parametrize(("deliveries", "reported"), [("kept", ["/answered", "/terminal"]), ("lost", [])])
def test_pending_callbacks_are_kept_or_lost(
    exotel: Simulator, place: Place, application: Application, deliveries: Any, reported: list[str]
) -> None:
    exotel.speed = 1.0
    sid = sid_of(place(status_callback=application.entries()))
    with exotel.power_cut(deliveries=deliveries):
        exotel.speed = 10_000.0
        exotel.clock.wait_until(float("inf"), unless=lambda: exotel.book.calls[sid].state == "terminal")
        assert application.received == []
    exotel.wait_until_quiet()
    assert application.paths() == reported
    assert exotel.faults() == {"power_cut": 1} | ({"lost": 2} if deliveries == "lost" else {})
    place(AGENT_UNANSWERED, status_callback=application.entries())
    exotel.wait_until_quiet()
    assert application.paths() == [*reported, "/terminal"]


@pytest.mark.parametrize(("deliveries", "times"), [("kept", 2), ("lost", 1)])
def test_delivery_under_way_is_broken_off(
    exotel: Simulator, place: Place, application: Application, deliveries: Any, times: int
) -> None:
    application.hang = threading.Event()
    place(AGENT_UNANSWERED, status_callback=application.entries())
    while not application.received:
        time.sleep(0.01)
    with exotel.power_cut(deliveries=deliveries):
        exotel.clock.wait_until(float("inf"), unless=lambda: bool(exotel.book.deliveries))
        application.hang.set()
    exotel.wait_until_quiet()
    assert exotel.book.deliveries[0].status is None
    assert len(application.received) == len(exotel.book.deliveries) == times


def test_lost_retry_is_not_tried(exotel: Simulator, place: Place, application: Application) -> None:
    application.answers = [500]
    place(AGENT_UNANSWERED, status_callback=application.entries())
    exotel.clock.wait_until(float("inf"), unless=lambda: bool(exotel.book.deliveries))
    exotel.speed = 1.0
    with pytest.raises(TimeoutError, match=r"callback terminal of call \w+, tried 1 times"):
        exotel.wait_until_quiet(timeout=0.01)
    exotel.restart(0, deliveries="lost")
    exotel.wait_until_quiet()
    exotel.speed = 10_000.0
    exotel.clock.wait(2000)
    assert len(exotel.book.deliveries) == len(application.received) == 1


def test_restart_comes_back_by_itself(exotel: Simulator, place: Place) -> None:
    with pytest.raises(ValueError, match="write one of kept, lost"):
        exotel.restart(0.1, deliveries="mislaid")  # type: ignore[arg-type]
    assert exotel.faults() == {}
    began = time.monotonic()
    exotel.restart(0.2, deliveries="lost")
    assert 0.2 <= time.monotonic() - began < 2
    assert place().status_code == 200


def test_stop_while_away_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    exotel = simulator.running(speed=1.0)
    with exotel.power_cut():
        exotel.stop()
    assert set(threading.enumerate()) <= before
    with pytest.raises(requests.ConnectionError):
        requests.get(exotel.url, timeout=1)
