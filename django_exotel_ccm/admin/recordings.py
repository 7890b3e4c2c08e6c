"""The players beside a call, and the list of who listened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.http import urlencode

from django_exotel_ccm.admin.adapter import AdminAdapter
from django_exotel_ccm.admin.readonly import ReadOnlyAdmin
from django_exotel_ccm.choices import NoRecording, Permission, State
from django_exotel_ccm.models import CallRecord, RecordingAccess
from django_exotel_ccm.services.recordings import missing_reason, new_page_view, recording_urls


def players(request: HttpRequest, adapter: AdminAdapter, calls: Sequence[CallRecord]) -> dict[Any, str]:
    """Return by the call's key the HTML that plays its recording, or says why not yet, to those who may listen.

    Calls that were not recorded are left out. Asks the database at most once for each kind of ticket.
    """
    if not Permission.LISTEN.granted_to(request.user):
        return {}
    recorded = [call for call in calls if missing_reason(call) != NoRecording.NONE]
    seen = adapter.visible_calls(request, recorded)
    return {call.pk: player(adapter, call) for call in recorded if call.pk in seen}


def player(adapter: AdminAdapter, call: CallRecord) -> str:
    """Return the HTML that plays each recording of a call through ``adapter``, or says why there is nothing to play.

    Returns "" while the call is not known to have ended: nobody knows yet whether it will have a recording.
    """
    reason = missing_reason(call)
    if reason == NoRecording.NOT_READY and call.state != State.ENDED:
        return ""
    query = urlencode({"exotel_adapter": adapter.name, "page_view": new_page_view()})
    recordings = recording_urls(call) if reason is None else {}
    try:
        urls = [f"{reverse('exotel_ccm:recording', args=[call.reference, one])}?{query}" for one in recordings]
    except NoReverseMatch:
        return ""  # our URLs are not included: a check says so
    context = {"call": call, "urls": urls, "missing": "" if reason is None else reason.label}
    return render_to_string("exotel_ccm/admin/recording.html", context)


@admin.register(RecordingAccess)
class RecordingAccessAdmin(ReadOnlyAdmin):
    """Who listened to what, the latest first."""

    list_display = ["listened_at", "user_label", "call", "recording"]
    list_filter = ["listened_at"]
    list_select_related = ["call"]
    search_fields = ["user_label", "=call__reference"]
    ordering = ["-listened_at", "-pk"]
    readonly_fields = ["listened_at", "user_label", "user", "call", "recording"]
    fields = (*readonly_fields,)

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave the calls' facts in the database."""
        return super().get_queryset(request).defer("call__facts")
