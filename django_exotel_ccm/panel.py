"""What the panel on a page shows: where a call stands, what to do now, and when to ask again."""

from __future__ import annotations

import datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.adapters import TicketAdapter
from django_exotel_ccm.choices import Step
from django_exotel_ccm.descriptions import describe_status
from django_exotel_ccm.models import CallRecord

YOUNG, OLD = 60, 3600  # seconds since the press
POLL_YOUNG, POLL, POLL_OLD = 1, 3, 10  # seconds between two questions
SHOWN_AFTER_THE_END = datetime.timedelta(minutes=2)


def status_of(call: CallRecord, user: Any) -> dict[str, Any]:
    """Return where ``call`` stands, as JSON values; ``seconds`` is the age of the step, ``poll_after`` None at the end.

    What the agent was told of a refusal is shown if the call was read ``with_advice``.
    """
    told = describe_status(call, user, advice=getattr(call, "advice", None) or "")
    return {
        "reference": str(call.reference),
        "step": told.step.value,
        "headline": told.headline,
        "hint": told.hint,
        "is_over": told.is_over,
        "outcome": call.outcome,
        "talk_time": call.talk_time,
        "seconds": max(0, int((timezone.now() - told.since).total_seconds())),
        "poll_after": None if told.is_over else _poll_after(call, told.step),
    }


def _poll_after(call: CallRecord, step: Step) -> int:
    """Return the seconds until the next question: nobody waits long for news, and few ask about an old call."""
    age = (timezone.now() - call.created_at).total_seconds()
    if age < YOUNG:
        return POLL_YOUNG
    return POLL if age < OLD and step != Step.UNCONFIRMED else POLL_OLD


def call_to_show(newest: CallRecord | None, in_progress: CallRecord | None) -> CallRecord | None:
    """Return the call that a ticket's page follows: the user's ``newest`` about it, else their call in progress.

    A call is shown until two minutes after its end.
    """
    return newest if newest is not None and _is_shown(newest) else in_progress


def _is_shown(call: CallRecord) -> bool:
    return not call.is_over or timezone.now() - (call.ended_at or call.created_at) < SHOWN_AFTER_THE_END


def panel_of(call: CallRecord, user: Any, adapter: TicketAdapter | None = None) -> dict[str, Any]:
    """Return the context of ``exotel_ccm/panel.html``."""
    url = reverse("exotel_ccm:status", args=[call.reference])
    query = f"?{urlencode({'exotel_adapter': adapter.name})}" if adapter is not None else ""
    return {"status": status_of(call, user), "url": url + query}
