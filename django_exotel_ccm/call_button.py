"""The button of one ticket, wherever it stands: what a press asks for, and why it may not be pressed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from django.db import router, transaction
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from django_exotel_ccm import tickets
from django_exotel_ccm.adapters import TicketAdapter, call_query
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.models.ticket_link import LinkKey, link_key
from django_exotel_ccm.services.readiness import (
    Obstacle,
    agent_obstacle,
    are_numbers_in_fields,
    has_callable_agent,
    load_related,
    number_obstacle,
)
from django_exotel_ccm.ticket_numbers import numbers_of
from django_exotel_ccm.tickets import TicketType

CHOICES = (Permission.ANY_NUMBER, Permission.FOR_OTHERS, Permission.CHOOSE_EXOPHONE)


@dataclass(frozen=True, slots=True)
class CallButton:
    """The addresses of a press and of the page that asks, or the ``obstacle`` that stands before a call."""

    place_url: str
    choose_url: str
    obstacle: Obstacle | None
    may_choose: bool
    """Whether the user may call another number than the ticket's, as another agent, or from another ExoPhone."""


def call_buttons(
    adapter: TicketAdapter,
    request: HttpRequest,
    found: Sequence[Model],
    newest: Mapping[LinkKey, CallRecord],
    *,
    ticket_type: TicketType | None = None,
    items: Mapping[LinkKey, str] | None = None,
) -> list[CallButton | None]:
    """Return the button of each ticket, or None where the user may not call, for a fixed number of queries.

    ``newest`` is the user's newest call about each, by ``link_key(ticket)``; ``items`` is, for the page of a call list,
    the key of each ticket's item, likewise. ``ticket_type`` is that of a page with tickets of one type.
    An obstacle that only the host's own code could find, ticket by ticket, is said after the press.
    """
    no_agent = None if not found or has_callable_agent(request.user) else agent_obstacle(adapter, request)
    kinds: defaultdict[type[Model], list[Model]] = defaultdict(list)
    for ticket in found:
        kinds[ticket.__class__].append(ticket)
    types = {model: ticket_type or tickets.type_of(model) for model in kinds}
    readable: set[type[Model]] = set()
    if no_agent is None and not Permission.ANY_NUMBER.granted_to(request.user):
        readable = {model for model, its_type in types.items() if are_numbers_in_fields(its_type)}
    for model in readable:
        load_related(types[model], kinds[model])

    def button_of(ticket: Model) -> CallButton | None:
        its_type, obstacle = types[ticket.__class__], no_agent
        if not its_type.allows(request.user, ticket):
            return None
        if ticket.__class__ in readable:
            obstacle = number_obstacle(adapter, request, ticket, numbers_of(ticket))
        key = link_key(ticket)
        its_adapter, item = adapter.of_ticket(request, ticket), (items or {}).get(key, "")
        query = partial(call_query, its_adapter, its_type, [str(ticket.pk)], request.get_full_path(), item=item)
        return _button(request, query, newest.get(key), obstacle)

    return [button_of(ticket) for ticket in found]


def call_button(
    adapter: TicketAdapter, request: HttpRequest, ticket: Model, newest: CallRecord | None, *, item: str = ""
) -> CallButton:
    """Return the button of ``ticket`` for the user of ``request``, whose newest call about it is ``newest``.

    ``item`` is the key of the ticket's item on the call list that shows the button.
    """
    keys, next_url = [str(ticket.pk)], request.get_full_path()
    query = partial(call_query, adapter, tickets.type_of(ticket), keys, next_url, item=item)
    return _button(request, query, newest, _obstacle(adapter, request, ticket))


def _button(
    request: HttpRequest, query: Callable[..., str], newest: CallRecord | None, obstacle: Obstacle | None
) -> CallButton:
    """Return the button whose addresses have the ``query`` of its ticket."""
    press = query(after=str(newest.pk if newest is not None else 0))
    return CallButton(
        place_url=f"{reverse('exotel_ccm:place')}?{press}",
        choose_url=f"{reverse('exotel_ccm:choose')}?{query()}",
        obstacle=obstacle,
        may_choose=any(one.granted_to(request.user) for one in CHOICES),
    )


def _obstacle(adapter: TicketAdapter, request: HttpRequest, ticket: Model) -> Obstacle | None:
    if not has_callable_agent(request.user):
        return agent_obstacle(adapter, request)
    try:
        # The host's code may break the transaction, and the rest of the page needs it.
        with transaction.atomic(using=router.db_for_read(ticket.__class__, instance=ticket)):
            return number_obstacle(adapter, request, ticket, numbers_of(ticket))
    except Exception:  # noqa: BLE001 - the page works on, and the choose page says what failed
        return None
