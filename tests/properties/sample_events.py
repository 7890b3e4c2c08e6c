"""Sample events: what we receive about a call, as it comes over HTTP and as the join takes it."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django_exotel_ccm.choices import Authentication, EventKind, State
from django_exotel_ccm.exotel.callbacks import read_callback
from django_exotel_ccm.exotel.calls import CallFacts, facts_of_answer
from django_exotel_ccm.lifecycle import Message
from tests.lifecycle.messages import SID, at

OTHER = "b" * 32
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
RECORDING = "https://recordings.exotel.com/acme/1.mp3"
SECOND = "https://recordings.exotel.com/acme/2.mp3"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleEvent:
    """An event of a call, received ``seconds`` after the call was placed.

    Of a callback, ``body`` is sent to the URL for ``url``; of an answer, ``answer`` is the answer's JSON.
    """

    name: str
    seconds: int
    kind: EventKind = EventKind.CALLBACK
    url: str = ""
    body: bytes = b""
    content_type: str = JSON
    answer: dict[str, Any] = field(default_factory=dict, hash=False)
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
        """Return the facts of the message, as our parsers read them."""
        if self.kind != EventKind.CALLBACK:
            return facts_of_answer(self.answer)
        return read_callback(self.body, self.content_type).facts or CallFacts()

    def as_message(self) -> Message:
        """Return the event as the join takes it."""
        readable = self.kind == EventKind.CALLBACK and not read_callback(self.body, self.content_type).reason
        return Message(
            kind=self.kind.value,
            facts=self.facts(),
            received_at=self.received_at,
            fingerprint=self.name,
            event=self.facts().reported_event(self.url) if readable else "",
            url_event=self.url,
            verdict=self.verdict,
            refusal=self.code if self.verdict == State.REFUSED else "",
            tries=self.tries,
        )


def v2(name: str, seconds: int, event: str, *, url: str = "", sid: str | None = SID, **details: Any) -> SampleEvent:
    """A v2 callback, to the URL of its event by default."""
    body = {"event_details": {"event_type": event}, "call_details": {"call_sid": sid, **details}}
    return SampleEvent(name=name, seconds=seconds, url=url or event, body=json.dumps(body).encode())


def v1(name: str, seconds: int, url: str, **fields: Any) -> SampleEvent:
    """A v1 callback as a form."""
    return SampleEvent(name=name, seconds=seconds, url=url, body=urlencode(fields).encode(), content_type=FORM)


def raw(name: str, seconds: int, url: str, body: bytes) -> SampleEvent:
    """A callback of any bytes."""
    return SampleEvent(name=name, seconds=seconds, url=url, body=body)


def accepted(seconds: int = 1, sid: str | None = SID) -> SampleEvent:
    body = {"response": {"call_sid": sid, "call_state": "active", "call_status": None}}
    return SampleEvent(name="accepted", seconds=seconds, kind=EventKind.ANSWER, answer=body, verdict=State.ACTIVE)


def refused(code: str, seconds: int = 1, tries: int = 1) -> SampleEvent:
    name = f"refused {code}"
    return SampleEvent(name=name, seconds=seconds, kind=EventKind.ANSWER, verdict=State.REFUSED, code=code, tries=tries)


def unconfirmed(seconds: int = 1) -> SampleEvent:
    return SampleEvent(name="unconfirmed", seconds=seconds, kind=EventKind.ANSWER, verdict=State.UNCONFIRMED)


def no_response(seconds: int = 100) -> SampleEvent:
    return SampleEvent(name="no_response", seconds=seconds, kind=EventKind.NO_RESPONSE, verdict=State.UNCONFIRMED)


def policy() -> SampleEvent:
    return SampleEvent(name="policy", seconds=0, kind=EventKind.POLICY, verdict=State.REFUSED, code="night")


def found(name: str, seconds: int, *, sid: str | None = SID, **call: Any) -> SampleEvent:
    """An answer of Call Details."""
    return SampleEvent(
        name=name, seconds=seconds, kind=EventKind.DETAILS, answer={"response": {"data": {"call_sid": sid, **call}}}
    )


def not_found(seconds: int = 80) -> SampleEvent:
    """Call Details' 404."""
    return SampleEvent(name="not found", seconds=seconds, kind=EventKind.DETAILS, code="404")
