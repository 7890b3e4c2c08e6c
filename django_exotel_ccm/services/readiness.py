"""What a call about a ticket still lacks: an agent for the user, or a number that can be called."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import DatabaseError
from django.db.models import Model, prefetch_related_objects
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from django_exotel_ccm import ticket_numbers
from django_exotel_ccm.adapters import TicketAdapter
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.models import Agent
from django_exotel_ccm.services.placing import agents_for
from django_exotel_ccm.ticket_numbers import TicketNumber
from django_exotel_ccm.tickets import TicketType

logger = logging.getLogger("django_exotel_ccm.services")


class NumbersUnreadable(Exception):
    """A ticket's numbers could not be read; ``str()`` is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a user cannot call a ticket's customer, in two and in more words, and the page that can change it."""

    title: str
    text: str
    url: str = ""
    link_text: str = ""


def callable_agents(user: Any) -> list[Agent]:
    """Return the agents as whom ``user`` may call: their own first, and all others with the permission."""
    own = agents_for(user)
    if not Permission.FOR_OTHERS.granted_to(user):
        return own
    others = Agent.objects.active().exclude(pk__in=[agent.pk for agent in own]).select_related("exophone")
    return [*own, *others.order_by("name", "pk")]


def read_numbers(ticket: Model) -> list[TicketNumber]:
    """Return the ticket's numbers; raises :class:`NumbersUnreadable` where the host's settings or its code fail."""
    try:
        return ticket_numbers.numbers_of(ticket)
    except DatabaseError:
        raise  # the transaction is lost, and with it the page
    except ImproperlyConfigured as error:
        logger.exception("The numbers of %s could not be read.", ticket._meta.label)
        raise NumbersUnreadable(str(error)) from error
    except Exception as error:
        logger.exception("The numbers of %s could not be read.", ticket._meta.label)
        raise NumbersUnreadable(
            _("Its phone numbers could not be read. An administrator finds the error in the log.")
        ) from error


def load_related(ticket_type: TicketType, found: Sequence[Model]) -> None:
    """Load for all tickets at once the rows that hold their numbers."""
    for path in ticket_type.phone:
        relations = path.split(".")[:-1]
        if relations:
            # A property is no relation of the model. It is read ticket by ticket.
            with suppress(AttributeError, ValueError):
                prefetch_related_objects(found, "__".join(relations))


def are_numbers_in_fields(ticket_type: TicketType) -> bool:
    """Return whether :func:`load_related` loads all that the numbers of many tickets need."""
    for path in ticket_type.phone:
        model: Any = ticket_type.model
        for name in path.split("."):
            try:
                model = model._meta.get_field(name).related_model
            except (FieldDoesNotExist, AttributeError):
                return False
    return bool(ticket_type.phone)


def has_callable_agent(user: Any) -> bool:
    """Return whether :func:`callable_agents` returns any, without loading all of them."""
    return bool(agents_for(user)) or (Permission.FOR_OTHERS.granted_to(user) and Agent.objects.active().exists())


def agent_obstacle(adapter: TicketAdapter, request: HttpRequest) -> Obstacle:
    """Return the obstacle of a user who can call as no agent."""
    text = _("You have no phone in Exotel yet. An administrator can add an agent for you.")
    return Obstacle(_("no phone"), text, adapter.add_agent_url(request), _("Add an agent"))


def number_obstacle(
    adapter: TicketAdapter, request: HttpRequest, ticket: Model, numbers: Sequence[TicketNumber]
) -> Obstacle | None:
    """Return the obstacle of a ticket without a number that can be called; None when the user can call one."""
    may_type = Permission.ANY_NUMBER.granted_to(request.user)
    return None if may_type else missing_number(adapter, request, ticket, numbers)


def missing_number(
    adapter: TicketAdapter, request: HttpRequest, ticket: Model, numbers: Sequence[TicketNumber]
) -> Obstacle | None:
    """Return why a ticket has no number that can be called; None when it has one."""
    if any(one.number for one in numbers):
        return None
    reasons = [f"{capfirst(one.label)}: {one.problem}" if one.label else one.problem for one in numbers]
    text = " ".join([_("None of its numbers can be dialled."), *reasons]) if numbers else _("There is no phone number.")
    return Obstacle(_("no number"), text, adapter.edit_number_url(request, ticket), _("Enter a number"))
