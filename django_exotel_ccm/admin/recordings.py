"""The list of who listened to recordings."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from django_exotel_ccm.admin.readonly import ReadOnlyAdmin
from django_exotel_ccm.models import RecordingAccess


@admin.register(RecordingAccess)
class RecordingAccessAdmin(ReadOnlyAdmin):
    """Who listened to what, the latest first."""

    list_display = ["listened_at", "user_label", "call", "recording"]
    list_filter = ["listened_at"]
    list_select_related = ["call"]
    search_fields = ["user_label", "=call__reference"]
    ordering = ["-listened_at", "-pk"]
    sortable_by = ("listened_at",)
    fields = ("listened_at", "user_label", "user", "call", "recording")

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave the calls' facts in the database."""
        return super().get_queryset(request).defer("call__facts")
