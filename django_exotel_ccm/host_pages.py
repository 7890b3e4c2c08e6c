"""The host's own pages as a ticket adapter: an entry's ``can_call``, or else Django's permissions, decide."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.contrib.auth.views import redirect_to_login
from django.core import signing
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import get_script_prefix
from django.utils.safestring import mark_safe

from django_exotel_ccm.adapters import (
    calls_about_visible_tickets,
    keys_that_no_site_hides,
)
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.tickets import TicketType, link_of, type_of

NAME = "host:pages"
"""No admin site has this name: it is a namespace in its URLs, which can have no colon."""
MAX_AGE = 24 * 60 * 60  # seconds for which a page may be pressed on
KEPT = "exotel_ccm_messages"
MOST_KEPT = 5
KEPT_FOR = 60  # seconds; nobody recognises an older message as theirs
_signer = signing.TimestampSigner(salt="django_exotel_ccm.host_pages")


class HostPagesAdapter:
    """A page of the host, no admin, that shows one ticket to one user. Pages of ours for calls, agents: none.

    The host's own view decided that this user sees this ticket, and our views cannot ask it again. So the adapter's
    name is signed, and holds both: who writes such a name by hand sees nothing. Without a ticket it shows none.
    """

    knows_who_sees = False

    def __init__(self, name: str = NAME, user_key: str = "", link: tuple[str, str] = ("", "")) -> None:
        self.name = name
        self._user_key = user_key
        self._link = link

    @classmethod
    def of(cls, user: Any, ticket: Model) -> HostPagesAdapter:
        """Return the adapter of a page that shows ``ticket`` to ``user``."""
        link = _link_of(ticket)
        return cls(f"{NAME}:{_signer.sign_object([str(user.pk), *link])}", str(user.pk), link)

    def login_url(self, next_url: str) -> str:
        """Return the page of ``LOGIN_URL``."""
        url: str = redirect_to_login(next_url).url
        return url if next_url else url.partition("?")[0]

    def has_access(self, request: HttpRequest) -> bool:
        """Return whether the user is logged in and active."""
        return bool(request.user.is_authenticated and request.user.is_active)

    def guard(self, view: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
        """Return ``view``: the host's middleware has guarded it already."""
        return view

    def shows(self, ticket_type: TicketType) -> bool:
        """Return whether the model is in ``TICKETS``."""
        return bool(ticket_type.prefix)

    def decides(self, request: HttpRequest, ticket_type: TicketType) -> bool:
        """Return False: only the host's own view knows."""
        return False

    def visible_tickets(self, request: HttpRequest, ticket_type: TicketType, keys: Sequence[str]) -> list[Model]:
        """Return the page's ticket if it is among ``keys``, and this user may still see it.

        The model's default manager finds it, since a host may have it leave out the rows of other tenants.
        """
        wanted = [key for key in map(ticket_type.key, keys) if key is not None]
        if not wanted or str(request.user.pk) != self._user_key:
            return []
        found = ticket_type.model._default_manager.filter(pk__in=wanted)
        return [one for one in found if _link_of(one) == self._link and may_see(request.user, one)]

    def visible_calls(self, request: HttpRequest, calls: Iterable[CallRecord]) -> set[Any]:
        """Return the keys of those calls that are about no ticket, or about one that this user may see."""
        return calls_about_visible_tickets(self, request, calls)

    def render(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        """Return a page in the frame of ``exotel_ccm/base.html``, which the host may replace."""
        return TemplateResponse(request, f"exotel_ccm/{template}", {**context, "kept_messages": kept_messages(request)})

    def add_message(self, request: HttpRequest, level: str, text: str) -> None:
        """Show a message on the next page; where the host has no messages, on the next that has something of ours."""
        if apps.is_installed("django.contrib.messages") and hasattr(request, "_messages"):
            from django.contrib import messages  # noqa: PLC0415, TID251 - this host has them

            messages.add_message(request, getattr(messages, level.upper()), text)
        else:
            _store_message(request, level, text)

    def log_change(self, request: HttpRequest, ticket: Model, text: str) -> None:
        """Do nothing: the log of changes is the admin's. The call itself is the record."""

    def ticket_url(self, ticket: Model) -> str:
        """Return the ticket's ``get_absolute_url``; "" if it has none."""
        absolute_url = getattr(ticket, "get_absolute_url", None)
        return str(absolute_url()) if callable(absolute_url) else ""

    def list_url(self, ticket_type: TicketType) -> str:
        """Return the root of the site: which of the host's pages lists tickets is not known."""
        return get_script_prefix()

    def of_ticket(self, request: HttpRequest, ticket: Model) -> HostPagesAdapter:
        """Return the adapter of this one ticket."""
        return HostPagesAdapter.of(request.user, ticket)

    def of_user(self, request: HttpRequest) -> OwnPagesAdapter | None:
        """Return the user's own pages, if a page of the host, and no hand, has written the name."""
        is_own = self._user_key and self._user_key == str(request.user.pk)
        return OwnPagesAdapter.of_owner(request.user) if is_own else None

    def add_agent_url(self, request: HttpRequest) -> str:
        """Return ""."""
        return ""

    def edit_number_url(self, request: HttpRequest, ticket: Model) -> str:
        """Return ""."""
        return ""

    def correction_url(self, request: HttpRequest, call: CallRecord, code: str) -> str:
        """Return ""."""
        return ""

    def call_url(self, request: HttpRequest, call: CallRecord) -> str:
        """Return ""."""
        return ""

    def calls_url(self, request: HttpRequest, ticket: Model) -> str:
        """Return ""."""
        return ""

    def call_lists_url(self, request: HttpRequest) -> str:
        """Return ""."""
        return ""


class OwnPagesAdapter(HostPagesAdapter):
    """Pages of ours that belong to one user, in the host's frame: they show tickets to which the user has rows of ours.

    Such a row says that the user has seen the ticket once. :func:`may_see` decides whether they may see it still, and
    so do the admin sites (:func:`keys_that_no_site_hides`): this frame is no way around their rules.
    """

    @classmethod
    def of_owner(cls, user: Any) -> OwnPagesAdapter:
        """Return the adapter of the pages that belong to ``user``."""
        key = str(user.pk)
        return cls(f"{NAME}:{_signer.sign_object([key, '', ''])}", key)

    def visible_tickets(self, request: HttpRequest, ticket_type: TicketType, keys: Sequence[str]) -> list[Model]:
        """Return the tickets that this user may see, in the order of ``keys``."""
        return [ticket for ticket in self._not_hidden(request, ticket_type, keys) if may_see(request.user, ticket)]

    def forbidden_tickets(self, request: HttpRequest, ticket_type: TicketType, key: str) -> list[Model]:
        """Return the ticket with this key if nothing but the entry's ``can_call`` keeps it from this user."""
        if ticket_type.can_call is None:
            return []
        found = self._not_hidden(request, ticket_type, [key])
        return [ticket for ticket in found if not ticket_type.allows(request.user, ticket)]

    def _not_hidden(self, request: HttpRequest, ticket_type: TicketType, keys: Sequence[str]) -> list[Model]:
        """Return the tickets that no admin site hides from this user, in the order of ``keys``."""
        if not self.has_access(request) or not self.shows(ticket_type):
            return []
        wanted = keys_that_no_site_hides(request, ticket_type, keys)
        found = {ticket.pk: ticket for ticket in ticket_type.model._default_manager.filter(pk__in=wanted)}
        return [found[key] for key in wanted if key in found]


def may_see(user: Any, ticket: Model) -> bool:
    """Return what the entry's ``can_call`` says, else whether ``user`` may view this model or this ticket."""
    ticket_type = type_of(ticket)
    if ticket_type.can_call is not None:
        return ticket_type.allows(user, ticket)
    opts = ticket._meta
    view = f"{opts.app_label}.{get_permission_codename('view', opts)}"
    # Django's own backend knows permissions for a model alone, and others those for an object alone.
    return bool(user.has_perm(view) or user.has_perm(view, ticket))


def _store_message(request: HttpRequest, level: str, text: str) -> None:
    """Keep a message, safe HTML, in the session of a host that has one."""
    if hasattr(request, "session"):
        kept = request.session.get(KEPT, [])
        request.session[KEPT] = [*kept, [level, str(text), time.time()]][-MOST_KEPT:]


def kept_messages(request: HttpRequest) -> list[dict[str, str]]:
    """Return the ``level`` and ``text`` of the messages that no page has shown yet; each is returned once."""
    if KEPT not in getattr(request, "session", {}):
        return []
    oldest = time.time() - KEPT_FOR
    kept = request.session.pop(KEPT)
    # Made of text and links by us when it was kept.
    return [{"level": level, "text": mark_safe(text)} for level, text, at in kept if at > oldest]  # noqa: S308


def find_host_pages(name: str) -> HostPagesAdapter | None:
    """Return the adapter that signed ``name``; None for a name that is not ours, or was signed a day ago."""
    ours, colon, signed = name.partition(f"{NAME}:")
    if ours or not colon:
        return HostPagesAdapter() if name == NAME else None
    try:
        user_key, label, key = _signer.unsign_object(signed, max_age=MAX_AGE)
    except signing.BadSignature:
        return None
    return HostPagesAdapter(name, user_key, (label, key))


def _link_of(ticket: Model) -> tuple[str, str]:
    model, key = link_of(ticket)
    return model._meta.label_lower, key
