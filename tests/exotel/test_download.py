"""Which hosts recordings are fetched from, which of them get credentials, and where redirects may lead."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from django_exotel_ccm.exotel.download import Unfetchable, open_recording
from django_exotel_ccm.exotel.ranges import parse_range
from django_exotel_ccm.exotel.recordings import AddressRefused
from tests.exotel.recordings import (
    BUCKET,
    IN_BUCKET,
    MUMBAI,
    OTHER_HOST,
    OWN,
    PAIR,
    RECORDING,
    SOUND,
    TYPE,
    account_at,
    error_of,
    moved,
    read_all,
)
from tests.servers.scripted_http import Proxy, answering, context_of, http, serving, silent

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


@pytest.mark.parametrize(("url", "host"), [(IN_BUCKET, BUCKET), (f"https://{OTHER_HOST}/x.mp3", OTHER_HOST)])
def test_buckets_and_additional_hosts_get_no_credentials(
    proxy: Proxy, secure: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, host: str
) -> None:
    (tmp_path / "netrc").write_text(f"machine {host} login planted password planted\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    answer = http(200, SOUND, "Content-Type: binary/octet-stream", "Set-Cookie: session=1")
    with serving(answering(answer), tls=secure) as server:
        proxy.ports[host] = server.port
        sounds = [read_all(open_recording(MUMBAI, url, hosts=[OTHER_HOST])) for _time in range(2)]

    assert sounds == [SOUND, SOUND]
    assert not any(word in request for request in server.requests for word in (b"Authorization", b"Cookie"))


def test_recording_is_fetched_without_a_proxy(
    certificate: Path, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with serving(answering(http(200, SOUND, TYPE)), tls=tls) as server:
        url = f"https://localhost:{server.port}"

        assert read_all(open_recording(account_at(url), f"{url}/recordings/x.mp3")) == SOUND


def test_proxy_refuses(proxy: Proxy) -> None:
    assert isinstance(error_of(MUMBAI, RECORDING), Unfetchable)
    assert proxy.names == [OWN]


def test_unreachable_host(monkeypatch: pytest.MonkeyPatch) -> None:
    account = account_at("http://127.0.0.1:1")

    error = error_of(account, "http://127.0.0.1:1/recordings/x.mp3")

    assert isinstance(error, Unfetchable)
    assert "refused" in str(error)


def test_certificate_must_be_trusted_and_name_the_host(
    proxy: Proxy, host_certificate: Path, other_certificate: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "both.pem").write_text(host_certificate.read_text() + other_certificate.read_text())
    with serving(answering(http(200, SOUND, TYPE)), tls=context_of(other_certificate)) as server:
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


def test_bundle_is_a_folder(
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


def test_redirect_to_a_bucket_drops_the_credentials(proxy: Proxy, secure: ssl.SSLContext) -> None:
    with (
        serving(answering(moved(IN_BUCKET.replace("https", "http"), 308)), tls=secure) as first,
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
        (f"https://{OTHER_HOST}/x.mp3", 1),
        (f"https://{OTHER_HOST}/x.mp3", 3),
        (f"//{OTHER_HOST}/x.mp3", 1),
        (f"https://{OWN}:8443/x.mp3", 1),
        (f"https://{OWN}@{OTHER_HOST}/x.mp3", 1),
        (f"https://{BUCKET}/exotelrecordings/%252e%252e/other/x.mp3", 1),
        ("https://api.in.exotel.com/v1/Accounts/acme1.json", 1),
        ("http://169.254.169.254/latest/meta-data/", 1),
        ("file:///etc/passwd", 1),
        ("https://[/x.mp3", 1),
    ],
)
def test_redirect_is_checked_as_the_first_address(proxy: Proxy, secure: ssl.SSLContext, place: str, hops: int) -> None:
    answers = [*[moved("/next.mp3")] * (hops - 1), moved(place)]
    with serving(*[answering(*answers)] * 3, tls=secure) as server, serving(silent, tls=secure) as other_server:
        proxy.ports |= {OWN: server.port, OTHER_HOST: other_server.port, BUCKET: other_server.port}
        error = error_of(MUMBAI, RECORDING)

    assert isinstance(error, AddressRefused | Unfetchable)
    assert proxy.names == [OWN] * hops
    assert other_server.connections == 0


@pytest.mark.parametrize(("times", "works"), [(3, True), (4, False)])
def test_three_redirects_are_followed(loopback: Any, times: int, works: bool) -> None:
    answers = [*[moved(f"/recordings/{step}.mp3") for step in range(times)], http(200, SOUND, TYPE)]
    account, url, server = loopback(*[answering(*answers)] * 5)

    if works:
        assert read_all(open_recording(account, url)) == SOUND
    else:
        assert isinstance(error_of(account, url), Unfetchable)

    assert len(server.requests) == 4


def test_redirect_without_location(loopback: Any) -> None:
    account, url, _server = loopback(answering(http(302)))

    assert str(error_of(account, url)) == "HTTP 302"


# This machine.


def test_simulator_gets_credentials(loopback: Any) -> None:
    account, url, server = loopback(answering(http(200, SOUND, "Content-Type: audio/wav")))

    opened = open_recording(account, url)

    assert read_all(opened) == SOUND
    assert opened.media_type == "audio/wav"
    assert b"Authorization: Basic " + PAIR in server.requests[0]


def test_other_loopback_port_is_refused(loopback: Any) -> None:
    _other, elsewhere, other = loopback(silent)
    account, url, _server = loopback(answering(moved(elsewhere)))

    assert isinstance(error_of(account, elsewhere), AddressRefused)
    assert isinstance(error_of(MUMBAI, elsewhere), AddressRefused)
    assert isinstance(error_of(account, url), AddressRefused)
    assert other.connections == 0
