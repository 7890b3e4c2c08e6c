"""The player beside a call, and the book of who listened."""

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
from django_exotel_ccm.models import CallRecord, Listening
from django_exotel_ccm.services.recordings import lack_of


def players(request: HttpRequest, adapter: AdminAdapter, calls: Sequence[CallRecord]) -> dict[Any, str]:
    """Return by the call's key the HTML that plays its recording, or says why not yet, to those who may listen.

    Calls that were not recorded are left out. Asks the database at most once for each kind of ticket.
    """
    if not Permission.LISTEN.granted_to(request.user):
        return {}
    recorded = [call for call in calls if lack_of(call) != NoRecording.NONE]
    seen = adapter.visible_calls(request, recorded)
    return {call.pk: player(adapter, call) for call in recorded if call.pk in seen}


def player(adapter: AdminAdapter, call: CallRecord) -> str:
    """Return the HTML that plays a call's recording through ``adapter``, or says why there is nothing to play.

    Returns "" while the call goes on for all we know: whether it will have a recording, nobody knows.
    """
    lacking = lack_of(call)
    if lacking == NoRecording.NOT_READY and call.state != State.ENDED:
        return ""
    try:
        url = f"{reverse('exotel_ccm:recording', args=[call.reference])}?{urlencode({'exotel_adapter': adapter.name})}"
    except NoReverseMatch:
        return ""  # our URLs are not included: a check says so
    context = {"call": call, "url": url, "lacking": "" if lacking is None else lacking.label}
    return render_to_string("exotel_ccm/admin/recording.html", context)


@admin.register(Listening)
class ListeningAdmin(ReadOnlyAdmin):
    """Who listened to what, the latest first."""

    list_display = ["listened_at", "user_label", "call", "byte_range"]
    list_filter = ["listened_at"]
    list_select_related = ["call"]
    search_fields = ["user_label", "=call__reference"]
    ordering = ["-listened_at", "-pk"]
    readonly_fields = ["listened_at", "user_label", "user", "call", "byte_range"]
    fields = (*readonly_fields,)

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave the calls' facts in the database."""
        return super().get_queryset(request).defer("call__facts")
