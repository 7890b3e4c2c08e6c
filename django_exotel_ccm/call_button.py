"""The button of one ticket, wherever it stands: what a press asks for, and why it may not be pressed."""

from __future__ import annotations

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
from django_exotel_ccm.services.readiness import Obstacle, agent_obstacle, has_callable_agent, number_obstacle


@dataclass(frozen=True, slots=True)
class CallButton:
    """The addresses of a press and of the page that asks, or the ``obstacle`` that stands before a call."""

    place_url: str
    choose_url: str
    obstacle: Obstacle | None
    may_choose: bool
    """Whether the user may call another number than the ticket's, or as another agent."""


def call_button(adapter: TicketAdapter, request: HttpRequest, ticket: Model, newest: CallRecord | None) -> CallButton:
    """Return the button of ``ticket`` for the user of ``request``, whose newest call about it is ``newest``."""
    query = partial(call_query, adapter, tickets.type_of(ticket), [str(ticket.pk)], request.get_full_path())
    press = query(after=str(newest.pk if newest is not None else 0))
    user = request.user
    return CallButton(
        place_url=f"{reverse('exotel_ccm:place')}?{press}",
        choose_url=f"{reverse('exotel_ccm:choose')}?{query()}",
        obstacle=_obstacle(adapter, request, ticket),
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
