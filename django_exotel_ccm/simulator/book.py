"""The simulator's own book: every request received, the truth of every call, every delivery tried."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django_exotel_ccm.simulator.calls import SimulatedCall

LONG_SEGMENT = re.compile(r"(?<=[^/]/)([^/\s?'\")]{6})[^/\s?'\")]{11,}")  # nothing but a token is that long
QUERY = re.compile(r"\?[^\s'\")]+")
USERINFO = re.compile(r"(?<=://)[^/@\s]*@")


@dataclass(frozen=True)
class SeenRequest:
    """One HTTP request to the API. `status` is what was answered: None if the connection was cut instead."""

    method: str
    path: str
    status: int | None
    body: Any
    at: datetime
    request_id: str


@dataclass(frozen=True)
class Delivery:
    """One try of one callback. `status` is the receiver's answer; without one, `error` says why."""

    call_sid: str
    event: str
    url: str
    attempt: int
    status: int | None
    error: str
    at: datetime
    content_type: str
    body: dict[str, Any]

    @property
    def succeeded(self) -> bool:
        """Did the receiver acknowledge it?"""
        return self.status is not None and 200 <= self.status < 300


@dataclass
class Book:
    """What happened, in the order in which it happened. Appended to while you read; copy before you count."""

    requests: list[SeenRequest] = field(default_factory=list)
    calls: dict[str, SimulatedCall] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The whole book without secrets: tokens in callback URLs are masked."""
        return {
            "requests": [request_json(request) for request in list(self.requests)],
            "calls": [call_json(call) for call in list(self.calls.values())],
            "deliveries": [delivery_json(delivery) for delivery in list(self.deliveries)],
        }


def masked_url(text: str) -> str:
    """A URL, or a text with some: long path segments cut to 6 characters, no query, no password."""
    return LONG_SEGMENT.sub(r"\1…", QUERY.sub("?…", USERINFO.sub("", text)))


def masked(value: Any) -> Any:
    """A JSON value with every URL in it masked."""
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return masked_url(value) if isinstance(value, str) and "://" in value else value


def request_json(request: SeenRequest) -> dict[str, Any]:
    """A request, for the page and `/book.json`."""
    return {
        "method": request.method,
        "path": request.path,
        "status": request.status,
        "body": masked(request.body),
        "at": request.at.isoformat(),
        "request_id": request.request_id,
    }


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    """A delivery, for the page and `/book.json`."""
    return {
        "call_sid": delivery.call_sid,
        "event": delivery.event,
        "url": masked_url(delivery.url),
        "attempt": delivery.attempt,
        "status": delivery.status,
        "error": masked_url(delivery.error),
        "at": delivery.at.isoformat(),
        "content_type": delivery.content_type,
        "body": delivery.body,
    }


def call_json(call: SimulatedCall) -> dict[str, Any]:
    """A call, for the page and `/book.json`."""
    return {
        "call_sid": call.sid,
        "agent": {"name": call.agent.name, "uri": call.agent.uri},
        "customer_number": call.customer_number,
        "virtual_number": call.virtual_number,
        "custom_field": call.custom_field,
        "phase": call.phase,
        "moves": [list(move) for move in sorted(call.moves())],
        "state": call.state,
        "status": call.status,
        "created_at": call.created_at.isoformat(),
        "talk_time": call.talk_time,
        "total_duration": call.total_duration,
        "recording": call.recorded,
    }
