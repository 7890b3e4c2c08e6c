"""The ledger: what we were told, to the byte, and what became of every announcement."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm.admin.history import HistoryAdmin, masked, verbatim
from django_exotel_ccm.models import Announcement, CallEvent
from django_exotel_ccm.numbers import shown


@admin.register(CallEvent)
class CallEventAdmin(HistoryAdmin):
    """Events, the newest first."""

    list_display = ["received_at", "kind", "event", "call", "verdict", "code", "reason"]
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
        return [
            (
                None,
                {"fields": ["received_at", "kind", "event", "call", "reference", "authentication", "reason"]},
            ),
            (_("What it says"), {"fields": [_facts(request), "verdict", "code", advice]}),
            (
                _("As it came"),
                {"fields": ["http_status", "request_id", "tries", "content_type", _raw(request), "fingerprint"]},
            ),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Every field shown is read-only, ours included."""
        return [field for _title, options in self.get_fieldsets(request, obj) for field in options["fields"]]


def _raw(request: HttpRequest) -> Callable[[Any], str]:
    def text(event: CallEvent) -> str:
        return bytes(event.raw).decode("utf-8", "replace")

    return masked(request, "raw_body", _("raw body"), text, keep=True)


def _facts(request: HttpRequest) -> Callable[[Any], str]:
    def text(event: CallEvent) -> str:
        return json.dumps(event.facts, indent=2, ensure_ascii=False) if event.facts else ""

    return masked(request, "facts_read", _("facts"), text, keep=True)


@admin.register(Announcement)
class AnnouncementAdmin(HistoryAdmin):
    """Announcements, the newest first; those with a failed receiver are one filter away."""

    list_filter = ["state", "signal"]
    list_select_related = ["call"]
    ordering = ["-pk"]

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave the calls' facts in the database."""
        return super().get_queryset(request).defer("call__facts")

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Show which receivers failed, and how."""
        return ["created_at", "signal", "call", "state", masked(request, "failures", _("failed receivers"), _failures)]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Tell what was announced, and what became of each receiver."""
        return ["created_at", "signal", "call", "event", "state", "changed", _receivers(request)]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Every field shown is read-only, ours included."""
        return self.get_fields(request, obj)


def _failures(announcement: Announcement) -> str:
    failed = [fate for fate in announcement.receivers if fate["error"]]
    return "; ".join(f"{fate['receiver']}: {fate['error']}" for fate in failed)


def _receivers(request: HttpRequest) -> Callable[[Any], str]:
    """Return the column that shows each receiver: told, or its error and traceback."""

    @admin.display(description=_("receivers"))
    def receivers(announcement: Announcement) -> str:
        rows = (
            (
                fate["receiver"],
                shown(fate["error"], request.user) or _("told"),
                verbatim(shown(fate["traceback"], request.user)),
            )
            for fate in announcement.receivers
        )
        return format_html_join("", "<p><strong>{}</strong>: {}</p>{}", rows) or str(_("Nobody listens."))

    return receivers
