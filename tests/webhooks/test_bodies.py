"""Any body is answered 200 and stored byte for byte, with facts or with a reason. None is a server error."""

from __future__ import annotations

import io
import json
import random
from typing import Any
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from django_exotel_ccm.choices import EventKind, EventReason, Outcome, State
from django_exotel_ccm.models import CallEvent
from django_exotel_ccm.webhooks.views import MAX_BODY_BYTES
from tests.exotel.samples import V1_FIELDS, V1_JSON, V2_CALLBACK, V3_CALLBACK, multipart
from tests.factories import SID, Calls, body_of, raw_of, url_of

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=xYzBoundary"
HTML = "<script>alert(1)</script>\x00\x07\x1b[31m\u202e\ud800"

BODIES: dict[str, tuple[bytes, str]] = {
    "v2": (json.dumps(V2_CALLBACK).encode(), JSON),
    "v3": (json.dumps(V3_CALLBACK).encode(), JSON),
    "v1": (json.dumps(V1_JSON).encode(), JSON),
    "v1 form": (urlencode(V1_FIELDS).encode(), FORM),
    "v1 multipart": (multipart(V1_FIELDS), MULTIPART),
}
READ: dict[str, tuple[bytes, str]] = {
    **BODIES,
    "without a content type": (json.dumps(V2_CALLBACK).encode(), ""),
    "with a wrong content type": (json.dumps(V2_CALLBACK).encode(), "text/xml; charset=nonsense"),
    "a form under the type of JSON": (urlencode(V1_FIELDS).encode(), JSON),
    "an unknown charset": (json.dumps(V2_CALLBACK).encode(), "application/json; charset=klingon; x=\x01"),
    "a type as long as a page": (json.dumps(V2_CALLBACK).encode(), "a" * 9_000),  # longer ones Django refuses itself
    "numbers of 5,000 digits": (
        json.dumps({**V2_CALLBACK, "n": 1}).replace('"n": 1', f'"n": {"9" * 5000}').encode(),
        JSON,
    ),
    "NUL and lone surrogates": (json.dumps({**V2_CALLBACK, "x\0\ud800": "\0\udfff"}).encode(), JSON),
    "UTF-16": (json.dumps(V2_CALLBACK).encode("utf-16"), JSON),
    "a byte order mark": (b"\xef\xbb\xbf" + json.dumps(V2_CALLBACK).encode(), JSON),
    "in a list": (json.dumps([V2_CALLBACK]).encode(), JSON),
    "broken multipart": (multipart(V1_FIELDS)[:-30], MULTIPART),
    "multipart without its boundary": (multipart(V1_FIELDS), "multipart/form-data"),
}
UNREAD: dict[str, tuple[bytes, str, EventReason]] = {
    "nothing": (b"", JSON, EventReason.EMPTY),
    "blanks": (b" \r\n\t ", FORM, EventReason.EMPTY),
    "null": (b"null", JSON, EventReason.NOT_AN_OBJECT),
    "a number": (b"17", JSON, EventReason.NOT_AN_OBJECT),
    "a list": (b"[1, 2]", JSON, EventReason.NOT_AN_OBJECT),
    "an empty object": (b"{}", JSON, EventReason.NO_CALL),
    "an object of something else": (b'{"hello": {"world": [1]}}', JSON, EventReason.NO_CALL),
    "binary": (random.Random(1).randbytes(3000), "application/octet-stream", EventReason.UNREADABLE),
    "a web page": (b"<html></html>", "text/html", EventReason.UNREADABLE),
    "half an object": (b'{"call_details": {"call_sid": "a', JSON, EventReason.UNREADABLE),
    "multipart of nothing": (b"--xYzBoundary", MULTIPART, EventReason.UNREADABLE),
    "nested deeply": (b'{"a":' * 9_000 + b"1" + b"}" * 9_000, JSON, EventReason.TOO_DEEP),
    "lists nested deeply": (b"[" * MAX_BODY_BYTES, JSON, EventReason.TOO_DEEP),
    "NUL alone": (b"\0" * MAX_BODY_BYTES, JSON, EventReason.UNREADABLE),
}


@pytest.mark.parametrize("name", READ)
def test_readable_bodies(name: str, calls: Calls) -> None:
    call, (body, content_type) = calls.accepted(), READ[name]

    response = calls.deliver(call, body, content_type=content_type)

    event = CallEvent.objects.get(kind=EventKind.CALLBACK)
    assert (response.status_code, response.json()) == (200, {"status": "stored"})
    assert (raw_of(event), event.reason, event.call) == (body, "", call)
    assert event.content_type.isprintable()
    record = calls.reread(call)
    assert (record.state, record.outcome, record.call_sid) == (State.ENDED, Outcome.COMPLETED, SID)
    assert record.talk_time == 141


@pytest.mark.parametrize("name", UNREAD)
def test_unreadable_bodies_are_stored_with_their_reason(name: str, calls: Calls) -> None:
    call, (body, content_type, reason) = calls.accepted(), UNREAD[name]

    response = calls.deliver(call, body, content_type=content_type)

    event = CallEvent.objects.get(kind=EventKind.CALLBACK)
    assert response.status_code == 200
    assert (raw_of(event), event.reason, event.facts, event.call) == (body, reason, {}, call)
    assert calls.reread(call).state == State.ACTIVE


WRONG_VALUES: list[Any] = [
    None, True, "", "null", "NULL", "N/A", " ", 0, -1, 1.5, 1e300, "-1", "9" * 5000, 10**30, [], [1], {}, {"a": [{}]},
    HTML, "1970-01-01 05:30:00", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00",
    "2026-02-30 10:00:00", "https://[", "javascript:alert(1)", "é" * 5000,
]  # fmt: skip
FIELDS = [
    "call_status", "call_state", "start_time", "end_time", "total_talk_time", "total_duration", "recordings",
    "custom_field", "assigned_agent_details", "customer_details", "direction", "legs", "event_type",
]  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_wrong_value_changes_no_other_field(field: str, calls: Calls) -> None:
    for value in WRONG_VALUES:
        call = calls.requested()
        sid = call.reference.hex
        body = body_of("terminal", sid, **{"call_status": "busy", "start_time": "2026-02-11T06:00:00Z", field: value})

        response = calls.deliver(call, body)

        event = CallEvent.objects.get(call=call)
        record = calls.reread(call)
        assert (response.status_code, event.reason, raw_of(event)) == (200, "", body), value
        assert (record.state, record.call_sid) == (State.ENDED, sid), value
        if field != "call_status":
            assert record.outcome == Outcome.BUSY, value
        if field != "start_time":
            assert record.started_at is not None, value
        assert record.custom_field == ""


def test_wrong_value_as_sid(calls: Calls) -> None:
    for number, value in enumerate(WRONG_VALUES):
        call = calls.requested(account=f"account {number}")  # some of these sids are equal

        response = calls.deliver(call, body_of("terminal", value))

        assert response.status_code == 200, value
        assert calls.reread(call).state == State.ENDED, value


@pytest.mark.parametrize("name", ["event_details", "call_details"])
def test_wrong_value_instead_of_an_object(name: str, calls: Calls) -> None:
    for number, value in enumerate(([], [1], "text", 5, None, [[{}]])):
        call, body = calls.requested(account=f"account {number}"), json.dumps({**V2_CALLBACK, name: value}).encode()

        response = calls.deliver(call, body)

        assert response.status_code == 200, value
        assert raw_of(CallEvent.objects.get(call=call)) == body
        assert calls.reread(call).state == State.ENDED, value


@pytest.mark.parametrize("value", ["1970-01-01 05:30:00", None])
def test_placeholder_times(value: Any, calls: Calls) -> None:
    call = calls.accepted()

    calls.deliver(call, body_of("terminal", start_time=value, end_time=value, total_talk_time="42"))

    record = calls.reread(call)
    assert (record.started_at, record.talk_time, record.ended_at_approximate) == (None, 42, True)
    assert record.ended_at is not None
    assert abs((record.ended_at - timezone.now()).total_seconds()) < 60


def test_unknown_words_are_stored(calls: Calls) -> None:
    call = calls.accepted()

    calls.deliver(call, body_of("recording_stop_success", call_status="missed"))
    calls.deliver(call, body_of("terminal", call_status="missed"))

    record = calls.reread(call)
    events = CallEvent.objects.filter(kind=EventKind.CALLBACK).order_by("pk")
    assert (record.state, record.outcome, record.facts["words"]) == (State.ENDED, Outcome.UNKNOWN, ["missed"])
    assert events[0].facts["event_raw"] == "recording_stop_success"


def test_custom_field_of_the_record_is_unchanged(calls: Calls) -> None:
    call = calls.accepted(custom_field="ticket_7")

    calls.deliver(call, body_of("terminal", custom_field=HTML))

    event = CallEvent.objects.get(kind=EventKind.CALLBACK)
    assert calls.reread(call).custom_field == "ticket_7"
    assert not set(event.facts["custom_field"]) & {"\0", "\ud800"}


@pytest.mark.parametrize("size", [MAX_BODY_BYTES, MAX_BODY_BYTES + 1])
def test_body_size_limit(size: int, calls: Calls) -> None:
    call, body = calls.accepted(), body_of().ljust(size)

    response = calls.deliver(call, body)

    fits = size <= MAX_BODY_BYTES
    assert response.status_code == (200 if fits else 413)
    assert CallEvent.objects.filter(kind=EventKind.CALLBACK).count() == int(fits)
    assert calls.reread(call).state == (State.ENDED if fits else State.ACTIVE)


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413)])
def test_size_limit_of_chunked_body(size: int, status: int, calls: Calls) -> None:
    call, body = calls.accepted(), body_of().ljust(size)
    chunked: dict[str, Any] = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    chunked["wsgi.input"] = io.BytesIO(body)

    response = calls.deliver(call, body, **chunked)

    assert response.status_code == status
    assert [raw_of(event) for event in CallEvent.objects.filter(kind=EventKind.CALLBACK)] == [body] * (status == 200)


@pytest.mark.parametrize(
    ("query", "accept"),
    [
        ("?format=xml", "text/xml"),
        ("?format=json", "application/json; version=9"),
        ("?method=GET&x=%00%ff", "é;;,"),
        ("?" + "a" * 5000, ""),
    ],
)
def test_query_and_accept_header_are_ignored(query: str, accept: str, calls: Calls) -> None:
    call = calls.accepted()

    response = calls.client.generic("POST", url_of(call) + query, body_of(), JSON, headers={"accept": accept})

    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
