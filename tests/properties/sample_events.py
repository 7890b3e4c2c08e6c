"""News: one thing that we are told of a call, as it comes over the wire and as the join takes it."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django_exotel_ccm.choices import Authentication, EventKind, State
from django_exotel_ccm.exotel.callbacks import read_callback
from django_exotel_ccm.exotel.calls import CallFacts, facts_of_answer
from django_exotel_ccm.lifecycle import Message, event_of
from tests.lifecycle.messages import SID, at

OTHER = "b" * 32
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
RECORDING = "https://recordings.exotel.com/acme/1.mp3"
SECOND = "https://recordings.exotel.com/acme/2.mp3"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One thing that we are told, received ``seconds`` after the call was placed.

    Of a callback, ``body`` is sent to the URL for ``url``; of an answer, ``says`` is the answer's JSON.
    """

    name: str
    seconds: int
    kind: EventKind = EventKind.CALLBACK
    url: str = ""
    body: bytes = b""
    content_type: str = JSON
    says: dict[str, Any] = field(default_factory=dict, hash=False)
    verdict: str = ""
    code: str = ""
    tries: int = 1

    @property
    def received_at(self) -> datetime.datetime:
        return at(self.seconds)

    @property
    def authentication(self) -> Authentication:
        ours = self.kind in (EventKind.NO_RESPONSE, EventKind.POLICY)
        return Authentication.OURSELVES if ours else Authentication.CREDENTIALS

    def facts(self) -> CallFacts:
        """What the message says, read by our parsers."""
        if self.kind != EventKind.CALLBACK:
            return facts_of_answer(self.says)
        return read_callback(self.body, self.content_type).facts or CallFacts()

    def told(self) -> Message:
        """The same, as the join takes it."""
        readable = self.kind == EventKind.CALLBACK and not read_callback(self.body, self.content_type).reason
        return Message(
            kind=self.kind.value,
            facts=self.facts(),
            received_at=self.received_at,
            fingerprint=self.name,
            event=event_of(self.facts(), self.url) if readable else "",
            url_event=self.url,
            verdict=self.verdict,
            refusal=self.code if self.verdict == State.REFUSED else "",
            tries=self.tries,
        )


def v2(name: str, seconds: int, event: str, *, url: str = "", sid: str | None = SID, **details: Any) -> News:
    """A callback in v2's words, to the URL of its event unless told."""
    body = {"event_details": {"event_type": event}, "call_details": {"call_sid": sid, **details}}
    return News(name=name, seconds=seconds, url=url or event, body=json.dumps(body).encode())


def v1(name: str, seconds: int, url: str, **fields: Any) -> News:
    """A callback as a form, in v1's words."""
    return News(name=name, seconds=seconds, url=url, body=urlencode(fields).encode(), content_type=FORM)


def raw(name: str, seconds: int, url: str, body: bytes) -> News:
    """A callback of any bytes."""
    return News(name=name, seconds=seconds, url=url, body=body)


def accepted(seconds: int = 1, sid: str | None = SID) -> News:
    says = {"response": {"call_sid": sid, "call_state": "active", "call_status": None}}
    return News(name="accepted", seconds=seconds, kind=EventKind.ANSWER, says=says, verdict=State.ACTIVE)


def refused(code: str, seconds: int = 1, tries: int = 1) -> News:
    name = f"refused {code}"
    return News(name=name, seconds=seconds, kind=EventKind.ANSWER, verdict=State.REFUSED, code=code, tries=tries)


def unconfirmed(seconds: int = 1) -> News:
    return News(name="unconfirmed", seconds=seconds, kind=EventKind.ANSWER, verdict=State.UNCONFIRMED)


def no_response(seconds: int = 100) -> News:
    return News(name="no_response", seconds=seconds, kind=EventKind.NO_RESPONSE, verdict=State.UNCONFIRMED)


def policy() -> News:
    return News(name="policy", seconds=0, kind=EventKind.POLICY, verdict=State.REFUSED, code="night")


def found(name: str, seconds: int, *, sid: str | None = SID, **call: Any) -> News:
    """An answer of Call Details."""
    return News(
        name=name, seconds=seconds, kind=EventKind.DETAILS, says={"response": {"data": {"call_sid": sid, **call}}}
    )


def not_found(seconds: int = 80) -> News:
    """Call Details' 404."""
    return News(name="not found", seconds=seconds, kind=EventKind.DETAILS, code="404")
