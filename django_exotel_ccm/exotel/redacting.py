"""Addresses inside texts that people read: where they lead to stays, the path and a signature in its query go."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

HIDDEN = "/[…]"

# As Exotel's bodies spell them: plain, escaped for JSON, encoded for forms, or JSON within a form.
_COLON = r"(?::|\\u003a|%(?:25)?3a)"
_SLASH = r"(?:(?:\\|%(?:25)?5c)?(?:/|%(?:25)?2f)|\\u002f)"
_QUOTE = r"(?:%(?:25)?22)"
_ADDRESS = re.compile(rf"(https?{_COLON}{_SLASH}{{2}})((?:(?!{_QUOTE})[^\s\"'<>])*)", re.IGNORECASE)
_HOST = re.compile(r"\[[0-9a-f:.]*]|[\w.-]*", re.IGNORECASE)


def redact(text: str) -> str:
    """Return ``text`` with every http address in it cut to its scheme and host."""
    return _ADDRESS.sub(_redacted, text)


def _redacted(address: re.Match[str]) -> str:
    scheme, rest = address.groups()
    # In a form the next field begins at "&"; in an address that is not encoded it may be a part of the query.
    rest, *fields = rest.split("&", 1) if "%" in scheme else [rest]
    found = _HOST.match(rest)
    host = found[0] if found else ""
    return scheme + host + (HIDDEN if rest != host else "") + "".join(f"&{redact(field)}" for field in fields)


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value in which every text, but no name of a member, is changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [each_text(one, change) for one in value]
    return {name: each_text(one, change) for name, one in value.items()} if isinstance(value, dict) else value
