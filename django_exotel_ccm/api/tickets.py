"""The ticket that a body names."""

from __future__ import annotations

from django.db.models import Model
from django.http import Http404, HttpRequest

from django_exotel_ccm import tickets
from django_exotel_ccm.host_pages import OwnPagesAdapter
from django_exotel_ccm.tickets import TicketType


def visible_ticket(request: HttpRequest, adapter: OwnPagesAdapter, name: str) -> tuple[TicketType, Model]:
    """Return the ticket of this name, and its type; raises ``Http404`` when the user may not see it.

    One that only the entry's ``can_call`` keeps from the user is returned, because the answer is another.
    """
    model = tickets.model_of(name)
    if model is None:
        raise Http404
    ticket_type, key = tickets.type_of(model), name.partition("_")[2]
    found = adapter.visible_tickets(request, ticket_type, [key]) or adapter.forbidden_tickets(request, ticket_type, key)
    if not found:
        raise Http404
    return ticket_type, found[0]
