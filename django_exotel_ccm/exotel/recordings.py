"""What the address of a recording says: which recording it is, how long its signature is valid, and who may fetch it.

The address comes from outside, so where it leads is judged before anybody goes there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from .account import Account

# Where recordings were seen (docs/exotel.md 10.3). Since October 2024 its own host wants key and token.
OWN_HOST = "recordings.exotel.com"
BUCKETS = {
    "s3-ap-southeast-1.amazonaws.com": "/exotelrecordings/",
    "s3-ap-south-1.amazonaws.com": "/exotel-mum1-recordings/",
}
PORTS = {"https": 443, "http": 80}

# All that is handed out of IPv6. Outside are the addresses with an IPv4 address in them: mapped, compatible, NAT64.
GLOBAL_UNICAST = ip_network("2000::/3")
# What `is_global` does not refuse in every release of Python: multicast, relays (6to4, Teredo), shared, documentation.
REFUSED_NETWORKS = tuple(
    map(
        ip_network,
        ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/3", "2001::/23", "2002::/16", "3fff::/20"),
    )
)


class RecordingError(Exception):
    """Why a recording cannot be had. The text is for the log: it quotes neither an address nor a credential."""


class AddressRefused(RecordingError):
    """The recording's address, or what its name resolves to, is none that may be fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address that may be fetched, in the parts that go on the wire."""

    scheme: str
    host: str
    port: int
    target: str
    with_credentials: bool
    """Whether this is a host of Exotel's own, which gets the account's key and token."""
    on_this_machine: bool
    """Whether it is the account's own loopback address, as the simulator's."""

    def may_lead_to(self, ip: str) -> bool:
        """Say whether a connection may be opened to ``ip``, which the host's name resolves to."""
        return ip_address(ip).is_loopback if self.on_this_machine else is_public(ip)


def judge(url: str, account: Account) -> Address:
    """Return ``url`` as an address that may be fetched for ``account``; raises :class:`AddressRefused` if not."""
    parts = _split(url)
    host, port = parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
    at_home = account.is_loopback and (parts.scheme, host, port) in _origins(account)
    if not at_home:
        _refuse_strangers(parts, host, port, account)
    path = parts.path or "/"
    return Address(
        scheme=parts.scheme,
        host=host,
        port=port,
        target=f"{path}?{parts.query}" if parts.query else path,
        with_credentials=host not in BUCKETS,
        on_this_machine=at_home,
    )


def _split(url: str) -> SplitResult:
    # Unprintable letters first: `urlsplit` leaves out line breaks and tabs in silence.
    if url.isascii() and url.isprintable() and " " not in url:
        try:
            parts = urlsplit(url)
            usable = parts.port != 0 and not {"@", "\\"} & set(parts.netloc)
        except ValueError:
            usable = False
        if usable:
            return parts
    raise AddressRefused("its address cannot be read, or names a user")


def _refuse_strangers(parts: SplitResult, host: str, port: int, account: Account) -> None:
    if (parts.scheme, port) != ("https", PORTS["https"]):
        raise AddressRefused(f"its address on {host[:100]!r} is not https on the usual port")
    own = set() if account.is_loopback else {host for _scheme, host, _port in _origins(account)}
    if host not in {OWN_HOST, *BUCKETS, *own}:
        raise AddressRefused(f"it lies on {host[:100]!r}, which is no host of Exotel's recordings")
    if host in BUCKETS and not _lies_below(BUCKETS[host], parts.path):
        raise AddressRefused(f"it lies on {host!r}, but not below {BUCKETS[host]}")


def _origins(account: Account) -> set[tuple[str, str, int]]:
    urls = (urlsplit(account.ccm_url), urlsplit(account.api_url))
    return {(url.scheme, url.hostname or "", url.port or PORTS[url.scheme]) for url in urls}


def _lies_below(prefix: str, path: str) -> bool:
    """Say whether a path begins with ``prefix``, however often it is decoded, and leads nowhere else from there."""
    decoded = path
    while (once := unquote(decoded)) != decoded:
        decoded = once
    plain = decoded.isascii() and decoded.isprintable() and "\\" not in decoded
    direct = not {"", ".", ".."} & set(decoded.split("/")[1:])
    return plain and direct and path.startswith(prefix) and decoded.startswith(prefix)


def is_public(ip: str) -> bool:
    """Say whether an IP address is one of the public internet, and leads to no other."""
    address = ip_address(ip)
    if isinstance(address, IPv6Address) and (address not in GLOBAL_UNICAST or address.scope_id is not None):
        return False
    return address.is_global and not any(address in network for network in REFUSED_NETWORKS)


# What its contents are called, and what they are served as: our own words, never those from outside.
KINDS = {
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
}
_TYPES = {
    **{kind: suffix for suffix, kind in KINDS.items()},
    "audio/mp3": "mp3",
    "audio/x-mpeg": "mp3",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/vnd.wave": "wav",
    "audio/x-m4a": "m4a",
}
_UNTOLD = {"", "application/octet-stream", "binary/octet-stream"}  # S3 says the last of what nobody described


def suffix_of(content_type: str, path: str) -> str | None:
    """Return which of :data:`KINDS` a recording is, by its ``Content-Type``, or where that says nothing by its name.

    None when it is no sound that we know.
    """
    essence = content_type.partition(";")[0].strip().lower()
    if essence in _UNTOLD:
        suffix = path.partition("?")[0].rpartition(".")[2].lower()
        return suffix if suffix in ("mp3", "wav") else None
    return _TYPES.get(essence)


def recording_of(url: str) -> str:
    """The address without its query: signed anew, it is still the same recording."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path}"


def expiry_of(url: str) -> int:
    """When a signed address expires, as far as it says, in seconds since 1970; only to prefer the later of two."""
    query = parse_qs(urlsplit(url).query)
    expires, signed, lasts = (query.get(name, [""])[0] for name in ("Expires", "X-Amz-Date", "X-Amz-Expires"))
    try:
        signed_at = datetime.strptime(signed, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return _digits(expires)
    return int(signed_at.timestamp()) + _digits(lasts)


def _digits(text: str) -> int:
    return int(text[:12]) if text.isascii() and text.isdigit() else 0
