"""HTTP requests and responses as values."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from hmac import compare_digest
from typing import Any, Literal
from urllib.parse import parse_qs

TEXT = "text/plain; charset=utf-8"
HTML = "text/html"
WEB_PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"

Transmission = Literal["whole", "closed", "reset", "hang"]
"""How a response is sent. closed: the connection is closed instead. reset: headers and half of the body, then the
connection is reset. hang: nothing, until the client gives up."""


@dataclass(frozen=True)
class Account:
    """The simulated account: what the client must know."""

    key: str = "sim-key"
    token: str = field(default="sim-token", repr=False)
    sid: str = "simulated1"

    def accepts(self, authorization: str) -> bool:
        """Return True if this `Authorization` header holds our key and token."""
        expected = base64.b64encode(f"{self.key}:{self.token}".encode())
        scheme, _, given = authorization.partition(" ")
        return scheme.lower() == "basic" and compare_digest(given.encode(), expected)


@dataclass(frozen=True)
class Request:
    """An HTTP request whose body was read."""

    method: str
    target: str
    headers: Message
    content: bytes = b""
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]

    def query(self, name: str, default: str = "") -> str:
        """Return the last value of a query parameter."""
        return parse_qs(self.target.partition("?")[2]).get(name, [default])[-1]

    def header(self, name: str) -> str:
        """Return a header's value, "" if it is absent."""
        return self.headers.get(name) or ""

    def json(self) -> Any:
        """Return the body's JSON value; ValueError if it is not JSON."""
        try:
            return json.loads(self.content, parse_constant=_refuse_constant)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


@dataclass(frozen=True)
class Response:
    """An HTTP response, and how it is sent.

    `length` is None if the body never ends. `delay` is real seconds to wait first.
    """

    status: int
    content_type: str
    body: Iterable[bytes]
    length: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    transmission: Transmission = "whole"
    delay: float = 0.0


def response(status: int, content: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response whose body is at hand."""
    return Response(status, content_type, (content,), len(content), headers or {})


def json_response(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response whose body is JSON; times are written in ISO 8601."""
    return response(status, json.dumps(value, default=datetime.isoformat).encode(), "application/json", headers)


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
