"""The call history."""

from __future__ import annotations

import datetime
from contextlib import suppress
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm import lifecycle
from django_exotel_ccm.adapters import CHECK
from django_exotel_ccm.admin.adapter import AdminAdapter
from django_exotel_ccm.admin.app_list import my_calls_url
from django_exotel_ccm.admin.call_columns import CallColumns, load_advice
from django_exotel_ccm.admin.call_filters import AgentFilter, NeverConfirmedFilter, ResultFilter, TicketFilter
from django_exotel_ccm.admin.call_search import EVERYWHERE, search_calls, search_help
from django_exotel_ccm.admin.lists import AccountFilter
from django_exotel_ccm.admin.notes import NoteInline, is_ticket_visible, mark_visible
from django_exotel_ccm.admin.readonly import ReadOnlyAdmin, ReadOnlyInline
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.descriptions import describe_length, describe_time, reconciler_missing_message
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.note_box import note_box
from django_exotel_ccm.services.due_work import is_reconciler_missing

TECHNICAL_FILTERS: list[Any] = ["state", "outcome", NeverConfirmedFilter, AccountFilter]
"""Only for users who may see events."""
EXOPHONE_CHOICES = {
    "given": _("chosen for this call"),
    "of_agent": _("the agent's own"),
    "of_group": _("of the agent's group"),
    "of_region": _("of the customer's region"),
    "default": _("the account's default"),
}
"""What chose an ExoPhone. A host's own strategy is shown by its name."""


class EventInline(ReadOnlyInline):
    """The events of the call."""

    model = CallEvent
    fields = ("received_at", "kind", "event", "verdict", "code", "http_status", "request_id", "reason")
    deferred = ["raw", "facts"]
    classes = ("collapse",)


class AnnouncementInline(ReadOnlyInline):
    """The announcements of the call."""

    model = Announcement
    fields = ("created_at", "signal", "state")
    deferred = ["receivers"]
    classes = ("collapse",)


@admin.register(CallRecord)
class CallRecordAdmin(ReadOnlyAdmin):
    """Calls, the newest first."""

    list_filter = [TicketFilter, AgentFilter, ResultFilter, *TECHNICAL_FILTERS, "created_at"]
    list_select_related = ["agent"]
    search_fields = EVERYWHERE  # get_search_results adds the rest
    ordering = ["-created_at"]
    sortable_by = ("placed",)  # which an index sorts
    change_list_template = "exotel_ccm/admin/calls.html"
    inlines = [NoteInline, EventInline, AnnouncementInline]

    change_form_template = "exotel_ccm/admin/call_change_form.html"

    class Media:
        js = ["exotel_ccm/recording.js", "exotel_ccm/note.js"]
        css = {"all": ["exotel_ccm/note.css"]}

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Show how it went, who called whom, and when."""
        ours = CallColumns(request, self.admin_site)
        return [ours.result(), "agent_label", ours.customer(), ours.ticket(), "length", "placed"]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        """Offer technical words only to users who may see events."""
        is_technical = Permission.VIEW_EVENT.granted_to(request.user)
        return [one for one in self.list_filter if is_technical or one not in TECHNICAL_FILTERS]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Warn when nobody reconciles."""
        self._warn_if_reconciler_missing(request)
        context = {
            "my_calls_url": my_calls_url(self.admin_site, request),
            "search_help": search_help(request),
            "may_place": Permission.PLACE_CALL.granted_to(request.user),
            "may_set_up": Permission.ADD_AGENT.granted_to(request.user),
        }
        return super().changelist_view(request, context | (extra_context or {}))

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Warn when nobody reconciles, and when a flood of callbacks was cut short."""
        if CHECK not in request.headers:
            self._warn_if_reconciler_missing(request)
            self._warn_if_flooded(request, object_id)
        return super().change_view(request, object_id, *args, **kwargs)

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: Any = False,
        change: Any = False,
        form_url: Any = "",
        obj: Any = None,
    ) -> HttpResponse:
        """Name the page after people and time; add the box for a note, for who may write one and see the ticket."""
        if obj is not None:
            context.update({"title": CallColumns(request, self.admin_site).title(obj), "subtitle": None})
        if obj is not None and Permission.ADD_NOTE.granted_to(request.user) and self._may_note(request, obj):
            adapter = AdminAdapter(self.admin_site)
            with suppress(NoReverseMatch):  # our URLs are not included: a check says so
                context["exotel_note_box"] = note_box(request, obj, adapter, next_url=request.get_full_path())
        if CHECK in request.headers:
            context["messages"] = ()
        return super().render_change_form(request, context, add=add, change=change, form_url=form_url, obj=obj)

    def _may_note(self, request: HttpRequest, call: CallRecord) -> bool:
        is_own = call.placed_by_id == request.user.pk
        return call.erased_at is None and (is_own or is_ticket_visible(request, self.admin_site, call))

    def _warn_if_reconciler_missing(self, request: HttpRequest) -> None:
        if request.method == "GET" and self.has_view_permission(request) and is_reconciler_missing():
            self.message_user(request, reconciler_missing_message(), messages.WARNING)

    def _warn_if_flooded(self, request: HttpRequest, object_id: str) -> None:
        call = self.get_object(request, object_id) if self.has_view_permission(request) else None
        if call is None or not call.events_not_stored or request.method != "GET":
            return
        message = ngettext(
            "More callbacks came than one call has: %(count)d of them was counted and not stored. "
            "Call Details decide what is true. Somebody may know this call's callback address.",
            "More callbacks came than one call has: %(count)d of them were counted and not stored. "
            "Call Details decide what is true. Somebody may know this call's callback address.",
            call.events_not_stored,
        )
        self.message_user(request, message % {"count": call.events_not_stored}, messages.WARNING)

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Find out for all rows at once which tickets this user may see, and why calls were refused."""
        changelist = super().get_changelist_instance(request)
        mark_visible(request, self.admin_site, list(changelist.result_list))
        load_advice(changelist.result_list)
        return changelist

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Search SID and agent in all calls, and the rest only in calls whose ticket this user may see."""
        return search_calls(request, self.admin_site, queryset, search_term), False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show how it went, about what and who; then when; and what is technical only to who may see events."""
        ours = CallColumns(request, self.admin_site)
        people = [ours.ticket(link=True), ours.customer(), "agent_label", "placed_by_label", "caller_id"]
        opening = [ours.result(), *people]
        if Permission.LISTEN.granted_to(request.user):
            opening.insert(1, ours.recording())
        if obj is not None and obj.overridden_rules:
            opening.append(ours.override())
        if obj is not None and obj.is_external:
            opening.insert(1, "origin")
        times = ["placed", "started", "answered", "over", "length"]
        fieldsets = [(None, {"fields": opening}), (pgettext_lazy("telephony", "Times"), {"fields": times})]
        if Permission.VIEW_EVENT.granted_to(request.user):
            names = ["reference", "call_sid", ours.custom_field(), "account", "updated_at"]
            facts = ["state", "outcome", ours.refusal(), "words", *names, "next_check_at", "checks", "gave_up_at"]
            fieldsets.append((_("Technical data"), {"classes": ["collapse"], "fields": facts}))
        return fieldsets

    @admin.display(description=pgettext_lazy("telephony", "placed"), ordering="created_at")
    def placed(self, call: CallRecord) -> str:
        """When the button was pressed."""
        return _time(call.created_at)

    @admin.display(description=_("ExoPhone's number"))
    def caller_id(self, call: CallRecord) -> str:
        """The number that the customer sees, and why this one."""
        if not call.exophone_number or not call.exophone_choice:
            return call.exophone_number or "-"
        return f"{call.exophone_number} ({EXOPHONE_CHOICES.get(call.exophone_choice, call.exophone_choice)})"

    @admin.display(description=pgettext_lazy("telephony", "started"))
    def started(self, call: CallRecord) -> str:
        """When Exotel began the call."""
        return _time(call.started_at)

    @admin.display(description=_("a phone was picked up"))
    def answered(self, call: CallRecord) -> str:
        """When a phone was picked up; whose, Exotel does not say."""
        return _time(call.answered_at)

    @admin.display(description=pgettext_lazy("telephony", "ended"))
    def over(self, call: CallRecord) -> str:
        """The end of the call, and whether it is approximate."""
        ended = _time(call.ended_at)
        is_approximate = call.ended_at is not None and call.ended_at_approximate
        return format_html(gettext("about {time}"), time=ended) if is_approximate else ended

    @admin.display(description=pgettext_lazy("telephony", "length"))
    def length(self, call: CallRecord) -> str:
        """How long the two talked, else how long the call took with ringing."""
        if call.is_conversation:
            return describe_length(call.talk_time or 0)
        return describe_length(call.total_duration) if call.total_duration else "-"

    @admin.display(description=_("Exotel's words"))
    def words(self, call: CallRecord) -> str:
        """The status words as Exotel sent them, known or not."""
        return ", ".join(lifecycle.status_words(call.facts)) or "-"


def _time(moment: datetime.datetime | None) -> str:
    if moment is None:
        return "-"
    return format_html('<time datetime="{}">{}</time>', moment.isoformat(), describe_time(moment))
