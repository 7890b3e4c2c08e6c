"""Fetches a recording, piece by piece, from addresses that are judged: the first one and that of every redirect."""

from __future__ import annotations

import logging
import math
from typing import Any, NamedTuple
from urllib.parse import urljoin

from . import connections, ranges
from .account import Account, without_locals
from .client import cause_of, credentials, own_version
from .connections import Attempt
from .pinning import PinnedConnection, pinned_connection
from .ranges import ByteRange, Span
from .recordings import KINDS, Address, RecordingError, judge, suffix_of

logger = logging.getLogger("django_exotel_ccm.exotel")

CONNECT_WITHIN = 5.0
ANSWER_WITHIN = 20.0  # redirects included; reading what follows may take as long as anything comes
SILENT_FOR = 30.0
MOST_REDIRECTS = 3
CHUNK = 64 * 1024

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MISSING = frozenset({403, 404, 410})  # S3 says 403 of what is not there, and of an expired signature


class NotThere(RecordingError):
    """There is no such recording: not yet, or not any more."""


class CredentialsRefused(RecordingError):
    """Exotel does not take the account's key and token."""


class Unfetchable(RecordingError):
    """Something else stands in the way: the text says what."""


class RecordingBroken(RecordingError):
    """The recording stopped in the middle."""


class OpenRecording:
    """A recording that is ready to be read, once and from front to back. Whoever has one closes it."""

    def __init__(self, answer: _Answer, part: _Part) -> None:
        self._answer = answer
        self.status = part.status
        """200 for the whole, 206 for a part, 416 for a part that there is not."""
        self.media_type = KINDS.get(part.suffix, "")
        self.suffix = part.suffix
        self.span = part.span
        self.total = part.total
        """The whole recording's length in bytes; None when unknown."""
        self.length = part.length
        """How many bytes there are to read; None when unknown."""
        self._skip = part.skip
        self._left = part.length

    @without_locals()
    def read(self) -> bytes:
        """Return the next bytes, at most 64 KiB; b"" at the end. Raises :class:`RecordingBroken`."""
        try:
            while self._skip and (skipped := self._answer.read(self._skip)):
                self._skip -= len(skipped)
            chunk = self._answer.read(self._left)
            broken = None if chunk or not self._left else "it ended too early"
        except Exception as error:  # noqa: BLE001 - whatever it is, its frames hold the address
            broken = cause_of(error)
        if broken is not None:
            self.close()
            raise RecordingBroken(broken)
        if self._left is not None:
            self._left -= len(chunk)
        return chunk

    def close(self) -> None:
        """Close the connection."""
        self._answer.close()

    def abort(self) -> None:
        """End a read that goes on in another thread."""
        self._answer.abort()

    def __del__(self) -> None:
        # A server drops our answer unread when its client has left meanwhile.
        self.close()


def open_recording(account: Account, url: str, wanted: ByteRange | None = None) -> OpenRecording:
    """Ask for a recording, or the part ``wanted`` of it, and return it once its first headers are here.

    Raises :class:`RecordingError`: :class:`AddressRefused`, :class:`NotThere`, :class:`CredentialsRefused`,
    :class:`Unfetchable`.
    """
    began_at = connections.clock()
    with without_locals():
        outcome = _outcome(account, url, wanted)
    said = outcome.status if isinstance(outcome, OpenRecording) else type(outcome).__name__
    logger.info("GET recording: %s, %d ms", said, (connections.clock() - began_at) * 1000)
    # Raise here, outside of any except block: frames further in hold the Authorization header.
    if isinstance(outcome, RecordingError):
        raise outcome
    return outcome


def _outcome(account: Account, url: str, wanted: ByteRange | None) -> OpenRecording | RecordingError:
    deadline_at = connections.clock() + ANSWER_WITHIN
    try:
        for _redirect in range(MOST_REDIRECTS + 1):
            answer = _ask(account, judge(url, account), wanted, deadline_at)
            location = answer.header("Location")
            if answer.status not in REDIRECTS or not location:
                return _opened(answer, wanted)
            answer.close()
            url = urljoin(url, location)
        return Unfetchable("it redirects too often")
    except RecordingError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever it is, its frames hold the Authorization header
        return Unfetchable(cause_of(error))


# Asking.


class _Answer:
    """An answer whose body is still to be read."""

    def __init__(self, connection: PinnedConnection, response: Any, target: str, attempt: Attempt) -> None:
        self._connection = connection
        self._response = response
        self.attempt = attempt
        self.target = target
        self.status: int = response.status

    def header(self, name: str) -> str:
        return str(self._response.headers.get(name, ""))

    def read(self, most: int | None) -> bytes:
        amount = CHUNK if most is None else min(CHUNK, most)
        return bytes(self._response.read(amount, decode_content=False)) if amount else b""

    def close(self) -> None:
        self._response.close()
        self._connection.close()

    def abort(self) -> None:
        self._connection.abort()


def _ask(account: Account, address: Address, wanted: ByteRange | None, deadline_at: float) -> _Answer:
    attempt = Attempt(deadline_at, CONNECT_WITHIN, SILENT_FOR)
    connection = pinned_connection(address, attempt)
    try:
        with connections.watching(attempt):
            connection.request(
                "GET",
                address.target,
                headers=_headers(account if address.with_credentials else None, wanted),
                preload_content=False,
                decode_content=False,
            )
            response = connection.getresponse()
    except BaseException:
        connection.close()
        raise
    return _Answer(connection, response, address.target, attempt)


def _headers(account: Account | None, wanted: ByteRange | None) -> dict[str, str]:
    headers = {
        "User-Agent": f"django-exotel-ccm/{own_version()}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    if account is not None:
        headers["Authorization"] = f"Basic {credentials(account)}"
    return headers if wanted is None else {**headers, "Range": str(wanted)}


# Understanding the answer.


class _Part(NamedTuple):
    """Which part of the recording an answer holds, and how much of it stands before what was wanted."""

    status: int
    suffix: str = ""
    span: Span | None = None
    total: int | None = None
    length: int | None = 0
    skip: int = 0


def _opened(answer: _Answer, wanted: ByteRange | None) -> OpenRecording:
    try:
        part = _part(answer, wanted)
    except BaseException:
        answer.close()
        raise
    # From here on only silence ends the reading.
    answer.attempt.deadline_at = math.inf
    return OpenRecording(answer, part)


def _part(answer: _Answer, wanted: ByteRange | None) -> _Part:
    if answer.status == 416 and wanted is not None:
        told = ranges.given(answer.header("Content-Range"))
        return _Part(416, total=told[1] if told else None)
    if answer.status == 401:
        raise CredentialsRefused("HTTP 401")
    if answer.status in MISSING:
        raise NotThere(f"HTTP {answer.status}")
    if answer.status not in (200, 206):
        raise Unfetchable(f"HTTP {answer.status}")
    suffix = suffix_of(answer.header("Content-Type"), answer.target)
    if suffix is None:
        raise Unfetchable(f"its type is {answer.header('Content-Type')[:100]!r}, which is no sound")
    if answer.header("Content-Encoding").strip().lower() not in ("", "identity"):
        raise Unfetchable("it is compressed, though nobody asked for that")
    length = _length(answer.header("Content-Length"))
    return _some(answer, wanted, suffix, length) if answer.status == 206 else _whole(wanted, suffix, length)


def _some(answer: _Answer, wanted: ByteRange | None, suffix: str, length: int | None) -> _Part:
    told = ranges.given(answer.header("Content-Range"))
    span, total = told or (None, None)
    if wanted is None or span is None or length not in (None, span.length) or not _fits(span, total, wanted):
        raise Unfetchable("HTTP 206 with another part than was asked for")
    return _Part(206, suffix, span, total, span.length)


def _fits(span: Span, total: int | None, wanted: ByteRange) -> bool:
    if total is not None:
        return span == wanted.within(total)
    return span.first == wanted.first and (wanted.last is None or span.last <= wanted.last)


def _whole(wanted: ByteRange | None, suffix: str, length: int | None) -> _Part:
    """All of it, or of all the part that was wanted: whether Exotel's hosts know ranges is not documented."""
    if wanted is None or length is None:
        return _Part(200, suffix, total=length, length=length)
    span = wanted.within(length)
    if span is None:
        return _Part(416, total=length)
    return _Part(206, suffix, span, length, span.length, skip=span.first)


def _length(header: str) -> int | None:
    return int(header) if header.isascii() and header.isdigit() and len(header) < 19 else None
