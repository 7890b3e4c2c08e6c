"""An admin site as a door: its own rules of who may see which ticket, its own frame for our pages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

import django
from django.contrib import messages
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.sites import all_sites
from django.contrib.admin.utils import quote
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, Resolver404, resolve, reverse

from django_exotel_ccm.choices import Permission
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.tickets import TicketType


class AdminDoor:
    """Reaches tickets as one admin site does: ``get_queryset`` and ``has_view_permission`` of its ModelAdmin decide."""

    def __init__(self, site: AdminSite) -> None:
        self.site = site
        self.name = site.name

    def login_url(self, next_url: str) -> str:
        """Return the site's login page."""
        login = self._url("login")
        return f"{login}?{urlencode({REDIRECT_FIELD_NAME: next_url})}" if login and next_url else login

    def admits(self, request: HttpRequest) -> bool:
        """Say whether the user may log in to this site."""
        return self.site.has_permission(request)

    def find(self, request: HttpRequest, ticket_type: TicketType, keys: Sequence[str]) -> list[Model]:
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

    def tell(self, request: HttpRequest, level: str, text: str) -> None:
        """Show a message on the next page; hosts without messages see none."""
        messages.add_message(request, getattr(messages, level.upper()), text, fail_silently=True)

    def note(self, request: HttpRequest, ticket: Model, text: str) -> None:
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

    def sees(self, request: HttpRequest, calls: Iterable[CallRecord]) -> set[Any]:
        """Return the keys of those calls that are about a ticket this user may see here, or about none.

        Asks the database at most once for each kind of ticket.
        """
        calls = list(calls)
        if getattr(request.user, "is_superuser", False):
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
        return {str(ticket.pk) for ticket in self.find(request, ticket_type, sorted(keys))}

    def list_url(self, ticket_type: TicketType) -> str:
        """Return the changelist."""
        meta = ticket_type.model._meta
        return self._url(f"{meta.app_label}_{meta.model_name}_changelist")

    def call_url(self, request: HttpRequest, call: CallRecord) -> str:
        """Return the page of a call's record; "" without the permission, or where the site has no such page."""
        return self._url("exotel_ccm_callrecord_change", call.pk) if request.user.has_perm(Permission.VIEW_CALL) else ""

    def _url(self, name: str, *args: Any) -> str:
        try:
            return reverse(f"admin:{name}", args=args, current_app=self.name)
        except NoReverseMatch:
            return ""

    def _model_admin(self, ticket_type: TicketType) -> ModelAdmin | None:
        model = ticket_type.model
        return self.site.get_model_admin(model) if self.site.is_registered(model) else None


def find_admin_door(name: str) -> AdminDoor | None:
    """Return the door of the admin site called ``name``; among namesakes, that of the site in the project's URLs."""
    sites = [site for site in all_sites if site.name == name]
    if len(sites) > 1:
        # A host's own site is often called "admin" too, beside Django's, which then serves nobody.
        sites = [site for site in sites if site is _served(name)]
    return AdminDoor(sites[0]) if sites else None


def _served(name: str) -> AdminSite | None:
    try:
        index = resolve(reverse("admin:index", current_app=name))
    except (NoReverseMatch, Resolver404):
        return None
    return getattr(index.func, "admin_site", None)
