"""Cleaning of values that Exotel sends: nulls in many spellings, times, durations, numbers, text.

Each function takes any value and returns None if it holds nothing usable; none of them raises.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

# Exotel writes its zoneless times in Indian time, which has known no summer time since 1945.
IST = timezone(timedelta(hours=5, minutes=30), "IST")

LARGEST_SECONDS = 2**31 - 1
LONGEST_URL = 2000
DEEPEST_JSON = 40

_NOTHING = {"", "null", "n/a", "none", "[]"}
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SEPARATORS = re.compile(r"[\s_-]+")
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(?: ?(Z)| ?([ +-])(\d\d):?(\d\d))?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time in UTC, and whether its sender wrote a zone; without one it was read as Indian time."""

    at: datetime
    zoned: bool

    def as_text(self) -> str:
        """Return the ISO form, which `clean_moment` reads back to an equal moment."""
        return (self.at if self.zoned else self.at.astimezone(IST).replace(tzinfo=None)).isoformat()


def clean_text(value: object, limit: int) -> str | None:
    """Return text that a database can store, cut to ``limit`` characters; whole numbers become text."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        # Python raises when it writes numbers of thousands of digits.
        value = str(value) if value.bit_length() < 4096 else None
    if not isinstance(value, str):
        return None
    text = storable(value)
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = storable(_unquoted(text))
    return None if text.lower() in _NOTHING else text[:limit].rstrip() or None


def storable(text: str) -> str:
    """Return text without NUL and lone surrogates, which some databases refuse, and without blanks around it."""
    return _UNSTORABLE.sub("", text).strip()


def _unquoted(text: str) -> str:
    try:
        inner = json.loads(text, strict=False)
    except ValueError:
        return text[1:-1]
    return inner if isinstance(inner, str) else text


def clean_seconds(value: object) -> int | None:
    """Return a duration in whole seconds; 0 stays 0."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        value = int(value) if math.isfinite(value) and value.is_integer() else None
    if isinstance(value, str):
        digits = (clean_text(value, 100) or "-").lstrip("0") or "0"
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else None
    return value if isinstance(value, int) and 0 <= value <= LARGEST_SECONDS else None


def clean_moment(value: object) -> Moment | None:
    """Return a time in any form that Exotel writes; its placeholders, 1970 and year 1, are None."""
    match = _MOMENT.fullmatch(clean_text(value, 64) or "")
    if match is None:
        return None
    day, clock, utc, sign, hours, minutes = match.groups()
    # A "+" that was not encoded in a form arrives as a blank.
    zone = "+00:00" if utc else f"{'-' if sign == '-' else '+'}{hours}:{minutes}" if sign else ""
    try:
        written = datetime.fromisoformat(f"{day}T{clock}{zone}")
    except ValueError:
        return None
    if not 1970 <= written.year <= 9998:
        return None
    at = (written if zone else written.replace(tzinfo=IST)).astimezone(UTC)
    return Moment(at=at, zoned=bool(zone)) if 1970 < at.year <= 9998 else None


def clean_url(value: object) -> str | None:
    """Return an http or https URL that has a host and neither user nor password."""
    url = clean_text(value, LONGEST_URL + 1)
    if url is None or len(url) > LONGEST_URL or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
    except ValueError:
        return None
    return url if usable else None


def fold(word: str) -> str:
    """Return the one spelling of a status word: `Agent-Cancelled` becomes `agent_canceled` (docs/exotel.md 11.5)."""
    return _SEPARATORS.sub("_", word.strip().lower()).strip("_").replace("cancelled", "canceled")


def as_object(value: object) -> Mapping[str, Any]:
    """Return the value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def only(value: object) -> object:
    """Return the first item of a list: some answers hold their one object in a list."""
    return value[0] if isinstance(value, list) and value else value


def read_json(body: bytes) -> tuple[object, str]:
    """Return the value of a JSON text and "", or None and what is wrong: "unreadable" or "too_deep"."""
    try:
        value = _JSON.decode(_decoded(body))
    except ValueError:
        return None, "unreadable"
    except RecursionError:
        return None, "too_deep"
    return (None, "too_deep") if is_too_deep(value) else (value, "")


def is_too_deep(value: object) -> bool:
    """Return True if a parsed value is nested deeper than any message of Exotel."""
    layer = [value]
    for _ in range(DEEPEST_JSON):
        layer = [child for item in layer for child in _children(item)]
        if not layer:
            return False
    return True


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _decoded(body: bytes) -> str:
    try:
        return body.decode(json.detect_encoding(body), "surrogatepass")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def _whole_number(digits: str) -> int | str:
    # Python raises for numbers of thousands of digits; as text they are only unusable.
    return int(digits) if len(digits) <= 18 else digits


def _number(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


_JSON = json.JSONDecoder(parse_int=_whole_number, parse_float=_number, parse_constant=lambda _name: None)
