"""The call history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import display_for_value, flatten_fieldsets
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm import lifecycle
from django_exotel_ccm.admin.door import AdminDoor
from django_exotel_ccm.admin.history import AccountFilter, HistoryAdmin, HistoryInline
from django_exotel_ccm.admin.recordings import player
from django_exotel_ccm.choices import Permission, State
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.phone_numbers import visible_to
from django_exotel_ccm.services.reconciliation.reconcile import is_reconciler_missing
from django_exotel_ccm.wording import describe, neglected, outcome

AUTOCOMPLETE_VAR = "term"  # what Django's autocomplete view calls the search


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


class NeverConfirmedFilter(admin.SimpleListFilter):
    """Calls whose end nobody reported and Exotel is not asked about any more."""

    title = _("never confirmed")
    parameter_name = "never_confirmed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer one choice besides all."""
        return [("yes", _("Yes"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the calls that go on for all we know and were given up; by their state, which has an index."""
        if self.value() != "yes":
            return queryset
        return queryset.filter(state__in=[State.UNCONFIRMED, State.ACTIVE], gave_up_at__isnull=False)


@admin.register(CallRecord)
class CallRecordAdmin(HistoryAdmin):
    """Calls, the newest first."""

    list_filter = ["state", "outcome", NeverConfirmedFilter, AccountFilter, "created_at"]
    ordering = ["-pk"]
    inlines = [EventInline, AnnouncementInline]

    class Media:
        js = ["exotel_ccm/recording.js"]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Show who called whom and how it went."""
        return ["created_at", "agent_label", self._customer(request), self._ticket(request), "how_it_goes"]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Say so when nobody settles what is due."""
        self._warn_of_neglect(request)
        return super().changelist_view(request, extra_context)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Say so when nobody settles what is due."""
        self._warn_of_neglect(request)
        return super().change_view(request, object_id, *args, **kwargs)

    def _warn_of_neglect(self, request: HttpRequest) -> None:
        if request.method == "GET" and self.has_view_permission(request) and is_reconciler_missing():
            self.message_user(request, neglected(), messages.WARNING)

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Find out for all rows at once whose tickets this user may see."""
        changelist = super().get_changelist_instance(request)
        self._look_at(request, list(changelist.result_list))
        return changelist

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Search numbers only for those who may see them; a ticket's name and a custom field can hold one."""
        fields = ["call_sid", "agent_label"]
        if request.user.has_perm(Permission.VIEW_NUMBER):
            return [*fields, "custom_field", "ticket_label", "customer_number"]
        typed = request.GET.get(SEARCH_VAR, "") + request.GET.get(AUTOCOMPLETE_VAR, "")
        digits = any(letter.isdigit() for letter in typed)
        # The whole of a custom field, such as ticket_42, is no way to find out digit by digit what is in it.
        return [*fields, "=custom_field"] if digits else [*fields, "custom_field", "ticket_label"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Tell the call in the order a reader asks."""
        opening = [
            self._column(request, "summary", _("what is known"), describe),
            self._ticket(request, link=True),
            "agent_label",
            self._customer(request),
            "exophone_number",
        ]
        if request.user.has_perm(Permission.LISTEN):
            opening.insert(1, self._recording(request))
        refusal = self._column(request, "refusal", _("refusal"), _refusal)
        times = [("created_at", "started_at"), ("answered_at", "over"), ("total_duration", "talk_time")]
        custom_field = self._column(request, "name", _("custom field"), _custom_field)
        names = ["reference", "call_sid", custom_field, "account", "placed_by_label", "updated_at"]
        return [
            (None, {"fields": opening}),
            (_("How it went"), {"fields": ["state", "how_it_ended", refusal, "words", *times]}),
            (_("Settling"), {"classes": ["collapse"], "fields": ["next_check_at", "checks", "gave_up_at"]}),
            (_("Names"), {"classes": ["collapse"], "fields": names}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Every field shown is read-only, ours included."""
        return flatten_fieldsets(self.get_fieldsets(request, obj))

    # Who may see what: a ticket's name and number are for those who may see the ticket on this site.

    def _look_at(self, request: HttpRequest, calls: list[CallRecord]) -> None:
        seen = AdminDoor(self.admin_site).sees(request, calls)
        for call in calls:
            call.seen_by_reader = call.pk in seen  # type: ignore[attr-defined]

    def _sees(self, request: HttpRequest, call: CallRecord) -> bool:
        if not hasattr(call, "seen_by_reader"):
            self._look_at(request, [call])
        return bool(call.seen_by_reader)  # type: ignore[attr-defined]

    def _column(
        self, request: HttpRequest, name: str, label: Any, text: Callable[[CallRecord, Any], str]
    ) -> Callable[[Any], str]:
        """Return a column of ``text(call, user)``, the user being None for those who may not see the ticket."""

        def column(call: CallRecord) -> str:
            return text(call, request.user if self._sees(request, call) else None) or "-"

        column.__name__ = name
        column.short_description = label  # type: ignore[attr-defined]
        return column

    def _customer(self, request: HttpRequest) -> Callable[[Any], str]:
        return self._column(request, "customer", _("customer"), _number)

    def _ticket(self, request: HttpRequest, *, link: bool = False) -> Callable[[Any], str]:
        """Return the column with the ticket's name, linked to its page."""
        door = AdminDoor(self.admin_site)

        def name(call: CallRecord, user: Any) -> str:
            if user is None:
                return str(_("not yours to see"))
            label, url = visible_to(call.ticket_label, user), door.ticket_url_of(call) if link else ""
            return format_html('<a href="{}">{}</a>', url, label or "-") if url else label

        return self._column(request, "ticket_name", _("ticket"), name)

    def _recording(self, request: HttpRequest) -> Callable[[Any], str]:
        door = AdminDoor(self.admin_site)
        return self._column(
            request, "recording", _("recording"), lambda call, user: player(door, call) if user is not None else ""
        )

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
        if call.state == State.ENDED:
            return outcome(call)
        return str(_("never confirmed")) if call.gave_up_at is not None else call.get_state_display()

    @admin.display(description=_("outcome"))
    def how_it_ended(self, call: CallRecord) -> str:
        """The outcome in words, blank until the call has ended."""
        return outcome(call) if call.state == State.ENDED else "-"

    @admin.display(description=_("Exotel's words"))
    def words(self, call: CallRecord) -> str:
        """The status words as Exotel sent them, known or not."""
        return ", ".join(lifecycle.words(call.facts)) or "-"


def _number(call: CallRecord, user: Any) -> str:
    return str(_("erased on request")) if call.erased_at is not None else visible_to(call.customer_number, user)


def _refusal(call: CallRecord, user: Any) -> str:
    if not call.refusal_code:
        return ""
    if call.state in (State.ACTIVE, State.ENDED):
        return str(_("%(code)s, but Exotel reported the call later")) % {"code": call.refusal_code}
    event = call.events.filter(verdict=State.REFUSED).order_by("-pk").first()
    return visible_to(f"{call.refusal_code}: {event.advice}" if event is not None else call.refusal_code, user)


def _custom_field(call: CallRecord, user: Any) -> str:
    return visible_to(call.custom_field, user)
