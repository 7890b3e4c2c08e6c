"""An admin site as a ticket adapter: its own rules decide, and its own frame surrounds our pages."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import django
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLResolver, get_resolver, get_urlconf, reverse

from django_exotel_ccm import tickets
from django_exotel_ccm.adapters import calls_about_visible_tickets, page_url
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.models import Agent, CallList, CallRecord, ExoPhone
from django_exotel_ccm.ticket_numbers import number_holder
from django_exotel_ccm.tickets import TicketType

logger = logging.getLogger(__name__)

TICKET_PARAMETER = "ticket"
"""In the address of the list of calls: the ticket's ``custom_field``."""
FAILED = "exotel_ccm_site_failed"
"""The attribute of a request in which a site's ``has_permission`` has failed."""


class AdminAdapter:
    """One admin site: ``get_queryset`` and ``has_view_permission`` of its ModelAdmin decide who sees a ticket."""

    knows_who_sees = True

    def __init__(self, site: AdminSite) -> None:
        self.site = site
        self.name = site.name

    def login_url(self, next_url: str) -> str:
        """Return the site's login page."""
        login = self._url("login")
        return f"{login}?{urlencode({REDIRECT_FIELD_NAME: next_url})}" if login and next_url else login

    def has_access(self, request: HttpRequest) -> bool:
        """Return whether the site lets the user in. One that cannot decide does not.

        Packages for a second factor ask what only their own middleware adds to the user of a session, so their sites
        fail for users whom the API found by a token.
        """
        try:
            return bool(self.site.has_permission(request))
        except Exception as error:  # noqa: BLE001 - the host's code
            _warn_once(request, self.name, error)
            return False

    def guard(self, view: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
        """Return ``view`` behind the site's own ``admin_view``. The view itself decides what may be cached."""
        return self.site.admin_view(view, cacheable=True)

    def shows(self, ticket_type: TicketType) -> bool:
        """Return whether the model is registered on this site."""
        return self.site.is_registered(ticket_type.model)

    def decides(self, request: HttpRequest, ticket_type: TicketType) -> bool:
        """Return whether this site has a page that lists such tickets, and lets this user see it."""
        return self.shows(ticket_type) and self.site.get_model_admin(ticket_type.model).has_view_permission(request)

    def visible_tickets(self, request: HttpRequest, ticket_type: TicketType, keys: Sequence[str]) -> list[Model]:
        """Return the tickets that this user may see on this site, in the order of ``keys``."""
        wanted = [key for key in map(ticket_type.key, keys) if key is not None]
        if not wanted or not self.shows(ticket_type):
            return []
        model_admin = self.site.get_model_admin(ticket_type.model)
        found = {ticket.pk: ticket for ticket in model_admin.get_queryset(request).filter(pk__in=wanted)}
        return [found[key] for key in wanted if key in found and model_admin.has_view_permission(request, found[key])]

    def visible_calls(self, request: HttpRequest, calls: Iterable[CallRecord]) -> set[Any]:
        """Return the keys of those calls that are about no ticket, or about one that this user may see here.

        With ``view_all_calls`` these are all of them. One query for each kind of ticket.
        """
        return calls_about_visible_tickets(self, request, calls)

    def render(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        """Return a page in the site's frame."""
        request.current_app = self.name
        frame = {**self.site.each_context(request), "breadcrumbs_are_a_list": django.VERSION >= (6, 1)}
        return TemplateResponse(request, f"exotel_ccm/admin/{template}", {**frame, **context})

    def add_message(self, request: HttpRequest, level: str, text: str) -> None:
        """Show a message on the next page, where the host has messages."""
        messages.add_message(request, getattr(messages, level.upper()), text, fail_silently=True)

    def log_change(self, request: HttpRequest, ticket: Model, text: str) -> None:
        """Add a line to the ticket's admin history."""
        self.site.get_model_admin(ticket.__class__).log_change(request, ticket, text)

    def ticket_url(self, ticket: Model) -> str:
        """Return the ticket's change form."""
        return self._page(ticket.__class__, "change", ticket.pk)

    def ticket_url_of(self, call: CallRecord) -> str:
        """Return the change form of a call's ticket; "" if this site has none."""
        content_type = call.ticket_content_type
        model = content_type.model_class() if content_type is not None else None
        return self._page(model, "change", call.ticket_object_id) if model is not None else ""

    def list_url(self, ticket_type: TicketType) -> str:
        """Return the changelist."""
        return self._page(ticket_type.model, "changelist")

    def call_url(self, request: HttpRequest, call: CallRecord) -> str:
        """Return the call's page; "" without the permission, or if this site has no such page."""
        return self._page(CallRecord, "change", call.pk) if Permission.VIEW_CALL.granted_to(request.user) else ""

    def calls_url(self, request: HttpRequest, ticket: Model) -> str:
        """Return the list of calls, filtered by the ticket; "" without the permission or without such a list."""
        url = self._page(CallRecord, "changelist") if Permission.VIEW_CALL.granted_to(request.user) else ""
        return f"{url}?{urlencode({TICKET_PARAMETER: tickets.custom_field(ticket)})}" if url else ""

    def call_lists_url(self, request: HttpRequest) -> str:
        """Return the list of call lists; "" without the permission, or if this site has no such list."""
        return self._page(CallList, "changelist") if Permission.VIEW_CALL_LIST.granted_to(request.user) else ""

    def of_ticket(self, request: HttpRequest, ticket: Model) -> AdminAdapter:
        """Return the site itself: it decides anew about each ticket."""
        return self

    def of_user(self, request: HttpRequest) -> AdminAdapter:
        """Return the site itself."""
        return self

    def add_agent_url(self, request: HttpRequest) -> str:
        """Return the form for an agent of this user; "" without the permission, or if this site has no such form."""
        url = self._add_form(request, Agent)
        return f"{url}?{urlencode({'user': request.user.pk})}" if url else ""

    def edit_number_url(self, request: HttpRequest, ticket: Model) -> str:
        """Return the form of the row that has the number, else the ticket's; "" if this user may change neither."""
        return self._form(request, number_holder(ticket)) or self._form(request, ticket)

    def correction_url(self, request: HttpRequest, call: CallRecord, code: str) -> str:
        """Return the form of the agent or ExoPhone for which a call was refused; "" if this user may not change it."""
        match code:
            case "agent_inactive" | "agent_without_device" | "agent_phone_invalid":
                return self._form(request, call.agent) if call.agent else ""
            case "no_exophone" | "exophone_of_another_account" | "exophone_invalid":
                return self._form(request, call.exophone) if call.exophone else self._exophones(request)
            case "not_configured":
                return self._doctor_url(request)
        return ""

    def _doctor_url(self, request: HttpRequest) -> str:
        try:
            return page_url(self, "doctor") if getattr(request.user, "is_superuser", False) else ""
        except NoReverseMatch:
            return ""  # that is what the doctor would say

    def _exophones(self, request: HttpRequest) -> str:
        """Return where an ExoPhone to call from is added, or one of several is made the default."""
        list_url = self._page(ExoPhone, "changelist") if ExoPhone.objects.filter(is_active=True).exists() else ""
        may_change = list_url and self.site.get_model_admin(ExoPhone).has_change_permission(request)
        return list_url if may_change else self._add_form(request, ExoPhone)

    def _add_form(self, request: HttpRequest, model: type[Model]) -> str:
        url = self._page(model, "add")
        may_add = url and self.site.get_model_admin(model).has_add_permission(request)
        return url if may_add else ""

    def _form(self, request: HttpRequest, row: Model) -> str:
        url = self._page(row.__class__, "change", row.pk)
        may_change = url and self.site.get_model_admin(row.__class__).has_change_permission(request, row)
        return url if may_change else ""

    def _page(self, model: type[Model], page: str, *keys: Any) -> str:
        if not self.site.is_registered(model):
            return ""
        return self._url(f"{model._meta.app_label}_{model._meta.model_name}_{page}", *map(quote, keys))

    def _url(self, name: str, *args: Any) -> str:
        try:
            return reverse(f"admin:{name}", args=args, current_app=self.name)
        except NoReverseMatch:
            return ""


def _warn_once(request: HttpRequest, site: str, error: Exception) -> None:
    """Log, once in a request, where a site's ``has_permission`` failed. The error's text may hold what is secret."""
    if not hasattr(request, FAILED):
        setattr(request, FAILED, True)
        where = traceback.extract_tb(error.__traceback__)[:2][-1]  # the line of has_permission itself
        words = (site, type(error).__name__, where.filename, where.lineno)
        logger.warning("has_permission of the admin site %r failed, so nobody is let in: %s in %s, line %s.", *words)


def find_admin_adapter(name: str) -> AdminAdapter | None:
    """Return the adapter of the admin site called ``name`` in the URLs of this request; None if there is none.

    A site outside of the URLs decides nothing. A host restricts the site that it serves, but Django's own site always
    exists too, and may let anybody see every ticket.
    """
    return next((adapter for adapter in served_sites() if adapter.name == name), None)


def served_sites() -> Iterator[AdminAdapter]:
    """Yield the admin sites in the URLs of this request."""
    known: set[int] = set()
    for site in _sites_in(get_resolver(get_urlconf())):
        if id(site) not in known:
            known.add(id(site))
            yield AdminAdapter(site)


def _sites_in(resolver: URLResolver) -> Iterator[AdminSite]:
    """Yield the admin sites whose views are in the URLs, in the order of the URLs."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from _sites_in(pattern)
        elif isinstance(site := getattr(pattern.callback, "admin_site", None), AdminSite):
            yield site
