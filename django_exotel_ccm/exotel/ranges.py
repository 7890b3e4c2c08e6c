"""Byte ranges: the part of a recording that a player requests when a listener seeks (RFC 9110)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

_RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))", re.IGNORECASE)
_CONTENT_RANGE = re.compile(r"bytes (?:([0-9]{1,18})-([0-9]{1,18})|\*)/([0-9]{1,18}|\*)", re.IGNORECASE)


class Span(NamedTuple):
    """The bytes from ``first`` to ``last``, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """Return the number of bytes."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class ByteRange:
    """One requested range: from ``first`` to ``last`` or the end; without ``first``, the last ``last`` bytes."""

    first: int | None
    last: int | None

    def __str__(self) -> str:
        return f"bytes={'' if self.first is None else self.first}-{'' if self.last is None else self.last}"

    def within(self, total: int) -> Span | None:
        """Return which of ``total`` bytes are meant; None if there are no such bytes."""
        if self.first is None:
            span = Span(max(0, total - (self.last or 0)), total - 1)
        else:
            span = Span(self.first, total - 1 if self.last is None else min(self.last, total - 1))
        return span if span.length > 0 else None


def parse_range(header: str) -> ByteRange | None:
    """Return the range of a ``Range`` header; None for no, several or unreadable ranges, which mean the whole.

    https://www.rfc-editor.org/rfc/rfc9110#name-range
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        return ByteRange(None, int(suffix))
    wanted = ByteRange(int(first), int(last) if last else None)
    return None if wanted.last is not None and wanted.last < int(first) else wanted


def parse_content_range(header: str) -> tuple[Span | None, int | None] | None:
    """Return span and total length of a ``Content-Range`` header, each None for "*"; None if it is unreadable."""
    match = _CONTENT_RANGE.fullmatch(header.strip())
    if match is None:
        return None
    first, last, total = match.groups()
    span = None if first is None else Span(int(first), int(last))
    whole = None if total == "*" else int(total)
    if span is not None and (span.length < 1 or (whole is not None and span.last >= whole)):
        return None
    return span, whole
