"""Where a recording may be fetched from: every address is refused that is not one of a few known ones."""

from __future__ import annotations

from itertools import product

import pytest

from django_exotel_ccm.exotel.account import Account, Secret, account_from_url
from django_exotel_ccm.exotel.recordings import AddressRefused, is_public, judge, suffix_of

MUMBAI = account_from_url(Secret("exotel://key:token@mumbai/acme1"), variable="EXOTEL_URL")
OWN = account_from_url(Secret("exotel://key:token@exotel.acme.example:8443/acme1"), variable="EXOTEL_URL")
SIMULATOR = account_from_url(Secret("exotel://key:token@127.0.0.1:8900/acme1?tls=off"), variable="EXOTEL_URL")
SINGAPORE_BUCKET = "s3-ap-southeast-1.amazonaws.com"
MUMBAI_BUCKET = "s3-ap-south-1.amazonaws.com"
NAME = "acme1/5f0c2a9e7b1d4c68a3e2f9b0d4717b2c.mp3"


def assert_refused(url: str, account: Account = MUMBAI) -> None:
    with pytest.raises(AddressRefused) as raised:
        judge(url, account)
    assert not url or url not in str(raised.value)


# Exotel's own hosts.


@pytest.mark.parametrize("host", ["recordings.exotel.com", "ccm-api.in.exotel.com", "api.in.exotel.com"])
def test_exotel_s_own_hosts_get_the_credentials(host: str) -> None:
    address = judge(f"https://{host}/exotelrecordings/{NAME}", MUMBAI)

    assert (address.scheme, address.host, address.port) == ("https", host, 443)
    assert address.target == f"/exotelrecordings/{NAME}"
    assert address.with_credentials
    assert not address.on_this_machine


@pytest.mark.parametrize("url", ["HTTPS://Recordings.Exotel.COM/a.mp3", "https://recordings.exotel.com:443/a.mp3"])
def test_spellings_of_the_same_host(url: str) -> None:
    address = judge(url, MUMBAI)

    assert (address.scheme, address.host, address.port, address.target) == (
        "https",
        "recordings.exotel.com",
        443,
        "/a.mp3",
    )


def test_a_query_goes_along_and_a_fragment_does_not() -> None:
    assert judge("https://recordings.exotel.com/a.mp3?format=mp3&x=%2F#t=10", MUMBAI).target == (
        "/a.mp3?format=mp3&x=%2F"
    )
    assert judge("https://recordings.exotel.com", MUMBAI).target == "/"
    assert judge("https://recordings.exotel.com?a", MUMBAI).target == "/?a"


@pytest.mark.parametrize("host", ["ccm-api.exotel.com", "api.exotel.com", "exotel.acme.example"])
def test_another_account_s_hosts_are_strangers(host: str) -> None:
    assert_refused(f"https://{host}/a.mp3")


def test_an_account_s_own_host_is_fetched_from_on_the_usual_port_alone() -> None:
    assert judge("https://exotel.acme.example/a.mp3", OWN).with_credentials
    assert_refused("https://exotel.acme.example:8443/a.mp3", OWN)


# The buckets.


@pytest.mark.parametrize(
    ("host", "prefix"), [(SINGAPORE_BUCKET, "/exotelrecordings/"), (MUMBAI_BUCKET, "/exotel-mum1-recordings/")]
)
def test_buckets_get_no_credentials(host: str, prefix: str) -> None:
    address = judge(f"https://{host}{prefix}{NAME}?X-Amz-Expires=300&X-Amz-Signature=1f%2B", MUMBAI)

    assert not address.with_credentials
    assert address.target == f"{prefix}{NAME}?X-Amz-Expires=300&X-Amz-Signature=1f%2B"


@pytest.mark.parametrize("path", ["/exotelrecordings/a%20b/c%2Bd.mp3", "/exotelrecordings/a/b=c,d~e.mp3"])
def test_usual_letters_of_a_key(path: str) -> None:
    assert judge(f"https://{SINGAPORE_BUCKET}{path}", MUMBAI).target == path


OTHERS = [
    "/",
    "",
    "/exotelrecordings",
    "/exotelrecordings/",
    "/ExotelRecordings/a.mp3",
    "/exotelrecordings-other/a.mp3",
    "/exotel-mum1-recordings/a.mp3",
    "/other/exotelrecordings/a.mp3",
    "exotelrecordings/a.mp3",
    "/exotelrecordings/a/",
    "//exotelrecordings/a.mp3",
    "/exotelrecordings//a.mp3",
    "/exotelrecordings%2Fa.mp3",
    "/%65xotelrecordings/a.mp3",
]
DOTS = ["..", ".", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "%25252e%2e", "%2e"]
SLASHES = ["/", "%2f", "%2F", "%252f", "\\", "%5c", "%5C", "%255c"]
TRICKS = [f"/exotelrecordings/a{slash}{dots}{slash}b.mp3" for slash, dots in product(SLASHES, DOTS)]
TRICKS += [f"/exotelrecordings/{dots}/{dots}/other/b.mp3" for dots in DOTS]
CONTROLS = [f"/exotelrecordings/a{letters}.mp3" for letters in ("%00", "%0d%0a", "%09", "%7f", "%c0%ae", "%e2%80%ae")]


@pytest.mark.parametrize("path", [*OTHERS, *TRICKS, *CONTROLS])
def test_in_a_bucket_only_what_lies_below_the_prefix_and_says_so_plainly(path: str) -> None:
    assert_refused(f"https://{SINGAPORE_BUCKET}{path}")


@pytest.mark.parametrize(
    "host",
    [
        "s3.amazonaws.com",
        "s3-us-west-2.amazonaws.com",
        "exotelrecordings.s3-ap-southeast-1.amazonaws.com",
        "s3-ap-southeast-1.amazonaws.com.",
        "s3-ap-southeast-1.amazonaws.com.evil.example",
        "evil-s3-ap-southeast-1.amazonaws.com",
    ],
)
def test_other_buckets_are_strangers(host: str) -> None:
    assert_refused(f"https://{host}/exotelrecordings/{NAME}")


# Strangers.

GOOD = "recordings.exotel.com"
STRANGE = [
    "",
    "a.mp3",
    "/a.mp3",
    "//recordings.exotel.com/a.mp3",
    "recordings.exotel.com/a.mp3",
    f"http://{GOOD}/a.mp3",
    f"http://{GOOD}:443/a.mp3",
    f"ftp://{GOOD}/a.mp3",
    f"file://{GOOD}/etc/passwd",
    "file:///etc/passwd",
    f"gopher://{GOOD}/a",
    "data:audio/mpeg;base64,AAAA",
    "javascript:alert(1)",
    f"https:{GOOD}/a.mp3",
    f"https:///{GOOD}/a.mp3",
    f"https://{GOOD}:80/a.mp3",
    f"https://{GOOD}:8443/a.mp3",
    f"https://{GOOD}:0/a.mp3",
    f"https://{GOOD}:99999/a.mp3",
    f"https://{GOOD}:x/a.mp3",
    f"https://{GOOD}:-443/a.mp3",
    f"https://user@{GOOD}/a.mp3",
    f"https://user:password@{GOOD}/a.mp3",
    f"https://@{GOOD}/a.mp3",
    f"https://:@{GOOD}/a.mp3",
    f"https://{GOOD}@evil.example/a.mp3",
    f"https://{GOOD}%40evil.example/a.mp3",
    f"https://{GOOD}\\@evil.example/a.mp3",
    f"https://{GOOD}\\.evil.example/a.mp3",
    f"https://evil.example\\{GOOD}/a.mp3",
    f"https://evil.example#@{GOOD}/a.mp3",
    f"https://evil.example?@{GOOD}/a.mp3",
    f"https://{GOOD}.evil.example/a.mp3",
    f"https://evil{GOOD}/a.mp3",
    f"https://evil.{GOOD}/a.mp3",
    f"https://{GOOD}./a.mp3",
    f"https://{GOOD}%00.evil.example/a.mp3",
    f"https://[{GOOD}]/a.mp3",
    "https://exotel.com/a.mp3",
    "https://my.exotel.com/a.mp3",
    "https://[::1/a.mp3",
    "https://evil.example/a.mp3",
    "https:///a.mp3",
    "https://",
    f"https://{GOOD}/a b.mp3",
    f"https://{GOOD}/a.mp3\r\nX-Evil: 1",
    f"https://{GOOD}/a\tb.mp3",
    f"https://{GOOD}\n.evil.example/a.mp3",
    f" https://{GOOD}/a.mp3",
    f"https://{GOOD}/\x00.mp3",
    f"https://{GOOD}/नमस्ते.mp3",
    "https://recordings.exotel.c\u03bfm/a.mp3",
    "https://recordings\u3002exotel\u3002com/a.mp3",
    "https://ⓡecordings.exotel.com/a.mp3",
    "https://localhost/a.mp3",
    "https://127.0.0.1/a.mp3",
    "https://[::1]/a.mp3",
    "https://169.254.169.254/latest/meta-data/",
    "https://2130706433/a.mp3",
    "https://0x7f.1/a.mp3",
    "https://10.0.0.1/a.mp3",
]


@pytest.mark.parametrize("url", STRANGE)
@pytest.mark.parametrize("account", [MUMBAI, SIMULATOR], ids=["mumbai", "simulator"])
def test_strangers_are_refused(url: str, account: Account) -> None:
    assert_refused(url, account)


# The simulator.


def test_an_account_on_this_machine_is_fetched_from_where_it_lives() -> None:
    address = judge("http://127.0.0.1:8900/recordings/acme1/x.wav", SIMULATOR)

    assert (address.scheme, address.host, address.port) == ("http", "127.0.0.1", 8900)
    assert address.with_credentials
    assert address.on_this_machine


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8901/x.wav",
        "http://127.0.0.1/x.wav",
        "http://127.0.0.2:8900/x.wav",
        "http://localhost:8900/x.wav",
        "http://[::1]:8900/x.wav",
        "https://127.0.0.1:8900/x.wav",
        "http://127.0.0.1:8900@evil.example/x.wav",
        "http://evil.example:8900/x.wav",
    ],
)
def test_nothing_else_on_this_machine(url: str) -> None:
    assert_refused(url, SIMULATOR)


@pytest.mark.parametrize("account", [MUMBAI, OWN])
def test_an_account_elsewhere_never_leads_to_this_machine(account: Account) -> None:
    assert_refused("http://127.0.0.1:8900/recordings/acme1/x.wav", account)


def test_an_account_half_on_this_machine_is_not_on_this_machine() -> None:
    mixed = Account(
        sid="a", key=Secret("k"), token=Secret("t"), ccm_url="http://127.0.0.1:8900", api_url="https://api.exotel.com"
    )

    assert_refused("http://127.0.0.1:8900/x.wav", mixed)
    assert not judge("https://api.exotel.com/x.wav", mixed).on_this_machine


# What a name resolves to.

PUBLIC = ["52.219.32.1", "8.8.8.8", "1.1.1.1", "191.255.255.255", "2600:1f18::1", "2404:6800:4009::200e"]
NOT_PUBLIC = {
    "this network": ["0.0.0.0", "0.1.2.3", "::"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "fc00::1", "fd12::1"],
    "loopback": ["127.0.0.1", "127.255.255.255", "::1"],
    "link-local": ["169.254.169.254", "fe80::1", "fe80::1%eth0"],
    "site-local": ["fec0::1"],
    "carrier-grade NAT": ["100.64.0.1", "100.127.255.255"],
    "protocol assignments": ["192.0.0.1", "192.0.0.9", "192.0.0.170"],
    "6to4 relay": ["192.88.99.1"],
    "benchmarks": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "4000::1", "e000::1"],
    "IPv4 in IPv6, mapped": ["::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:a00:1"],
    "IPv4 in IPv6, compatible": ["::127.0.0.1", "::8.8.8.8"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1"],
    "6to4": ["2002:7f00:1::", "2002:808:808::1"],
    "Teredo": ["2001:0:4136:e378:8000:63bf:3fff:fdd2"],
    "a scope": ["2600:1f18::1%eth0"],
}
HIDDEN = [ip for ips in NOT_PUBLIC.values() for ip in ips]


@pytest.mark.parametrize("ip", PUBLIC)
def test_public_addresses(ip: str) -> None:
    assert is_public(ip)
    assert judge("https://recordings.exotel.com/a.mp3", MUMBAI).may_lead_to(ip)


@pytest.mark.parametrize("ip", HIDDEN)
def test_addresses_that_no_recording_of_exotel_can_have(ip: str) -> None:
    assert not is_public(ip)
    assert not judge("https://recordings.exotel.com/a.mp3", MUMBAI).may_lead_to(ip)


@pytest.mark.parametrize(("ip", "may"), [("127.0.0.1", True), ("::1", True), ("8.8.8.8", False), ("10.0.0.1", False)])
def test_the_simulator_s_name_leads_to_this_machine_alone(ip: str, may: bool) -> None:
    assert judge("http://127.0.0.1:8900/x.wav", SIMULATOR).may_lead_to(ip) is may


# What it is.


@pytest.mark.parametrize(
    ("content_type", "path", "suffix"),
    [
        ("audio/mpeg", "/x", "mp3"),
        ("Audio/MPEG; charset=binary", "/x.wav", "mp3"),
        ("audio/mp3", "/x", "mp3"),
        ("audio/wav", "/x", "wav"),
        ("audio/x-wav", "/x", "wav"),
        ("audio/vnd.wave", "/x", "wav"),
        ("audio/mp4", "/x", "m4a"),
        ("audio/ogg", "/x", "ogg"),
        ("application/octet-stream", "/x.mp3", "mp3"),
        ("binary/octet-stream", "/a/x.WAV?X-Amz-Signature=1.html", "wav"),
        ("", "/x.mp3", "mp3"),
        ("application/octet-stream", "/x", None),
        ("application/octet-stream", "/x.html", None),
        ("application/octet-stream", "/x?a=.mp3", None),
        ("", "/x.svg", None),
        ("text/html", "/x.mp3", None),
        ("image/svg+xml", "/x.mp3", None),
        ("application/xml", "/x.mp3", None),
        ("audio/mpeg, text/html", "/x.mp3", None),
        ("audio/unheard-of", "/x.mp3", None),
        ("multipart/byteranges; boundary=x", "/x.mp3", None),
    ],
)
def test_only_sounds_are_played(content_type: str, path: str, suffix: str | None) -> None:
    assert suffix_of(content_type, path) == suffix
