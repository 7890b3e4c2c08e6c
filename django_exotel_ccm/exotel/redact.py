"""Addresses in texts that people read: scheme and host stay, the path and a signature in the query are hidden."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

HIDDEN = "/[…]"

# As Exotel's bodies spell an address: plain, escaped for JSON, percent-encoded for forms, or JSON within a form.
_PLAIN = r"https?(?::|\\u003a)(?:\\?/|\\u002f){2}"
_ENCODED = r"https?(?::|\\u003a|%(?:25)?3a)(?:(?:\\|%(?:25)?5c)?(?:/|%(?:25)?2f)|\\u002f){2}"
_NO_QUOTE = r"(?!%(?:25)?22)"
# In a form the next field begins at "&"; in an address that is not encoded "&" may be a part of the query.
_ADDRESS = re.compile(
    rf"({_PLAIN})((?:{_NO_QUOTE}[^\s\"'<>])*)|({_ENCODED})((?:{_NO_QUOTE}[^\s\"'<>&])*)", re.IGNORECASE
)
_HOST = re.compile(r"\[[0-9a-f:.]*]|[\w.-]*", re.IGNORECASE)


def redact(text: str) -> str:
    """Return ``text`` with every http address in it cut to its scheme and host.

    The time is linear in the length of the text.
    """
    return _ADDRESS.sub(_redacted, text)


def _redacted(address: re.Match[str]) -> str:
    scheme, rest = address[1] or address[3], address[2] or address[4] or ""
    found = _HOST.match(rest)
    host = found[0] if found else ""
    return scheme + host + (HIDDEN if rest != host else "")


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value in which every text, but no name of a member, is changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [each_text(one, change) for one in value]
    return {name: each_text(one, change) for name, one in value.items()} if isinstance(value, dict) else value
