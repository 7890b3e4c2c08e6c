"""The button of one ticket, wherever it stands: what a press asks for, and why it may not be pressed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
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
from django_exotel_ccm.services.readiness import (
    Obstacle,
    agent_obstacle,
    are_numbers_in_fields,
    has_callable_agent,
    load_related,
    number_obstacle,
)


@dataclass(frozen=True, slots=True)
class CallButton:
    """The addresses of a press and of the page that asks, or the ``obstacle`` that stands before a call."""

    place_url: str
    choose_url: str
    obstacle: Obstacle | None
    may_choose: bool
    """Whether the user may call another number than the ticket's, or as another agent."""


def call_buttons(
    adapter: TicketAdapter, request: HttpRequest, found: Sequence[Model], newest: Mapping[str, CallRecord]
) -> dict[Model, CallButton]:
    """Return the buttons of many tickets that the user may call, for a fixed number of queries.

    ``newest`` is the user's newest call about each, by the key as text. An obstacle that only the host's own code could
    find, ticket by ticket, is said after the press.
    """
    no_agent = None if not found or has_callable_agent(request.user) else agent_obstacle(adapter, request)
    may_type = Permission.ANY_NUMBER.granted_to(request.user)
    kinds: defaultdict[type[Model], list[Model]] = defaultdict(list)
    for ticket in found:
        kinds[type(ticket)].append(ticket)
    buttons = {}
    for model, its in kinds.items():
        ticket_type = tickets.type_of(model)
        asks_numbers = no_agent is None and not may_type and are_numbers_in_fields(ticket_type)
        load_related(ticket_type, its)
        for ticket in its:
            if ticket_type.allows(request.user, ticket):
                numbers = tickets.numbers_of(ticket) if asks_numbers else None
                missing = None if numbers is None else number_obstacle(adapter, request, ticket, numbers)
                call = newest.get(tickets.link_of(ticket)[1])
                buttons[ticket] = _button(
                    adapter.of_ticket(request, ticket), request, ticket, call, no_agent or missing
                )
    return buttons


def call_button(
    adapter: TicketAdapter, request: HttpRequest, ticket: Model, newest: CallRecord | None, *, item: str = ""
) -> CallButton:
    """Return the button of ``ticket`` for the user of ``request``, whose newest call about it is ``newest``.

    ``item`` is the key of the ticket's item on the call list that shows the button.
    """
    return _button(adapter, request, ticket, newest, _obstacle(adapter, request, ticket), item)


def _button(
    adapter: TicketAdapter,
    request: HttpRequest,
    ticket: Model,
    newest: CallRecord | None,
    obstacle: Obstacle | None,
    item: str = "",
) -> CallButton:
    query = partial(call_query, adapter, tickets.type_of(ticket), [str(ticket.pk)], request.get_full_path(), item=item)
    press = query(after=str(newest.pk if newest is not None else 0))
    user = request.user
    return CallButton(
        place_url=f"{reverse('exotel_ccm:place')}?{press}",
        choose_url=f"{reverse('exotel_ccm:choose')}?{query()}",
        obstacle=obstacle,
        may_choose=any(one.granted_to(user) for one in (Permission.ANY_NUMBER, Permission.FOR_OTHERS)),
    )


def _obstacle(adapter: TicketAdapter, request: HttpRequest, ticket: Model) -> Obstacle | None:
    if not has_callable_agent(request.user):
        return agent_obstacle(adapter, request)
    try:
        # The host's code may break the transaction, and the rest of the page needs it.
        with transaction.atomic(using=router.db_for_read(type(ticket), instance=ticket)):
            return number_obstacle(adapter, request, ticket, tickets.numbers_of(ticket))
    except Exception:  # noqa: BLE001 - the page works on, and the choose page says what failed
        return None
