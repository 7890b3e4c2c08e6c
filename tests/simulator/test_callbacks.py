"""Callbacks: when and where they are delivered, how often, and in which shapes."""

from __future__ import annotations

import json
import threading
import time
from typing import Any
from urllib.parse import parse_qs

import requests

from django_exotel_ccm import simulator
from django_exotel_ccm.simulator import Simulator
from django_exotel_ccm.simulator.callbacks.delivery import is_loopback
from tests.simulator.conftest import Application, Place


def test_each_event_goes_to_its_own_url_in_order(exotel: Simulator, place: Place, application: Application) -> None:
    place(status_callback=application.entries())
    exotel.wait_until_quiet()
    assert application.paths() == ["/answered", "/terminal"]
    assert {one.content_type for one in application.heard} == {"application/json"}
    first = json.loads(application.heard[0].content)
    assert first["event_details"] == {"event_type": "answered"}
    assert first["call_details"]["call_state"] == "active"
    assert first["call_details"]["total_talk_time"] is None


def test_failed_delivery_is_retried_after_5_and_15_minutes(
    exotel: Simulator, place: Place, application: Application
) -> None:
    application.answers = [500, 302, 503]
    place("+919000001003", status_callback=application.entries())
    exotel.wait_until_quiet()
    first, second, third = exotel.book.deliveries
    assert [one.status for one in exotel.book.deliveries] == [500, 302, 503]
    assert [one.attempt for one in exotel.book.deliveries] == [1, 2, 3]
    assert 300 <= (second.at - first.at).total_seconds() < 600
    assert 900 <= (third.at - second.at).total_seconds() < 1200
    assert application.paths() == ["/terminal"] * 3


def test_acknowledged_retry_is_the_last(exotel: Simulator, place: Place, application: Application) -> None:
    application.answers = [500, 204]
    place("+919000001003", status_callback=application.entries())
    exotel.wait_until_quiet()
    assert [(one.status, one.succeeded) for one in exotel.book.deliveries] == [(500, False), (204, True)]


def test_unreachable_application_is_recorded_with_the_reason(exotel: Simulator, place: Place) -> None:
    place("+919000001003", status_callback=[{"event": "terminal", "url": "http://127.0.0.1:9/"}])
    exotel.wait_until_quiet()
    assert [(one.status, one.attempt) for one in exotel.book.deliveries] == [(None, 1), (None, 2), (None, 3)]
    assert "ConnectionRefusedError" in exotel.book.deliveries[0].error


def test_timeout_is_a_failure(exotel: Simulator, place: Place, application: Application) -> None:
    application.hang = threading.Event()
    place("+919000001003", status_callback=application.entries())
    with exotel.clock.changed:
        assert exotel.clock.changed.wait_for(lambda: exotel.book.deliveries, timeout=5)
    assert "Timeout" in exotel.book.deliveries[0].error
    application.hang.set()
    exotel.wait_until_quiet()
    assert exotel.book.deliveries[1].succeeded


def test_what_is_loopback() -> None:
    for url in ("http://127.0.0.1:8000/x", "http://localhost/x", "http://[::1]:8000/x"):
        assert is_loopback(url), url
    foreign = (
        "http://example.com/",
        "http://127.0.0.1@example.com/",
        "http://10.0.0.1/",
        "http://localhost.example.com/",
    )
    for url in (*foreign, ""):
        assert not is_loopback(url), url


def test_callbacks_go_to_this_machine_only(exotel: Simulator, place: Place) -> None:
    place(status_callback=[{"event": "terminal", "url": "https://crm.example.com/cb/"}])
    exotel.wait_until_quiet()
    (only,) = exotel.book.deliveries
    assert (only.status, only.attempt) == (None, 1)
    assert "Set CALLBACK_BASE_URL to http://127.0.0.1:8000" in only.error
    assert "deliver_anywhere=True" in only.error


def body_of(exotel: Simulator, place: Place, application: Application, **fields: Any) -> bytes:
    place(status_callback=application.entries(), custom_field="ticket_5", **fields)
    exotel.wait_until_quiet()
    return application.heard[-1].content


def test_v3(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.options.callback_shape = "v3"
    body = json.loads(body_of(exotel, place, application, customer="+919000001004", recording=True))
    inner = body["call_details"]
    assert (inner["state"], inner["status"]) == ("terminal", "from_leg_cancelled")
    assert inner["sid"] in exotel.book.calls
    assert inner["custom_field"] == "ticket_5"
    assert "call_sid" not in inner
    assert "customer_details" not in inner


def test_v3_while_they_talk(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.options.callback_shape = "v3"
    body_of(exotel, place, application, recording=True)
    answered, terminal = (json.loads(one.content)["call_details"] for one in application.heard)
    assert (answered["state"], answered["status"], answered["legs"]) == ("active", None, None)
    assert terminal["recordings"][0]["url"].endswith(".wav")


def test_v1_json(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.options.callback_shape = "v1_json"
    body = json.loads(body_of(exotel, place, application))
    assert (body["Status"], body["ConversationDuration"], body["CustomField"]) == (
        "completed",
        42,
        "ticket_5",
    )
    assert (body["From"], body["To"], body["EventType"]) == ("09000000101", "09000001001", "terminal")
    assert [leg["Status"] for leg in body["Legs"]] == ["completed", "completed"]
    assert "+05:30" not in body["StartTime"]
    assert "CustomField" not in json.loads(application.heard[0].content)


def test_v1_form(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.options.callback_shape = "v1_form"
    for number, word in {
        "+919000001002": "no-answer",
        "+919000001004": "failed",
        "+919000001008": "busy",
        "+919000001007": "failed",
    }.items():
        body = parse_qs(body_of(exotel, place, application, customer=number).decode())
        assert application.heard[-1].content_type == "application/x-www-form-urlencoded"
        assert body["Status"] == [word]
        assert body["Legs[0][Status]"]


def test_v1_multipart(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.options.callback_shape = "v1_multipart"
    content = body_of(exotel, place, application)
    assert application.heard[-1].content_type.startswith("multipart/form-data; boundary=")
    assert b'name="Legs[1][Status]"' in content
    assert b'name="CallSid"' in content


def test_recordings_in_every_shape(exotel: Simulator, place: Place, application: Application) -> None:
    for shape in ("strings", "objects", "late"):
        exotel.options.recordings_shape = shape  # type: ignore[assignment]
        body = json.loads(body_of(exotel, place, application, recording=True))
        link = list(exotel.book.calls.values())[-1].recording_url
        expected: dict[str, Any] = {"strings": [link], "objects": [{"url": link}], "late": None}
        assert link
        assert body["call_details"]["recordings"] == expected[shape]


def test_callbacks_may_come_twice_late_or_never(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.options.duplicate_callbacks = True
    body_of(exotel, place, application)
    assert application.paths() == ["/answered", "/answered", "/terminal", "/terminal"]
    application.heard.clear()
    exotel.options.duplicate_callbacks = False
    exotel.options.answered_last = True
    place(status_callback=application.entries())
    exotel.wait_until_quiet()
    assert application.paths() == ["/terminal", "/answered"]
    application.heard.clear()
    exotel.options.lost_events = frozenset({"terminal"})
    exotel.options.in_order = False
    place(status_callback=application.entries())
    exotel.wait_until_quiet()
    assert application.paths() == ["/answered"]


def test_stop_breaks_off_a_delivery_and_leaves_no_thread(application: Application) -> None:
    before = set(threading.enumerate())
    application.hang = threading.Event()
    exotel = simulator.running(speed=1.0)
    exotel.options.by_hand = True
    for uri in ("+919000000101", "sip:vik4c1d77e2"):
        body = {
            "from": {"user_contact_uri": uri},
            "to": {"number": "+919000001001"},
            "virtual_number": "+918000000700",
            "status_callback": application.entries(),
        }
        with requests.Session() as session:
            answer = session.post(
                f"{exotel.url}/v2/accounts/simulated1/calls",
                json=body,
                auth=("sim-key", "sim-token"),
                timeout=5,
            )
    sid = answer.json()["response"]["call_sid"]
    exotel.press(sid, "agent", "answer")
    exotel.press(sid, "customer", "answer")
    while not application.heard:
        time.sleep(0.01)
    began = time.monotonic()
    exotel.stop()
    assert time.monotonic() - began < 1.0
    left = {thread for thread in set(threading.enumerate()) - before if thread.name.startswith("exotel-simulator")}
    assert left == set()
