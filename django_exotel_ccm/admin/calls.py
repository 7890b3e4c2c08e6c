"""The call history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import phonenumbers
from django.contrib import admin, messages
from django.contrib.admin.utils import display_for_value, flatten_fieldsets
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch
from django.utils.html import format_html
from django.utils.text import smart_split, unescape_string_literal
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from django_exotel_ccm import lifecycle
from django_exotel_ccm.admin.adapter import AdminAdapter
from django_exotel_ccm.admin.app_list import my_calls_url
from django_exotel_ccm.admin.call_filters import AgentFilter, NeverConfirmedFilter, TicketFilter
from django_exotel_ccm.admin.lists import AccountFilter
from django_exotel_ccm.admin.notes import NoteInline, is_ticket_visible, mark_visible
from django_exotel_ccm.admin.readonly import ReadOnlyAdmin, ReadOnlyInline
from django_exotel_ccm.choices import Permission, State
from django_exotel_ccm.descriptions import describe_call, describe_length, describe_outcome, reconciler_missing_message
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.note_box import note_box
from django_exotel_ccm.phone_numbers import parse_number, visible_to
from django_exotel_ccm.services.reconciliation.reconcile import is_reconciler_missing
from django_exotel_ccm.timeline import player

SEARCHED = 500
"""How many of the newest calls that match a search are looked through for those that the user may see."""
LONGEST_SEARCH = 100  # characters: each word is another condition


class EventInline(ReadOnlyInline):
    """The events of the call."""

    model = CallEvent
    readonly_fields = ["received_at", "kind", "event", "verdict", "code", "http_status", "request_id", "reason"]
    fields = (*readonly_fields,)
    deferred = ["raw", "facts"]


class AnnouncementInline(ReadOnlyInline):
    """The announcements of the call."""

    model = Announcement
    readonly_fields = ["created_at", "signal", "state"]
    fields = (*readonly_fields,)
    deferred = ["receivers"]


@admin.register(CallRecord)
class CallRecordAdmin(ReadOnlyAdmin):
    """Calls, the newest first."""

    list_filter = [TicketFilter, AgentFilter, "state", "outcome", NeverConfirmedFilter, AccountFilter, "created_at"]
    search_fields = ["call_sid", "agent_label"]  # what everybody sees; get_search_results adds the rest
    ordering = ["-pk"]
    change_list_template = "exotel_ccm/admin/calls.html"
    inlines = [NoteInline, EventInline, AnnouncementInline]

    change_form_template = "exotel_ccm/admin/call_change_form.html"

    class Media:
        js = ["exotel_ccm/recording.js", "exotel_ccm/note.js"]
        css = {"all": ["exotel_ccm/note.css"]}

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Show who called whom and how it went."""
        return ["created_at", "agent_label", self._customer(request), self._ticket(request), "how_it_goes", "length"]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Warn when nobody reconciles."""
        self._warn_if_reconciler_missing(request)
        links = {"my_calls_url": my_calls_url(self.admin_site, request)}
        return super().changelist_view(request, links | (extra_context or {}))

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Warn when nobody reconciles, and when a flood of callbacks was cut short."""
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
        """Add the box for a note, for users who may write one and see the call's ticket."""
        if obj is not None and Permission.ADD_NOTE.granted_to(request.user) and self._may_note(request, obj):
            adapter = AdminAdapter(self.admin_site)
            with suppress(NoReverseMatch):  # our URLs are not included: a check says so
                context["exotel_note_box"] = note_box(request, obj, adapter, next_url=request.get_full_path())
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
        """Find out for all rows at once which tickets this user may see."""
        changelist = super().get_changelist_instance(request)
        mark_visible(request, self.admin_site, list(changelist.result_list))
        return changelist

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Search SID and agent in all calls, and the rest only in calls whose ticket this user may see."""
        term = search_term[:LONGEST_SEARCH].replace("\0", "").strip()
        if not term:
            return queryset, False
        everywhere = _has_words(term, self.search_fields)
        anything = _has_words(term, [*self.search_fields, *_private_fields(request, term)])
        if Permission.VIEW_NUMBER.granted_to(request.user):
            anything |= _has_number(term)
        if Permission.VIEW_ALL_CALLS.granted_to(request.user):
            return queryset.filter(anything), False
        newest = queryset.filter(anything).order_by("-pk").only("ticket_content_type_id", "ticket_object_id")
        visible = AdminAdapter(self.admin_site).visible_calls(request, newest[:SEARCHED])
        return queryset.filter(everywhere | Q(pk__in=visible)), False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show first what is known of the call, then how it went, and technical names last."""
        opening = [
            self._column(request, "summary", _("what is known"), describe_call),
            self._ticket(request, link=True),
            "agent_label",
            self._customer(request),
            "exophone_number",
        ]
        if Permission.LISTEN.granted_to(request.user):
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

    # A ticket's name and number are shown to users who may see the ticket on this site.

    def _column(
        self, request: HttpRequest, name: str, label: Any, text: Callable[[CallRecord, Any], str]
    ) -> Callable[[Any], str]:
        """Return a column of ``text(call, user)``. ``user`` is None when they may not see the ticket."""

        def column(call: CallRecord) -> str:
            return text(call, request.user if is_ticket_visible(request, self.admin_site, call) else None) or "-"

        column.__name__ = name
        column.short_description = label  # type: ignore[attr-defined]
        return column

    def _customer(self, request: HttpRequest) -> Callable[[Any], str]:
        return self._column(request, "customer", _("customer"), _customer)

    def _ticket(self, request: HttpRequest, *, link: bool = False) -> Callable[[Any], str]:
        """Return the column with the ticket's name; ``link`` adds a link to its page."""
        adapter = AdminAdapter(self.admin_site)

        def name(call: CallRecord, user: Any) -> str:
            if user is None:
                return str(_("not yours to see"))
            label, url = visible_to(call.ticket_label, user), adapter.ticket_url_of(call) if link else ""
            return format_html('<a href="{}">{}</a>', url, label or "-") if url else label

        return self._column(request, "ticket_name", _("ticket"), name)

    def _recording(self, request: HttpRequest) -> Callable[[Any], str]:
        adapter = AdminAdapter(self.admin_site)
        return self._column(request, "recording", _("recording"), lambda call, user: _player(adapter, call, user))

    @admin.display(description=_("ended"))
    def over(self, call: CallRecord) -> str:
        """The end of the call, and whether it is approximate."""
        if call.ended_at is None:
            return "-"
        ended = display_for_value(call.ended_at, "-")
        return str(_("about %(time)s") % {"time": ended}) if call.ended_at_approximate else ended

    @admin.display(description=_("how it went"))
    def how_it_goes(self, call: CallRecord) -> str:
        """The outcome in words, or the state of a call without one."""
        if call.state == State.ENDED:
            return describe_outcome(call)
        return str(_("never confirmed")) if call.gave_up_at is not None else call.get_state_display()

    @admin.display(description=_("length"))
    def length(self, call: CallRecord) -> str:
        """How long the two talked, else how long the call took with ringing."""
        if call.is_conversation:
            return describe_length(call.talk_time or 0)
        return describe_length(call.total_duration) if call.total_duration else "-"

    @admin.display(description=_("outcome"))
    def how_it_ended(self, call: CallRecord) -> str:
        """The outcome in words, blank until the call has ended."""
        return describe_outcome(call) if call.state == State.ENDED else "-"

    @admin.display(description=_("Exotel's words"))
    def words(self, call: CallRecord) -> str:
        """The status words as Exotel sent them, known or not."""
        return ", ".join(lifecycle.status_words(call.facts)) or "-"


def _player(adapter: AdminAdapter, call: CallRecord, user: Any) -> str:
    return player(adapter, call, is_open=True) if user is not None else ""


def _private_fields(request: HttpRequest, term: str) -> list[str]:
    """Return the fields to search in calls whose ticket the user may see. All of them can hold a number."""
    if Permission.VIEW_NUMBER.granted_to(request.user):
        return ["custom_field", "ticket_label", "customer_label", "customer_number"]
    # Digits find only a whole custom field, such as ticket_42. Parts would reveal a number digit by digit.
    return (
        ["custom_field__iexact"]
        if any(map(str.isnumeric, term))
        else ["custom_field", "ticket_label", "customer_label"]
    )


def _has_words(term: str, fields: Sequence[str]) -> Q:
    """Return the condition that one of the fields contains each word, or phrase in quotes."""
    words = [unescape_string_literal(word) if word[0] == word[-1] in "\"'" else word for word in smart_split(term)]
    lookups = [field if "__" in field else f"{field}__icontains" for field in fields]
    return Q(*(Q(*((lookup, word) for lookup in lookups), _connector=Q.OR) for word in words))


def _has_number(term: str) -> Q:
    """Return the condition that the customer's number is the one in ``term``, or contains its digits."""
    condition = Q(pk__in=[])
    with suppress(InvalidNumber):
        condition |= Q(customer_number=parse_number(term))
    digits = phonenumbers.normalize_digits_only(term).lstrip("0")
    if digits and not any(map(str.isalpha, term)):
        condition |= Q(customer_number__contains=digits)
    return condition


def _customer(call: CallRecord, user: Any) -> str:
    if call.erased_at is not None:
        return str(_("erased on request"))
    name = call.customer_label if user is not None else ""  # without a user, the ticket is not theirs to see
    return visible_to(", ".join(filter(None, (name, call.customer_number))), user)


def _refusal(call: CallRecord, user: Any) -> str:
    if not call.refusal_code:
        return ""
    if call.state in (State.ACTIVE, State.ENDED):
        return str(_("%(code)s, but Exotel reported the call later")) % {"code": call.refusal_code}
    event = call.events.filter(verdict=State.REFUSED).order_by("-pk").first()
    return visible_to(f"{call.refusal_code}: {event.advice}" if event is not None else call.refusal_code, user)


def _custom_field(call: CallRecord, user: Any) -> str:
    return visible_to(call.custom_field, user)
