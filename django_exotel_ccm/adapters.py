"""Doors: the ways by which a user reaches tickets, each with its own rule of who may see which.

An admin site is an adapter. The core knows adapters only by this protocol, since a host may have no admin at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol
from urllib.parse import urlencode

from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.tickets import TicketType

MAX_TICKETS = 100
"""How many tickets one page takes an agent through."""
MAX_QUERY_LENGTH = 3000
"""Common servers refuse addresses of more than 4,000 characters."""


class TicketAdapter(Protocol):
    """One way by which users reach tickets."""

    name: str

    def login_url(self, next_url: str) -> str:
        """Return the page where strangers log in and are sent on to ``next_url``; "" where there is none."""

    def has_access(self, request: HttpRequest) -> bool:
        """Say whether the user may come in at all."""

    def guard(self, view: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
        """Return ``view`` behind what stands before every page of this user interface, such as a second factor."""

    def visible_tickets(self, request: HttpRequest, ticket_type: TicketType, keys: Sequence[str]) -> list[Model]:
        """Return those of the tickets that this user may see here, in the order of ``keys``."""

    def visible_calls(self, request: HttpRequest, calls: Iterable[CallRecord]) -> set[Any]:
        """Return the keys of those calls that are about a ticket which this user may see here, or about none."""

    def render(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        """Return a page in this adapter's own frame."""

    def add_message(self, request: HttpRequest, level: str, text: str) -> None:
        """Show the user a message ("success", "warning", "error", "info"; safe HTML) on the next page."""

    def log_change(self, request: HttpRequest, ticket: Model, text: str) -> None:
        """Write into the ticket's history that a call was placed."""

    def ticket_url(self, ticket: Model) -> str:
        """Return the ticket's page."""

    def list_url(self, ticket_type: TicketType) -> str:
        """Return the page that lists such tickets."""

    def add_agent_url(self, request: HttpRequest) -> str:
        """Return the page that adds an agent for this user, or "" when they may not add one."""

    def edit_number_url(self, request: HttpRequest, ticket: Model) -> str:
        """Return the page on which the ticket's number is entered, or "" when this user may not."""

    def call_url(self, request: HttpRequest, call: CallRecord) -> str:
        """Return the page of a call's record, or "" when this user may not see it."""


def call_query(adapter: TicketAdapter, ticket_type: TicketType, keys: Sequence[str], next_url: str, **more: str) -> str:
    """Return what the address of a press says: which tickets, through which adapter, and where to go afterwards.

    All our names begin with "exotel_": the host's own forms are posted to such addresses.
    """
    named = {"adapter": adapter.name, "type": ticket_type.label, "ticket": list(keys), "next": next_url, **more}
    query = urlencode({f"exotel_{name}": value for name, value in named.items() if value != ""}, doseq=True)
    if len(query) > MAX_QUERY_LENGTH and next_url != adapter.list_url(ticket_type):
        # Back to the whole list, then: its filters made the address too long.
        return call_query(adapter, ticket_type, keys, adapter.list_url(ticket_type), **more)
    return query


_finders: list[Callable[[str], TicketAdapter | None]] = []


def add_adapter_finder(finder: Callable[[str], TicketAdapter | None]) -> None:
    """Have ``finder`` asked for adapters by name."""
    if finder not in _finders:
        _finders.append(finder)


def get_adapter(name: str) -> TicketAdapter | None:
    """Return the adapter of that name; None when there is none."""
    return next((adapter for finder in _finders if (adapter := finder(name)) is not None), None)
