"""What a press of the button asks for: which ticket, through which adapter, as which agent, to which number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _

from django_exotel_ccm import tickets
from django_exotel_ccm.adapters import TicketAdapter, call_query
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.models import Agent, CallRecord, ExoPhone
from django_exotel_ccm.phone_numbers import parse_number
from django_exotel_ccm.services import agents_for
from django_exotel_ccm.services.readiness import callable_agents, read_numbers
from django_exotel_ccm.ticket_numbers import only_number
from django_exotel_ccm.tickets import TicketType
from django_exotel_ccm.views.access import is_of_this_host

MAX_KEY_DIGITS = 18  # every such number is a 64-bit key


class NeedsConfirmation(Exception):
    """A press leaves something open, so the choose page has to ask. ``confirmed`` is the key of the call it shows."""

    def __init__(self, text: str = "", level: str = "warning", confirmed: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.level = level
        self.confirmed = confirmed


@dataclass(frozen=True, slots=True)
class CallTarget:
    """The adapter through which a request comes, and the kind of ticket that it is about."""

    adapter: TicketAdapter
    ticket_type: TicketType

    @classmethod
    def of(cls, adapter: TicketAdapter, values: Mapping[str, str]) -> CallTarget:
        """Return the target that a request names; raises ``Http404`` when it names no kind of ticket."""
        try:
            return cls(adapter, tickets.type_of(apps.get_model(values.get("exotel_type", ""))))
        except (LookupError, ValueError, ImproperlyConfigured):
            raise Http404 from None

    def ticket(self, request: HttpRequest, key: str) -> Model:
        """Return the ticket; raises ``Http404`` when the user may not see it."""
        found = self.adapter.visible_tickets(request, self.ticket_type, [key])
        if not found:
            raise Http404
        return found[0]

    def next_url(self, request: HttpRequest, wanted: str) -> str:
        """Return ``wanted`` if it leads to a page of this host, else the list of tickets."""
        return wanted if is_of_this_host(request, wanted) else self.adapter.list_url(self.ticket_type)

    def choose_url(self, keys: list[str], next_url: str, **more: str) -> str:
        """Return the address of the choose page: ``confirmed``, ``refused`` and ``item`` are its own parameters."""
        query = call_query(self.adapter, self.ticket_type, keys, next_url, **more)
        return f"{reverse('exotel_ccm:choose')}?{query}"


def choose_agent(user: object, wanted: str) -> Agent | None:
    """Return the agent with the key ``wanted``, else the user's only one; None when the user has to choose.

    Raises ``PermissionDenied`` for an agent that the user may not use.
    """
    if wanted:
        for agent in callable_agents(user):
            if str(agent.pk) == wanted:
                return agent
        raise PermissionDenied
    own = agents_for(user)
    return own[0] if len(own) == 1 else None


def choose_exophone(user: object, wanted: str) -> ExoPhone | None:
    """Return the active ExoPhone with the key ``wanted``; None when the user leaves the choice to ``EXOPHONE_CHOICE``.

    Raises ``PermissionDenied`` without the permission, and :class:`NeedsConfirmation` for one that is gone.
    """
    if not wanted:
        return None
    if not Permission.CHOOSE_EXOPHONE.granted_to(user):
        raise PermissionDenied
    key = whole_number(wanted)
    found = ExoPhone.objects.filter(pk=key, is_active=True).first() if key is not None else None
    if found is None:
        raise NeedsConfirmation(_("This ExoPhone is not used any more. Choose another."), "error")
    return found


def whole_number(text: str) -> int | None:
    """Return the number that ``text`` writes in decimal digits; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_KEY_DIGITS else None


def number_token(ticket: Model, number: str) -> str:
    """Return what stands for a number in a form, because users who may not see a number may still call it."""
    value = f"{ticket._meta.label_lower}|{ticket.pk}|{number}"
    return salted_hmac("django_exotel_ccm.number", value, algorithm="sha256").hexdigest()[:32]


def choose_number(user: object, ticket: Model, *, named: str, typed: str) -> str | None:
    """Return the number (E.164) to call; None when the user has to choose.

    ``typed`` is a number, ``named`` the :func:`number_token` of one of the ticket's. Without both it is the ticket's
    only number. Raises ``PermissionDenied`` for a typed number without the permission, ``InvalidNumber`` for text that
    is no number, and :class:`~.readiness.NumbersUnreadable`.
    """
    if typed:
        # Refused before it is read or compared, because the answer would tell whether it is the ticket's.
        if not Permission.ANY_NUMBER.granted_to(user):
            raise PermissionDenied
        return parse_number(typed)
    numbers = [one for one in read_numbers(ticket) if one.number]
    if named:
        tokens = {one.number: number_token(ticket, one.number) for one in numbers}
        return next((number for number, token in tokens.items() if constant_time_compare(token, named)), None)
    return only_number(numbers) or None


def number_of_call(ticket: Model, key: int) -> str | None:
    """Return the number (E.164) of the call about ``ticket`` with this key; None when the user has to choose.

    That is when the ticket does not have the number any more, or other words stand beside it that have to be read.
    Raises :class:`~.readiness.NumbersUnreadable`.
    """
    number = CallRecord.objects.about(ticket).filter(pk=key).values_list("customer_number", flat=True).first()
    usable = [one.number for one in read_numbers(ticket) if one.number and not one.note]
    return number if number in usable else None
