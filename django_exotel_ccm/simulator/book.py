"""The simulator's own book: every request received, the truth of every call, every delivery tried."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from django_exotel_ccm.simulator.calls import SimulatedCall

DETAILS = re.compile(r"/v2/accounts/[^/]+/calls/([^/]+)/?")
LONG_SEGMENT = re.compile(r"(?<=[^/]/)([^/\s?'\")]{6})[^/\s?'\")]{11,}")  # nothing but a token is that long
QUERY = re.compile(r"\?[^\s'\")]+")
USERINFO = re.compile(r"(?<=://)[^/@\s]*@")


@dataclass(frozen=True)
class SeenRequest:
    """One HTTP request to the API. `at` is the simulated time, `really_at` the machine's; both aware, UTC.

    `status` is what was answered: None if the connection was cut instead, or nothing was answered.
    """

    method: str
    path: str
    status: int | None
    body: Any
    at: datetime
    request_id: str
    really_at: datetime

    @property
    def details_of(self) -> str | None:
        """The sid of the call whose details were asked for; None if the request is another one."""
        found = DETAILS.fullmatch(self.path) if self.method == "GET" else None
        return found[1] if found else None


@dataclass(frozen=True)
class Fault:
    """Something that was made to go wrong: its name, the call's sid ("" if there is none), and with what."""

    name: str
    call_sid: str
    what: str
    at: datetime


@dataclass(frozen=True)
class Delivery:
    """One try of one callback. `status` is the receiver's answer; without one, `error` says why.

    `lane` says whose URL it went to; `faults` names what was done to this callback on purpose.
    """

    call_sid: str
    event: str
    url: str
    attempt: int
    status: int | None
    error: str
    at: datetime
    content_type: str
    body: dict[str, Any]
    lane: Literal["call", "account"] = "call"
    faults: tuple[str, ...] = ()

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
    faults: list[Fault] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The whole book without secrets: tokens in callback URLs are masked."""
        return {
            "requests": [request_json(request) for request in list(self.requests)],
            "calls": [call_json(call) for call in list(self.calls.values())],
            "deliveries": [delivery_json(delivery) for delivery in list(self.deliveries)],
            "faults": [fault_json(fault) for fault in list(self.faults)],
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
        "really_at": request.really_at.isoformat(),
        "details_of": request.details_of,
        "request_id": request.request_id,
    }


def fault_json(fault: Fault) -> dict[str, Any]:
    """A fault, for the page and `/book.json`."""
    return {"name": fault.name, "call_sid": fault.call_sid, "what": fault.what, "at": fault.at.isoformat()}


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
        "lane": delivery.lane,
        "faults": list(delivery.faults),
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
        "answered_at": call.answered_at.isoformat() if call.answered_at else None,
        "ended_at": call.ended_at.isoformat() if call.ended_at else None,
        "talk_time": call.talk_time,
        "total_duration": call.total_duration,
        "answered": call.answered_at is not None,
        "recording": call.recorded,
        "recording_url": call.recording_url,
        "elsewhere": call.elsewhere,
    }
