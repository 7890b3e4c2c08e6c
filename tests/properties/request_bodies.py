"""Strategies of request bodies: valid ones, damaged ones, wrong values in every field, and random bytes."""

from __future__ import annotations

import copy
import json
from typing import Any
from urllib.parse import quote_plus, urlencode

from hypothesis import strategies as st

from tests.exotel.samples import DETAILS, PLACED, SID, V1_FIELDS, V1_JSON, V2_CALLBACK, V3_CALLBACK, multipart

KIB = 1024
BOUNDARY = "xYzBoundary"
TYPES = [
    "application/json",
    "application/x-www-form-urlencoded",
    f"multipart/form-data; boundary={BOUNDARY}",
    f'multipart/form-data; boundary="{BOUNDARY}"; charset=utf-7',
    "multipart/form-data",
    "multipart/mixed; boundary=" + "-" * 300,
    "application/json; charset=utf-16",
    "application/json;charset=klingon",
    "text/xml",
    "APPLICATION/JSON",
    "*/*",
    "",
]
TRUE_BODIES: list[Any] = [V2_CALLBACK, V3_CALLBACK, V1_JSON, *DETAILS.values(), *PLACED.values()]
WORDS = sorted(
    {
        *(
            "call_details",
            "event_details",
            "event_type",
            "call_sid",
            "sid",
            "CallSid",
            "Sid",
            "Call",
            "response",
            "data",
        ),
        *("call_state", "state", "call_status", "status", "Status", "Legs", "legs", "Leg", "Details", "recordings"),
        *("recording", "recording_url", "RecordingUrl", "url", "available", "start_time", "EndTime", "end_time"),
        *("total_talk_time", "ConversationDuration", "total_duration", "custom_field", "direction", "From", "to"),
        *("assigned_agent_details", "customer_details", "user_id", "contact_uri", "error_data", "code", "request_id"),
    }
)
NASTY_TEXT = [
    "", " ", "null", "NULL", "N/A", "[]", "[", "{", '"', '"null"', '"\\ud800"', "\0", "\ud800", "\udfff\0x", "é" * 300,
    "9" * 5000, "-1", "1e400", "NaN", "0x10", "١٤١", "\uff11\uff14\uff11", "²", "1_000", "+42", "4" * 11, "00042",
    "2147483648",
    "1970-01-01 05:30:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "2026-02-30 10:00:00",
    "2026-02-11T24:00:00Z", "2026-02-11 11:12:12 05:30", "2026-02-11T11:12:12+99:99", "२०२६-02-11 11:12:12",
    "https://[", "https://[::1]:99999/", "https://user:pw@host/", "javascript:alert(1)", "//host/x", "https://h\u202e/",
    "https://h/?X-Amz-Date=99999999T999999Z&X-Amz-Expires=9999999999999", "https://h/?Expires=" + "9" * 400,
    "https://h/" + "a" * 2100, "http://\uff45xample.com/\uff11", "https://xn--/", "https://h:é/", "%00%ff",
    "a" * 70_000,
    "<script>", "completed", "Agent-Cancelled", "__proto__", "terminal", "answered",
]  # fmt: skip
NASTY_NUMBERS = [0, -1, 42, 2**31 - 1, 2**31, 2**63, 10**18, -(10**30), 10**300, 1.5, 42.0, -0.0, 1e300, 5e-324]

texts = st.sampled_from(NASTY_TEXT) | st.sampled_from(WORDS) | st.text(max_size=20) | st.just(SID)
leaves = st.none() | st.booleans() | st.sampled_from(NASTY_NUMBERS) | st.integers() | st.floats() | texts
names = st.sampled_from(WORDS) | st.text(max_size=6)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5), max_leaves=12
)


@st.composite
def lies(draw: st.DrawFn) -> Any:
    """A valid message, some of whose members are replaced."""
    message = copy.deepcopy(draw(st.sampled_from(TRUE_BODIES)))
    for _ in range(draw(st.integers(1, 4))):
        holder, name = draw(st.sampled_from(list(_members(message))))
        change = draw(st.sampled_from(["other", "gone", "in a list", "as text", "renamed"]))
        value = holder.pop(name)
        if change == "other":
            holder[name] = draw(values)
        elif change == "in a list":
            holder[name] = [value] * draw(st.integers(0, 3))
        elif change == "as text":
            holder[name] = json.dumps(value)
        elif change == "renamed":
            holder[draw(names)] = value
        if not message:
            break
    return message


def _members(value: Any) -> Any:
    if isinstance(value, dict):
        for name, member in list(value.items()):
            yield value, name
            yield from _members(member)
    elif isinstance(value, list):
        for member in value:
            yield from _members(member)


def as_json(value: Any, encoding: str, indent: int | None) -> bytes:
    return json.dumps(value, ensure_ascii=encoding == "ascii", indent=indent).encode(encoding, "surrogatepass")


ENCODINGS = st.sampled_from(["ascii", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
json_bodies = st.builds(
    as_json, st.integers(0, 3).flatmap(lambda n: lies() if n else values), ENCODINGS, st.sampled_from([None, 1])
)
FIELD_NAMES = [
    *WORDS, *V1_FIELDS, "Legs[1][Status]", "Legs[19][Status]", "Legs[99][x]", "Legs[][Status]", "a[b][c][d][e]", "Legs",
    "Legs[0]", "Legs[0", "[Status]", "Legs[0][0][0][0][0][0][0]", "CallSid[]", "\ud800",
]  # fmt: skip
a_field = st.tuples(st.sampled_from(FIELD_NAMES), texts | st.sampled_from([*V1_FIELDS.values()]))
fields = st.lists(a_field | st.tuples(texts, texts), max_size=8)
#: A true form with lies in it: of a name that comes twice, the last counts.
lying_fields = st.lists(a_field, max_size=4).map(lambda lies: [*V1_FIELDS.items(), *lies])


def as_form(pairs: list[tuple[str, str]], quoted: str) -> bytes:
    if quoted == "not at all":
        return "&".join("=".join(pair) for pair in pairs).encode("utf-8", "surrogatepass")
    return urlencode(pairs, errors="surrogatepass", encoding=quoted, quote_via=quote_plus).encode()


form_bodies = st.builds(as_form, fields | lying_fields, st.sampled_from(["utf-8", "utf-16-le", "not at all"]))
multipart_bodies = st.builds(
    lambda pairs, boundary, encoding: multipart(dict(pairs), boundary).replace(b"\r\n", encoding),
    (fields | lying_fields).map(lambda pairs: [(_sendable(name), _sendable(text)) for name, text in pairs]),
    st.sampled_from([BOUNDARY, "--", "x y", "é"]),
    st.sampled_from([b"\r\n", b"\n", b"\r"]),
)


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


FRAGMENTS = [
    b"[", b"{", b'{"a":', b'[{"', b'"', b"\\", b"\\u0000", b"\\ud800", b"&", b"=", b"a=1&", b"a[b]=1&", b"%", b"%00",
    b"Legs[0][Status]=", b"--" + BOUNDARY.encode(), b"--" + BOUNDARY.encode() + b"\r\n", b"\r\n\r\n", b"\n", b"\0",
    b'; name="CallSid"', b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"9", b"-", b"e9", b" ", b",", b":", b"}", b"]",
    b"null", b'{"call_details":{"call_sid":"a"}}',
]  # fmt: skip
pieces = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=6), max_size=12).map(b"".join)
#: One fragment until the largest body is full, or nearly: what takes long shows here.
repeated = st.builds(
    lambda head, fragment, size: (head + fragment * (size // len(fragment)))[:size],
    st.sampled_from([b"", b'{"a":"', b"a=", b"--" + BOUNDARY.encode() + b"\r\n"]),
    st.sampled_from(FRAGMENTS),
    st.sampled_from([KIB, 40 * KIB, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1]),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A body of any shape, cut, doubled, or with some bytes changed."""
    body = draw(readable)
    at, to = sorted(draw(st.tuples(st.integers(0, len(body)), st.integers(0, len(body)))))
    middle = draw(st.sampled_from([b"", body[at:to] * 2]) | st.binary(max_size=5) | st.sampled_from(FRAGMENTS))
    return body[:at] + middle + body[to:]


readable = json_bodies | form_bodies | multipart_bodies
noise = damaged() | pieces | st.binary(max_size=300) | repeated
anything = st.integers(0, 2).flatmap(lambda n: readable if n else noise)
content_types = st.sampled_from(TYPES) | st.text(st.characters(max_codepoint=255), max_size=30)
