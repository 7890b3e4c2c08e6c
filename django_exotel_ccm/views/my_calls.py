"""The agent's own page: whom to call back, the call lists in progress, and the calls of today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from django_exotel_ccm.adapters import CHECK, TicketAdapter, may_see_call, next_page_url, page_url, tickets_of_rows
from django_exotel_ccm.call_back_times import chosen_time, describe_call_back, offered_times
from django_exotel_ccm.call_button import CallButton, call_buttons
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.descriptions import (
    describe_customer,
    describe_overdue,
    describe_result,
    describe_status,
    describe_time,
)
from django_exotel_ccm.exceptions import InvalidFollowUp
from django_exotel_ccm.exotel.redact import redact
from django_exotel_ccm.local_time import start_of_today
from django_exotel_ccm.masking import shortened, visible_to
from django_exotel_ccm.models import CallList, CallRecord, FollowUp
from django_exotel_ccm.note_box import link_to_note
from django_exotel_ccm.own_phones import phone_rows
from django_exotel_ccm.panel import panel_of
from django_exotel_ccm.services import complete_follow_up, reschedule_follow_up
from django_exotel_ccm.services.call_lists import progress_of
from django_exotel_ccm.services.selection import whole_number
from django_exotel_ccm.timeline import icon_of
from django_exotel_ccm.views.access import answer_own_page
from django_exotel_ccm.views.my_phone import synced_agents

MAX_FOLLOW_UPS = 50
MAX_CALLS = 50
MAX_LISTS = 10
LONGEST_TEXT = 200  # characters of what was noted with a call-back


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@csrf_protect
def my_calls(request: HttpRequest) -> HttpResponseBase:
    """Show the agent's page. A POST marks a call-back as done, or moves it to another time.

    Takes ``exotel_adapter``. A POST has ``exotel_follow_up``, its key, and ``exotel_do``: "done", "hour", "evening",
    "tomorrow", or "chosen" with ``exotel_due_at``, a local time.
    """
    return answer_own_page(request, lambda adapter: _answer(request, adapter))


def _answer(request: HttpRequest, adapter: TicketAdapter) -> HttpResponseBase:
    problem: tuple[int, str] | None = None
    if request.method == "POST":
        follow_up = _own_follow_up(request)
        try:
            said = _change(follow_up, request.POST.dict())
        except InvalidFollowUp as error:
            problem = follow_up.pk, str(error)
        else:
            adapter.add_message(request, "success", format_html("{}", said))
            return HttpResponseRedirect(request.get_full_path())
    context = _context(request, adapter, problem)
    if CHECK in request.headers:
        # Without the frame, which would show the messages that wait for the next page.
        return TemplateResponse(request, "exotel_ccm/my_calls_body.html", context)
    response = adapter.render(request, "my_calls.html", context)
    response.status_code = 200 if problem is None else 400
    return response


def _own_follow_up(request: HttpRequest) -> FollowUp:
    key = whole_number(request.POST.get("exotel_follow_up", ""))
    found = FollowUp.objects.of_user(request.user).filter(pk=key).first() if key is not None else None
    if found is None:
        raise Http404
    return found


def _change(follow_up: FollowUp, values: Mapping[str, str]) -> str:
    """Do what the button of the form says, and return what is said of it.

    Raises ``InvalidFollowUp`` for a wrong time, and for another time of what is done already.
    """
    wanted = values.get("exotel_do", "")
    if wanted == "done":
        complete_follow_up(follow_up)
        return _("The call-back is done.")
    due_at = chosen_time(wanted, values.get("exotel_due_at", ""))
    if not reschedule_follow_up(follow_up, due_at):
        raise InvalidFollowUp(_("This call-back was done meanwhile, so it was not moved."))
    return describe_call_back(due_at)


@dataclass(frozen=True, slots=True)
class TicketLine:
    """Whom a row is about: a ticket, or the customer of a call without one."""

    name: str
    url: str
    button: CallButton | None = None


def _context(request: HttpRequest, adapter: TicketAdapter, problem: tuple[int, str] | None) -> dict[str, Any]:
    # The order of the index: what is overdue comes first, then today's, then the next days'.
    open_ones = FollowUp.objects.of_user(request.user).open().select_related("call").defer("call__facts")
    due = list(open_ones.order_by("due_at", "pk")[: MAX_FOLLOW_UPS + 1])
    calls = _calls_of_today(request.user)
    found = tickets_of_rows(adapter, request, [*due, *calls])
    to_call = {row.link_key: found[row.link_key] for row in due if row.link_key in found}
    newest, in_progress = CallRecord.objects.newest_and_in_progress(request.user, list(to_call.values()))
    buttons = dict(zip(to_call, call_buttons(adapter, request, list(to_call.values()), newest), strict=True))
    lines = {
        link: TicketLine(visible_to(str(ticket), request.user), adapter.ticket_url(ticket), buttons.get(link))
        for link, ticket in found.items()
    }
    follow_ups = [
        _follow_up_row(
            request,
            row,
            lines.get(row.link_key) if row.ticket_object_id else _customer_line(request, adapter, row.call),
            problem,
        )
        for row in due[:MAX_FOLLOW_UPS]
    ]
    phones = phone_rows(synced_agents(request.user))
    return {
        "title": _("My calls"),
        "panel": panel_of(in_progress, request.user, adapter, next_url=request.get_full_path()) | {"my_calls_url": ""},
        "reports_url": page_url(adapter, "reports"),
        "live_url": page_url(adapter, "live") if Permission.VIEW_REPORTS.granted_to(request.user) else "",
        "phones": phones,
        "is_silent": bool(phones) and not any(phone["is_on"] or phone["has_later_call"] for phone in phones),
        "phone_url": next_page_url(adapter, "my-phone", next_url=request.get_full_path()),
        "follow_ups": follow_ups,
        "problem": problem[1] if problem is not None and not any(row["problem"] for row in follow_ups) else "",
        "has_more_follow_ups": len(due) > MAX_FOLLOW_UPS,
        "times": offered_times(),
        "call_lists": _call_lists(request, adapter),
        "all_lists_url": adapter.call_lists_url(request),
        "calls": [_call_row(request, adapter, call, lines.get(call.link_key)) for call in calls[:MAX_CALLS]],
        "has_more_calls": len(calls) > MAX_CALLS,
    }


def _call_lists(request: HttpRequest, adapter: TicketAdapter) -> list[dict[str, Any]]:
    own = list(CallList.objects.filter(owner_id=request.user.pk).order_by("-created_at", "-pk")[:MAX_LISTS])
    progress = progress_of(own)
    return [
        {
            "key": one.pk,
            "name": visible_to(one.name, request.user),
            "url": page_url(adapter, "call-list", one.pk),
            **progress.get(one.pk, {}),
        }
        for one in own
    ]


def _calls_of_today(user: Any) -> list[CallRecord]:
    own = CallRecord.objects.filter(placed_by_id=user.pk, created_at__gte=start_of_today())
    newest = own.select_related("agent").with_advice().defer("facts").order_by("-created_at", "-pk")
    return list(newest[: MAX_CALLS + 1])


def _customer_line(request: HttpRequest, adapter: TicketAdapter, call: CallRecord | None) -> TicketLine:
    """Return the line of a call-back that was noted after ``call``, which was about no ticket."""
    if call is None or not may_see_call(request, call, adapter):
        return TicketLine(_("A customer"), "")
    return TicketLine(describe_customer(call, request.user), adapter.call_url(request, call))


def _follow_up_row(
    request: HttpRequest, row: FollowUp, line: TicketLine | None, problem: tuple[int, str] | None
) -> dict[str, Any]:
    now, when = timezone.now(), describe_time(row.due_at)
    is_overdue = row.due_at <= now
    return {
        "key": str(row.pk),
        "ticket": line,
        # Named in the labels of the buttons, by which they are told apart when they are heard.
        "name": line.name if line is not None else _("a call-back, %(when)s") % {"when": when},
        # What was written about a ticket is for those who may see it.
        "text": _short_text(row, request.user) if line is not None else "",
        "due_at": row.due_at,
        "is_overdue": is_overdue,
        "when": describe_overdue(row.due_at, now) if is_overdue else when,
        "problem": problem[1] if problem is not None and problem[0] == row.pk else "",
    }


def _short_text(row: FollowUp, user: Any) -> str:
    return shortened(row.text, LONGEST_TEXT, lambda text: visible_to(redact(text), user))


def _call_row(
    request: HttpRequest, adapter: TicketAdapter, call: CallRecord, line: TicketLine | None
) -> dict[str, Any]:
    advice = getattr(call, "advice", None) or ""
    is_refused = bool(advice)
    url = adapter.call_url(request, call)
    return {
        "key": call.pk,
        "icon": icon_of(call),
        "result": describe_result(call, request.user),
        "detail": describe_status(call, request.user, advice=advice).hint if is_refused else "",
        "customer": describe_customer(call, request.user),
        "ticket": line,
        "is_about_ticket": bool(call.ticket_object_id),
        "created_at": call.created_at,
        "when": describe_time(call.created_at),
        "url": url,
        "note_url": "" if url else link_to_note(request, call, adapter, request.get_full_path()),
    }
