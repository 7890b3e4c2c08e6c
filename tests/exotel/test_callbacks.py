"""Parsing of callbacks in every documented shape, and of broken and hostile bodies."""

from __future__ import annotations

import json
import time
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_exotel_ccm.exotel.callbacks import Callback, read_callback
from django_exotel_ccm.exotel.calls import facts_of_answer
from tests.exotel.samples import RECORDING, SID, V1_FIELDS, V1_JSON, V2_CALLBACK, V3_CALLBACK, multipart
from tests.exotel.test_calls import messages

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=xYzBoundary"

V3_FORM = {
    "event_details": json.dumps(V3_CALLBACK["event_details"]),
    "call_details": json.dumps(V3_CALLBACK["call_details"]),
}
V3_BRACKETS = {
    "event_details[event_type]": "terminal",
    "call_details[sid]": SID,
    "call_details[status]": "completed",
    "call_details[total_talk_time]": "141",
    "call_details[recordings][0][url]": RECORDING,
    "call_details[custom_field]": "ticket_8842",
}
BODIES = {
    "v2": (json.dumps(V2_CALLBACK).encode(), JSON),
    "v3": (json.dumps(V3_CALLBACK).encode(), JSON),
    "v1 json": (json.dumps(V1_JSON).encode(), JSON),
    "v1 form": (urlencode(V1_FIELDS).encode(), FORM),
    "v1 multipart": (multipart(V1_FIELDS), MULTIPART),
    "v3 multipart": (multipart(V3_FORM), MULTIPART),
    "v3 brackets": (multipart(V3_BRACKETS), MULTIPART),
    "v2 in a form": (
        urlencode({"data": json.dumps(V2_CALLBACK["call_details"]), "EventType": "terminal"}).encode(),
        FORM,
    ),
    "v2 in a list": (json.dumps([V2_CALLBACK]).encode(), JSON),
}


@pytest.mark.parametrize("shape", BODIES)
def test_documented_bodies(shape):
    body, declared = BODIES[shape]

    for content_type in (declared, ""):
        assert_parsed(read_callback(body, content_type), event=shape != "v2 in a form")


@pytest.mark.parametrize("content_type", [JSON, FORM, "multipart/form-data", "text/plain", "é\r\n;;"])
def test_wrong_content_type(content_type):
    for shape in ("v2", "v1 form", "v1 multipart"):
        assert_parsed(read_callback(BODIES[shape][0], content_type))


def assert_parsed(callback, *, event=True):
    assert callback.reason == ""
    assert callback.facts is not None
    assert callback.facts.call_sid == SID
    assert callback.facts.status == "completed"
    assert callback.facts.talk_time == 141
    assert callback.facts.recordings == (RECORDING,)
    assert callback.facts.custom_field == "ticket_8842"
    if event:
        assert callback.facts.event == "terminal"


@pytest.mark.parametrize("shape", ["v1 json", "v1 form", "v1 multipart"])
def test_v1_legs(shape):
    body, content_type = BODIES[shape]
    body = body.replace(b"completed", b"no-answer")

    facts = read_callback(body, content_type).facts

    assert facts is not None
    assert (facts.status, facts.agent_leg, facts.customer_leg) == (
        "agent_unanswered",
        "no-answer",
        "no-answer",
    )


def test_lone_second_leg_is_the_customers():
    facts = read_callback(f"CallSid={SID}&Status=no-answer&Legs[1][Status]=no-answer".encode(), FORM).facts

    assert facts is not None
    assert (facts.status, facts.agent_leg, facts.customer_leg) == ("customer_unanswered", None, "no-answer")


def test_repeated_form_fields():
    facts = read_callback(f"CallSid={SID}&recordings[]=https://x/1&recordings[]=https://x/2".encode(), FORM).facts

    assert facts is not None
    assert facts.recordings == ("https://x/1", "https://x/2")


def test_unencoded_plus_in_time_zone():
    facts = read_callback(f"CallSid={SID}&StartTime=2026-02-11 11:12:10+05:30".encode(), FORM).facts

    assert facts is not None
    assert facts.as_json()["started_at"] == "2026-02-11T05:42:10+00:00"


def test_event_without_call():
    callback = read_callback(b'{"event_details": {"event_type": "terminal"}}', JSON)

    assert callback.facts is not None
    assert callback.facts.as_json() == {"event": "terminal"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"<html>", "unreadable"),
        (b"\xff\xfe\x00", "unreadable"),
        (b"&=&", "unreadable"),
        (b"--xYzBoundary\r\n\r\nnothing\r\n--xYzBoundary--", "unreadable"),
        (b"[]", "not_an_object"),
        (b"null", "not_an_object"),
        (b"{}", "no_call"),
        (b"hello=1", "no_call"),
        (b'{"status": "success", "code": 200}', "no_call"),
        (b"[" * 100_000, "too_deep"),
        (b'{"a":' * 50 + b"1" + b"}" * 50, "too_deep"),
        (b"a" + b"[a]" * 100_000 + b"=1", "unreadable"),
        (b"&".join(b"a%d=1" % n for n in range(1000)), "unreadable"),
    ],
)
def test_unreadable_bodies(body, reason):
    for content_type in (JSON, FORM, MULTIPART, ""):
        callback = read_callback(body, content_type)
        assert (callback.facts, callback.reason) == (None, reason)
        if reason in {"empty", "unreadable", "too_deep"}:
            assert callback.canonical == body


def test_canonical_form_ignores_order_and_whitespace():
    one = read_callback(b'{"call_sid": "a", "call_state": "terminal", "x": [1, {"b": 1, "a": 2}]}', JSON)
    other = read_callback(b'{"x":[1,{"a":2,"b":1}],"call_state":"terminal","call_sid":"a"}', "")
    different = read_callback(b'{"x":[{"a":2,"b":1},1],"call_state":"terminal","call_sid":"a"}', "")

    assert one.canonical == other.canonical
    assert one.canonical != different.canonical
    assert json.loads(one.canonical)["call_sid"] == "a"


def test_canonical_form_of_unusual_values():
    body = rb'{"call_sid": "a", "n": %s, "f": 1e999, "c": NaN, "s": "\ud800\u0000"}' % (b"9" * 5000)

    callback = read_callback(body, JSON)

    assert callback.reason == ""
    assert json.loads(callback.canonical)["n"] == "9" * 5000


def test_repeated_json_members():
    callback = read_callback(b'{"call_sid": "a", "call_sid": "b"}', JSON)

    assert callback.facts is not None
    assert callback.facts.call_sid == "b"


@pytest.mark.parametrize(
    ("body", "encoding"),
    [('{"call_sid": "a", "custom_field": "café"}', "latin-1"), ("CallSid=a&CustomField=café", "utf-8")],
)
def test_encodings(body, encoding):
    facts = read_callback(body.encode(encoding), "").facts

    assert facts is not None
    assert facts.custom_field == "café"


def test_unusual_multipart():
    body = (
        b'preamble\n--b 1\nContent-Disposition: form-data; filename="x"; name=CallSid\n\na\n'
        b'--b 1\nContent-Disposition: form-data; name="CustomField"\n\ncaf\xe9\n'
        b"--b 1\nContent-Disposition: form-data\n\nnameless\n--b 1--"
    )

    facts = read_callback(body, 'Multipart/Form-Data; Boundary="b 1"').facts

    assert facts is not None
    assert (facts.call_sid, facts.custom_field) == ("a", "café")


def test_conflicting_form_names():
    for body in (
        b"CallSid=a&Legs=1&Legs[0][Status]=busy",
        b"CallSid=a&Legs[0][Status]=busy&Legs=1",
        b"CallSid=a&Legs[99][Status]=busy",
        b"CallSid=a&Legs[0]=1&Legs[00]=2",
        b'CallSid=a&Legs[0]={"\xc2\xb2": 1}',
        b"CallSid=a&Legs[x]=1",
    ):
        callback = read_callback(body, FORM)
        assert callback.facts is not None
        assert callback.facts.call_sid == "a"


@pytest.mark.parametrize(
    "body",
    [
        b"\n" * 262_144,
        b"--x\n" + b"\r\n--" * 65_000,
        b"--x\n" + b" name=" * 43_000 + b"\n\n",
        b"--x\n" + b'; name="' * 32_000 + b"\n\n",
        b"[1," * 87_000,
        b'{"call_sid": "a", "call_status": "' + b" -_" * 87_000 + b'"}',
        b'{"call_sid": "a", "start_time": "' + b" " * 260_000 + b'"}',
    ],
)
def test_hostile_bodies_take_linear_time(body):
    began = time.perf_counter()

    for content_type in (JSON, FORM, "multipart/form-data; boundary=x"):
        read_callback(body, content_type)

    assert time.perf_counter() - began < 2


content_types = st.sampled_from([JSON, FORM, MULTIPART, "", "multipart/form-data"]) | st.text()
fragments = st.lists(
    st.sampled_from(
        [b"--xYzBoundary", b"\r\n", b"\n", b'; name="', b"CallSid", b"=", b"&", b"[", b"]", b"0", b'"', b"{"]
    )
    | st.binary(max_size=5)
).map(b"".join)


@given(st.binary() | fragments, content_types)
def test_no_body_raises(body, content_type):
    callback = read_callback(body, content_type)

    assert isinstance(callback, Callback)
    assert (callback.facts is None) == bool(callback.reason)
    assert isinstance(callback.canonical, bytes)


@given(messages)
def test_json_equals_its_value(message):
    body = json.dumps(message, default=lambda _: None, skipkeys=True).encode()

    callback = read_callback(body, JSON)

    if callback.facts is not None and not isinstance(message, list):
        assert callback.facts == facts_of_answer(json.loads(body))
