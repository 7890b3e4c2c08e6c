"""The simulator's book: every request received, the truth of every call, every delivery tried, every fault made."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from django_exotel_ccm.simulator.call_flow import PRESSES, SimulatedCall

CALL_DETAILS = re.compile(r"/v2/accounts/[^/]+/calls/([^/]+)/?")
LONG_SEGMENT = re.compile(r"(?<=[^/]/)([^/\s?'\")]{6})[^/\s?'\")]{11,}")  # only a token is that long
QUERY = re.compile(r"\?[^\s'\")]+")
USERINFO = re.compile(r"(?<=://)[^/@\s]*@")
CALL_FIELDS = (
    *("customer_number", "virtual_number", "custom_field", "phase", "state", "status", "created_at", "answered_at"),
    *("ended_at", "talk_time", "total_duration", "recording_url", "external"),
)

Destination = Literal["call", "account"]
"""Whose URL a callback goes to: the call's own, or the account's."""


def now() -> datetime:
    """Return the machine's time, aware, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class ReceivedRequest:
    """One HTTP request to the API. `at` is the simulated time, `wall_time` the machine's; both aware, UTC.

    `status` is what was answered: None if the connection was cut instead, or nothing was answered.
    """

    method: str
    path: str
    status: int | None
    body: Any
    at: datetime
    request_id: str
    wall_time: datetime
    query: str = ""

    @property
    def details_of(self) -> str | None:
        """The sid of the call whose Call Details this requests; None if it is another request."""
        found = CALL_DETAILS.fullmatch(self.path) if self.method == "GET" else None
        return found[1] if found else None


@dataclass(frozen=True)
class Delivery:
    """One try of one callback. `status` is the receiver's answer; without one, `error` says why.

    `faults` names what was done to this callback on purpose.
    """

    call_sid: str
    event: str
    url: str
    content_type: str
    body: dict[str, Any]
    destination: Destination = "call"
    faults: tuple[str, ...] = ()
    attempt: int = 0
    status: int | None = None
    error: str = ""
    at: datetime = field(default_factory=now)
    wall_time: datetime = field(default_factory=now)

    @property
    def succeeded(self) -> bool:
        """Whether the receiver acknowledged it."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class Fault:
    """Something that was made to go wrong: its name, the call's sid ("" if there is none), and with what."""

    name: str
    call_sid: str
    what: str
    at: datetime


@dataclass
class Book:
    """What happened, in its order. It grows while you read: copy a list before you count it."""

    requests: list[ReceivedRequest] = field(default_factory=list)
    calls: dict[str, SimulatedCall] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def as_json(self, newest: int = 0) -> dict[str, Any]:
        """Return the book without secrets: tokens in callback URLs are masked. 0 means all, else so many of each."""
        return {
            "requests": [
                {**vars(one), "body": masked(one.body), "details_of": one.details_of} for one in self.requests[-newest:]
            ],
            "calls": [call_json(call) for call in list(self.calls.values())[-newest:]],
            "deliveries": [
                {**vars(one), "url": masked_text(one.url), "error": masked_text(one.error)}
                for one in self.deliveries[-newest:]
            ],
            "faults": [vars(one) for one in self.faults[-newest:]],
        }


def call_json(call: SimulatedCall) -> dict[str, Any]:
    """Return a call for the page and `/book.json`."""
    return {
        "call_sid": call.sid,
        "agent": {"name": call.agent.name, "uri": call.agent.uri},
        **{name: getattr(call, name) for name in CALL_FIELDS},
        "presses": sorted(PRESSES[call.phase]),
    }


def masked_text(text: str) -> str:
    """Return a URL, or a text with some: long path segments cut to 6 characters, no query, no password."""
    return LONG_SEGMENT.sub(r"\1…", QUERY.sub("?…", USERINFO.sub("", text)))


def masked(value: Any) -> Any:
    """Return a JSON value with every URL in it masked."""
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return masked_text(value) if isinstance(value, str) and "://" in value else value
