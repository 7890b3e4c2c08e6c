"""The ledger: what we were told, to the byte, and what became of every announcement."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm.admin.history import HistoryAdmin, masked
from django_exotel_ccm.models import Announcement, CallEvent


@admin.register(CallEvent)
class CallEventAdmin(HistoryAdmin):
    """Events, the newest first."""

    list_display = ["received_at", "kind", "event", "call", "verdict", "code", "reason"]
    list_filter = ["kind", "reason", "received_at"]
    list_select_related = ["call"]
    search_fields = ["=reference", "=request_id", "=fingerprint"]
    ordering = ["-received_at", "-pk"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Tell what came, what it says, and what was done with it."""
        raw = masked(request, "raw_body", _("raw body"), lambda event: bytes(event.raw).decode("utf-8", "replace"))
        facts = masked(
            request,
            "facts_read",
            _("facts"),
            lambda event: json.dumps(event.facts, indent=1, ensure_ascii=False),
        )
        return [
            (
                None,
                {"fields": ["received_at", "kind", "event", "call", "reference", "authentication", "reason"]},
            ),
            (_("What it says"), {"fields": [facts, "verdict", "code", "advice"]}),
            (
                _("As it came"),
                {"fields": ["http_status", "request_id", "tries", "content_type", raw, "fingerprint"]},
            ),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Every field shown is read-only, ours included."""
        return [field for _title, options in self.get_fieldsets(request, obj) for field in options["fields"]]


@admin.register(Announcement)
class AnnouncementAdmin(HistoryAdmin):
    """Announcements, the newest first; those with a failed receiver are one filter away."""

    list_display = ["created_at", "signal", "call", "state", "failures"]
    list_filter = ["state", "signal"]
    list_select_related = ["call"]
    ordering = ["-pk"]
    readonly_fields = ["created_at", "signal", "call", "event", "state", "changed", "told"]

    @admin.display(description=_("failed receivers"))
    def failures(self, announcement: Announcement) -> str:
        """The receivers that failed, with their errors."""
        failed = [fate for fate in announcement.receivers if fate["error"]]
        return "; ".join(f"{fate['receiver']}: {fate['error']}" for fate in failed) or "-"

    @admin.display(description=_("receivers"))
    def told(self, announcement: Announcement) -> SafeString | str:
        """Each receiver: told, or its error and traceback."""
        rows = [
            (fate["receiver"], fate["error"] or _("told"), format_html("<pre>{}</pre>", fate["traceback"]))
            for fate in announcement.receivers
        ]
        return format_html_join("", "<p><strong>{}</strong>: {}</p>{}", rows) or "-"
