"""What the address of a recording says: which recording it is, and how long its signature is valid."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit


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
