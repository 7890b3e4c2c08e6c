"""The page that asks what a press of the button left open, and takes an agent through several tickets."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.db.models import Model, prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from django_exotel_ccm import tickets
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.numbers import shown
from django_exotel_ccm.views.press import Entrance, callable_agents, name_of
from django_exotel_ccm.wording import describe, skipped

MOST = 100


@require_safe
def choose(request: HttpRequest) -> HttpResponse:
    """List the chosen tickets: which can be called, to which numbers, as whom, and why others cannot. Dials nothing."""
    entrance = Entrance.of(request, request.GET.dict())
    keys = list(dict.fromkeys(request.GET.getlist("ticket")))[:MOST]
    found = entrance.door.find(request, entrance.ticket_type, keys)
    _load_related(entrance.ticket_type, found)
    newest = CallRecord.objects.newest_by(request.user, found)
    agents = callable_agents(request.user)
    next_url = entrance.next_url(request, request.GET.get("next", ""))
    rows = [_row(request, entrance, ticket, newest.get(str(ticket.pk)), agents) for ticket in found]
    context = {
        "title": _("Call customer"),
        "opts": entrance.ticket_type.model._meta,
        "door": entrance.door.name,
        "type": entrance.ticket_type.label,
        "rows": rows,
        # Written out once: the page repeats them for every ticket. Keys are text, whatever the locale's separators.
        "agents": [{"key": str(agent.pk), "label": str(agent)} for agent in agents],
        "may_dial_any": request.user.has_perm(Permission.ANY_NUMBER),
        "skipped": skipped(len(keys) - len(found)) if len(keys) > len(found) else "",
        "back_url": next_url,
        "list_url": entrance.door.list_url(entrance.ticket_type),
        # After one of several tickets the agent comes back here for the next.
        "next_url": next_url if len(keys) == 1 else request.get_full_path(),
    }
    return entrance.door.render(request, "choose.html", context)


def _row(
    request: HttpRequest, entrance: Entrance, ticket: Model, newest: CallRecord | None, agents: list[Any]
) -> dict[str, Any]:
    numbers = tickets.numbers_of(ticket)
    return {
        "ticket": ticket,
        "key": str(ticket.pk),
        "url": entrance.door.ticket_url(ticket),
        "numbers": [
            {"name": name_of(ticket, one.number), "label": one.label, "shown": shown(one.number, request.user)}
            for one in numbers
            if one.number
        ],
        "problems": [one for one in numbers if one.problem],
        "obstacle": _obstacle(request, entrance, ticket, numbers, agents),
        "after": str(newest.pk if newest is not None else 0),
        "newest": describe(newest, request.user) if newest is not None else "",
        "newest_url": entrance.door.call_url(request, newest) if newest is not None else "",
    }


def _obstacle(
    request: HttpRequest,
    entrance: Entrance,
    ticket: Model,
    numbers: list[tickets.TicketNumber],
    agents: list[Any],
) -> str:
    """Return why this ticket's customer cannot be called by this user; "" when they can."""
    if not entrance.ticket_type.allows(request.user, ticket):
        return _("This ticket is not yours to call.")
    if not agents:
        return _("You have no phone in Exotel yet. An administrator can add an agent for you.")
    if not any(one.number for one in numbers) and not request.user.has_perm(Permission.ANY_NUMBER):
        return _("None of its numbers can be dialled.") if numbers else _("There is no phone number.")
    return ""


def _load_related(ticket_type: tickets.TicketType, found: list[Model]) -> None:
    """Load the rows in which the numbers stand for all tickets at once."""
    for path in ticket_type.phone:
        relations = path.split(".")[:-1]
        if relations:
            # What is no relation of the model (a property, say) is read ticket by ticket.
            with suppress(AttributeError, ValueError):
                prefetch_related_objects(found, "__".join(relations))
