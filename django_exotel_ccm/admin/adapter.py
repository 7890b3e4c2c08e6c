"""An admin site as an adapter: its own rules of who may see which ticket, its own frame for our pages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import django
from django.contrib import messages
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.utils import quote
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLResolver, get_resolver, get_urlconf, reverse

from django_exotel_ccm.choices import Permission
from django_exotel_ccm.models import Agent, CallRecord
from django_exotel_ccm.tickets import TicketType, number_holder


class AdminAdapter:
    """Reaches tickets as one admin site does: ``get_queryset`` and ``has_view_permission`` of its ModelAdmin decide."""

    def __init__(self, site: AdminSite) -> None:
        self.site = site
        self.name = site.name

    def login_url(self, next_url: str) -> str:
        """Return the site's login page."""
        login = self._url("login")
        return f"{login}?{urlencode({REDIRECT_FIELD_NAME: next_url})}" if login and next_url else login

    def has_access(self, request: HttpRequest) -> bool:
        """Say whether the user may log in to this site."""
        return self.site.has_permission(request)

    def guard(self, view: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
        """Return ``view`` behind the site's own ``admin_view``; the view says itself what may be cached."""
        return self.site.admin_view(view, cacheable=True)

    def visible_tickets(self, request: HttpRequest, ticket_type: TicketType, keys: Sequence[str]) -> list[Model]:
        """Return the tickets that this user may see on this site, in the order of ``keys``."""
        model_admin = self._model_admin(ticket_type)
        wanted = [key for key in map(ticket_type.key, keys) if key is not None]
        if model_admin is None or not wanted:
            return []
        found = {ticket.pk: ticket for ticket in model_admin.get_queryset(request).filter(pk__in=wanted)}
        return [found[key] for key in wanted if key in found and model_admin.has_view_permission(request, found[key])]

    def render(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        """Return a page in the site's frame."""
        request.current_app = self.name
        frame = {**self.site.each_context(request), "breadcrumbs_are_a_list": django.VERSION >= (6, 1)}
        return TemplateResponse(request, f"exotel_ccm/admin/{template}", {**frame, **context})

    def add_message(self, request: HttpRequest, level: str, text: str) -> None:
        """Show a message on the next page; hosts without messages see none."""
        messages.add_message(request, getattr(messages, level.upper()), text, fail_silently=True)

    def log_change(self, request: HttpRequest, ticket: Model, text: str) -> None:
        """Write a line into the ticket's admin history."""
        model_admin = self.site.get_model_admin(type(ticket))
        model_admin.log_change(request, ticket, text)

    def ticket_url(self, ticket: Model) -> str:
        """Return the ticket's change form."""
        return self._url(f"{ticket._meta.app_label}_{ticket._meta.model_name}_change", quote(ticket.pk))

    def ticket_url_of(self, call: CallRecord) -> str:
        """Return the change form of a call's ticket; "" where there is none on this site."""
        content_type = call.ticket_content_type
        model = content_type.model_class() if content_type is not None else None
        if model is None or not self.site.is_registered(model):
            return ""
        return self._url(f"{model._meta.app_label}_{model._meta.model_name}_change", quote(call.ticket_object_id))

    def visible_calls(self, request: HttpRequest, calls: Iterable[CallRecord]) -> set[Any]:
        """Return the keys of those calls that are about a ticket this user may see here, or about none.

        With ``view_all_calls`` that is all of them. Asks the database at most once for each kind of ticket.
        """
        calls = list(calls)
        if Permission.VIEW_ALL_CALLS.granted_to(request.user):
            return {call.pk for call in calls}
        seen = {call.pk for call in calls if not call.ticket_object_id}
        kinds: dict[Any, list[CallRecord]] = defaultdict(list)
        for call in calls:
            if call.ticket_object_id and call.ticket_content_type_id is not None:
                kinds[call.ticket_content_type_id].append(call)
        for kind, about in kinds.items():
            found = self._found(request, kind, {call.ticket_object_id for call in about})
            seen |= {call.pk for call in about if call.ticket_object_id in found}
        return seen

    def _found(self, request: HttpRequest, kind: Any, keys: set[str]) -> set[str]:
        model = ContentType.objects.get_for_id(kind).model_class()
        if model is None:
            return set()
        # Of the entry only the model matters, which may have left TICKETS since.
        ticket_type = TicketType(label=model._meta.label_lower, prefix="")
        return {str(ticket.pk) for ticket in self.visible_tickets(request, ticket_type, sorted(keys))}

    def list_url(self, ticket_type: TicketType) -> str:
        """Return the changelist."""
        meta = ticket_type.model._meta
        return self._url(f"{meta.app_label}_{meta.model_name}_changelist")

    def add_agent_url(self, request: HttpRequest) -> str:
        """Return the page that adds an agent for this user; "" without the permission, or without such a page."""
        if not self.site.is_registered(Agent) or not self.site.get_model_admin(Agent).has_add_permission(request):
            return ""
        url = self._url("exotel_ccm_agent_add")
        return f"{url}?{urlencode({'user': request.user.pk})}" if url else ""

    def edit_number_url(self, request: HttpRequest, ticket: Model) -> str:
        """Return the form of the row that has the number, else the ticket's; "" where this user may change neither."""
        for row in (number_holder(ticket), ticket):
            if not self.site.is_registered(type(row)):
                continue
            if self.site.get_model_admin(type(row)).has_change_permission(request, row):
                return self.ticket_url(row)
        return ""

    def call_url(self, request: HttpRequest, call: CallRecord) -> str:
        """Return the page of a call's record; "" without the permission, or where the site has no such page."""
        return (
            self._url("exotel_ccm_callrecord_change", call.pk) if Permission.VIEW_CALL.granted_to(request.user) else ""
        )

    def _url(self, name: str, *args: Any) -> str:
        try:
            return reverse(f"admin:{name}", args=args, current_app=self.name)
        except NoReverseMatch:
            return ""

    def _model_admin(self, ticket_type: TicketType) -> ModelAdmin | None:
        model = ticket_type.model
        return self.site.get_model_admin(model) if self.site.is_registered(model) else None


def find_admin_adapter(name: str) -> AdminAdapter | None:
    """Return the adapter of the admin site called ``name`` that the URLs of this request serve; None when none does.

    A site that they do not serve decides nothing: a host restricts its own site, and Django's own, which always
    exists, may let anybody see every ticket.
    """
    served = (site for site in _sites_in(get_resolver(get_urlconf())) if site.name == name)
    site = next(served, None)
    return AdminAdapter(site) if site is not None else None


def _sites_in(resolver: URLResolver) -> Iterator[AdminSite]:
    """Yield the admin sites whose views are in the URLs, in the order of the URLs."""
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from _sites_in(pattern)
        elif isinstance(site := getattr(pattern.callback, "admin_site", None), AdminSite):
            yield site
