"""Downloading recordings: which hosts get credentials, where redirects may lead, and what counts as a recording."""

from __future__ import annotations

import base64
import logging
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from django_exotel_ccm.exotel import download
from django_exotel_ccm.exotel.account import Account, Secret
from django_exotel_ccm.exotel.download import (
    CredentialsRefused,
    NotThere,
    RecordingBroken,
    RecordingStream,
    Unfetchable,
    open_recording,
)
from django_exotel_ccm.exotel.ranges import Span, parse_range
from django_exotel_ccm.exotel.recordings import AddressRefused, RecordingError
from tests.exotel.leaks import KEY, TOKEN, leaks_in, text_of_exception
from tests.servers.scripted_http import (
    Proxy,
    Server,
    Visit,
    answering,
    context_of,
    dripping,
    http,
    make_certificate,
    reset_after_request,
    serving,
    silent,
)

OWN = "recordings.exotel.com"
BUCKET = "s3-ap-southeast-1.amazonaws.com"
STRANGER = "evil.example"
RECORDING = f"https://{OWN}/exotelrecordings/acme1/5f0c.mp3?signature=planted-signature"
IN_BUCKET = f"https://{BUCKET}/exotelrecordings/acme1/5f0c.mp3"
SOUND = bytes(range(256)) * 40
TYPE = "Content-Type: audio/mpeg"
PAIR = base64.b64encode(f"{KEY}:{TOKEN}".encode())


def account_at(ccm_url: str, api_url: str = "") -> Account:
    return Account(sid="acme1", key=Secret(KEY), token=Secret(TOKEN), ccm_url=ccm_url, api_url=api_url or ccm_url)


MUMBAI = account_at("https://ccm-api.in.exotel.com", "https://api.in.exotel.com")


def read_all(opened: RecordingStream) -> bytes:
    pieces = iter(opened.read, b"")
    whole = b"".join(pieces)
    opened.close()
    return whole


def error_of(account: Account, url: str, header: str = "") -> RecordingError:
    with pytest.raises(RecordingError) as raised:
        open_recording(account, url, parse_range(header))
    told = text_of_exception(raised.value, skip=__file__)
    assert leaks_in(told) == []
    assert raised.value.__context__ is None
    assert url not in str(raised.value)
    return raised.value


@pytest.fixture(scope="session")
def of_names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = [f"DNS:{name}" for name in (OWN, "recordings.exotel.in", BUCKET, STRANGER)]
    return make_certificate(tmp_path_factory.mktemp("names"), *names)


@pytest.fixture(scope="session")
def of_a_stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("stranger"), "DNS:another.example")


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch, of_names: Path) -> Any:
    """The way to the internet: names lead to servers of this machine."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(of_names))
    found = Proxy()
    with serving(found) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.port}")
        yield found


@pytest.fixture
def secure(of_names: Path) -> ssl.SSLContext:
    return context_of(of_names)


@pytest.fixture
def at_home() -> Any:
    """Serve, as the simulator does, on this machine: ``at_home(script)`` gives account and URL."""
    running: list[Any] = []

    def start(*scripts: Callable[[Visit], None]) -> tuple[Account, str, Server]:
        context = serving(*scripts)
        server = context.__enter__()
        running.append(context)
        url = f"http://127.0.0.1:{server.port}"
        return account_at(url), f"{url}/recordings/acme1/x.mp3", server

    yield start
    for context in running:
        context.__exit__(None, None, None)


# Hosts and credentials.


@pytest.mark.parametrize("url", [RECORDING, RECORDING.replace("https", "http")], ids=["https", "http"])
def test_exotel_host_gets_credentials_over_tls(proxy: Proxy, secure: ssl.SSLContext, url: str) -> None:
    with serving(answering(http(200, SOUND, TYPE)), tls=secure) as server:
        proxy.ports[OWN] = server.port
        opened = open_recording(MUMBAI, url)
        sound = read_all(opened)

    [request] = server.requests
    assert sound == SOUND
    assert (opened.status, opened.media_type, opened.suffix, opened.length) == (200, "audio/mpeg", "mp3", len(SOUND))
    assert request.startswith(b"GET /exotelrecordings/acme1/5f0c.mp3?signature=planted-signature HTTP/1.1\r\n")
    assert b"\r\nHost: recordings.exotel.com\r\n" in request
    assert b"\r\nAuthorization: Basic " + PAIR + b"\r\n" in request
    assert proxy.names == [OWN]
    assert b"Authorization" not in proxy.heads[0]


@pytest.mark.parametrize(("url", "host"), [(IN_BUCKET, BUCKET), (f"https://{STRANGER}/x.mp3", STRANGER)])
def test_bucket_and_additional_host_get_no_credentials(
    proxy: Proxy, secure: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, host: str
) -> None:
    (tmp_path / "netrc").write_text(f"machine {host} login planted password planted\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    answer = http(200, SOUND, "Content-Type: binary/octet-stream", "Set-Cookie: session=1")
    with serving(answering(answer), tls=secure) as server:
        proxy.ports[host] = server.port
        sounds = [read_all(open_recording(MUMBAI, url, hosts=[STRANGER])) for _time in range(2)]

    assert sounds == [SOUND, SOUND]
    assert not any(word in request for request in server.requests for word in (b"Authorization", b"Cookie"))


def test_recording_is_fetched_without_a_proxy(
    certificate: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with serving(answering(http(200, SOUND, TYPE)), tls=tls) as server:
        url = f"https://localhost:{server.port}"

        assert read_all(open_recording(account_at(url), f"{url}/recordings/x.mp3")) == SOUND


def test_proxy_that_refuses(proxy: Proxy) -> None:
    assert isinstance(error_of(MUMBAI, RECORDING), Unfetchable)
    assert proxy.names == [OWN]


def test_host_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    account = account_at("http://127.0.0.1:1")

    error = error_of(account, "http://127.0.0.1:1/recordings/x.mp3")

    assert isinstance(error, Unfetchable)
    assert "refused" in str(error)


def test_certificate_must_be_trusted_and_name_the_host(
    proxy: Proxy, of_names: Path, of_a_stranger: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "both.pem").write_text(of_names.read_text() + of_a_stranger.read_text())
    with serving(answering(http(200, SOUND, TYPE)), tls=context_of(of_a_stranger)) as server:
        proxy.ports[OWN] = server.port
        unknown = error_of(MUMBAI, RECORDING)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "both.pem"))
        wrong_name = error_of(MUMBAI, RECORDING)

    assert "CERTIFICATE_VERIFY_FAILED" in str(unknown)
    assert "ertificate" in str(wrong_name)
    assert server.requests == []


def test_usual_authorities_are_trusted_without_a_bundle(
    proxy: Proxy, secure: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with serving(answering(http(200, SOUND, TYPE)), tls=secure) as server:
        proxy.ports[OWN] = server.port
        through_proxy = error_of(MUMBAI, RECORDING)
        monkeypatch.delenv("HTTPS_PROXY")
        url = f"https://localhost:{server.port}"
        direct = error_of(account_at(url), f"{url}/recordings/x.mp3")

    assert "CERTIFICATE_VERIFY_FAILED" in str(through_proxy)
    assert "CERTIFICATE_VERIFY_FAILED" in str(direct)


def test_bundle_may_be_a_folder(
    certificate: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # As `openssl rehash` lays them out.
    plain = certificate.with_name("cert.pem")
    digest = subprocess.run(
        ["openssl", "x509", "-noout", "-hash", "-in", str(plain)], check=True, capture_output=True, text=True
    ).stdout.strip()
    (tmp_path / f"{digest}.0").write_text(plain.read_text())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    with serving(answering(http(200, SOUND, TYPE)), tls=tls) as server:
        url = f"https://localhost:{server.port}"

        assert read_all(open_recording(account_at(url), f"{url}/recordings/x.mp3")) == SOUND


# Redirects.


def moved(location: str, status: int = 302) -> bytes:
    return http(status, b"x" * 100, f"Location: {location}")


@pytest.mark.parametrize("status", [301, 308])
def test_redirect_to_a_bucket_drops_the_credentials(proxy: Proxy, secure: ssl.SSLContext, status: int) -> None:
    with (
        serving(answering(moved(IN_BUCKET.replace("https", "http"), status)), tls=secure) as first,
        serving(answering(http(200, SOUND, TYPE)), tls=secure) as second,
    ):
        proxy.ports |= {OWN: first.port, BUCKET: second.port}
        sound = read_all(open_recording(MUMBAI, RECORDING, parse_range("bytes=0-")))

    assert sound == SOUND
    assert b"Authorization" in first.requests[0]
    assert b"Authorization" not in second.requests[0]
    assert b"\r\nRange: bytes=0-\r\n" in second.requests[0]
    assert b"\r\nHost: s3-ap-southeast-1.amazonaws.com\r\n" in second.requests[0]


def test_redirect_to_an_exotel_host_adds_credentials(proxy: Proxy, secure: ssl.SSLContext) -> None:
    with (
        serving(answering(moved(RECORDING)), tls=secure) as first,
        serving(answering(http(200, SOUND, TYPE)), tls=secure) as second,
    ):
        proxy.ports |= {BUCKET: first.port, OWN: second.port}
        read_all(open_recording(MUMBAI, IN_BUCKET))

    assert b"Authorization" not in first.requests[0]
    assert b"Authorization" in second.requests[0]


@pytest.mark.parametrize(
    ("place", "hops"),
    [
        (f"https://{STRANGER}/x.mp3", 1),
        (f"https://{STRANGER}/x.mp3", 3),
        (f"//{STRANGER}/x.mp3", 1),
        (f"https://{OWN}:8443/x.mp3", 1),
        (f"https://{OWN}@{STRANGER}/x.mp3", 1),
        (f"https://{BUCKET}/exotelrecordings/%252e%252e/other/x.mp3", 1),
        ("https://api.in.exotel.com/v1/Accounts/acme1.json", 1),
        ("http://169.254.169.254/latest/meta-data/", 1),
        ("file:///etc/passwd", 1),
        ("https://[/x.mp3", 1),
    ],
)
def test_redirect_is_checked_as_the_first_address(proxy: Proxy, secure: ssl.SSLContext, place: str, hops: int) -> None:
    answers = [*[moved("/next.mp3")] * (hops - 1), moved(place)]
    with serving(*[answering(*answers)] * 3, tls=secure) as server, serving(silent, tls=secure) as stranger:
        proxy.ports |= {OWN: server.port, STRANGER: stranger.port, BUCKET: stranger.port}
        error = error_of(MUMBAI, RECORDING)

    assert isinstance(error, AddressRefused | Unfetchable)
    assert proxy.names == [OWN] * hops
    assert stranger.connections == 0


@pytest.mark.parametrize(("times", "works"), [(3, True), (4, False)])
def test_three_redirects_are_followed(at_home: Any, times: int, works: bool) -> None:
    answers = [*[moved(f"/recordings/{step}.mp3") for step in range(times)], http(200, SOUND, TYPE)]
    account, url, server = at_home(*[answering(*answers)] * 5)

    if works:
        assert read_all(open_recording(account, url)) == SOUND
    else:
        assert isinstance(error_of(account, url), Unfetchable)

    assert len(server.requests) == 4


def test_redirect_without_a_place_is_an_error(at_home: Any) -> None:
    account, url, _server = at_home(answering(http(302)))

    assert str(error_of(account, url)) == "HTTP 302"


# This machine.


def test_simulator_is_fetched_from_with_credentials(at_home: Any) -> None:
    account, url, server = at_home(answering(http(200, SOUND, "Content-Type: audio/wav")))

    opened = open_recording(account, url)

    assert read_all(opened) == SOUND
    assert opened.media_type == "audio/wav"
    assert b"Authorization: Basic " + PAIR in server.requests[0]


def test_another_port_of_this_machine_is_not_asked(at_home: Any) -> None:
    _other, elsewhere, other = at_home(silent)
    account, url, _server = at_home(answering(moved(elsewhere)))

    assert isinstance(error_of(account, elsewhere), AddressRefused)
    assert isinstance(error_of(MUMBAI, elsewhere), AddressRefused)
    assert isinstance(error_of(account, url), AddressRefused)
    assert other.connections == 0


# Answers.


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
def test_answers_that_are_no_recording(at_home: Any, answer: bytes, kind: type[RecordingError], text: str) -> None:
    account, url, _server = at_home(answering(answer))

    error = error_of(account, url)

    assert type(error) is kind
    assert text in str(error)


@pytest.mark.parametrize("script", [reset_after_request, lambda visit: None])
def test_connections_that_are_dropped(at_home: Any, script: Callable[[Visit], None]) -> None:
    account, url, _server = at_home(script)

    assert isinstance(error_of(account, url), Unfetchable)


def test_an_answer_that_never_comes(at_home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ANSWER_WITHIN", 0.3)
    account, url, _server = at_home(silent)

    assert "imeout" in str(error_of(account, url))


def test_headers_that_drip_keep_the_deadline(at_home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ANSWER_WITHIN", 0.4)
    account, url, _server = at_home(dripping(http(200, SOUND, TYPE), pause=0.02))

    began_at = time.monotonic()
    error = error_of(account, url)

    assert isinstance(error, Unfetchable)
    assert time.monotonic() - began_at < 3


def test_redirects_share_one_deadline(at_home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ANSWER_WITHIN", 0.5)

    def slowly_moved(visit: Visit) -> None:
        visit.read_request()
        visit.pause(0.3)
        visit.sock.sendall(moved("/recordings/next.mp3"))

    account, url, server = at_home(slowly_moved)

    assert isinstance(error_of(account, url), Unfetchable)
    assert len(server.requests) == 2


def test_a_body_may_drip_longer_than_any_deadline(at_home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "ANSWER_WITHIN", 0.3)
    monkeypatch.setattr(download, "SILENT_FOR", 0.3)
    answer = http(200, b"0123456789" * 3, TYPE)
    account, url, _server = at_home(dripping(answer, at_once=len(answer) - 30, pause=0.02))

    began_at = time.monotonic()
    sound = read_all(open_recording(account, url))

    assert sound == b"0123456789" * 3
    assert time.monotonic() - began_at > 0.4


def test_a_body_that_falls_silent_breaks_off(at_home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SILENT_FOR", 0.2)

    def falls_silent(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(http(200, SOUND, TYPE)[:-100])
        visit.pause(10)

    account, url, _server = at_home(falls_silent)
    opened = open_recording(account, url)

    with pytest.raises(RecordingBroken) as raised:
        read_all(opened)
    assert leaks_in(text_of_exception(raised.value, skip=__file__)) == []


def test_a_body_that_ends_early_breaks_off(at_home: Any) -> None:
    def ends_early(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(http(200, SOUND, TYPE)[:-100])

    account, url, _server = at_home(ends_early)
    opened = open_recording(account, url)

    with pytest.raises(RecordingBroken):
        read_all(opened)


def test_a_body_of_unknown_length(at_home: Any) -> None:
    def chunked(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n"
        )

    account, url, _server = at_home(chunked)
    opened = open_recording(account, url, parse_range("bytes=2-3"))

    assert (opened.status, opened.length, opened.span) == (200, None, None)
    assert read_all(opened) == b"abcdefg"


def test_nothing_is_written_into_a_log_that_gives_the_recording_away(
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


def ranging(visit: Visit) -> None:
    """Answers with the range that is asked for, as S3 does."""
    request = visit.read_request()
    header = next(line for line in request.split(b"\r\n") if line.startswith(b"Range: ")).partition(b" ")[2]
    wanted = parse_range(header.decode())
    span = wanted.within(len(SOUND)) if wanted is not None else None
    if span is None:
        visit.sock.sendall(http(416, b"", f"Content-Range: bytes */{len(SOUND)}"))
        return
    told = f"Content-Range: bytes {span.first}-{span.last}/{len(SOUND)}"
    visit.sock.sendall(http(206, SOUND[span.first : span.last + 1], TYPE, told))


@pytest.mark.parametrize(
    ("script", "header"),
    [
        (ranging, "bytes=0-"),
        (ranging, "bytes=-99999"),
        (answering(http(200, SOUND, TYPE)), "bytes=0-0"),
        (answering(http(200, SOUND, TYPE)), "bytes=10000-"),
        (answering(http(200, SOUND, TYPE)), "bytes=-100"),
    ],
    ids=["known from the start", "known from the end", "ignored first byte", "ignored rest", "ignored end"],
)
def test_a_range_is_given_whether_the_server_knows_ranges_or_not(
    at_home: Any, script: Callable[[Visit], None], header: str
) -> None:
    account, url, server = at_home(script)
    wanted = parse_range(header)
    assert wanted is not None
    span = wanted.within(len(SOUND))
    assert span is not None

    opened = open_recording(account, url, wanted)
    sound = read_all(opened)

    assert f"\r\nRange: {header}\r\n".encode() in server.requests[0]
    assert (opened.status, opened.span, opened.total, opened.length) == (206, span, len(SOUND), span.length)
    assert sound == SOUND[span.first : span.last + 1]


@pytest.mark.parametrize("script", [ranging, answering(http(200, SOUND, TYPE))], ids=["knows", "ignores"])
def test_a_range_behind_the_end(at_home: Any, script: Callable[[Visit], None]) -> None:
    account, url, _server = at_home(script)

    opened = open_recording(account, url, parse_range(f"bytes={len(SOUND)}-"))
    opened.close()

    assert (opened.status, opened.total, opened.length) == (416, len(SOUND), 0)


@pytest.mark.parametrize("told", ["bytes */*", ""])
def test_a_range_behind_an_end_that_is_not_told(at_home: Any, told: str) -> None:
    account, url, _server = at_home(answering(http(416, b"", f"Content-Range: {told}")))

    opened = open_recording(account, url, parse_range("bytes=99999-"))
    opened.close()

    assert (opened.status, opened.total) == (416, None)


@pytest.mark.parametrize("wanted", ["bytes=2-5", "bytes=2-"])
def test_a_range_of_a_recording_whose_length_is_not_told(at_home: Any, wanted: str) -> None:
    account, url, _server = at_home(answering(http(206, b"cdef", TYPE, "Content-Range: bytes 2-5/*")))

    opened = open_recording(account, url, parse_range(wanted))

    assert (opened.status, opened.span, opened.total, opened.length) == (206, Span(2, 5), None, 4)
    assert read_all(opened) == b"cdef"


@pytest.mark.parametrize(
    "told",
    ["bytes 0-99/10240", "bytes 100-198/10240", "bytes */10240", "", "bytes 101-200/*"],
)
def test_another_range_than_was_asked_for_is_not_played(at_home: Any, told: str) -> None:
    account, url, _server = at_home(answering(http(206, SOUND[:100], TYPE, f"Content-Range: {told}")))

    assert isinstance(error_of(account, url, "bytes=100-199"), Unfetchable)


def test_less_of_a_range_than_was_announced_breaks_off(at_home: Any) -> None:
    def less(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(
            b"HTTP/1.1 206 Partial\r\nContent-Type: audio/mpeg\r\nContent-Range: bytes 0-9/10\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"
        )

    account, url, _server = at_home(less)

    with pytest.raises(RecordingBroken):
        read_all(open_recording(account, url, parse_range("bytes=0-9")))


def test_more_than_was_announced_is_not_played(at_home: Any) -> None:
    def more(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(http(200, b"abc", TYPE) + b"def")

    account, url, _server = at_home(more)

    assert read_all(open_recording(account, url)) == b"abc"


def test_a_server_without_ranges_that_breaks_off_before_the_range(at_home: Any) -> None:
    def ends_early(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(http(200, SOUND, TYPE)[:-9000])

    account, url, _server = at_home(ends_early)
    opened = open_recording(account, url, parse_range("bytes=5000-"))

    with pytest.raises(RecordingBroken):
        read_all(opened)


# Leaving off.


def endless(visit: Visit) -> None:
    """Sends until the client has gone."""
    visit.read_request()
    visit.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 1000000000\r\n\r\n")
    try:
        while True:
            visit.sock.sendall(b"x" * 65536)
    except OSError:
        visit.server.closing.set()


def test_a_recording_that_is_closed_is_not_sent_on(at_home: Any) -> None:
    account, url, server = at_home(endless)
    opened = open_recording(account, url)
    opened.read()

    opened.close()

    assert server.closing.wait(5)


def test_a_recording_that_nobody_wants_any_more_is_not_sent_on(at_home: Any) -> None:
    account, url, server = at_home(endless)
    open_recording(account, url).read()

    assert server.closing.wait(5)


@pytest.mark.parametrize("over_tls", [False, True])
def test_a_read_that_waits_is_ended_from_another_thread(proxy: Proxy, secure: ssl.SSLContext, over_tls: bool) -> None:
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
