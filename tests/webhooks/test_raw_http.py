"""Requests that no client library sends: wrong lengths, truncated bodies, headers of any bytes."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from django_exotel_ccm.choices import EventKind, EventReason, State
from django_exotel_ccm.models import CallEvent
from django_exotel_ccm.webhooks.views import MAX_BODY_BYTES
from tests.factories import Calls, body_of, raw_of, url_of

BODY = body_of()
Send = Callable[..., int]


@pytest.fixture
def send(live_server: Any) -> Send:
    """Send a raw request and return the status of the answer: ``send(path, body, *headers, method=...)``."""
    address = urlsplit(live_server.url)

    def _send(path: str | bytes, body: bytes, *headers: str, method: str = "POST") -> int:
        target = path.encode() if isinstance(path, str) else path
        lines = [f"Host: {address.netloc}", "Connection: close", *headers]
        head = b"%s %s HTTP/1.1\r\n" % (method.encode(), target) + "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
            # The server may answer and close before it has read a body that is too large.
            with contextlib.suppress(ConnectionError):
                connection.sendall(head + body)
                connection.shutdown(socket.SHUT_WR)
            return _status(connection)

    return _send


def _status(connection: socket.socket) -> int:
    answer = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65_536):
            answer += piece
    assert answer.startswith(b"HTTP/1."), answer
    return int(answer.split(b" ", 2)[1])


def length(number: object) -> str:
    return f"Content-Length: {number}"


JSON = "Content-Type: application/json"


def stored() -> list[CallEvent]:
    return list(CallEvent.objects.filter(kind=EventKind.CALLBACK))


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("Content-Type: é\x01\x7f/,,,",),
        (JSON, JSON),
        (JSON, "Accept-Encoding: br", "Content-Encoding: gzip", "X-Forwarded-For: \x00"),
    ],
)
def test_body_is_stored_under_any_headers(headers: tuple[str, ...], send: Send, real_calls: Calls) -> None:
    call = real_calls.accepted()

    status = send(url_of(call), BODY, length(len(BODY)), *headers)

    assert status == 200
    assert [raw_of(event) for event in stored()] == [BODY]
    assert real_calls.reread(call).state == State.ENDED


def test_missing_length_is_an_empty_body(send: Send, real_calls: Calls) -> None:
    status = send(url_of(real_calls.accepted()), BODY, JSON)

    assert status == 200
    assert [(raw_of(event), event.reason) for event in stored()] == [(b"", EventReason.EMPTY)]


def test_too_short_length_truncates_the_body(send: Send, real_calls: Calls) -> None:
    call = real_calls.accepted()

    status = send(url_of(call), BODY, JSON, length(20))

    assert status == 200
    assert [(raw_of(event), event.reason) for event in stored()] == [(BODY[:20], EventReason.UNREADABLE)]
    assert real_calls.reread(call).state == State.ACTIVE


FORM = b"CallSid=5f0c2a9e7b1d4c68a3e2f9b0d4717b2c&Status=completed&RecordingUrl=https://r.example.com/1.mp3"


@pytest.mark.parametrize(("body", "missing"), [(BODY, 1), (FORM, 3), (b"", 10)])
def test_truncated_body_is_refused(body: bytes, missing: int, send: Send, real_calls: Calls) -> None:
    call = real_calls.accepted()

    status = send(url_of(call), body[: len(body) - missing], length(len(body) or missing))

    assert status == 400
    assert not stored()
    assert real_calls.reread(call).state == State.ACTIVE


def test_length_that_is_no_number(send: Send, real_calls: Calls) -> None:
    call = real_calls.accepted()

    for number in ("abc", "-5", "1e3", "\xb2", "0x10", "5,5", "½"):
        assert send(url_of(call), BODY, JSON, length(number)) == 411, number
    assert stored() == []


def test_too_large_length_is_refused_before_the_body(send: Send, real_calls: Calls) -> None:
    call = real_calls.accepted()

    for number in (MAX_BODY_BYTES + 1, "9" * 19, "9" * 5000, "0" * 40 + "999999"):
        assert send(url_of(call), BODY, JSON, length(number)) == 413, number
    assert stored() == []


def test_too_large_body_is_refused(send: Send, real_calls: Calls) -> None:
    body = BODY.ljust(MAX_BODY_BYTES + 1)

    assert send(url_of(real_calls.accepted()), body, JSON, length(len(body))) == 413
    assert not stored()


def test_largest_body_is_stored(send: Send, real_calls: Calls) -> None:
    body = BODY.ljust(MAX_BODY_BYTES)

    assert send(url_of(real_calls.accepted()), body, JSON, f"Content-Length: 000{len(body)}") == 200
    assert [raw_of(event) for event in stored()] == [body]


def test_chunked_body_is_refused_with_411(send: Send, real_calls: Calls) -> None:
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)

    status = send(url_of(real_calls.accepted()), chunked, JSON, "Transfer-Encoding: chunked")

    assert (status, stored()) == (411, [])


def test_forged_url_is_refused_for_any_size(send: Send, real_calls: Calls) -> None:
    for body in (b"", BODY, b"x" * 2 * MAX_BODY_BYTES):
        assert send("/exotel/callbacks/forged.1.x/", body, JSON, length(len(body))) == 403
    assert not stored()


def test_tokens_of_any_bytes_are_refused(send: Send, real_calls: Calls) -> None:
    for token in (b"%00", b"%ff%fe", b"\xff\xfe", b"%ED%A0%80", b"a.b.c", b"..%2f..", b"%E2%80%AE."):
        assert send(b"/exotel/callbacks/" + token + b"/", BODY, JSON, length(len(BODY))) in {403, 404}, token
    assert not stored()


def test_other_methods_are_not_allowed(send: Send, real_calls: Calls) -> None:
    call = real_calls.accepted()

    for method in ("GET", "PUT", "BREW"):
        assert send(url_of(call), BODY, JSON, length(len(BODY)), method=method) == 405, method
    assert stored() == []
