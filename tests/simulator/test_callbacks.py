"""Callbacks: when and where they are delivered, and how often."""

from __future__ import annotations

import json
import threading
import time

import pytest

from django_exotel_ccm import simulator
from django_exotel_ccm.simulator import Simulator
from tests.simulator.conftest import (
    AGENT_UNANSWERED,
    COMPLETED,
    CUSTOMER_UNANSWERED,
    Application,
    Place,
    get_details,
    post_at_once,
    post_call,
    sid_of,
)


def test_each_event_goes_to_its_own_url_in_order(exotel: Simulator, place: Place, application: Application) -> None:
    place(status_callback=application.entries())
    exotel.wait_until_quiet()
    assert application.paths() == ["/answered", "/terminal"]
    assert {one.content_type for one in application.received} == {"application/json"}
    first = json.loads(application.received[0].content)
    assert first["event_details"] == {"event_type": "answered"}
    assert first["call_details"]["call_state"] == "active"
    assert first["call_details"]["total_talk_time"] is None


def test_failed_delivery_is_retried_after_5_and_15_minutes(
    exotel: Simulator, place: Place, application: Application
) -> None:
    application.answers = [500, 302, 503]
    place(AGENT_UNANSWERED, status_callback=application.entries())
    exotel.wait_until_quiet()
    first, second, third = exotel.book.deliveries
    assert [(one.status, one.attempt) for one in (first, second, third)] == [(500, 1), (302, 2), (503, 3)]
    assert 300 <= (second.at - first.at).total_seconds() < 600
    assert 900 <= (third.at - second.at).total_seconds() < 1200
    assert application.paths() == ["/terminal"] * 3


def test_acknowledged_retry_is_the_last(exotel: Simulator, place: Place, application: Application) -> None:
    application.answers = [500, 204]
    place(AGENT_UNANSWERED, status_callback=application.entries())
    exotel.wait_until_quiet()
    assert [(one.status, one.succeeded) for one in exotel.book.deliveries] == [(500, False), (204, True)]


def test_unreachable_application_is_recorded(exotel: Simulator, place: Place) -> None:
    place(AGENT_UNANSWERED, status_callback=[{"event": "terminal", "url": "http://127.0.0.1:9/"}])
    exotel.wait_until_quiet()
    assert [(one.status, one.attempt) for one in exotel.book.deliveries] == [(None, 1), (None, 2), (None, 3)]
    assert "ConnectionRefusedError" in exotel.book.deliveries[0].error


def test_timeout_is_a_failure(exotel: Simulator, place: Place, application: Application) -> None:
    application.hang = threading.Event()
    place(AGENT_UNANSWERED, status_callback=application.entries())
    exotel.clock.wait_until(float("inf"), unless=lambda: bool(exotel.book.deliveries))
    assert "Timeout" in exotel.book.deliveries[0].error
    application.hang.set()
    exotel.wait_until_quiet()
    assert exotel.book.deliveries[1].succeeded


def test_callbacks_go_to_this_machine_only(exotel: Simulator, place: Place) -> None:
    for host in ("crm.example.com", "127.0.0.1@example.com", "10.0.0.1", "localhost.example.com"):
        place(AGENT_UNANSWERED, status_callback=[{"event": "terminal", "url": f"https://{host}/cb/"}])
        exotel.wait_until_quiet()
    for delivery in exotel.book.deliveries:
        assert (delivery.status, delivery.attempt) == (None, 1), delivery.url
        assert "Set CALLBACK_BASE_URL to http://127.0.0.1:8000" in delivery.error
        assert "deliver_anywhere=True" in delivery.error
    for host in ("localhost:9", "[::1]:9"):
        place(AGENT_UNANSWERED, status_callback=[{"event": "terminal", "url": f"http://{host}/cb/"}])
        exotel.wait_until_quiet()
        assert exotel.book.deliveries[-1].attempt == 3, host


def test_callbacks_may_come_twice_late_or_never(exotel: Simulator, place: Place, application: Application) -> None:
    def paths() -> list[str]:
        application.received.clear()
        place(status_callback=application.entries())
        exotel.wait_until_quiet()
        return application.paths()

    exotel.options.duplicate_callbacks = True
    assert paths() == ["/answered", "/answered", "/terminal", "/terminal"]
    exotel.options.duplicate_callbacks = False
    exotel.options.answered_last = True
    assert paths() == ["/terminal", "/answered"]
    exotel.options.lost_events = frozenset({"terminal"})
    exotel.options.in_order = False
    assert paths() == ["/answered"]


def test_callback_may_be_delayed(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.options.callback_delay = 20.0
    place(status_callback=application.entries())
    exotel.wait_until_quiet()
    (placed,) = exotel.book.requests
    answered, terminal = exotel.book.deliveries
    assert 29 <= (answered.at - placed.at).total_seconds() < 80
    assert 73 <= (terminal.at - placed.at).total_seconds() < 130
    assert answered.faults == terminal.faults == ("delayed",)


def test_callback_may_come_before_the_answer(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.options.early_callbacks = True
    application.answers = [500, 200]  # a try that fails counts as well
    sid = sid_of(place(status_callback=application.entries()))
    assert application.paths()[0] == "/answered"
    assert sid in application.received[0].content.decode()
    assert exotel.faults() == {"early": 1}
    exotel.wait_until_quiet()
    began = time.monotonic()
    assert place().status_code == 200  # no callback was requested
    assert time.monotonic() - began < 5
    assert exotel.faults() == {"early": 1}


def test_account_url_gets_every_call(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.options.account_callback_url = f"{application.url}/account"
    place()
    exotel.wait_until_quiet()
    assert application.paths() == ["/account", "/account"]
    place(status_callback=application.entries())
    exotel.wait_until_quiet()
    assert sorted(application.paths()[2:]) == ["/account", "/account", "/answered", "/terminal"]
    of_account = [one for one in exotel.book.deliveries if one.destination == "account"]
    assert {one.url for one in of_account} == {f"{application.url}/account"}
    assert [one.event for one in of_account] == ["answered", "terminal"] * 2


def test_external_call(exotel: Simulator, application: Application) -> None:
    exotel.options.account_callback_url = f"{application.url}/account"
    call = exotel.place_external_call(COMPLETED, recording=True, custom_field="theirs")
    with pytest.raises(ValueError, match=r"Asha cannot be called: User device busy \(10706\)"):
        exotel.place_external_call(COMPLETED)
    with pytest.raises(KeyError):
        exotel.place_external_call(COMPLETED, agent="sip:nobody")
    exotel.wait_until_quiet()
    assert (call.external, call.status, call.talk_time) == (True, "completed", 42)
    bodies = [json.loads(one.content) for one in application.received]
    assert [(one["event_details"]["event_type"], one["call_details"]["call_sid"]) for one in bodies] == [
        ("answered", call.sid),
        ("terminal", call.sid),
    ]
    assert bodies[-1]["call_details"]["custom_field"] == "theirs"
    assert exotel.book.requests == []
    assert get_details(exotel, call.sid).status_code == 200


def test_many_calls_need_few_threads(exotel: Simulator) -> None:
    exotel.options.by_hand = True
    exotel.speed = 1.0
    before = threading.active_count()
    for number in range(200):
        exotel.add_agent(f"sip:agent{number}")
        exotel.place_external_call(COMPLETED, agent=f"sip:agent{number}")
    assert threading.active_count() <= before + 1
    exotel.speed = 100_000.0
    exotel.wait_until_quiet()
    assert {call.status for call in exotel.book.calls.values()} == {"agent_unanswered"}


def test_many_deliveries_go_out_at_once(exotel: Simulator, application: Application) -> None:
    application.hang = threading.Event()
    exotel.options.account_callback_url = f"{application.url}/account"
    for number in range(30):
        exotel.add_agent(f"sip:agent{number}")
        exotel.place_external_call(CUSTOMER_UNANSWERED, agent=f"sip:agent{number}")
    exotel.clock.wait_until(float("inf"), unless=lambda: bool(exotel.book.deliveries))
    assert len(application.received) == 30
    application.hang.set()
    exotel.wait_until_quiet()


def test_many_calls_at_once(exotel: Simulator, application: Application) -> None:
    post_at_once(exotel, application, list(range(60)))
    assert {(call.status, call.talk_time) for call in exotel.book.calls.values()} == {("completed", 42)}
    assert len(exotel.book.deliveries) == len(application.received) == 120
    assert {delivery.status for delivery in exotel.book.deliveries} == {200}


def test_stop_breaks_off_a_delivery(application: Application) -> None:
    before = set(threading.enumerate())
    application.hang = threading.Event()
    exotel = simulator.running(speed=1.0)
    exotel.options.by_hand = True
    sid = sid_of(post_call(exotel, status_callback=application.entries()))
    exotel.press(sid, "agent", "answer")
    exotel.press(sid, "customer", "answer")
    while not application.received:
        time.sleep(0.01)
    began = time.monotonic()
    exotel.stop()
    assert time.monotonic() - began < 1.0
    left = {thread for thread in set(threading.enumerate()) - before if thread.name.startswith("exotel-simulator")}
    assert left == set()
