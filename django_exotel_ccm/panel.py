"""What the panel on a page shows: where a call stands, what to do now, and when to ask again."""

from __future__ import annotations

import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from django_exotel_ccm.adapters import TicketAdapter, page_url
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.descriptions import describe_status
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.models.call_queryset import LONGEST_CALL, in_progress_of
from django_exotel_ccm.models.ticket_link import LinkKey
from django_exotel_ccm.note_box import author_mark, note_url

YOUNG, OLD = 60, 3600  # seconds since the press
POLL_YOUNG, POLL, POLL_OLD = 1, 2, 10  # seconds between two questions
NO_CALL = UUID(int=0)
SHOWN_AFTER_THE_END = datetime.timedelta(minutes=2)


def status_of(call: CallRecord, user: Any, *, advice: str = "") -> dict[str, Any]:
    """Return where ``call`` stands, as JSON values; ``seconds`` is the age of the step, ``poll_after`` None at the end.

    ``advice`` is what the agent was told of a refusal; a call that was read ``with_advice`` has it.
    """
    told = describe_status(call, user, advice=advice or getattr(call, "advice", None) or "")
    return {
        "reference": str(call.reference),
        "step": told.step.value,
        "headline": told.headline,
        "hint": told.hint,
        "is_over": told.is_over,
        "outcome": call.outcome,
        "talk_time": call.talk_time,
        "seconds": max(0, int((timezone.now() - told.since).total_seconds())),
        "poll_after": None if told.is_over else _poll_after(call),
    }


def _poll_after(call: CallRecord) -> int:
    """Return the seconds until the next question: nobody waits long for news, and few ask about an old call."""
    age = (timezone.now() - call.created_at).total_seconds()
    if age < YOUNG:
        return POLL_YOUNG
    return POLL if age < OLD else POLL_OLD


def call_to_show(newest: CallRecord | None, in_progress: CallRecord | None) -> CallRecord | None:
    """Return the call that a ticket's page shows: the user's ``newest`` about it while it is in progress.

    Else any other that is; else the newest until two minutes after its end.
    """
    if newest is not None and newest.is_in_progress:
        return newest
    return in_progress or (newest if newest is not None and _has_just_ended(newest) else None)


def find_call(user: Any, link: LinkKey | None) -> CallRecord | None:
    """Return the call that a page of ``user`` shows if it is loaded now, at one query.

    ``link`` is the ``link_key`` of the page's ticket; without one only a call in progress is found.
    """
    calls = CallRecord.objects.filter(
        placed_by_id=user.pk, created_at__gt=timezone.now() - LONGEST_CALL - SHOWN_AFTER_THE_END
    )
    wanted = in_progress_of(user)
    if link is not None:
        wanted |= Q(ticket_content_type=link[0], ticket_object_id=link[1])
    found = list(calls.filter(wanted).select_related("agent").with_advice().newest_first())
    newest = next((call for call in found if call.link_key == link), None)
    return call_to_show(newest, next((call for call in found if call.is_in_progress), None))


def _has_just_ended(call: CallRecord) -> bool:
    is_over = call.is_over or call.gave_up_at is not None
    ended_at = call.ended_at or call.gave_up_at or call.updated_at
    return is_over and timezone.now() - ended_at < SHOWN_AFTER_THE_END


def panel_of(
    call: CallRecord | None,
    user: Any,
    adapter: TicketAdapter | None = None,
    *,
    advice: str = "",
    next_url: str = "",
) -> dict[str, Any]:
    """Return the context of ``exotel_ccm/panel.html``. Without a call it is hidden until a press.

    ``next_url`` is the page that has the panel: without script it is loaded again by a link, and a note that was
    written elsewhere leads back to it.
    """
    may_note = Permission.ADD_NOTE.granted_to(user)
    shown = {
        "status": None,
        "url": "",
        "find_url": page_url(adapter, "status", NO_CALL),
        "my_calls_url": page_url(adapter, "my-calls"),
        # Of a call that is still to come; the script puts its reference in the place of this one.
        "any_note_url": note_url(NO_CALL, adapter) if may_note else "",
        "author": author_mark(user),
    }
    if call is None:
        return shown
    return shown | {
        "status": status_of(call, user, advice=advice),
        "url": page_url(adapter, "status", call.reference),
        "note_url": note_url(call.reference, adapter, next_url) if may_note else "",
        "here_url": next_url,
    }
