"""The box after a call: how it went, a note, and when to call back."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.utils.crypto import salted_hmac
from django.utils.translation import pgettext

from django_exotel_ccm.adapters import TicketAdapter, next_page_url
from django_exotel_ccm.call_back_times import offered_times
from django_exotel_ccm.choices import Permission, State
from django_exotel_ccm.models import CallRecord, Disposition


def note_url(reference: UUID, adapter: TicketAdapter | None, next_url: str = "") -> str:
    """Return the address of the box of a call, to which it is posted, and from there the user goes to ``next_url``."""
    return next_page_url(adapter, "note", reference, next_url=next_url)


def link_to_note(request: HttpRequest, call: CallRecord, adapter: TicketAdapter, next_url: str) -> str:
    """Return :func:`note_url` of a call that is past; "" where this user may write no note, or nothing is to be noted.

    The caller has made sure that the user may see the call.
    """
    is_due = call.state != State.REFUSED and not call.is_in_progress and call.erased_at is None
    return (
        note_url(call.reference, adapter, next_url) if is_due and Permission.ADD_NOTE.granted_to(request.user) else ""
    )


def author_mark(user: Any) -> str:
    """Return what tells this user from others to our script, which says nothing of who they are."""
    return salted_hmac("django_exotel_ccm.note_box", str(user.pk), algorithm="sha256").hexdigest()[:16]


def note_box(
    request: HttpRequest,
    call: CallRecord,
    adapter: TicketAdapter | None,
    *,
    next_url: str = "",
    posted: Mapping[str, str] | None = None,
    problem: str = "",
) -> dict[str, Any]:
    """Return the context of ``exotel_ccm/note_box.html``.

    ``posted`` is what a user has sent that was not saved because of ``problem``; it is shown again.
    """
    posted = posted or {}
    return {
        "url": note_url(call.reference, adapter),
        "author": author_mark(request.user),
        "csrf_token": get_token(request),
        "key": posted.get("exotel_key") or secrets.token_urlsafe(16),
        "next_url": next_url,
        "problem": problem,
        "dispositions": list(Disposition.objects.offered()),
        "disposition": posted.get("exotel_disposition", ""),
        "text": posted.get("exotel_text", ""),
        "choices": [("", pgettext("telephony", "No")), *offered_times(), ("chosen", pgettext("telephony", "Choose…"))],
        "choice": posted.get("exotel_call_back", ""),
        "typed": posted.get("exotel_call_back_at", ""),
    }
