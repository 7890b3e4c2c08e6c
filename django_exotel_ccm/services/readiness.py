"""What stands before a call about a ticket: no agent for the user, no number that can be called, or a rule."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
from django_exotel_ccm.models import Agent, CallRecord
from django_exotel_ccm.policies import Denial, denials
from django_exotel_ccm.services.callers import Missing
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


def agent_obstacle(adapter: TicketAdapter, request: HttpRequest) -> Obstacle:
    """Return the obstacle of a user who can call as no agent."""
    text = _("You have no phone in Exotel yet. An administrator can add an agent for you.")
    return Obstacle(_("no phone"), text, adapter.add_agent_url(request), _("Add an agent"))


def missing_obstacle(adapter: TicketAdapter, request: HttpRequest, missing: Missing) -> Obstacle:
    """Return the obstacle of what every call lacks, with the page on which it is corrected."""
    url = adapter.correction_url(request, missing.call, missing.refusal.code)
    return Obstacle(missing.title, missing.refusal.advice, url, _("Correct it"))


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


# Rules.


def ask_rules(user: Any, agents: Sequence[Agent], numbers: Iterable[str]) -> dict[str, Denial]:
    """Return by number (E.164, "" for one that is not known yet) why the rules deny ``user`` a call to it now.

    A number that may be called is left out. Of several ``agents`` nobody knows yet who is going to call.
    """
    agent, wanted = agents[0] if len(agents) == 1 else None, list(dict.fromkeys(numbers))
    calls = [CallRecord(agent=agent, placed_by_id=user.pk, customer_number=number) for number in wanted]
    return {number: denial for number, denial in zip(wanted, denials(calls), strict=True) if denial is not None}


def is_denied(agent: Agent, number: str, *, has_reason: bool) -> bool:
    """Return whether a rule refuses this call now; a reason overrides all but those about safety."""
    [denial] = denials([CallRecord(agent=agent, customer_number=number)], with_own_call=True)
    return denial is not None and (denial.is_safety or not has_reason)


def denial_of(numbers: Iterable[str], denied: Mapping[str, Denial]) -> Denial | None:
    """Return why none of the ``numbers`` of a ticket can be called; None if one can."""
    found = [denied.get(number) for number in numbers]
    return found[0] if found and None not in found else None


@dataclass(frozen=True, slots=True)
class Preview:
    """How many of several tickets can be called now, in a sentence; and why not the others, each with how many."""

    text: str
    reasons: list[tuple[str, int]]

    def __str__(self) -> str:
        return " · ".join([self.text, *(f"{reason}: {count}" for reason, count in self.reasons)])


def preview(obstacles: Sequence[Obstacle | Denial | None]) -> Preview:
    """Return how many tickets can be called, given what stands before each; None where nothing does."""
    reasons = Counter(capfirst(one.title or one.text) for one in obstacles if one is not None)
    words = {"callable": len(obstacles) - reasons.total(), "count": len(obstacles)}
    return Preview(_("%(callable)d of %(count)d can be called now.") % words, reasons.most_common())


def rule_obstacle(request: HttpRequest, denial: Denial, choose_url: str) -> Obstacle:
    """Return the obstacle of a rule, with the way around it that is open to this user."""
    link_text = ""
    if not denial.is_safety and Permission.OVERRIDE_POLICY.granted_to(request.user):
        link_text = _("Call anyway")
    elif Permission.ANY_NUMBER.granted_to(request.user):
        link_text = _("Call another number")
    return Obstacle(denial.title, denial.text, choose_url if link_text else "", link_text)
