"""What a recording's host sends: errors, ranges, slow and broken bodies, and the end of a download."""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from django_exotel_ccm.exotel import download
from django_exotel_ccm.exotel.download import CredentialsRefused, NotThere, RecordingBroken, Unfetchable, open_recording
from django_exotel_ccm.exotel.ranges import Span, parse_range
from django_exotel_ccm.exotel.recordings import RecordingError
from tests.exotel.leaks import leaks_in, text_of_exception
from tests.exotel.recordings import MUMBAI, OWN, RECORDING, SOUND, TYPE, account_at, error_of, moved, read_all
from tests.servers.scripted_http import Proxy, Visit, answering, dripping, http, reset_after_request, serving, silent


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (http(401), CredentialsRefused, "HTTP 401"),
        (http(403), NotThere, "HTTP 403"),
        (http(404), NotThere, "HTTP 404"),
        (http(500), Unfetchable, "HTTP 500"),
        (http(204), Unfetchable, "HTTP 204"),
        (http(416), Unfetchable, "HTTP 416"),
        (http(206, SOUND, TYPE, "Content-Range: bytes 0-9/10"), Unfetchable, "HTTP 206"),
        (http(200, SOUND, "Content-Type: text/html"), Unfetchable, "'text/html', which is no sound"),
        (http(200, SOUND, TYPE, "Content-Encoding: gzip"), Unfetchable, "compressed"),
        (b"nonsense\r\n\r\n", Unfetchable, "BadStatusLine"),
    ],
)
def test_unusable_answers(loopback: Any, answer: bytes, kind: type[RecordingError], text: str) -> None:
    account, url, _server = loopback(answering(answer))

    error = error_of(account, url)

    assert type(error) is kind
    assert text in str(error)


@pytest.mark.parametrize("script", [reset_after_request, lambda visit: None])
def test_dropped_connection(loopback: Any, script: Callable[[Visit], None]) -> None:
    account, url, _server = loopback(script)

    assert isinstance(error_of(account, url), Unfetchable)


def test_answer_timeout(loopback: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ANSWER_WITHIN", 0.3)
    account, url, _server = loopback(silent)

    assert "imeout" in str(error_of(account, url))


def test_dripping_headers_keep_the_deadline(loopback: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ANSWER_WITHIN", 0.4)
    account, url, _server = loopback(dripping(http(200, SOUND, TYPE), pause=0.02))

    began_at = time.monotonic()
    error = error_of(account, url)

    assert isinstance(error, Unfetchable)
    assert time.monotonic() - began_at < 3


def test_redirects_share_one_deadline(loopback: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ANSWER_WITHIN", 0.5)

    def slowly_moved(visit: Visit) -> None:
        visit.read_request()
        visit.pause(0.3)
        visit.sock.sendall(moved("/recordings/next.mp3"))

    account, url, server = loopback(slowly_moved)

    assert isinstance(error_of(account, url), Unfetchable)
    assert len(server.requests) == 2


def test_dripping_body_has_no_deadline(loopback: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each byte comes well within both limits, also on a busy machine, and all of them long after the first.
    monkeypatch.setattr(download, "ANSWER_WITHIN", 1.5)
    monkeypatch.setattr(download, "SILENT_FOR", 1.5)
    answer = http(200, b"0123456789" * 3, TYPE)
    account, url, _server = loopback(dripping(answer, at_once=len(answer) - 30, pause=0.06))

    began_at = time.monotonic()
    sound = read_all(open_recording(account, url))

    assert sound == b"0123456789" * 3
    assert time.monotonic() - began_at > 1.5


def test_silent_body_times_out(loopback: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SILENT_FOR", 0.2)

    def falls_silent(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(http(200, SOUND, TYPE)[:-100])
        visit.pause(10)

    account, url, _server = loopback(falls_silent)
    opened = open_recording(account, url)

    with pytest.raises(RecordingBroken) as raised:
        read_all(opened)
    assert leaks_in(text_of_exception(raised.value, skip=__file__)) == []


@pytest.mark.parametrize(("missing", "header"), [(100, ""), (9000, "bytes=5000-")], ids=["whole", "before the range"])
def test_body_cut_off(loopback: Any, missing: int, header: str) -> None:
    def ends_early(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(http(200, SOUND, TYPE)[:-missing])

    account, url, _server = loopback(ends_early)
    opened = open_recording(account, url, parse_range(header))

    with pytest.raises(RecordingBroken):
        read_all(opened)


def test_body_of_unknown_length(loopback: Any) -> None:
    def chunked(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n"
        )

    account, url, _server = loopback(chunked)
    opened = open_recording(account, url, parse_range("bytes=2-3"))

    assert (opened.status, opened.length, opened.span) == (200, None, None)
    assert read_all(opened) == b"abcdefg"


def test_logs_hide_the_recordings_address(
    proxy: Proxy, secure: ssl.SSLContext, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(answering(http(200, SOUND, TYPE), http(404)), answering(http(404)), tls=secure) as server:
        proxy.ports[OWN] = server.port
        read_all(open_recording(MUMBAI, RECORDING))
        error_of(MUMBAI, RECORDING)

    text = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "GET recording: 200" in text
    assert "GET recording: NotThere" in text
    assert leaks_in(text) == []
    assert "5f0c" not in text
    assert "planted-signature" not in text


# Ranges.


def answering_ranges(visit: Visit) -> None:
    """Send the requested range, as S3 does."""
    request = visit.read_request()
    header = next(line for line in request.split(b"\r\n") if line.startswith(b"Range: ")).partition(b" ")[2]
    wanted = parse_range(header.decode())
    span = wanted.within(len(SOUND)) if wanted is not None else None
    if span is None:
        visit.sock.sendall(http(416, b"", f"Content-Range: bytes */{len(SOUND)}"))
        return
    content_range = f"Content-Range: bytes {span.first}-{span.last}/{len(SOUND)}"
    visit.sock.sendall(http(206, SOUND[span.first : span.last + 1], TYPE, content_range))


@pytest.mark.parametrize(
    ("script", "header"),
    [
        (answering_ranges, "bytes=0-"),
        (answering_ranges, "bytes=-99999"),
        (answering(http(200, SOUND, TYPE)), "bytes=0-0"),
        (answering(http(200, SOUND, TYPE)), "bytes=10000-"),
        (answering(http(200, SOUND, TYPE)), "bytes=-100"),
    ],
    ids=["known from the start", "known from the end", "ignored first byte", "ignored rest", "ignored end"],
)
def test_range_with_and_without_server_support(loopback: Any, script: Callable[[Visit], None], header: str) -> None:
    account, url, server = loopback(script)
    wanted = parse_range(header)
    assert wanted is not None
    span = wanted.within(len(SOUND))
    assert span is not None

    opened = open_recording(account, url, wanted)
    sound = read_all(opened)

    assert f"\r\nRange: {header}\r\n".encode() in server.requests[0]
    assert (opened.status, opened.span, opened.total, opened.length) == (206, span, len(SOUND), span.length)
    assert sound == SOUND[span.first : span.last + 1]


@pytest.mark.parametrize("script", [answering_ranges, answering(http(200, SOUND, TYPE))], ids=["knows", "ignores"])
def test_range_beyond_the_end(loopback: Any, script: Callable[[Visit], None]) -> None:
    account, url, _server = loopback(script)

    opened = open_recording(account, url, parse_range(f"bytes={len(SOUND)}-"))
    opened.close()

    assert (opened.status, opened.total, opened.length) == (416, len(SOUND), 0)


@pytest.mark.parametrize("content_range", ["bytes */*", ""])
def test_range_beyond_unknown_end(loopback: Any, content_range: str) -> None:
    account, url, _server = loopback(answering(http(416, b"", f"Content-Range: {content_range}")))

    opened = open_recording(account, url, parse_range("bytes=99999-"))
    opened.close()

    assert (opened.status, opened.total) == (416, None)


@pytest.mark.parametrize("wanted", ["bytes=2-5", "bytes=2-"])
def test_range_of_unknown_total(loopback: Any, wanted: str) -> None:
    account, url, _server = loopback(answering(http(206, b"cdef", TYPE, "Content-Range: bytes 2-5/*")))

    opened = open_recording(account, url, parse_range(wanted))

    assert (opened.status, opened.span, opened.total, opened.length) == (206, Span(2, 5), None, 4)
    assert read_all(opened) == b"cdef"


@pytest.mark.parametrize(
    "content_range",
    ["bytes 0-99/10240", "bytes 100-198/10240", "bytes */10240", "", "bytes 101-200/*"],
)
def test_unrequested_range_is_refused(loopback: Any, content_range: str) -> None:
    account, url, _server = loopback(answering(http(206, SOUND[:100], TYPE, f"Content-Range: {content_range}")))

    assert isinstance(error_of(account, url, "bytes=100-199"), Unfetchable)


def test_range_cut_off(loopback: Any) -> None:
    def less(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(
            b"HTTP/1.1 206 Partial\r\nContent-Type: audio/mpeg\r\nContent-Range: bytes 0-9/10\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"
        )

    account, url, _server = loopback(less)

    with pytest.raises(RecordingBroken):
        read_all(open_recording(account, url, parse_range("bytes=0-9")))


def test_bytes_beyond_the_length_are_ignored(loopback: Any) -> None:
    def more(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(http(200, b"abc", TYPE) + b"def")

    account, url, _server = loopback(more)

    assert read_all(open_recording(account, url)) == b"abc"


# Closing.


def endless(visit: Visit) -> None:
    """Send until the client disconnects."""
    visit.read_request()
    visit.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 1000000000\r\n\r\n")
    try:
        while True:
            visit.sock.sendall(b"x" * 65536)
    except OSError:
        visit.server.closing.set()


@pytest.mark.parametrize("is_closed", [True, False])
def test_closed_or_forgotten_recording_ends_the_connection(loopback: Any, is_closed: bool) -> None:
    account, url, server = loopback(endless)
    opened = open_recording(account, url)
    opened.read()

    if is_closed:
        opened.close()
    del opened

    assert server.closing.wait(5)


@pytest.mark.parametrize("over_tls", [False, True])
def test_abort_from_another_thread(proxy: Proxy, secure: ssl.SSLContext, over_tls: bool) -> None:
    def stalls(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 1000\r\n\r\nabc")
        visit.pause(20)

    with serving(stalls, tls=secure if over_tls else None) as server:
        proxy.ports[OWN] = server.port
        home = f"http://127.0.0.1:{server.port}"
        account, url = (MUMBAI, RECORDING) if over_tls else (account_at(home), f"{home}/recordings/x.mp3")
        opened = open_recording(account, url)
        ended: list[BaseException] = []

        def read() -> None:
            try:
                read_all(opened)
            except RecordingBroken as broken:
                ended.append(broken)

        thread = threading.Thread(target=read)
        thread.start()
        time.sleep(0.2)
        opened.abort()
        thread.join(5)
        waited = thread.is_alive()
        opened.close()

    assert not waited
    assert len(ended) == 1
