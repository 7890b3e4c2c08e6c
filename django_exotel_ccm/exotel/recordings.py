"""A recording's address: from where it may be fetched, which recording it is, and until when its signature is valid.

The address comes from outside, in a callback or in an answer, so it is checked before anything is fetched.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from .account import Account

# Hosts that hold nothing but recordings, and want key and token (docs/exotel.md 10.3).
RECORDING_HOSTS = frozenset({"recordings.exotel.com", "recordings.exotel.in"})
# On the hosts of the API only these paths are recordings: key and token would open everything else there, too.
API_PATHS = ("/exotelrecordings/", "/recordings/")
# Exotel's buckets by region (docs/exotel.md 10.3). S3 spells each in four ways, and all lead to the same bucket.
BUCKETS = {"ap-southeast-1": "exotelrecordings", "ap-south-1": "exotel-mum1-recordings"}
BUCKET_PATHS = {
    address: path
    for region, bucket in BUCKETS.items()
    for host in (f"s3-{region}.amazonaws.com", f"s3.{region}.amazonaws.com")
    for address, path in ((host, f"/{bucket}/"), (f"{bucket}.{host}", "/"))
}
PORTS = {"https": 443, "http": 80}
LONGEST_ADDRESS = 8000
MOST_DECODINGS = 4


class RecordingError(Exception):
    """Why a recording cannot be had. The text is for the log: it quotes neither an address nor a credential."""


class AddressRefused(RecordingError):
    """The recording's address is none that may be fetched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address that may be fetched, in the parts that are sent."""

    origin: str
    target: str
    with_credentials: bool
    """Whether this is a host of Exotel's that gets the account's key and token."""

    def __str__(self) -> str:
        return self.origin + self.target


def check_address(url: str, account: Account, hosts: Collection[str] = ()) -> Address:
    """Return ``url`` as an address that may be fetched for ``account``; raises :class:`AddressRefused` if not.

    ``hosts`` are allowed in addition, without credentials. Plain http on its usual port becomes https.
    """
    parts = _split(url)
    scheme, host, port = parts.scheme, parts.hostname or "", parts.port or PORTS.get(parts.scheme, 0)
    origins = _origins(account)
    if (scheme, port) == ("http", PORTS["http"]) and (scheme, host, port) not in origins:
        scheme, port = "https", PORTS["https"]
    paths: tuple[str, ...] = ()
    if (scheme, host, port) in origins:
        paths = API_PATHS
    elif (scheme, port) != ("https", PORTS["https"]):
        raise AddressRefused(f"its address on {host[:100]!r} is not https on the usual port")
    elif host in BUCKET_PATHS:
        paths = (BUCKET_PATHS[host],)
    elif host not in RECORDING_HOSTS and host not in hosts:
        raise AddressRefused(f"it lies on {host[:100]!r}, which is no host of Exotel's recordings")
    if paths and not any(_lies_below(path, parts.path) for path in paths):
        raise AddressRefused(f"it lies on {host!r}, but not below {' or '.join(paths)}")
    path = parts.path or "/"
    return Address(
        origin=_origin(scheme, host, port),
        target=f"{path}?{parts.query}" if parts.query else path,
        with_credentials=paths == API_PATHS or host in RECORDING_HOSTS,
    )


def _split(url: str) -> SplitResult:
    # Unprintable letters first: `urlsplit` leaves out line breaks and tabs without notice.
    if len(url) <= LONGEST_ADDRESS and url.isascii() and url.isprintable() and " " not in url:
        try:
            parts = urlsplit(url)
            usable = parts.port != 0 and not {"@", "\\"} & set(parts.netloc)
        except ValueError:
            usable = False
        if usable:
            return parts
    raise AddressRefused("its address cannot be read, is too long, or names a user")


def _origins(account: Account) -> set[tuple[str, str, int]]:
    urls = [urlsplit(url) for url in (account.ccm_url, account.api_url)]
    return {
        (url.scheme, url.hostname or "", url.port or PORTS[url.scheme])
        for url in urls
        if url.scheme == "https" or account.is_loopback
    }


def _origin(scheme: str, host: str, port: int) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}" if port == PORTS[scheme] else f"{scheme}://{name}:{port}"


def _lies_below(prefix: str, path: str) -> bool:
    """Return True if a path begins with ``prefix``, however often it is decoded, and leads nowhere else from there."""
    decoded = path
    for _time in range(MOST_DECODINGS):
        if (once := unquote(decoded)) == decoded:
            break
        decoded = once
    else:
        return False
    plain = decoded.isascii() and decoded.isprintable() and "\\" not in decoded
    direct = not {"", ".", ".."} & set(decoded.split("/")[1:])
    return plain and direct and path.startswith(prefix) and decoded.startswith(prefix)


# The kinds of sound, and the content types under which they are passed on: ours, not those from outside.
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
# Types that say nothing; S3 sends the last for objects without a type.
_UNSPECIFIC = {"", "application/octet-stream", "binary/octet-stream"}


def suffix_of(content_type: str, path: str) -> str | None:
    """Return which of :data:`KINDS` a recording is, by its ``Content-Type``, or if that says nothing by its name.

    None if it is no known kind of sound.
    """
    essence = content_type.partition(";")[0].strip().lower()
    if essence in _UNSPECIFIC:
        suffix = path.partition("?")[0].rpartition(".")[2].lower()
        return suffix if suffix in ("mp3", "wav") else None
    return _TYPES.get(essence)


def recording_of(url: str) -> str:
    """Return host and path: over http or https and with a new signature it is still the same recording."""
    parts = urlsplit(url)
    return parts.netloc.lower().removesuffix(":80").removesuffix(":443") + parts.path


def recording_id(recording: str) -> str:
    """Return a short id of a recording given as :func:`recording_of` returns it: 16 letters that tell no address."""
    return hashlib.sha256(recording.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def expiry_of(url: str) -> int:
    """Return when a signed address expires, in seconds since 1970; 0 if it does not say."""
    query = parse_qs(urlsplit(url).query)
    expires, signed, lasts = (query.get(name, [""])[0] for name in ("Expires", "X-Amz-Date", "X-Amz-Expires"))
    if not signed:
        return _digits(expires)
    try:
        signed_at = datetime.strptime(signed, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return _digits(expires)
    return int(signed_at.timestamp()) + _digits(lasts)


def _digits(text: str) -> int:
    return int(text[:12]) if text.isascii() and text.isdigit() else 0
