"""The facts of calls in every documented shape of answers and Call Details."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_exotel_ccm.choices import Outcome
from django_exotel_ccm.exotel.calls import OUTCOMES, CallFacts, facts_of_answer, facts_of_call, find_call
from django_exotel_ccm.exotel.values import Moment
from tests.exotel.samples import ACCEPTED, AGENT, DETAILS, ENVELOPE, PLACED, RECORDING, SID, refusal
from tests.exotel.test_values import anything

STARTED = datetime(2026, 2, 11, 5, 42, 12, tzinfo=UTC)
ENDED = datetime(2026, 2, 11, 5, 44, 58, tzinfo=UTC)


@pytest.mark.parametrize("shape", PLACED)
def test_facts_of_accepted_answers(shape):
    facts = facts_of_answer(PLACED[shape])

    assert (facts.call_sid, facts.state, facts.status, facts.status_raw) == (SID, "active", None, None)
    assert (facts.event, facts.ended_at, facts.talk_time, facts.recordings) == (None, None, None, ())
    if shape != "D":
        assert (facts.agent_id, facts.agent_uri) == (AGENT, "sip:asha4c1d77e2")
        assert facts.customer_number == "+919000000202"


@pytest.mark.parametrize("shape", DETAILS)
def test_facts_of_call_details(shape):
    facts = facts_of_answer(DETAILS[shape])

    assert (facts.call_sid, facts.status, facts.status_raw) == (SID, "completed", "completed")
    assert facts.state == (None if shape == "v1" else "terminal")
    assert (facts.talk_time, facts.total_duration) == (141, 166)
    assert facts.recordings == (RECORDING,)
    assert facts.custom_field == "ticket_8842"
    zoned = shape != "v1"
    assert (facts.started_at, facts.ended_at) == (Moment(STARTED, zoned), Moment(ENDED, zoned))
    assert facts.event is None


def test_agent_and_customer_of_call_details():
    a, b, c, v1 = (facts_of_answer(DETAILS[shape]) for shape in ("A", "B", "C", "v1"))

    assert {facts.agent_id for facts in (a, b, c)} == {AGENT}
    assert (a.agent_uri, b.agent_uri, c.agent_uri) == ("sip:asha4c1d77e2", None, "+919000000101")
    assert {facts.customer_number for facts in (a, b, c)} == {"+919000000202"}
    assert (v1.agent_uri, v1.customer_number) == ("09000000101", "09000000202")
    assert (b.agent_leg, b.customer_leg, v1.agent_leg, v1.customer_leg) == ("completed",) * 4


@pytest.mark.parametrize("direction", ["inbound", "Incoming"])
def test_incoming_caller_is_not_the_agent(direction):
    facts = facts_of_call({"CallSid": SID, "From": "09000000202", "To": "0800", "Direction": direction})

    assert (facts.agent_uri, facts.customer_number) == (None, None)


def test_outcomes_equal_choices():
    assert {*Outcome.values} - {Outcome.UNKNOWN} == OUTCOMES


@pytest.mark.parametrize(
    "words",
    [
        {outcome: outcome for outcome in OUTCOMES},
        {"COMPLETED": "completed", "customer-unanswered": "customer_unanswered", "Agent Cancelled": "agent_canceled"},
        {"customer_busy": "busy", "agent_busy": "agent_no_dial"},
        {
            "from_leg_unanswered": "agent_unanswered",
            "to_leg_unanswered": "customer_unanswered",
            "from_leg_cancelled": "agent_canceled",
            "to_leg_no_dial": "customer_no_dial",
            "from_leg_no_dial": "agent_no_dial",
            "to_leg_busy": "busy",
            "from_leg_busy": "agent_no_dial",
        },
        dict.fromkeys(("to_leg_cancelled", "to_leg_answered", "from_leg_answered", "missed", "queued", "x" * 100)),
        dict.fromkeys(("in-progress", "no-answer", "canceled")),
    ],
    ids=["own", "spellings", "busy", "legs", "unknown", "of legs that are not named"],
)
def test_status_words(words):
    for sent, status in words.items():
        for name in ("call_status", "status", "Status"):
            facts = facts_of_call({"call_sid": SID, name: sent})
            assert (facts.status, facts.status_raw) == (status, sent[:64])


@pytest.mark.parametrize(
    ("sent", "agent", "customer", "status"),
    [
        ("no-answer", "no-answer", None, "agent_unanswered"),
        ("no-answer", "completed", "no-answer", "customer_unanswered"),
        ("no-answer", "completed", None, None),
        ("no-answer", None, None, None),
        ("Cancelled", "completed", "cancelled", "agent_canceled"),
        ("canceled", "canceled", None, None),
        ("canceled", "completed", "failed", None),
        ("failed", "completed", "canceled", "failed"),
        ("busy", "completed", "busy", "busy"),
    ],
)
def test_v1_status_words_need_legs(sent, agent, customer, status):
    legs = [{"Status": agent}, {"Status": customer}]
    wrapped = [{"Leg": leg} for leg in legs]
    details = {"Leg1Status": agent, "Leg2Status": customer}
    for call in (
        {"Legs": legs},
        {"Legs": wrapped},
        {"Details": details},
        {"legs": legs},
        {"Details": {"Legs": wrapped}},
    ):
        facts = facts_of_call({"CallSid": SID, "Status": sent, **call})
        assert (facts.status, facts.status_raw) == (status, sent)


def test_unknown_leg_words():
    facts = facts_of_call({"assigned_agent_details": {"status": "No_Answer"}, "customer_details": {"status": "Odd"}})

    assert (facts.agent_leg, facts.customer_leg) == ("no-answer", "odd")


@pytest.mark.parametrize(
    ("sent", "event", "raw"),
    [
        ("terminal", "terminal", None),
        ("Answered", "answered", None),
        ("ringing", None, "ringing"),
        (7, None, "7"),
    ],
)
def test_events(sent, event, raw):
    for message in (
        {"event_details": {"event_type": sent}, "call_details": {"call_sid": SID}},
        {"CallSid": SID, "EventType": sent},
        {"call_sid": SID, "event_type": sent},
    ):
        facts = facts_of_answer(message)
        assert (facts.event, facts.event_raw, facts.call_sid) == (event, raw, SID)


@pytest.mark.parametrize(
    ("call", "urls"),
    [
        ({"recordings": [RECORDING]}, (RECORDING,)),
        ({"recordings": RECORDING}, (RECORDING,)),
        ({"recordings": {"url": RECORDING}}, (RECORDING,)),
        ({"recordings": [None, 7, {"url": None}, {"url": RECORDING}, RECORDING]}, (RECORDING,)),
        ({"recording": True}, ()),
        ({"recording": {"available": True, "url": RECORDING}}, (RECORDING,)),
        ({"recording": {"available": False, "url": RECORDING}}, ()),
        (
            {"RecordingUrl": RECORDING, "PreSignedRecordingUrl": RECORDING + "?s=1"},
            (RECORDING, RECORDING + "?s=1"),
        ),
        ({"RecordingUrl": "null"}, ()),
    ],
)
def test_recordings(call, urls):
    assert facts_of_call(call).recordings == urls


def test_recordings_are_bounded():
    assert len(facts_of_call({"recordings": [f"https://x/{n}" for n in range(500)]}).recordings) == 20


def test_envelope_without_call():
    for payload in (
        None,
        [],
        "text",
        {},
        {"response": None},
        {"response": []},
        {"response": {"code": 200, "status": "success", "data": None}},
        {"response": {"code": 200, "status": "success", "data": {}}},
        {"response": {"call_details": "none"}},
        refusal(409, 10706),
    ):
        assert find_call(payload) is None
        assert facts_of_answer(payload) == CallFacts()


def test_call_with_sid_is_preferred():
    message = {**ENVELOPE, "custom_field": "x", "response": {"status": "success", "data": ACCEPTED}}

    assert facts_of_answer(message).call_sid == SID


def test_sid_is_never_truncated():
    assert facts_of_call({"call_sid": "a" * 64}).call_sid == "a" * 64
    assert facts_of_call({"call_sid": "a" * 65, "sid": "b"}).call_sid == "b"


def test_placeholders_are_no_facts():
    empty = ["null", "", "N/A", None, [], "[]", True, {"a": 1}, float("nan"), 10**5000]
    for nothing in empty:
        call = {
            "call_sid": SID,
            "call_state": nothing,
            "call_status": nothing,
            "total_talk_time": nothing,
            "total_duration": nothing,
            "start_time": nothing,
            "end_time": nothing,
            "recordings": nothing,
            "assigned_agent_details": nothing,
            "customer_details": nothing,
            "Legs": nothing,
            "Details": nothing,
            "custom_field": nothing,
        }
        assert facts_of_call(call) == CallFacts(call_sid=SID)


def test_zero_seconds_are_facts():
    facts = facts_of_call({"call_sid": SID, "total_talk_time": 0, "total_duration": "0"})

    assert facts.as_json() == {"call_sid": SID, "talk_time": 0, "total_duration": 0}
    assert facts_of_call({"Details": {"ConversationDuration": "0"}}).talk_time == 0


def test_facts_as_json():
    assert facts_of_answer(DETAILS["v1"]).as_json() == {
        "call_sid": SID,
        "status": "completed",
        "status_raw": "completed",
        "agent_leg": "completed",
        "customer_leg": "completed",
        "talk_time": 141,
        "total_duration": 166,
        "started_at": "2026-02-11T11:12:12",
        "ended_at": "2026-02-11T11:14:58",
        "recordings": [RECORDING],
        "agent_uri": "09000000101",
        "customer_number": "09000000202",
        "custom_field": "ticket_8842",
    }
    assert CallFacts().as_json() == {}


def test_facts_survive_storage():
    for message in (*PLACED.values(), *DETAILS.values()):
        facts = facts_of_answer(message)

        assert CallFacts.from_json(json.loads(json.dumps(facts.as_json()))) == facts


def test_unusable_storage_is_empty():
    for stored in (None, [], "x", {"talk_time": "x", "recordings": 5, "call_sid": 7, "new": 1}):
        assert CallFacts.from_json(stored) == CallFacts()


names = st.sampled_from(
    [
        *("call_sid", "sid", "call_state", "state", "call_status", "status", "Status", "EventType"),
        *("total_talk_time", "total_duration", "start_time", "end_time", "recordings", "recording", "url"),
        *("assigned_agent_details", "customer_details", "user_id", "contact_uri", "number", "available"),
        *("Legs", "legs", "Leg", "Details", "Leg1Status", "direction", "From", "To", "custom_field"),
        *("event_type", "event_details", "call_details", "response", "data", "Call"),
    ]
)
words = st.sampled_from(
    ["completed", "no-answer", "null", "7", "2026-02-11 11:12:10", "https://x/y", '""x""', '"a"', "terminal"]
)
messages = st.recursive(
    anything | words,
    lambda inner: st.dictionaries(names, inner, max_size=6) | st.lists(inner, max_size=3),
    max_leaves=20,
)


@given(messages)
def test_no_message_raises(message):
    facts = facts_of_answer(message)
    stored = json.dumps(facts.as_json(), allow_nan=False)

    assert "\\u0000" not in stored
    assert CallFacts.from_json(json.loads(stored)) == facts


@given(st.dictionaries(names, messages))
def test_no_call_raises(call):
    facts = facts_of_call(call)

    assert CallFacts.from_json(facts.as_json()) == facts
