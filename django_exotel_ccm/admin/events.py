"""The ledger: what we were told, to the byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import display_for_value
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm.admin.applying import ApplyAgainMixin
from django_exotel_ccm.admin.readonly import ReadOnlyAdmin, masked
from django_exotel_ccm.models import CallEvent


@admin.register(CallEvent)
class CallEventAdmin(ApplyAgainMixin, ReadOnlyAdmin):
    """Events, the newest first; those that were not applied are one filter away."""

    list_display = ["received_at", "kind", "event", "reason", "call", "authentication", "account", "verdict", "code"]
    list_filter = ["kind", "reason", "received_at"]
    list_select_related = ["call"]
    search_fields = ["=reference", "=request_id", "=fingerprint"]
    ordering = ["-received_at", "-pk"]

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave bodies in the database until one is shown."""
        return super().get_queryset(request).defer("raw", "facts", "call__facts")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Tell what came, what it says, and what was done with it."""
        advice = masked(request, "told", _("advice"), lambda event: event.advice)
        opening = ["received_at", "kind", "event", "call", "reference", "authentication", "account", "reason"]
        body = ["http_status", "request_id", "tries", "content_type", _raw(request), "fingerprint"]
        return [
            (None, {"fields": opening}),
            (_("What it says"), {"fields": [_facts(request), "verdict", "code", advice]}),
            (_("As it came"), {"fields": body}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Every field shown is read-only, ours included."""
        return [field for _title, options in self.get_fieldsets(request, obj) for field in options["fields"]]


def _raw(request: HttpRequest) -> Callable[[Any], str]:
    def text(event: CallEvent) -> str:
        if event.purged_at is not None:
            return str(_("emptied on %(time)s") % {"time": display_for_value(event.purged_at, "-")})
        return bytes(event.raw).decode("utf-8", "replace")

    return masked(request, "raw_body", _("raw body"), text, keep=True)


def _facts(request: HttpRequest) -> Callable[[Any], str]:
    def text(event: CallEvent) -> str:
        return json.dumps(event.facts, indent=2, ensure_ascii=False) if event.facts else ""

    return masked(request, "facts_read", _("facts"), text, keep=True)
