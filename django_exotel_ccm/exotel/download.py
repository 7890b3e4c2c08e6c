"""Fetches a recording in pieces. The first address and that of each redirect are checked."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection
from typing import Any, NamedTuple
from urllib.parse import urljoin

from django_exotel_ccm import metrics

from . import transport
from .account import Account, without_locals
from .client import cause_of, credentials, own_version
from .ranges import ByteRange, Span, parse_content_range
from .recordings import KINDS, Address, RecordingError, check_address, suffix_of
from .transport import Attempt, Connections

logger = logging.getLogger("django_exotel_ccm.exotel")

CONNECT_WITHIN = 5.0
ANSWER_WITHIN = 20.0  # redirects included; the body may take longer, as long as bytes keep coming
SILENT_FOR = 30.0
MOST_REDIRECTS = 3
CHUNK = 64 * 1024

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MISSING = frozenset({403, 404, 410})  # S3 answers 403 for missing objects and for expired signatures


class NotThere(RecordingError):
    """There is no such recording: not yet, or no longer."""


class CredentialsRefused(RecordingError):
    """Exotel does not accept the account's key and token."""


class Unfetchable(RecordingError):
    """The recording cannot be fetched for another reason, which the text says."""


class RecordingBroken(RecordingError):
    """The recording stopped in the middle."""


class RecordingStream:
    """A recording that is ready to be read once, from front to back. Its owner closes it."""

    def __init__(self, answer: _Answer, part: _Part) -> None:
        self._answer = answer
        self.status = part.status
        """200 for the whole, 206 for a part, 416 for a part that does not exist."""
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
        self._answer.attempt.abort()

    def __del__(self) -> None:
        # A server drops our answer unread if its client has left meanwhile.
        self.close()


def open_recording(
    account: Account,
    url: str,
    wanted: ByteRange | None = None,
    hosts: Collection[str] = (),
    *,
    reference: str = "",
) -> RecordingStream:
    """Request a recording, or the part ``wanted`` of it, and return it once its headers have arrived.

    ``hosts`` are allowed in addition to Exotel's. ``reference`` names the call in the log.

    Raises :class:`RecordingError`: :class:`AddressRefused`, :class:`NotThere`, :class:`CredentialsRefused`,
    :class:`Unfetchable`.
    """
    began_at = transport.clock()
    with without_locals():
        outcome = _outcome(account, url, wanted, hosts)
    status = outcome.status if isinstance(outcome, RecordingStream) else type(outcome).__name__
    seconds = transport.clock() - began_at
    metrics.observe_request("recording", str(status), seconds)
    what = f"recording {reference}" if reference else "recording"
    http_status = outcome.status if isinstance(outcome, RecordingStream) else None
    fields = {"reference": reference, "http_status": http_status}
    logger.info("GET %s: %s, %d ms", what, status, seconds * 1000, extra=fields)
    # Raise here, outside of any except block: frames further in hold the Authorization header.
    if isinstance(outcome, RecordingError):
        raise outcome
    return outcome


def _outcome(
    account: Account, url: str, wanted: ByteRange | None, hosts: Collection[str]
) -> RecordingStream | RecordingError:
    deadline_at = transport.clock() + ANSWER_WITHIN
    try:
        for _redirect in range(MOST_REDIRECTS + 1):
            address = check_address(url, account, hosts)
            answer = _request(account, address, wanted, deadline_at)
            location = answer.header("Location")
            if answer.status not in REDIRECTS or not location:
                return _opened(answer, wanted)
            answer.close()
            url = urljoin(str(address), location)
        return Unfetchable("it redirects too often")
    except RecordingError as error:
        return error
    except Exception as error:  # noqa: BLE001 - whatever it is, its frames hold the Authorization header
        return Unfetchable(cause_of(error))


# The request.


class _Answer:
    """An answer whose body is still to be read."""

    def __init__(self, connections: Connections, response: Any, target: str, attempt: Attempt) -> None:
        self._connections = connections
        self._response = response
        self.attempt = attempt
        self.target = target
        self.status: int = response.status

    def header(self, name: str) -> str:
        return str(self._response.headers.get(name, ""))

    def read(self, most: int | None) -> bytes:
        amount = CHUNK if most is None else min(CHUNK, most)
        return bytes(self._response.read(amount)) if amount else b""

    def close(self) -> None:
        self._response.close()
        self._connections.close()


def _request(account: Account, address: Address, wanted: ByteRange | None, deadline_at: float) -> _Answer:
    attempt = Attempt(deadline_at, CONNECT_WITHIN, SILENT_FOR)
    connections = Connections(address.origin)
    headers = _headers(account if address.with_credentials else None, wanted)
    return _Answer(
        connections, connections.send("GET", address.target, headers, None, attempt), address.target, attempt
    )


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


# The answer.


class _Part(NamedTuple):
    """Which part of the recording an answer holds, and how many bytes precede the wanted part."""

    status: int
    suffix: str = ""
    span: Span | None = None
    total: int | None = None
    length: int | None = 0
    skip: int = 0


def _opened(answer: _Answer, wanted: ByteRange | None) -> RecordingStream:
    try:
        part = _part(answer, wanted)
    except BaseException:
        answer.close()
        raise
    # From here on only silence ends the reading.
    answer.attempt.deadline_at = math.inf
    return RecordingStream(answer, part)


def _part(answer: _Answer, wanted: ByteRange | None) -> _Part:
    if answer.status == 416 and wanted is not None:
        content_range = parse_content_range(answer.header("Content-Range"))
        return _Part(416, total=content_range[1] if content_range else None)
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
    content_range = parse_content_range(answer.header("Content-Range"))
    span, total = content_range or (None, None)
    if wanted is None or span is None or length not in (None, span.length) or not _fits(span, total, wanted):
        raise Unfetchable("HTTP 206 with another part than was asked for")
    return _Part(206, suffix, span, total, span.length)


def _fits(span: Span, total: int | None, wanted: ByteRange) -> bool:
    if total is not None:
        return span == wanted.within(total)
    return span.first == wanted.first and (wanted.last is None or span.last <= wanted.last)


def _whole(wanted: ByteRange | None, suffix: str, length: int | None) -> _Part:
    """Return the whole, or the wanted part cut out of it: Exotel does not document whether its hosts know ranges."""
    if wanted is None or length is None:
        return _Part(200, suffix, total=length, length=length)
    span = wanted.within(length)
    if span is None:
        return _Part(416, total=length)
    return _Part(206, suffix, span, length, span.length, skip=span.first)


def _length(header: str) -> int | None:
    return int(header) if header.isascii() and header.isdigit() and len(header) < 19 else None
