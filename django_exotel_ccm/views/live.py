"""The live board: what goes on right now, for supervisors. Its script fetches the part that changes again and again."""

from __future__ import annotations

import datetime
import hashlib
import time
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string
from django.utils.cache import add_never_cache_headers, get_conditional_response, patch_cache_control
from django.utils.formats import time_format
from django.utils.http import quote_etag
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_exotel_ccm.adapters import TicketAdapter, page_url, tickets_of_rows
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.descriptions import (
    describe_age,
    describe_customer,
    describe_overdue,
    describe_time,
    is_about_first_ticket,
)
from django_exotel_ccm.local_time import local_now
from django_exotel_ccm.masking import visible_to
from django_exotel_ccm.models import CallRecord, FollowUp
from django_exotel_ccm.services.live_board import AgentPhone, LiveBoard, live_board
from django_exotel_ccm.views.access import answer_page_of
from django_exotel_ccm.views.report_tables import named_values

POLL_AFTER = 5  # seconds
OF_TODAY = ("calls", "reached", "answer_rate", "talk_time", "agent_missed", "customer_missed", "refused")


@require_safe
@never_cache
def live(request: HttpRequest) -> HttpResponseBase:
    """Show what goes on now. Takes ``exotel_adapter``. 403 without ``view_reports``."""
    return answer_page_of(request, lambda adapter: _page(request, adapter), Permission.VIEW_REPORTS)


@require_safe
@login_not_required  # who is not logged in is told so; a redirect to a login page would be no part of this page
def board(request: HttpRequest) -> HttpResponseBase:
    """Return the part of the page that changes: 304 when nothing has changed, 401 for who is not logged in."""
    if not request.user.is_authenticated:
        response = HttpResponse(status=401)
        add_never_cache_headers(response)
        return response
    return answer_page_of(request, lambda adapter: _part(request, adapter), Permission.VIEW_REPORTS)


def _page(request: HttpRequest, adapter: TicketAdapter) -> HttpResponse:
    may_call = Permission.PLACE_CALL.granted_to(request.user)
    context = {
        "title": _("Live board"),
        "board": _board(request, adapter),
        "board_url": page_url(adapter, "live-board"),
        "here_url": request.get_full_path(),
        "poll_after": str(POLL_AFTER),
        "now": str(int(time.time())),
        "my_calls_url": page_url(adapter, "my-calls") if may_call else "",
        "reports_url": page_url(adapter, "reports"),
    }
    return adapter.render(request, "live.html", context)


def _part(request: HttpRequest, adapter: TicketAdapter) -> HttpResponse:
    html = render_to_string("exotel_ccm/live_board.html", {"board": _board(request, adapter)})
    etag = quote_etag(hashlib.sha256(html.encode()).hexdigest()[:32])
    response: HttpResponse = get_conditional_response(request, etag=etag) or HttpResponse(html)
    response["ETag"] = etag
    patch_cache_control(response, private=True, no_cache=True)
    return response


def _board(request: HttpRequest, adapter: TicketAdapter) -> dict[str, Any]:
    found = live_board()
    rows = _Rows(request, adapter, found)
    talking = [rows.call(call) for call in found.calls if call.answered_at is not None]
    ringing = [rows.call(call) for call in found.calls if call.answered_at is None]
    return {
        "as_of": time_format(local_now(), "H:i"),
        "talking": talking,
        "ringing": ringing,
        "talking_count": found.talking,
        "ringing_count": found.ringing,
        "has_more_calls": found.talking + found.ringing > len(found.calls),
        "waiting": [rows.follow_up(one) for one in found.waiting],
        "has_more_waiting": found.has_more_waiting,
        "free": [str(one.agent) for one in found.free],
        "off": [_phone(one) for one in found.off],
        "knows_phones": found.knows_phones,
        "today": [one for one in named_values(found.today) if one["key"] in OF_TODAY],
    }


def _phone(phone: AgentPhone) -> dict[str, Any]:
    as_of = _("Exotel said so %(age)s") % {"age": describe_age(phone.device.seen_at)}
    return {"agent": str(phone.agent), "as_of": as_of, "is_verified": phone.is_verified}


class _Rows:
    """Makes the lines: customers and tickets are named to who may see them, and who has promised what."""

    def __init__(self, request: HttpRequest, adapter: TicketAdapter, found: LiveBoard) -> None:
        self._user: Any = request.user
        self._adapter = adapter
        self._tickets = tickets_of_rows(adapter, request, [*found.calls, *found.waiting])
        self._sees_calls = Permission.VIEW_CALL.granted_to(self._user)
        self._sees_all = Permission.VIEW_ALL_CALLS.granted_to(self._user)
        # Who sees every call sees there what was promised after it.
        self._sees_follow_ups = self._sees_all or Permission.VIEW_FOLLOW_UP.granted_to(self._user)

    def call(self, call: CallRecord) -> dict[str, Any]:
        is_own, sees_ticket = call.placed_by_id == self._user.pk, self._sees(call)
        is_visible = is_own or (self._sees_calls and sees_ticket)
        # An own call may have moved to a ticket that the user may not see.
        is_named = is_visible and (sees_ticket or is_about_first_ticket(call))
        since = call.answered_at or call.created_at
        return {
            "agent": call.agent_label or (str(call.agent) if call.agent is not None else _("an agent")),
            "customer": describe_customer(call, self._user) if is_visible else _("a customer"),
            "ticket": self._ticket(call) if is_named else None,
            "since": describe_time(since),
            "moment": since,
            "epoch": _epoch(since),
        }

    def follow_up(self, row: FollowUp) -> dict[str, Any]:
        is_theirs = self._sees_follow_ups or row.assigned_to_id == self._user.pk
        is_visible = is_theirs and bool(row.ticket_object_id) and self._sees(row)
        return {
            "ticket": self._ticket(row) if is_visible else None,
            "assigned_to": row.assigned_to_label if is_theirs else "",
            "moment": row.due_at,
            "when": describe_overdue(row.due_at, local_now()),
        }

    def _sees(self, row: CallRecord | FollowUp) -> bool:
        return self._sees_all or not row.ticket_object_id or row.link_key in self._tickets

    def _ticket(self, row: CallRecord | FollowUp) -> dict[str, str] | None:
        ticket = self._tickets.get(row.link_key)
        name = visible_to(str(ticket) if ticket is not None else row.ticket_label, self._user)
        return {"name": name, "url": self._adapter.ticket_url(ticket) if ticket is not None else ""} if name else None


def _epoch(moment: datetime.datetime) -> str:
    """Return the seconds since 1970, for the clock of the script. A naive moment is of the server's own zone."""
    return str(int(moment.timestamp()))
