"""What happens in a call: by script, by hand, within limits; and what the API answers meanwhile."""

from __future__ import annotations

import json
import time
from typing import Any

import phonenumbers
import pytest
import requests

from django_exotel_ccm.simulator import SCRIPTS, Simulator
from tests.simulator.conftest import (
    AGENT_UNANSWERED,
    ASHA,
    BY_HAND,
    COMPLETED,
    TALKS_20_MINUTES,
    Application,
    Place,
    sid_of,
)

#: number -> status, agent's leg, customer's leg, talk, total, is "answered" reported
REPORTED = {
    "+919000001001": ("completed", "completed", "completed", 42, 51, True),
    "+919000001002": ("customer_unanswered", "completed", "no-answer", 0, 33, False),
    "+919000001003": ("agent_unanswered", "no-answer", None, 0, 30, False),
    "+919000001004": ("agent_canceled", "completed", "canceled", 0, 8, False),
    "+919000001005": ("customer_no_dial", "completed", "failed", 0, 5, False),
    "+919000001006": ("agent_no_dial", "failed", None, 0, 2, False),
    "+919000001007": ("failed", "failed", "failed", 0, 5, False),
    "+919000001008": ("customer_busy", "completed", "busy", 0, 5, False),
    "+919000001009": ("agent_unanswered", "no-answer", None, 0, 30, False),
    "+919000001010": ("customer_unanswered", "completed", "no-answer", 0, 7, False),
    "+919000001011": ("agent_canceled", "completed", "completed", 42, 51, True),
    "+919000001012": ("completed", "completed", "completed", 0, 9, True),
    "+919000001013": ("missed", "completed", "no-answer", 0, 33, False),
    "+919000001014": ("completed", "completed", "completed", 1200, 1209, True),
    "+919000001101": ("completed", "completed", "completed", 42, 51, True),
    "+919876543210": ("completed", "completed", "completed", 42, 51, True),
}


def test_each_magic_number_is_reported(exotel: Simulator, place: Place, application: Application) -> None:
    ringing = {script.number for script in SCRIPTS if not script.refusal or script.rings_anyway}
    assert ringing | {"+919876543210"} == set(REPORTED)
    for number in REPORTED:
        exotel.add_agent(f"sip:{number}")
        agent = {"user_contact_uri": f"sip:{number}"}
        place(number, from_=agent, custom_field=number, status_callback=application.entries())
    exotel.wait_until_quiet()

    bodies = [json.loads(one.content) for one in application.received]
    answered = {
        one["call_details"]["custom_field"] for one in bodies if one["event_details"]["event_type"] != "terminal"
    }
    ends = [one["call_details"] for one in bodies if one["event_details"]["event_type"] == "terminal"]
    reported = {
        one["customer_details"]["contact_uri"]: (
            one["call_status"],
            one["assigned_agent_details"]["status"],
            one["customer_details"]["status"],
            one["total_talk_time"],
            one["total_duration"],
            one["custom_field"] in answered,
        )
        for one in ends
    }
    assert reported == REPORTED
    assert {(one["call_state"], one["recordings"]) for one in ends} == {("terminal", None)}
    assert [agent.uri for agent in exotel.directory.agents if agent.call_sid] == []


def test_magic_numbers_are_valid_and_unique() -> None:
    numbers = [script.number for script in SCRIPTS]
    assert len(set(numbers)) == len(numbers)
    assert [one for one in numbers if not phonenumbers.is_valid_number(phonenumbers.parse(one))] == []


def test_answer_has_the_documented_fields(exotel: Simulator, place: Place) -> None:
    body = place(recording=True).json()
    assert set(body) == {"request_id", "method", "http_code", "response"}
    response = body["response"]
    assert (body["method"], body["http_code"]) == ("POST", 200)
    assert (response["call_state"], response["call_status"]) == ("active", None)
    agent = {"user_id": "7d1f6a52-0c3e-4b19-9a77-2f5d8e61c0aa", "contact_uri": ASHA}
    assert response["assigned_agent_details"] == agent
    assert response["customer_details"] == {"number": COMPLETED}
    assert response["virtual_number"] == "+918000000700"
    assert response["recording"] is True
    assert response["created_time"].endswith("Z")
    assert len(response["call_sid"]) == 32

    exotel.wait_until_quiet()
    exotel.options.answer_shape = "B"
    wrapped = place(custom_field="ticket_1").json()["response"]
    assert (wrapped["code"], wrapped["status"], wrapped["data"]["custom_field"]) == (200, "success", "ticket_1")
    assert wrapped["data"]["call_sid"] in exotel.book.calls
    exotel.wait_until_quiet()
    exotel.options.answer_shape = "C"
    assert place().json()["call_sid"] in exotel.book.calls


def test_agent_is_found_by_user_id_and_sip(exotel: Simulator, place: Place) -> None:
    agent = exotel.add_agent("sip:new", name="New")
    assert place(from_={"user_id": agent.user_id}).status_code == 200
    assert place(from_={"user_contact_uri": "sip:vik4c1d77e2"}).status_code == 200
    with pytest.raises(ValueError, match="already"):
        exotel.add_agent("sip:new")
    with pytest.raises(KeyError):
        exotel.agent("sip:nobody")


def test_unknown_agent_and_exophone_can_be_added(exotel: Simulator, place: Place) -> None:
    unknown: dict[str, Any] = {"from_": {"user_contact_uri": "+919812345678"}, "virtual_number": "08011112222"}
    assert place(**unknown).status_code == 404
    exotel.options.add_unknown = True
    answer = place(**unknown)
    assert answer.status_code == 200
    agent = exotel.agent("+919812345678")
    assert (agent.name, agent.device) == ("+919812345678", "on")
    assert answer.json()["response"]["virtual_number"] == "+918011112222"
    assert place(from_={"user_id": "nobody"}).status_code == 404


def test_limits_of_the_request_end_a_call(exotel: Simulator, place: Place) -> None:
    talked = sid_of(place(TALKS_20_MINUTES, max_time_limit=60))
    exotel.wait_until_quiet()
    assert exotel.book.calls[talked].talk_time == 60
    rang = sid_of(place(AGENT_UNANSWERED, attempt_time_out=12))
    exotel.wait_until_quiet()
    assert exotel.book.calls[rang].total_duration == 12
    slow = sid_of(place(attempt_time_out=5))
    exotel.wait_until_quiet()
    assert exotel.book.calls[slow].status == "customer_unanswered"


def test_by_hand_a_call_waits_for_presses(exotel: Simulator, place: Place) -> None:
    exotel.options.by_hand = True
    exotel.speed = 1.0
    sid = sid_of(place())
    call = exotel.book.calls[sid]
    assert call.phase == "agent_ringing"
    with pytest.raises(ValueError, match="answer on the agent's phone"):
        exotel.press(sid, "customer", "answer")
    exotel.press(sid, "agent", "answer")
    exotel.press(sid, "customer", "answer")
    assert call.phase == "talking"
    time.sleep(0.02)
    exotel.press(sid, "customer", "hang_up")
    exotel.speed = 1000.0
    exotel.wait_until_quiet()
    assert call.status == "completed"
    with pytest.raises(ValueError, match="nothing"):
        exotel.press(sid, "agent", "answer")


def test_presses_decide_the_outcome(exotel: Simulator, place: Place) -> None:
    for presses, status in (
        ("agent decline", "agent_unanswered"),
        ("agent answer, agent hang_up", "agent_canceled"),
        ("agent answer, customer decline", "customer_unanswered"),
        ("agent answer, customer answer, agent hang_up", "completed"),
    ):
        exotel.speed = 2.0
        sid = sid_of(place(BY_HAND))
        for press in presses.split(", "):
            exotel.press(sid, *press.split())  # type: ignore[arg-type]
        exotel.speed = 1000.0
        exotel.wait_until_quiet()
        assert exotel.book.calls[sid].status == status, presses


def test_answered_phone_no_longer_times_out(exotel: Simulator, place: Place) -> None:
    sid = sid_of(place(BY_HAND, attempt_time_out=1000))
    call = exotel.book.calls[sid]
    exotel.clock.wait(500)
    exotel.press(sid, "agent", "answer")
    exotel.clock.wait(600)
    assert call.phase == "customer_ringing"
    exotel.wait_until_quiet()
    assert (call.status, call.agent_leg) == ("customer_unanswered", "completed")


def test_on_call_gets_the_body_before_anything_rings(exotel: Simulator, place: Place) -> None:
    bodies: list[tuple[dict[str, Any], int]] = []
    exotel.on_call = lambda body: bodies.append((body, len(exotel.book.calls)))
    place(custom_field="ticket_9")
    assert [(body["custom_field"], calls) for body, calls in bodies] == [("ticket_9", 0)]


def test_answer_is_lost_while_the_phones_ring(exotel: Simulator, place: Place) -> None:
    exotel.options.answer_delay = 0.1
    exotel.options.answer_fault = "late"
    began = time.monotonic()
    assert sid_of(place()) in exotel.book.calls
    assert time.monotonic() - began >= 0.1
    exotel.wait_until_quiet()
    for fault, status in {"bad_gateway": 502, "html": 200, "no_sid": 200}.items():
        exotel.options.set_text("answer_fault", fault)
        answer = place()
        assert (answer.status_code, list(exotel.book.calls)[-1] in answer.text) == (status, False), fault
        exotel.wait_until_quiet()
    for fault, error in {"cut": "ConnectionError", "reset": "ChunkedEncodingError", "hang": "ReadTimeout"}.items():
        exotel.options.set_text("answer_fault", fault)
        with pytest.raises(requests.RequestException) as raised:
            place(timeout=0.3 if fault == "hang" else 10)
        assert type(raised.value).__name__ == error
        assert exotel.book.requests[-1].status is None
        exotel.wait_until_quiet()
    assert [call.status for call in exotel.book.calls.values()] == ["completed"] * 7
    names = ("late", "bad_gateway", "html", "no_sid", "cut", "reset", "hang")
    assert exotel.faults() == {f"answer_{fault}": 1 for fault in names}


def test_waiting_for_quiet_names_what_goes_on(exotel: Simulator, place: Place) -> None:
    exotel.speed = 1.0
    sid = sid_of(place(BY_HAND))
    with pytest.raises(TimeoutError, match=f"call {sid} is agent_ringing"):
        exotel.wait_until_quiet(timeout=0.01)
