"""The facts in any documented callback body, or the reason why there are none (docs/exotel.md 4).

Exotel sends nested JSON (versions 2 and 3), flat JSON or a form of either kind (version 1), and the content type can
be missing or wrong. So the type only says what to try first. The work is linear in the length of the body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from .calls import CallFacts, facts_of_answer, find_call
from .values import is_too_deep, read_json

MOST_FIELDS = 200
MOST_ENTRIES = 20

_NAME = re.compile(r"\w+((?:\[\w*\]){0,6})", re.ASCII)
_NUMBER = re.compile("[0-9]{1,2}")
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,200})|([^";,\s]{1,200}))', re.IGNORECASE)
_SNIFFED_BOUNDARY = re.compile(rb"\s*--([^\r\n\s]{1,200})[ \t]*\r?\n")
_PART_NAME = re.compile(r'[;\s]name=(?:"([^"\r\n]{0,200})"|([^";\s]{1,200}))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Callback:
    """What the body of a callback says."""

    facts: CallFacts | None
    reason: str
    """"" or why there are no facts: empty, unreadable, not_an_object, no_call, too_deep."""
    canonical: bytes
    """The content in a form that does not depend on the order of members; of an unreadable body, the body itself."""


def read_callback(body: bytes, content_type: str) -> Callback:
    """Read the body of a callback, whatever it is. Raises nothing."""
    if not body.strip():
        return Callback(None, "empty", body)
    values, reasons = [], set()
    for reader in _readers(content_type):
        value, reason = reader(body, content_type)
        if isinstance(value, dict):
            facts = facts_of_answer(value)
            # Most bodies name their event; so the call is seldom looked for twice.
            if facts.event is not None or find_call(value) is not None:
                return Callback(facts, "", _canonical(value))
        values += [] if reason else [value]
        reasons.add(reason)
    if "too_deep" in reasons or not values:
        return Callback(None, "too_deep" if "too_deep" in reasons else "unreadable", body)
    objects = [value for value in values if isinstance(value, dict)]
    return Callback(None, "no_call" if objects else "not_an_object", _canonical((objects or values)[0]))


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


_Reading = tuple[object, str]


def _readers(content_type: str) -> list[Callable[[bytes, str], _Reading]]:
    """Return the ways to read a body: first the one of its content type, then the others."""
    declared = content_type.strip().lower()
    first = [reader for kind, reader in _KINDS if declared.startswith(kind)]
    return [*first, *(reader for _, reader in _KINDS if reader not in first)]


def _read_json(body: bytes, _content_type: str) -> _Reading:
    value, reason = read_json(body)
    if isinstance(value, list) and len(value) == 1:
        return value[0], reason
    return value, reason


def _read_form(body: bytes, _content_type: str) -> _Reading:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    try:
        pairs = parse_qsl(text.strip(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        return None, "unreadable"
    # Without "=" it is no form, although `parse_qsl` reads it as a name.
    return _nested(pairs if "=" in text else [])


def _read_multipart(body: bytes, content_type: str) -> _Reading:
    # The parser in `email` is not used: its work is quadratic in the nesting of the parts.
    declared, sniffed = _BOUNDARY.search(content_type), _SNIFFED_BOUNDARY.match(body)
    boundaries = [(declared[1] or declared[2]).encode("latin-1", "replace")] if declared else []
    boundaries += [sniffed[1]] if sniffed else []
    boundary = next((known for known in boundaries if b"--" + known in body), None)
    if boundary is None:
        return None, "unreadable"
    delimiter = re.compile(rb"(?:\A\s*|\r?\n)--" + re.escape(boundary) + rb"(?:--)?[ \t]*(?=\r?\n|\Z)")
    parts = delimiter.split(body, MOST_FIELDS)[1:]
    return _nested([pair for part in parts if (pair := _part(part))])


def _part(part: bytes) -> tuple[str, str] | None:
    head, _, content = part.replace(b"\r\n", b"\n").lstrip(b"\n").partition(b"\n\n")
    name = _PART_NAME.search(head.decode("latin-1"))
    if name is None:
        return None
    try:
        return name[1] or name[2] or "", content.decode()
    except UnicodeDecodeError:
        return name[1] or name[2] or "", content.decode("latin-1")


_KINDS: tuple[tuple[str, Callable[[bytes, str], _Reading]], ...] = (
    ("application/json", _read_json),
    ("application/x-www-form-urlencoded", _read_form),
    ("multipart/", _read_multipart),
)


def _nested(pairs: list[tuple[str, str]]) -> _Reading:
    """Return the object that form fields such as `Legs[0][Status]` describe, if their names are valid."""
    root: dict[str, Any] = {}
    if not pairs or not all(_NAME.fullmatch(name) for name, _ in pairs):
        return None, "unreadable"
    for name, text in pairs:
        _put(root, name.replace("]", "").split("["), _value(text))
    value = {name: _listed(member) for name, member in root.items()}
    return (None, "too_deep") if is_too_deep(value) else (value, "")


def _put(branch: dict[str, Any], path: list[str], value: object) -> None:
    *way, last = path
    for step in way:
        inner = branch.setdefault(step or str(len(branch)), {})
        if not isinstance(inner, dict):
            return
        branch = inner
    branch[last or str(len(branch))] = value


def _value(text: str) -> object:
    """Return a field's text, or the object that it holds as JSON."""
    if text.lstrip()[:1] in {"{", "["}:
        value, reason = read_json(text.encode("utf-8", "surrogatepass"))
        return text if reason else value
    return text


def _listed(value: object) -> object:
    """Return the value with lists instead of objects whose names are numbers."""
    if not isinstance(value, dict):
        return value
    members = {name: _listed(member) for name, member in value.items()}
    numbers = {int(name): member for name, member in members.items() if _NUMBER.fullmatch(name)}
    if len(numbers) < len(members) or not numbers or max(numbers) >= MOST_ENTRIES:
        return members
    return [numbers.get(index) for index in range(max(numbers) + 1)]
