"""Sends a callback as Exotel does, to see what stands between Exotel and the callback view (docs/exotel.md 4.6)."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import urllib3

from . import transport
from .account import without_locals
from .client import cause_of, links_of, own_version
from .transport import Attempt, Connections

MAX_ANSWER = 64 * 1024

Obstacle = Literal["name", "refused", "timeout", "certificate", "lost"]
"""Why there was no answer: no such host name, nothing listens, no answer in time, an untrusted certificate, or else."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What answered. Redirects are not followed, as Exotel is reported not to follow them."""

    status: int
    content_type: str
    location: str
    body: bytes


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why nothing answered; ``cause`` is the system's own text and quotes nothing of the URL."""

    obstacle: Obstacle
    cause: str


def send_callback(url: str, body: bytes, *, within: float) -> Answer | NoAnswer:
    """Post ``body`` as JSON to ``url`` over a new connection, and return what came back within so many seconds."""
    with without_locals():
        return _send(url, body, within)


def _send(url: str, body: bytes, within: float) -> Answer | NoAnswer:
    parts = urlsplit(url)
    attempt = Attempt(transport.clock() + within, connect_timeout=within, read_timeout=within)
    headers = {"User-Agent": f"django-exotel-ccm/{own_version()}", "Content-Type": "application/json"}
    try:
        connections = Connections(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
        try:
            response = connections.send("POST", parts.path, headers, body, attempt)
            return Answer(
                status=response.status,
                content_type=response.headers.get("Content-Type", ""),
                location=response.headers.get("Location", ""),
                body=response.read(MAX_ANSWER, decode_content=True),
            )
        finally:
            connections.close()
    except Exception as error:  # noqa: BLE001 - whatever it is, its text may quote the URL
        return _no_answer(error)


def _no_answer(error: Exception) -> NoAnswer:
    links = links_of(error)
    for link in links:
        if isinstance(link, ssl.SSLCertVerificationError):
            return NoAnswer("certificate", link.verify_message)
    # urllib3 counts every connection that could not be made among its timeouts.
    for kind, obstacle in _OBSTACLES:
        if any(isinstance(link, kind) for link in links):
            return NoAnswer(obstacle, cause_of(error))
    return NoAnswer("lost", cause_of(error))


_OBSTACLES: tuple[tuple[type[BaseException], Obstacle], ...] = (
    (socket.gaierror, "name"),
    (ConnectionRefusedError, "refused"),
    (TimeoutError, "timeout"),
    (urllib3.exceptions.ReadTimeoutError, "timeout"),
)
