"""Events of calls, recorded as a callback would be."""

from __future__ import annotations

import itertools
from typing import Any

from django.utils import timezone

from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services import record_event

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
