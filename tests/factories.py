"""Calls in the database, and their events: recorded directly, or delivered to the signed callback URLs."""

from __future__ import annotations

import itertools
import json
from typing import Any

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm import callback_urls
from django_exotel_ccm.choices import Authentication, EventKind, State
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services import record_event

SID = "5f0c2a9e7b1d4c68a3e2f9b0d4717b2c"

_numbers = itertools.count()


def record_callback(call: CallRecord, event: str, **facts: Any) -> CallEvent:
    """Record a callback: ``record_callback(call, "terminal", status="completed", talk_time=42)``; return the event."""
    return record_event(
        CallEvent(
            kind="callback",
            authentication="signed_url",
            reference=call.reference,
            event=event,
            facts=CallFacts(**facts).as_json(),
            raw=f"callback {next(_numbers)}".encode(),
            received_at=timezone.now(),
        )
    )


def raw_of(event: CallEvent) -> bytes:
    """Return the stored body."""
    return bytes(event.raw)


def url_of(call: CallRecord, event: str = "terminal") -> str:
    """Return the path to which Exotel reports ``event`` of the call."""
    return reverse("exotel_ccm:callback", args=[callback_urls.sign(call.reference, event)])


def body_of(event: str = "terminal", sid: str = SID, **details: Any) -> bytes:
    """Return a callback's body in v2's words."""
    state = "terminal" if event == "terminal" else "active"
    body = {"event_details": {"event_type": event}, "call_details": {"call_sid": sid, "call_state": state, **details}}
    return json.dumps(body).encode()


class Calls:
    """Makes calls, and delivers to them."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def requested(self, **fields: Any) -> CallRecord:
        """Return a call without events."""
        return CallRecord.objects.create(**{"account": "default", "created_at": timezone.now(), **fields})

    def accepted(self, sid: str | None = SID, **fields: Any) -> CallRecord:
        """Return a call that Exotel accepted; ``sid`` is the one in its answer."""
        call = self.requested(**fields)
        self.answer(call, State.ACTIVE, {"call_sid": sid} if sid else {})
        return self.reread(call)

    def answer(
        self, call: CallRecord, verdict: State, facts: dict[str, Any] | None = None, code: str = ""
    ) -> CallEvent:
        """Record the answer to the POST."""
        event = CallEvent(
            reference=call.reference,
            kind=EventKind.ANSWER,
            authentication=Authentication.CREDENTIALS,
            verdict=verdict,
            facts=facts,
            code=code,
            raw=json.dumps(facts).encode(),
            received_at=timezone.now(),
        )
        return record_event(event)

    def deliver(self, call: CallRecord, body: bytes | str, event: str = "terminal", **extra: Any) -> Any:
        """POST a body to the call's URL for ``event``, as JSON by default."""
        extra.setdefault("content_type", "application/json")
        return self.client.generic("POST", url_of(call, event), body, **extra)

    def reread(self, call: CallRecord) -> CallRecord:
        """Return the call as the database has it."""
        return CallRecord.objects.get(pk=call.pk)
