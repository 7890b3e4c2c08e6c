"""The call history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm import lifecycle
from django_exotel_ccm.admin.history import HistoryAdmin, HistoryInline, masked
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.numbers import VIEW_NUMBER
from django_exotel_ccm.wording import describe, outcome


class EventInline(HistoryInline):
    """Everything we were told about the call."""

    model = CallEvent
    readonly_fields = ["received_at", "kind", "event", "verdict", "code", "http_status", "request_id", "reason"]
    fields = (*readonly_fields,)
    ordering = ["received_at", "pk"]


class AnnouncementInline(HistoryInline):
    """Whom the host was told through."""

    model = Announcement
    readonly_fields = ["created_at", "signal", "state"]
    fields = (*readonly_fields,)
    ordering = ["pk"]


@admin.register(CallRecord)
class CallRecordAdmin(HistoryAdmin):
    """Calls, the newest first."""

    date_hierarchy = "created_at"
    list_filter = ["state", "outcome", "account", "created_at"]
    ordering = ["-pk"]
    inlines = [EventInline, AnnouncementInline]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Show who called whom and how it went."""
        return ["created_at", "agent_label", _customer(request), "ticket_label", "state", "how_it_ended"]

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Search numbers only for those who may see them."""
        fields = ["call_sid", "custom_field", "ticket_label", "agent_label"]
        return [*fields, "customer_number"] if request.user.has_perm(VIEW_NUMBER) else fields

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Tell the call in the order a reader asks."""
        summary = masked(request, "summary", _("what is known"), lambda call: describe(call, request.user))
        times = ["created_at", "started_at", "answered_at", "ended_at", "ended_at_approximate"]
        return [
            (
                None,
                {"fields": [summary, "ticket_label", "agent_label", _customer(request), "exophone_number"]},
            ),
            (_("How it went"), {"fields": ["state", "how_it_ended", "refusal", "words", *times]}),
            (_("Lengths"), {"fields": ["total_duration", "talk_time"]}),
            (
                _("Names"),
                {
                    "fields": [
                        "reference",
                        "call_sid",
                        "custom_field",
                        "account",
                        "placed_by_label",
                        "updated_at",
                    ]
                },
            ),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Every field shown is read-only, ours included."""
        return [field for _title, options in self.get_fieldsets(request, obj) for field in options["fields"]]

    @admin.display(description=_("outcome"))
    def how_it_ended(self, call: CallRecord) -> str:
        """The outcome in words, blank until the call has ended."""
        return outcome(call) if call.state == State.ENDED else "-"

    @admin.display(description=_("refusal"))
    def refusal(self, call: CallRecord) -> str:
        """The refusal, with a warning where Exotel went on with the call all the same."""
        if not call.refusal_code:
            return "-"
        if call.state in (State.ACTIVE, State.ENDED):
            return str(_("%(code)s, but Exotel reported the call later")) % {"code": call.refusal_code}
        event = call.events.filter(verdict=State.REFUSED).order_by("-pk").first()
        return f"{call.refusal_code}: {event.advice}" if event is not None else call.refusal_code

    @admin.display(description=_("Exotel's words"))
    def words(self, call: CallRecord) -> str:
        """The status words as Exotel sent them, known or not."""
        return ", ".join(lifecycle.words(call.facts)) or "-"


def _customer(request: HttpRequest) -> Callable[[Any], str]:
    return masked(request, "customer", _("customer"), lambda call: call.customer_number)
