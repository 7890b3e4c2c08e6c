"""What goes over the wire as values: a request read, an answer to be written."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from urllib.parse import parse_qs

JSON = "application/json"
WEB_PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


class Headers(Protocol):
    """The headers of a request, by a name in any case."""

    def get(self, name: str, /) -> str | None:
        """The header's value, or None."""


@dataclass(frozen=True)
class Account:
    """The simulated account: what the client must know to be let in."""

    key: str = "sim-key"
    token: str = field(default="sim-token", repr=False)
    sid: str = "simulated1"

    def admits(self, authorization: str) -> bool:
        """Is this `Authorization` header our key and token?"""
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            given = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(given, f"{self.key}:{self.token}".encode())


@dataclass(frozen=True)
class Request:
    """An HTTP request, its body read."""

    method: str
    target: str
    headers: Headers
    content: bytes = b""
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]

    def query(self, name: str, default: str = "") -> str:
        """The last value of a query parameter."""
        return parse_qs(self.target.partition("?")[2]).get(name, [default])[-1]

    def header(self, name: str) -> str:
        """A header's value, "" if absent."""
        return self.headers.get(name) or ""

    def json(self) -> Any:
        """The body as JSON; ValueError if it is none."""
        try:
            return json.loads(self.content, parse_constant=_no_constant)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


Way = Literal["whole", "closed", "reset", "hang"]
"""How an answer goes out. closed: the connection is closed instead. reset: headers and half the body, then the
connection is reset. hang: nothing, until the client gives up."""


@dataclass(frozen=True)
class Stream:
    """A body in pieces, made while it is sent; `length` is None if it never ends."""

    chunks: Iterable[bytes]
    length: int | None


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, and how it goes out; `delay` waits real seconds first, `stream` replaces `content`."""

    status: int
    content: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
    way: Way = "whole"
    stream: Stream | None = None

    @property
    def length(self) -> int | None:
        """Bytes of the body; None if it never ends."""
        return self.stream.length if self.stream else len(self.content)

    def chunks(self) -> Iterable[bytes]:
        """The body in pieces."""
        return self.stream.chunks if self.stream else (self.content,)

    delay: float = 0.0


def json_answer(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer whose body is JSON."""
    return Answer(status, json.dumps(value).encode(), JSON, headers or {})


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
