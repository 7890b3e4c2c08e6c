"""The call history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import display_for_value, flatten_fieldsets
from django.contrib.admin.views.main import SEARCH_VAR
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm import lifecycle
from django_exotel_ccm.admin.door import AdminDoor
from django_exotel_ccm.admin.history import AccountFilter, HistoryAdmin, HistoryInline, masked
from django_exotel_ccm.choices import Permission, State
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.numbers import shown
from django_exotel_ccm.wording import describe, outcome


class EventInline(HistoryInline):
    """Everything we were told about the call."""

    model = CallEvent
    readonly_fields = ["received_at", "kind", "event", "verdict", "code", "http_status", "request_id", "reason"]
    fields = (*readonly_fields,)
    ordering = ["received_at", "pk"]
    heavy = ["raw", "facts"]


class AnnouncementInline(HistoryInline):
    """Whom the host was told through."""

    model = Announcement
    readonly_fields = ["created_at", "signal", "state"]
    fields = (*readonly_fields,)
    ordering = ["pk"]
    heavy = ["receivers"]


@admin.register(CallRecord)
class CallRecordAdmin(HistoryAdmin):
    """Calls, the newest first."""

    list_filter = ["state", "outcome", AccountFilter, "created_at"]
    ordering = ["-pk"]
    inlines = [EventInline, AnnouncementInline]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Show who called whom and how it went."""
        return ["created_at", "agent_label", _customer(request), _ticket(request), "how_it_goes"]

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Search numbers only for those who may see them; a ticket's name can hold one."""
        fields = ["call_sid", "custom_field", "agent_label"]
        if request.user.has_perm(Permission.VIEW_NUMBER):
            return [*fields, "ticket_label", "customer_number"]
        digits = any(letter.isdigit() for letter in request.GET.get(SEARCH_VAR, ""))
        return fields if digits else [*fields, "ticket_label"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Tell the call in the order a reader asks."""
        times = [("created_at", "started_at"), ("answered_at", "over"), ("total_duration", "talk_time")]
        return [
            (
                None,
                {
                    "fields": [
                        _summary(request),
                        self._link(request),
                        "agent_label",
                        _customer(request),
                        "exophone_number",
                    ]
                },
            ),
            (_("How it went"), {"fields": ["state", "how_it_ended", _refusal(request), "words", *times]}),
            (
                _("Names"),
                {
                    "classes": ["collapse"],
                    "fields": [
                        "reference",
                        "call_sid",
                        "custom_field",
                        "account",
                        "placed_by_label",
                        "updated_at",
                    ],
                },
            ),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Every field shown is read-only, ours included."""
        return flatten_fieldsets(self.get_fieldsets(request, obj))

    def _link(self, request: HttpRequest) -> Callable[[Any], str]:
        """Return the column with the ticket, linked for those who may see such tickets on this site."""
        door = AdminDoor(self.admin_site)

        @admin.display(description=_("ticket"))
        def ticket_name(call: CallRecord) -> str:
            name, url = shown(call.ticket_label, request.user) or "-", door.ticket_url_of(request, call)
            return format_html('<a href="{}">{}</a>', url, name) if url else name

        return ticket_name

    @admin.display(description=_("ended"))
    def over(self, call: CallRecord) -> str:
        """When the call was over, and whether that was told or worked out."""
        if call.ended_at is None:
            return "-"
        ended = display_for_value(call.ended_at, "-")
        return str(_("about %(time)s") % {"time": ended}) if call.ended_at_approximate else ended

    @admin.display(description=_("how it went"))
    def how_it_goes(self, call: CallRecord) -> str:
        """The outcome in words, or how far the call has come."""
        return outcome(call) if call.state == State.ENDED else call.get_state_display()

    @admin.display(description=_("outcome"))
    def how_it_ended(self, call: CallRecord) -> str:
        """The outcome in words, blank until the call has ended."""
        return outcome(call) if call.state == State.ENDED else "-"

    @admin.display(description=_("Exotel's words"))
    def words(self, call: CallRecord) -> str:
        """The status words as Exotel sent them, known or not."""
        return ", ".join(lifecycle.words(call.facts)) or "-"


def _summary(request: HttpRequest) -> Callable[[Any], str]:
    @admin.display(description=_("what is known"))
    def summary(call: CallRecord) -> str:
        return describe(call, request.user)

    return summary


def _refusal(request: HttpRequest) -> Callable[[Any], str]:
    def told(call: CallRecord) -> str:
        if not call.refusal_code:
            return ""
        if call.state in (State.ACTIVE, State.ENDED):
            return str(_("%(code)s, but Exotel reported the call later")) % {"code": call.refusal_code}
        event = call.events.filter(verdict=State.REFUSED).order_by("-pk").first()
        return f"{call.refusal_code}: {event.advice}" if event is not None else call.refusal_code

    return masked(request, "refusal", _("refusal"), told)


def _ticket(request: HttpRequest) -> Callable[[Any], str]:
    return masked(request, "ticket_name", _("ticket"), lambda call: call.ticket_label)


def _customer(request: HttpRequest) -> Callable[[Any], str]:
    return masked(request, "customer", _("customer"), lambda call: call.customer_number)
