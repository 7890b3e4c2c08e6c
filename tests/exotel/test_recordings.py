"""Which addresses recordings are fetched from, what identifies a recording, and which types are sound."""

from __future__ import annotations

import time
from itertools import product

import pytest

from django_exotel_ccm.exotel.account import Account, Secret, account_from_url
from django_exotel_ccm.exotel.recordings import AddressRefused, check_address, recording_of, suffix_of


def account_at(region: str) -> Account:
    return account_from_url(Secret(f"exotel://key:token@{region}"), variable="EXOTEL_URL")


MUMBAI = account_at("mumbai/acme1")
OWN = account_at("exotel.acme.example:8443/acme1")
SIMULATOR = account_at("127.0.0.1:8900/acme1?tls=off")
HALF_LOCAL = Account(
    sid="a", key=Secret("k"), token=Secret("t"), ccm_url="http://127.0.0.1:8900", api_url="https://api.exotel.com"
)
NAME = "acme1/5f0c.mp3"
EXOTEL = f"https://recordings.exotel.com/exotelrecordings/{NAME}"
BUCKET = "https://s3-ap-southeast-1.amazonaws.com"
EXTRA = ("files.acme.example",)


@pytest.mark.parametrize(
    ("url", "account", "fetched"),
    [
        (EXOTEL, MUMBAI, EXOTEL),
        ("https://recordings.exotel.in/a.mp3", MUMBAI, "https://recordings.exotel.in/a.mp3"),
        ("http://recordings.exotel.com/a.mp3", MUMBAI, "https://recordings.exotel.com/a.mp3"),
        ("HTTPS://Recordings.Exotel.COM:443/A.mp3?x=%2F#t=10", MUMBAI, "https://recordings.exotel.com/A.mp3?x=%2F"),
        ("https://recordings.exotel.com?a", MUMBAI, "https://recordings.exotel.com/?a"),
        (
            f"https://ccm-api.in.exotel.com/exotelrecordings/{NAME}",
            MUMBAI,
            f"https://ccm-api.in.exotel.com/exotelrecordings/{NAME}",
        ),
        ("https://exotel.acme.example:8443/recordings/a", OWN, "https://exotel.acme.example:8443/recordings/a"),
        ("http://127.0.0.1:8900/recordings/a.wav", SIMULATOR, "http://127.0.0.1:8900/recordings/a.wav"),
    ],
)
def test_exotel_hosts_get_credentials(url: str, account: Account, fetched: str) -> None:
    address = check_address(url, account)

    assert str(address) == fetched
    assert address.with_credentials


@pytest.mark.parametrize(
    ("url", "fetched"),
    [
        (f"{BUCKET}/exotelrecordings/{NAME}?X-Amz-Signature=1f%2B", None),
        (f"https://s3.ap-southeast-1.amazonaws.com/exotelrecordings/{NAME}", None),
        (f"https://s3-ap-south-1.amazonaws.com/exotel-mum1-recordings/{NAME}", None),
        (f"https://s3.ap-south-1.amazonaws.com/exotel-mum1-recordings/{NAME}", None),
        (f"https://exotel-mum1-recordings.s3-ap-south-1.amazonaws.com/{NAME}", None),
        (f"https://exotel-mum1-recordings.s3.ap-south-1.amazonaws.com/{NAME}", None),
        (f"http://s3-ap-southeast-1.amazonaws.com/exotelrecordings/{NAME}", f"{BUCKET}/exotelrecordings/{NAME}"),
        (f"{BUCKET}/exotelrecordings/a%20b/c%2Bd=e,f~g.mp3", None),
        ("https://files.acme.example/any/where.mp3", None),
        ("http://files.acme.example/a/?b", "https://files.acme.example/a/?b"),
    ],
)
def test_other_allowed_hosts_get_no_credentials(url: str, fetched: str | None) -> None:
    address = check_address(url, MUMBAI, EXTRA)

    assert str(address) == (fetched or url)
    assert not address.with_credentials


GOOD = "recordings.exotel.com"
REFUSED = {
    "no address": ["", "a.mp3", "/a.mp3", f"//{GOOD}/a.mp3", f"{GOOD}/a.mp3", "https://", "https:///a.mp3"],
    "another scheme": [f"ftp://{GOOD}/a.mp3", f"file://{GOOD}/etc/passwd", "data:audio/mpeg;base64,AAAA"],
    "another port": [f"https://{GOOD}:{port}/a.mp3" for port in ("80", "8443", "0", "99999", "x", "-443")],
    "http on another port": [f"http://{GOOD}:443/a.mp3", f"http://{GOOD}:8080/a.mp3"],
    "a user": [f"https://{user}@{GOOD}/a.mp3" for user in ("", "user", "user:password", "evil.example")],
    "another host behind the name": [
        f"https://{GOOD}{trick}evil.example/a.mp3" for trick in ("@", "%40", "\\@", "\\.", ".", "%00.", "\n.")
    ],
    "another host before the name": [f"https://evil.example{trick}{GOOD}/a.mp3" for trick in ("\\", "#@", "?@")],
    "a similar name": [
        f"https://{name}/a.mp3" for name in (f"evil{GOOD}", f"evil.{GOOD}", f"{GOOD}.", f"[{GOOD}]", "exotel.com")
    ],
    "unusual letters": [f"https://{GOOD}/{letter}.mp3" for letter in (" ", "\r\n", "\t", "\x00", "नमस्ते")],
    "a name in other letters": ["https://recordings.exotel.c\u03bfm/a.mp3", "https://ⓡecordings.exotel.com/a.mp3"],
    "an IP address": [f"https://{ip}/a.mp3" for ip in ("127.0.0.1", "[::1]", "169.254.169.254", "2130706433")],
    "too long": [f"https://{GOOD}/{'a' * 8000}"],
    "another account's host": ["https://api.exotel.com/recordings/a.mp3", "https://exotel.acme.example/recordings/a"],
    "a host that is not allowed": ["https://evil.example/a.mp3", "https://localhost/a.mp3"],
    "another bucket": [f"https://s3.amazonaws.com/exotelrecordings/{NAME}"]
    + [f"https://{host}/exotelrecordings/{NAME}" for host in ("exotelrecordings.s3.amazonaws.com", "s3.example")],
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_addresses(kind: str) -> None:
    for url, account in product(REFUSED[kind], (MUMBAI, SIMULATOR)):
        with pytest.raises(AddressRefused) as raised:
            check_address(url, account, EXTRA)
        assert not url or url not in str(raised.value)


API = "https://api.in.exotel.com"
PATHS = {
    API: "/recordings/",
    BUCKET: "/exotelrecordings/",
    "https://exotel-mum1-recordings.s3.ap-south-1.amazonaws.com": "/",
}
OUTSIDE = {
    API: ["", "/", "/v1/Accounts/acme1.json", "/v2/accounts/acme1/calls", "/recordings", "/Recordings/a.mp3"],
    BUCKET: ["", "/", "/exotelrecordings", "/exotelrecordings-other/a", "/other/exotelrecordings/a"],
    "https://exotel-mum1-recordings.s3.ap-south-1.amazonaws.com": ["", "/"],
}
DOTS = ["..", ".", "%2e%2e", ".%2E", "%252e%252e", "%25252e%2e", "%" + "25" * 300 + "2e"]
SEPARATORS = ["%2f", "%252f", "\\", "%5c", "%255C"]
CONTROLS = ["%00", "%0d%0a", "%7f", "%c0%ae", "%e2%80%ae"]


@pytest.mark.parametrize("host", PATHS)
def test_paths_outside_the_recordings_are_refused(host: str) -> None:
    prefix = PATHS[host]
    paths = [f"{prefix}{dots}/a.mp3" for dots in DOTS] + [f"{prefix}a/{dots}/b.mp3" for dots in DOTS]
    paths += [f"{prefix}a{slash}..{slash}b.mp3" for slash in SEPARATORS]
    paths += [f"{prefix}a{letters}.mp3" for letters in CONTROLS]
    paths += [f"{prefix}/a.mp3", f"{prefix}a/", f"{prefix}a//b.mp3", *OUTSIDE[host]]

    assert str(check_address(f"{host}{prefix}a.mp3", MUMBAI)) == f"{host}{prefix}a.mp3"
    for path in paths:
        with pytest.raises(AddressRefused):
            check_address(host + path, MUMBAI)


@pytest.mark.parametrize(
    ("url", "account"),
    [
        ("http://127.0.0.1:8901/recordings/x.wav", SIMULATOR),
        ("http://127.0.0.2:8900/recordings/x.wav", SIMULATOR),
        ("http://localhost:8900/recordings/x.wav", SIMULATOR),
        ("https://127.0.0.1:8900/recordings/x.wav", SIMULATOR),
        ("http://127.0.0.1:8900/v2/accounts/acme1/calls", SIMULATOR),
        ("http://127.0.0.1:8900/recordings/x.wav", MUMBAI),
        ("http://127.0.0.1:8900/recordings/x.wav", HALF_LOCAL),
    ],
)
def test_other_loopback_addresses_are_refused(url: str, account: Account) -> None:
    with pytest.raises(AddressRefused):
        check_address(url, account)


def test_deep_percent_encoding_is_refused_fast() -> None:
    began_at = time.perf_counter()
    with pytest.raises(AddressRefused):
        check_address(f"{BUCKET}/exotelrecordings/%{'25' * 3900}2e.mp3", MUMBAI)

    assert time.perf_counter() - began_at < 0.5


@pytest.mark.parametrize(
    ("url", "recording"),
    [
        (EXOTEL, f"recordings.exotel.com/exotelrecordings/{NAME}"),
        ("http://Recordings.exotel.com:80/A.mp3?Expires=1#t", "recordings.exotel.com/A.mp3"),
        ("https://recordings.exotel.com:443/A.mp3?Expires=2", "recordings.exotel.com/A.mp3"),
        ("http://127.0.0.1:8900/recordings/x.wav", "127.0.0.1:8900/recordings/x.wav"),
        ("http://a:99999/x", "a:99999/x"),
    ],
)
def test_recording_identity(url: str, recording: str) -> None:
    assert recording_of(url) == recording


@pytest.mark.parametrize(
    ("content_type", "path", "suffix"),
    [
        ("Audio/MPEG; charset=binary", "/x.wav", "mp3"),
        ("audio/x-wav", "/x", "wav"),
        ("audio/mp4", "/x", "m4a"),
        ("binary/octet-stream", "/a/x.WAV?X-Amz-Signature=1.html", "wav"),
        ("", "/x.mp3", "mp3"),
        ("application/octet-stream", "/x?a=.mp3", None),
        ("", "/x.svg", None),
        ("text/html", "/x.mp3", None),
        ("audio/mpeg, text/html", "/x.mp3", None),
        ("audio/unheard-of", "/x.mp3", None),
    ],
)
def test_suffix_of_sound_types(content_type: str, path: str, suffix: str | None) -> None:
    assert suffix_of(content_type, path) == suffix
