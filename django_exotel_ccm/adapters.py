"""Adapters: how a user interface decides which tickets a user sees. An admin site is one.

The core knows user interfaces by this protocol alone, because a host may have no admin.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol
from urllib.parse import quote_plus, urlencode

from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse

from django_exotel_ccm.choices import Permission
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.models.ticket_link import LinkKey, TicketLink
from django_exotel_ccm.tickets import TicketType, type_of

CHECK = "X-Exotel-Check"
"""The header of our scripts when they look at a page anew. They show no messages, so those wait for the next page."""
MAX_TICKETS = 100
"""How many tickets one page shows to be called."""
MAX_QUERY_LENGTH = 3000
"""Common servers refuse addresses of more than 4,000 characters."""
LONGEST_NEXT = 2500
"""Characters of a quoted address: with the adapter's name, they stay below :data:`MAX_QUERY_LENGTH`."""


class TicketAdapter(Protocol):
    """One user interface of the host."""

    name: str
    knows_who_sees: bool
    """Whether it can say of any ticket who may see it. The host's own pages know only what they have shown to whom."""

    def login_url(self, next_url: str) -> str:
        """Return the login page that leads on to ``next_url``; "" if there is none."""

    def has_access(self, request: HttpRequest) -> bool:
        """Return whether the user may use this interface at all."""

    def guard(self, view: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
        """Return ``view`` behind the checks that precede every page of this interface, such as a second factor."""

    def shows(self, ticket_type: TicketType) -> bool:
        """Return whether this interface shows tickets of this type at all, to whomever."""

    def decides(self, request: HttpRequest, ticket_type: TicketType) -> bool:
        """Return whether it knows of each ticket of this type whether this user may see it.

        An interface that shows the user none of them at all does not: the user may work in another one.
        """

    def visible_tickets(self, request: HttpRequest, ticket_type: TicketType, keys: Sequence[str]) -> list[Model]:
        """Return those of the tickets that this user may see, in the order of ``keys``."""

    def visible_calls(self, request: HttpRequest, calls: Iterable[CallRecord]) -> set[Any]:
        """Return the keys of those calls that are about no ticket, or about one that this user may see."""

    def render(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        """Return a page in the frame of this interface."""

    def add_message(self, request: HttpRequest, level: str, text: str) -> None:
        """Show safe HTML on the next page. ``level`` is "success", "warning", "error" or "info"."""

    def log_change(self, request: HttpRequest, ticket: Model, text: str) -> None:
        """Add a line to the ticket's history."""

    def ticket_url(self, ticket: Model) -> str:
        """Return the ticket's page."""

    def list_url(self, ticket_type: TicketType) -> str:
        """Return the page that lists such tickets."""

    def add_agent_url(self, request: HttpRequest) -> str:
        """Return the page that adds an agent for this user; "" if they may not add one."""

    def edit_number_url(self, request: HttpRequest, ticket: Model) -> str:
        """Return the page on which the ticket's number is entered; "" if this user may not."""

    def correction_url(self, request: HttpRequest, call: CallRecord, code: str) -> str:
        """Return the page on which the reason of a refusal is corrected; "" if there is none or this user may not.

        ``code`` is the name of one of our own rules, or any other code.
        """

    def call_url(self, request: HttpRequest, call: CallRecord) -> str:
        """Return the call's page; "" if this user may not see it."""

    def calls_url(self, request: HttpRequest, ticket: Model) -> str:
        """Return the page that lists all calls about the ticket; "" if there is none or this user may not see it."""

    def call_lists_url(self, request: HttpRequest) -> str:
        """Return the page with the call lists of all; "" if there is none or this user may not see it."""

    def of_ticket(self, request: HttpRequest, ticket: Model) -> TicketAdapter:
        """Return the adapter through which this user calls about ``ticket`` from a page that shows many tickets."""

    def of_user(self, request: HttpRequest) -> TicketAdapter | None:
        """Return the adapter of the pages that belong to this user, such as "My calls"; None if it has none."""


def page_url(adapter: TicketAdapter | None, name: str, *args: Any, **query: Any) -> str:
    """Return the address of our view ``name`` with these arguments, which asks ``adapter`` what this user may see.

    Empty values of ``query`` are left out. Raises ``NoReverseMatch`` where our URLs are not included.
    """
    named = {"exotel_adapter": adapter.name if adapter is not None else "", **query}
    given = urlencode({name: value for name, value in named.items() if value != ""})
    return reverse(f"exotel_ccm:{name}", args=args) + (f"?{given}" if given else "")


def next_page_url(adapter: TicketAdapter | None, name: str, *args: Any, next_url: str) -> str:
    """Return :func:`page_url` of a page that leads on to ``next_url``; one that filters made too long is left out."""
    is_short = len(quote_plus(next_url)) <= LONGEST_NEXT
    return page_url(adapter, name, *args, exotel_next=next_url if is_short else "")


def call_query(adapter: TicketAdapter, ticket_type: TicketType, keys: Sequence[str], next_url: str, **more: str) -> str:
    """Return the query of an address that calls these tickets and leads to ``next_url`` afterwards.

    All our names begin with "exotel_", because the host's own forms are posted to such addresses.
    """
    named = {"adapter": adapter.name, "type": ticket_type.label, "ticket": list(keys), "next": next_url, **more}
    query = urlencode({f"exotel_{name}": value for name, value in named.items() if value != ""}, doseq=True)
    if len(query) > MAX_QUERY_LENGTH and next_url != adapter.list_url(ticket_type):
        # The list's filters made the address too long. The way back is the whole list, then.
        return call_query(adapter, ticket_type, keys, adapter.list_url(ticket_type), **more)
    return query


def calls_about_visible_tickets(adapter: TicketAdapter, request: HttpRequest, calls: Iterable[CallRecord]) -> set[Any]:
    """Return the keys of those calls that are about no ticket, or about one that ``adapter`` shows to this user.

    With ``view_all_calls`` these are all of them. Asks the adapter once for each kind of ticket.
    """
    calls = list(calls)
    if Permission.VIEW_ALL_CALLS.granted_to(request.user):
        return {call.pk for call in calls}
    found = tickets_of_rows(adapter, request, calls)
    return {call.pk for call in calls if not call.ticket_object_id or call.link_key in found}


def may_see_call(request: HttpRequest, call: CallRecord, adapter: TicketAdapter | None) -> bool:
    """Return whether the user placed the call, or may see it and its ticket through ``adapter``."""
    return call.pk in calls_that_may_be_seen(request, [call], adapter)


def calls_that_may_be_seen(
    request: HttpRequest, calls: Sequence[CallRecord], adapter: TicketAdapter | None
) -> set[Any]:
    """Return the keys of those calls that the user placed, or may see with their tickets through ``adapter``."""
    own = {call.pk for call in calls if call.placed_by_id == request.user.pk}
    others = [call for call in calls if call.pk not in own]
    if not others or adapter is None or not Permission.VIEW_CALL.granted_to(request.user):
        return own
    return own | adapter.visible_calls(request, others)


def tickets_of_rows(adapter: TicketAdapter, request: HttpRequest, rows: Iterable[TicketLink]) -> dict[LinkKey, Model]:
    """Return by ``link_key`` the tickets of the rows that ``adapter`` shows to this user.

    Asks the adapter once for each kind of ticket.
    """
    kinds: dict[Any, set[str]] = defaultdict(set)
    for row in rows:
        if row.ticket_object_id and row.ticket_content_type_id is not None:
            kinds[row.ticket_content_type_id].add(row.ticket_object_id)
    found: dict[LinkKey, Model] = {}
    for kind, keys in kinds.items():
        model = ContentType.objects.get_for_id(kind).model_class()
        if model is not None:
            visible = adapter.visible_tickets(request, _type_of(model), sorted(keys))
            found |= {(kind, str(ticket.pk)): ticket for ticket in visible}
    return found


def _type_of(model: type[Model]) -> TicketType:
    try:
        return type_of(model)
    except ImproperlyConfigured:
        # It has left TICKETS since the call. An adapter may still know it.
        return TicketType(label=model._meta.label_lower, prefix="")


_finders: list[Callable[[str], TicketAdapter | None]] = []
_listings: list[Callable[[], Iterable[TicketAdapter]]] = []


def add_adapter_finder(
    finder: Callable[[str], TicketAdapter | None], served: Callable[[], Iterable[TicketAdapter]]
) -> None:
    """Let :func:`get_adapter` call ``finder``, which returns the adapter of a name, or None.

    ``served`` returns those that a page without a name of an adapter can be shown in.
    """
    if finder not in _finders:
        _finders.append(finder)
        _listings.append(served)


def get_adapter(name: str) -> TicketAdapter | None:
    """Return the adapter of that name; None if there is none."""
    return next((adapter for finder in _finders if (adapter := finder(name)) is not None), None)


def adapter_of_user(request: HttpRequest, name: str) -> TicketAdapter | None:
    """Return the adapter of this user's own pages, which they came to from the adapter called ``name``.

    Without such a one it is the first that lets the user in, an admin site before the plain pages. A name that was
    written by hand so gets nobody around what an admin site hides. None where nothing is served.
    """
    named = get_adapter(name)
    own = named.of_user(request) if named is not None else None
    if own is not None:
        return own
    served = _served_adapters()
    return next((one for one in served if one.has_access(request)), served[0] if served else None)


def keys_that_no_site_hides(request: HttpRequest, ticket_type: TicketType, keys: Sequence[str]) -> list[Any]:
    """Return the primary keys in ``keys`` whose tickets no admin site hides from this user, in their order.

    The sites that show such tickets, and let the user in to a list of them, decide. A staff user whom all of them
    refuse lacks something that they demand, such as a second factor: from them all are hidden. A site says nothing
    about a user who is no staff, nor about one to whom it shows no such list: they work on the host's own pages.
    """
    wanted = [key for key in map(ticket_type.key, keys) if key is not None]
    sites = [one for one in _served_adapters() if one.knows_who_sees and one.shows(ticket_type)]
    entered = [site for site in sites if site.has_access(request)]
    if sites and not entered and is_staff(request.user):
        return []
    deciding = [site for site in entered if site.decides(request, ticket_type)]
    if not deciding:
        return wanted
    seen = {ticket.pk for site in deciding for ticket in site.visible_tickets(request, ticket_type, keys)}
    return [key for key in wanted if key in seen]


def is_staff(user: Any) -> bool:
    """Return whether the user belongs in an admin site. A host's user model may know no staff."""
    return bool(user.is_active and getattr(user, "is_staff", False))


def colleague_sees_ticket(request: HttpRequest, row: TicketLink) -> bool:
    """Return whether the user of ``request`` sees the ticket of ``row`` on an admin site, or in the frame of the host.

    ``request`` is a copy of another user's. Whether they will give a second factor nobody can know, so all sites are
    asked about staff.
    """
    asked = [one for one in _served_adapters() if is_staff(request.user) or one.has_access(request)]
    return any(tickets_of_rows(one, request, [row]) for one in asked)


def _served_adapters() -> list[TicketAdapter]:
    return [adapter for listing in _listings for adapter in listing()]
