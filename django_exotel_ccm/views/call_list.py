"""A call list, one ticket at a time: its history, the button, and on to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from django_exotel_ccm import tickets
from django_exotel_ccm.adapters import TicketAdapter, page_url, tickets_of_rows
from django_exotel_ccm.call_button import call_button, call_buttons
from django_exotel_ccm.choices import ItemState, Permission
from django_exotel_ccm.descriptions import describe_caller, describe_result, describe_time
from django_exotel_ccm.masking import visible_to
from django_exotel_ccm.models import CallList, CallListItem, CallRecord
from django_exotel_ccm.models.call_queryset import NewestCalls
from django_exotel_ccm.models.ticket_link import link_key
from django_exotel_ccm.panel import call_to_show, panel_of
from django_exotel_ccm.services.call_lists import left_over, rename_call_list, results_of, skip
from django_exotel_ccm.services.readiness import Obstacle
from django_exotel_ccm.services.selection import whole_number
from django_exotel_ccm.timeline import timeline_of
from django_exotel_ccm.views.access import answer_own_page
from django_exotel_ccm.views.listed import query_of

MAX_LEFT_OVER = 50
"""How many of the tickets that were skipped or not reached the end shows."""
FIRST_BATCH, BATCH = 20, 500  # how many waiting items are looked through at once


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@csrf_protect
def call_list(request: HttpRequest, key: int) -> HttpResponseBase:
    """Show one ticket of a call list; without ``exotel_position`` go to the first that waits, or show the end.

    A POST does what ``exotel_do`` says: "next", "skip", "rename" (``exotel_name``) or "delete".
    """
    return answer_own_page(request, lambda adapter: _answer(request, adapter, key))


def _answer(request: HttpRequest, adapter: TicketAdapter, key: int) -> HttpResponseBase:
    found = CallList.objects.open_to(request.user).filter(pk=key).first()
    # Who works in the host's own pages has seen the tickets of their own lists, and maybe none of a colleague's.
    if found is None or not (adapter.knows_who_sees or found.owner_id == request.user.pk):
        raise Http404
    position = whole_number(request.GET.get("exotel_position", ""))
    item = found.items.filter(position=position).first() if position is not None else None
    if request.method == "POST":
        return _change(request, adapter, found, item)
    if item is None:
        upcoming = find_next(request, adapter, found, position or 0)
        if upcoming is not None:
            return HttpResponseRedirect(_address(adapter, found, upcoming.as_query()))
        return adapter.render(request, "call_list.html", _end(request, adapter, found))
    return adapter.render(request, "call_list.html", _context(request, adapter, found, item))


def _address(adapter: TicketAdapter, found: CallList, query: Mapping[str, Any]) -> str:
    return page_url(adapter, "call-list", found.pk, **query)


def _change(
    request: HttpRequest, adapter: TicketAdapter, found: CallList, item: CallListItem | None
) -> HttpResponseBase:
    is_own = found.owner_id == request.user.pk
    match request.POST.get("exotel_do"):
        case "rename" if is_own:
            if rename_call_list(found, request.POST.get("exotel_name", "")):
                adapter.add_message(request, "success", format_html("{}", _("The call list has its new name.")))
            else:
                adapter.add_message(request, "error", format_html("{}", _("A call list needs a name.")))
            return HttpResponseRedirect(request.get_full_path())
        case "delete" if is_own:
            found.delete()
            adapter.add_message(request, "success", format_html("{}", _("The call list is deleted.")))
            return HttpResponseRedirect(page_url(adapter, "my-calls"))
        case "skip" if item is not None:
            skip(item)
        case "next":
            pass
        case _:  # a button that is not offered here does nothing
            return HttpResponseRedirect(request.get_full_path())
    upcoming = find_next(request, adapter, found, item.position if item is not None else 0)
    return HttpResponseRedirect(_address(adapter, found, upcoming.as_query() if upcoming is not None else {}))


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The next item, and how many were passed over: ``hidden`` tickets, and those that a colleague is calling."""

    position: int
    hidden: int
    busy: int

    def as_query(self) -> dict[str, int]:
        """Return the part of an address that shows it."""
        passed = {"exotel_hidden": self.hidden, "exotel_busy": self.busy}
        return {"exotel_position": self.position, **{name: count for name, count in passed.items() if count}}


def find_next(request: HttpRequest, adapter: TicketAdapter, found: CallList, after: int) -> Upcoming | None:
    """Return the first waiting item behind ``after``, then before it, that the user may see and nobody is calling."""
    waiting = found.items.filter(state=ItemState.WAITING).order_by("position")
    hidden = busy = 0
    for part in (waiting.filter(position__gt=after), waiting.filter(position__lte=after)):
        start, size = 0, FIRST_BATCH
        while batch := list(part.filter(position__gt=start)[:size]):
            shown = tickets_of_rows(adapter, request, batch)
            called = CallRecord.objects.called_by_others(request.user, list(shown.values()))
            for item in batch:
                link = item.link_key
                if link in shown and link not in called:
                    return Upcoming(item.position, hidden, busy)
                hidden, busy = hidden + (link not in shown), busy + (link in called)
            start, size = batch[-1].position, BATCH
    return None


def _frame(request: HttpRequest, adapter: TicketAdapter, found: CallList) -> dict[str, Any]:
    return {
        "title": visible_to(found.name, request.user),
        "call_list": found,
        "is_own": found.owner_id == request.user.pk,
        "progress": results_of(found),
        "my_calls_url": page_url(adapter, "my-calls"),
        "panel": panel_of(None, request.user, adapter) | {"my_calls_url": ""},
    }


def _end(request: HttpRequest, adapter: TicketAdapter, found: CallList) -> dict[str, Any]:
    """Return the context of the end, with a press for each ticket that was skipped or not reached."""
    items = list(left_over(found)[: MAX_LEFT_OVER + 1])
    shown = tickets_of_rows(adapter, request, items[:MAX_LEFT_OVER])
    of_items = {item: shown[item.link_key] for item in items if item.link_key in shown}
    newest, in_progress = CallRecord.objects.newest_and_in_progress(request.user, list(of_items.values()))
    calls = CallRecord.objects.newest_since(request.user, list(of_items.values()), found.created_at)
    calls_of = {item: calls.get(item.link_key, NewestCalls()) for item in of_items}
    listed = {item.link_key: query_of(item, newest_calls.of_others) for item, newest_calls in calls_of.items()}
    buttons = call_buttons(adapter, request, list(of_items.values()), newest, listed=listed)
    panel = panel_of(in_progress, request.user, adapter, next_url=request.get_full_path())
    return _frame(request, adapter, found) | {
        "panel": panel | {"my_calls_url": ""},
        "left_over": [
            _left_over(request, adapter, item, ticket, calls_of[item]) | {"button": button}
            for (item, ticket), button in zip(of_items.items(), buttons, strict=True)
        ],
        "has_more": len(items) > MAX_LEFT_OVER,
    }


def _left_over(
    request: HttpRequest, adapter: TicketAdapter, item: CallListItem, ticket: Model, calls: NewestCalls
) -> dict[str, Any]:
    # The result beside it is that of the item's own call.
    elsewhere = [call for call in _elsewhere(item, calls) if call.pk != item.call_id]
    shown = {
        "name": visible_to(str(ticket), request.user),
        "url": adapter.ticket_url(ticket),
        "elsewhere": [describe_caller(call, request.user) for call in elsewhere],
    }
    if item.state == ItemState.SKIPPED:
        return shown | {"result": pgettext("telephony", "Skipped")}
    if item.call is None:
        return shown | {"result": pgettext("telephony", "Called")}
    return shown | {"result": describe_result(item.call, request.user), "when": describe_time(item.call.created_at)}


def _context(request: HttpRequest, adapter: TicketAdapter, found: CallList, item: CallListItem) -> dict[str, Any]:
    context = _frame(request, adapter, found) | {
        "item": item,
        "position": item.position,
        "hidden": whole_number(request.GET.get("exotel_hidden", "")),
        "busy": whole_number(request.GET.get("exotel_busy", "")),
    }
    ticket = tickets_of_rows(adapter, request, [item]).get(item.link_key)
    if ticket is None:
        return context
    own, in_progress = CallRecord.objects.newest_and_in_progress(request.user, [ticket])
    newest = own.get(link_key(ticket))
    shown = call_to_show(newest, in_progress)
    panel = panel_of(shown, request.user, adapter, next_url=request.get_full_path()) | {"my_calls_url": ""}
    its_adapter = adapter.of_ticket(request, ticket)
    after = newest.pk if newest is not None else 0
    calls = CallRecord.objects.newest_since(request.user, [ticket], found.created_at).get(item.link_key, NewestCalls())
    elsewhere, listed = _elsewhere(item, calls), query_of(item, calls.of_others)
    context |= {
        "panel": panel,
        "ticket": {"name": visible_to(str(ticket), request.user), "url": adapter.ticket_url(ticket)},
        "timeline": timeline_of(
            request, its_adapter, ticket, next_url=request.get_full_path(), after=after, listed=listed
        ),
        "can_listen": Permission.LISTEN.granted_to(request.user),
        "elsewhere": [describe_caller(call, request.user) for call in elsewhere],
        "is_reached": any(call.is_conversation for call in elsewhere),
    }
    if tickets.type_of(ticket).allows(request.user, ticket):
        button = call_button(its_adapter, request, ticket, newest, listed=listed)
        context |= {"button": button, "obstacle": button.obstacle}
    else:
        context["obstacle"] = Obstacle(_("not yours"), _("This ticket is not yours to call."))
    return context | {"is_waiting": item.state == ItemState.WAITING}


def _elsewhere(item: CallListItem, calls: NewestCalls) -> list[CallRecord]:
    """Return the newest calls about the ticket that a page of the list has to name, since nothing else on it does.

    The user's own was placed on another page, so ``item`` is not marked as called by it.
    """
    own, of_others = calls
    is_own_named = own is None or own.pk == item.call_id or own.is_in_progress
    return [call for call in (None if is_own_named else own, of_others) if call is not None]
