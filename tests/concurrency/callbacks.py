"""Six callbacks of one call that contradict each other, and calls to deliver them to."""

from __future__ import annotations

import json
from typing import Any

from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm import callback_urls
from django_exotel_ccm.choices import Authentication, EventKind, State
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services import record_event
from django_exotel_ccm.services.reconciliation.reconcile import reconcile
from tests.concurrency.clients import Callback
from tests.helpdesk.models import Ticket
from tests.services.reconciliation.due_calls import make_due

TIMES = {"start_time": "2026-02-11 11:12:12+05:30", "end_time": "2026-02-11 11:14:58+05:30"}
OVER = {"call_state": "terminal", **TIMES}
#: (event of the URL, call_details of the body)
DETAILS: list[tuple[str, dict[str, Any]]] = [
    ("answered", {"call_state": "active"}),
    ("terminal", OVER | {"call_status": "completed", "total_talk_time": 141, "total_duration": 166}),
    ("terminal", OVER | {"call_status": "failed", "total_talk_time": 0}),
    ("terminal", OVER | {"call_status": "missed", "recordings": ["https://recordings.example.com/1.mp3"]}),
    ("terminal", OVER | {"call_status": "completed", "recordings": ["https://recordings.example.com/2.mp3"]}),
    ("terminal", {"call_state": "active", "total_talk_time": None, "end_time": None}),
]


def callbacks_of(call: CallRecord, sid: str) -> list[Callback]:
    """Return the six callbacks of a call."""
    return [callback(call, sid, event, number, details) for number, (event, details) in enumerate(DETAILS)]


def callback(
    call: CallRecord, sid: str, event: str, number: int = 0, details: dict[str, Any] | None = None
) -> Callback:
    """Return a callback to the call's signed URL for ``event``; ``number`` makes it differ from its like."""
    details = {"call_sid": sid, "custom_field": f"callback {number}", **(details or {})}
    body = {"event_details": {"event_type": event}, "call_details": details}
    path = reverse("exotel_ccm:callback", args=[callback_urls.sign(call.reference, event)])
    return Callback(str(call.reference), event, path, json.dumps(body).encode())


def deliver_the_rest() -> None:
    """Deliver what a last attempt left pending, without requests to Exotel."""
    CallRecord.objects.update(details_check_at=None)
    make_due()
    reconcile()


def accepted(sid: str, ticket: Ticket | None = None, **fields: Any) -> CallRecord:
    """Return a call about the ticket that Exotel accepted under ``sid``."""
    now = timezone.now()
    fields |= {"account": "default", "created_at": now}
    call = CallRecord.objects.create(**fields, **({"ticket": ticket} if ticket else {}))
    record_event(
        CallEvent(
            reference=call.reference,
            kind=EventKind.ANSWER,
            authentication=Authentication.CREDENTIALS,
            verdict=State.ACTIVE,
            facts={"call_sid": sid},
            received_at=timezone.now(),
        )
    )
    return call
