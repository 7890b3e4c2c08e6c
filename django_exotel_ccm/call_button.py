"""The button of one ticket, wherever it stands: what a press asks for, and why it may not be pressed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
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
from django_exotel_ccm.own_phones import PhoneLine, phone_line
from django_exotel_ccm.policies import Denial
from django_exotel_ccm.services.callers import Requirements, has_callable_agent, way_around
from django_exotel_ccm.services.placing import agents_for
from django_exotel_ccm.services.readiness import (
    Obstacle,
    agent_obstacle,
    are_numbers_in_fields,
    ask_rules,
    denial_of,
    load_related,
    missing_obstacle,
    number_obstacle,
    rule_obstacle,
)
from django_exotel_ccm.ticket_numbers import TicketNumber, numbers_of
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
    phone: PhoneLine | None = None
    """On the page of one ticket alone."""


def call_buttons(
    adapter: TicketAdapter,
    request: HttpRequest,
    found: Sequence[Model],
    newest: Mapping[LinkKey, CallRecord],
    *,
    ticket_type: TicketType | None = None,
    listed: Mapping[LinkKey, Mapping[str, str]] | None = None,
) -> list[CallButton | None]:
    """Return the button of each ticket, None where its entry's ``can_call`` says no; a fixed number of queries.

    ``newest`` is the user's newest call about each, by ``link_key(ticket)``; ``listed`` is, on the page of a call list,
    what a press says of each ticket's item, likewise. ``ticket_type`` is that of a page with tickets of one type.
    An obstacle that only the host's own code could find, ticket by ticket, is said after the press.
    """
    if not found:
        return []
    kinds: defaultdict[type[Model], list[Model]] = defaultdict(list)
    for ticket in found:
        kinds[ticket.__class__].append(ticket)
    types = {model: ticket_type or tickets.type_of(model) for model in kinds}
    obstacles = _Obstacles(adapter, request)
    obstacles.read_numbers(types, kinds)

    def button_of(ticket: Model) -> CallButton | None:
        its_type = types[ticket.__class__]
        if not its_type.allows(request.user, ticket):
            return None
        key = link_key(ticket)
        its_adapter, item = adapter.of_ticket(request, ticket), (listed or {}).get(key, {})
        query = partial(call_query, its_adapter, its_type, [str(ticket.pk)], request.get_full_path(), **item)
        return _button(request, query, newest.get(key), obstacles.of(ticket, query))

    return [button_of(ticket) for ticket in found]


def call_button(
    adapter: TicketAdapter,
    request: HttpRequest,
    ticket: Model,
    newest: CallRecord | None,
    *,
    listed: Mapping[str, str] | None = None,
) -> CallButton:
    """Return the button of ``ticket`` for the user of ``request``, whose newest call about it is ``newest``.

    ``listed`` is what a press says of the ticket's item on the call list that shows the button.
    """
    keys, next_url = [str(ticket.pk)], request.get_full_path()
    query = partial(call_query, adapter, tickets.type_of(ticket), keys, next_url, **(listed or {}))
    obstacles = _Obstacles(adapter, request)
    obstacles.read_numbers_of(ticket)
    button = _button(request, query, newest, obstacles.of(ticket, query))
    if button.obstacle is not None:
        return button
    return replace(button, phone=phone_line(adapter, obstacles.agents, next_url))


def _button(
    request: HttpRequest, query: Callable[..., str], newest: CallRecord | None, obstacle: Obstacle | None
) -> CallButton:
    """Return the button whose addresses have the ``query`` of its ticket."""
    press = query(after=str(newest.pk if newest is not None else 0))
    return CallButton(
        place_url=f"{reverse('exotel_ccm:place')}?{press}",
        choose_url=_choose_url(query),
        obstacle=obstacle,
        may_choose=any(one.granted_to(request.user) for one in CHOICES),
    )


def _choose_url(query: Callable[..., str]) -> str:
    return f"{reverse('exotel_ccm:choose')}?{query()}"


class _Obstacles:
    """What stands before calls about the tickets of one page, found for all of them together."""

    def __init__(self, adapter: TicketAdapter, request: HttpRequest) -> None:
        self._adapter = adapter
        self._request = request
        self.agents = agents_for(request.user)
        self._leads_to_choice = False
        has_agent = has_callable_agent(request.user, self.agents)
        self._of_all = self._missing_of_all() if has_agent else agent_obstacle(adapter, request)
        self._numbers: dict[LinkKey, list[TicketNumber]] = {}
        self._denied: dict[str, Denial] = {}

    def _missing_of_all(self) -> Obstacle | None:
        """Return what every press lacks, whatever its ticket; None where the choose page asks for the agent."""
        requirements = Requirements(self._request.user)
        found = [missing for agent in self.agents if (missing := requirements.missing(agent)) is not None]
        if not found or len(found) < len(self.agents):
            return None
        link_text = way_around(self._request.user, found[0])
        if not link_text:
            return missing_obstacle(self._adapter, self._request, found[0])
        self._leads_to_choice = True
        obstacle = Obstacle(found[0].title, found[0].refusal.advice, link_text=link_text)
        return obstacle if len(self.agents) == 1 else None

    def read_numbers(
        self, types: Mapping[type[Model], TicketType], kinds: Mapping[type[Model], Sequence[Model]]
    ) -> None:
        """Read the numbers of many tickets, where they are in fields that can be loaded together; ask the rules."""
        if self._of_all is not None:
            return
        for model, found in kinds.items():
            if are_numbers_in_fields(types[model]):
                load_related(types[model], found)
                self._numbers |= {link_key(ticket): numbers_of(ticket) for ticket in found}
        self._ask_rules()

    def read_numbers_of(self, ticket: Model) -> None:
        """Read the numbers of one ticket, also by the host's code; ask the rules."""
        if self._of_all is not None:
            return
        # The host's code may fail, and the choose page says then what failed. It may also break the transaction, and
        # the rest of the page needs it.
        with suppress(Exception), transaction.atomic(using=router.db_for_read(ticket.__class__, instance=ticket)):
            self._numbers[link_key(ticket)] = numbers_of(ticket)
        self._ask_rules()

    def _ask_rules(self) -> None:
        known = [one.number for numbers in self._numbers.values() for one in numbers if one.number]
        self._denied = ask_rules(self._request.user, self.agents, ["", *known])

    def of(self, ticket: Model, query: Callable[..., str]) -> Obstacle | None:
        """Return what stands before a call about ``ticket``, whose addresses have ``query``; None if nothing is known.

        A number that could not be read is no obstacle here.
        """
        if self._of_all is not None:
            return replace(self._of_all, url=_choose_url(query)) if self._leads_to_choice else self._of_all
        numbers = self._numbers.get(link_key(ticket))
        if numbers is not None:
            missing = number_obstacle(self._adapter, self._request, ticket, numbers)
            if missing is not None:
                return missing
        denial = denial_of([one.number for one in numbers or () if one.number] or [""], self._denied)
        return rule_obstacle(self._request, denial, _choose_url(query)) if denial is not None else None
