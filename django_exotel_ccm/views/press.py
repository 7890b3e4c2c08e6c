"""A press of the button: which ticket, through which door, as which agent, to which number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.http import url_has_allowed_host_and_scheme

from django_exotel_ccm import tickets
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.doors import Door, find_door
from django_exotel_ccm.models import Agent
from django_exotel_ccm.numbers import parse_number
from django_exotel_ccm.services import agents_for
from django_exotel_ccm.tickets import TicketNumber, TicketType


@dataclass(frozen=True, slots=True)
class Entrance:
    """The door through which a request comes, and the kind of ticket it is about."""

    door: Door
    ticket_type: TicketType

    @classmethod
    def of(cls, request: HttpRequest, values: Mapping[str, str]) -> Entrance:
        """Return the entrance a request names; raises ``PermissionDenied`` or ``Http404`` when it is closed."""
        if not request.user.has_perm(Permission.PLACE_CALL):
            raise PermissionDenied
        door = find_door(values.get("door", ""))
        ticket_type = _ticket_type(values.get("type", ""))
        if door is None or ticket_type is None:
            raise Http404
        if not door.admits(request):
            raise PermissionDenied
        return cls(door, ticket_type)

    def ticket(self, request: HttpRequest, key: str) -> Model:
        """Return the ticket; raises ``Http404`` when the user may not see it, ``PermissionDenied`` if not call it."""
        found = self.door.find(request, self.ticket_type, [key])
        if not found:
            raise Http404
        if not self.ticket_type.allows(request.user, found[0]):
            raise PermissionDenied
        return found[0]

    def next_url(self, request: HttpRequest, wanted: str) -> str:
        """Return ``wanted`` if it leads to a page of this host, else the list of tickets."""
        safe = url_has_allowed_host_and_scheme(
            wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
        )
        return wanted if safe else self.door.list_url(self.ticket_type)

    def choose_url(self, keys: list[str], next_url: str) -> str:
        """Return the page that asks what a press left open."""
        query = {"door": self.door.name, "type": self.ticket_type.label, "ticket": keys, "next": next_url}
        return f"{reverse('exotel_ccm:choose')}?{urlencode(query, doseq=True)}"


def _ticket_type(label: str) -> TicketType | None:
    try:
        return tickets.type_of(apps.get_model(label))
    except (LookupError, ValueError, ImproperlyConfigured):
        return None


def callable_agents(user: object) -> list[Agent]:
    """Return the agents as whom ``user`` may call: their own first, and all others with the permission."""
    own = agents_for(user)
    if not user.has_perm(Permission.FOR_OTHERS):  # type: ignore[attr-defined]
        return own
    others = Agent.objects.active().exclude(pk__in=[agent.pk for agent in own]).select_related("exophone")
    return [*own, *others.order_by("name", "pk")]


def choose_agent(user: object, wanted: str) -> Agent | None:
    """Return the agent a press means: the one it names, else the user's only one; None when that must be asked.

    Raises ``PermissionDenied`` for an agent that is not theirs to use.
    """
    if wanted:
        for agent in callable_agents(user):
            if str(agent.pk) == wanted:
                return agent
        raise PermissionDenied
    own = agents_for(user)
    return own[0] if len(own) == 1 else None


def name_of(ticket: Model, number: str) -> str:
    """Return what stands for a ticket's number in a form: people who may not see it may still call it."""
    value = f"{ticket._meta.label_lower}|{ticket.pk}|{number}"
    return salted_hmac("django_exotel_ccm.number", value, algorithm="sha256").hexdigest()[:32]


def choose_number(user: object, ticket: Model, *, named: str, typed: str) -> str | None:
    """Return the number (E.164) a press means: typed, named, or the ticket's only one; None when that must be asked.

    Raises ``PermissionDenied`` for a typed number without the permission, ``InvalidNumber`` for one that is none.
    """
    numbers = [number for number in tickets.numbers_of(ticket) if number.number]
    if typed:
        return _typed(user, typed, numbers)
    if named:
        return next((one.number for one in numbers if constant_time_compare(name_of(ticket, one.number), named)), None)
    return numbers[0].number if len(numbers) == 1 else None


def _typed(user: object, typed: str, numbers: list[TicketNumber]) -> str:
    number = parse_number(typed)
    if number not in {one.number for one in numbers} and not user.has_perm(Permission.ANY_NUMBER):  # type: ignore[attr-defined]
        raise PermissionDenied
    return number
