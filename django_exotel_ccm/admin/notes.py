"""Dispositions to edit; notes and follow-ups to read."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy, ngettext, pgettext_lazy

from django_exotel_ccm.adapters import colleague_sees_ticket
from django_exotel_ccm.admin.adapter import AdminAdapter
from django_exotel_ccm.admin.lists import CheapLookupsAdmin, action, column
from django_exotel_ccm.admin.readonly import ReadOnlyAdmin, ReadOnlyInline, masked_column, masked_text, verbatim
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.masking import shortened, visible_to
from django_exotel_ccm.models import Agent, CallNote, CallRecord, Disposition, FollowUp
from django_exotel_ccm.services import assign_follow_up
from django_exotel_ccm.services.batches import batches

_ = gettext_lazy

LISTED_CHARACTERS = 120
BATCH = 500  # how many chosen rows are looked through at once


def mark_visible(request: HttpRequest, site: admin.AdminSite, rows: list[Any]) -> None:
    """Find out for all ``rows`` at once, calls or what is about a ticket as a call is, which tickets the user sees."""
    seen = AdminAdapter(site).visible_calls(request, rows)
    for row in rows:
        row.is_ticket_visible = row.pk in seen


def is_ticket_visible(request: HttpRequest, site: admin.AdminSite, row: Any) -> bool:
    """Return whether the user may see the ticket of a call, or of what is about a ticket as a call is."""
    if not hasattr(row, "is_ticket_visible"):
        mark_visible(request, site, [row])
    return bool(row.is_ticket_visible)


@admin.register(Disposition)
class DispositionAdmin(CheapLookupsAdmin):
    """Dispositions, in the order of the buttons."""

    list_display = ["label", "code", "means", "position", "is_active"]
    list_filter = ["is_active", "means"]
    search_fields = ["label", "code"]
    ordering = ["position", "pk"]
    prepopulated_fields = {"code": ["label"]}


class NoteInline(ReadOnlyInline):
    """The notes about the call, for all who may see the call and its ticket."""

    model = CallNote
    show_change_link = False  # nothing more stands there
    _shown: list[Any] | None = None

    def get_queryset(self, request: HttpRequest) -> Any:
        """Load the dispositions with the notes."""
        return super().get_queryset(request).select_related("disposition")

    def has_view_permission(self, request: HttpRequest, obj: CallRecord | None = None) -> bool:
        """Whoever sees the call's page and its ticket reads its notes."""
        return obj is None or is_ticket_visible(request, self.admin_site, obj)

    def get_fields(self, request: HttpRequest, obj: CallRecord | None = None) -> Any:
        """Show the text with its lines, masked for this user."""
        # Made once: Django looks for the very same column among the read-only fields, and makes an inline per request.
        if self._shown is None:
            text = masked_column(
                request, "full_text", pgettext_lazy("telephony", "text"), lambda note: note.text, keep=True
            )
            self._shown = ["created_at", "author_label", "disposition", text]
        return self._shown


class _AboutTicketsAdmin(ReadOnlyAdmin):
    """Rows whose words are shown only to users who may see the ticket."""

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Find out for all rows at once which tickets this user may see."""
        changelist = super().get_changelist_instance(request)
        mark_visible(request, self.admin_site, list(map(self.linked_row, changelist.result_list)))
        return changelist

    def linked_row(self, row: Any) -> Any:
        """Return what names the row's ticket."""
        return row

    def words(self, request: HttpRequest, name: str, label: Any, text: Callable[[Any], str]) -> Callable[[Any], str]:
        """Return a column of ``text(row)`` for users who may see the ticket."""

        def shown(row: Any) -> str:
            is_visible = is_ticket_visible(request, self.admin_site, self.linked_row(row))
            return text(row) if is_visible else gettext("not yours to see")

        return column(name, label, shown)


@admin.register(CallNote)
class CallNoteAdmin(_AboutTicketsAdmin):
    """Notes, the newest first."""

    list_filter = ["disposition", "created_at"]
    list_select_related = ["call", "disposition"]
    search_fields = ["author_label", "=call__reference"]
    ordering = ["-pk"]
    sortable_by = ("created_at",)

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave the calls' facts in the database."""
        return super().get_queryset(request).defer("call__facts")

    def linked_row(self, row: CallNote) -> CallRecord:
        """The ticket is that of the call."""
        return row.call

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Show who wrote what about which ticket."""
        ticket = self.words(
            request,
            "ticket_name",
            pgettext_lazy("telephony", "ticket"),
            lambda note: visible_to(note.call.ticket_label, request.user),
        )
        text = self.words(
            request, "short_text", pgettext_lazy("telephony", "text"), lambda note: _short_text(note, request)
        )
        return ["created_at", "author_label", "disposition", ticket, text]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the whole note, and a link to its call."""
        text = self.words(
            request, "full_text", pgettext_lazy("telephony", "text"), lambda note: _full_text(note, request)
        )
        return ["created_at", "author_label", "disposition", text, "call"]


class DoneFilter(admin.SimpleListFilter):
    """Call-backs that are open, due, or done."""

    title = pgettext_lazy("telephony", "state")
    parameter_name = "done"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer the three."""
        return [
            ("open", pgettext_lazy("telephony", "Open")),
            ("due", pgettext_lazy("telephony", "Due")),
            ("done", pgettext_lazy("telephony", "Done")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the chosen ones; an index sorts each kind by the moment."""
        match self.value():
            case "open":
                return queryset.open()
            case "due":
                return queryset.due(timezone.now())
            case "done":
                return queryset.filter(done_at__isnull=False)
        return queryset


@admin.register(FollowUp)
class FollowUpAdmin(_AboutTicketsAdmin):
    """Call-backs, the newest moment first."""

    list_filter = [DoneFilter, "due_at"]
    search_fields = ["assigned_to_label"]
    ordering = ["-due_at", "-pk"]
    sortable_by = ("due_at",)
    actions = ["mark_as_done"]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Show who is to call whom, and when."""
        return ["due_at", "assigned_to_label", self._ticket(request), self._text(request, _short_text), "done_at"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the rest, and links to the calls."""
        # Made once: Django looks for the very same columns among the read-only fields.
        made = vars(request).setdefault("_exotel_ccm_columns", (self._ticket(request), self._text(request, _full_text)))
        who = "assigned_to" if self.has_change_permission(request, obj) else "assigned_to_label"
        return ["due_at", who, *made, "created_at", "call", "done_at", "done_by"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Only who calls back can be changed."""
        return [one for one in self.get_fields(request, obj) if one != "assigned_to"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether the user may hand call-backs on: those that are open, about tickets that they may see."""
        if not Permission.CHANGE_FOLLOW_UP.granted_to(request.user):
            return False
        return obj is None or (obj.done_at is None and is_ticket_visible(request, self.admin_site, obj))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the users who can call."""
        if db_field.name == "assigned_to":
            can_call = Agent.objects.active().filter(user__isnull=False).order_by().values("user_id")
            kwargs["queryset"] = get_user_model()._default_manager.filter(pk__in=can_call)
            kwargs["help_text"] = _("Who is to call: a user with an active agent.")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Refuse a user for whom the call-back would be lost."""
        form = super().get_form(request, obj, change, **kwargs)
        if obj is not None and (field := form.base_fields.get("assigned_to")) is not None:
            field.validators = [*field.validators, partial(_check_can_call_back, request, obj)]
        return form

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Say why a call-back cannot be handed on that was settled since the page was loaded."""
        if request.method == "POST" and "assigned_to" in request.POST and self.has_change_permission(request):
            found = self.get_object(request, unquote(object_id))
            if found is not None and found.done_at is not None:
                return self._not_handed_on(request)
        return super().change_view(request, object_id, form_url, extra_context)

    def save_model(self, request: HttpRequest, obj: FollowUp, form: Any, change: bool) -> None:
        """Hand the call-back on, unless it was settled just now."""
        is_changed = "assigned_to" in form.changed_data
        vars(request)["_exotel_ccm_is_settled"] = is_changed and not assign_follow_up(obj, obj.assigned_to)

    def log_change(self, request: HttpRequest, obj: FollowUp, message: Any) -> Any:
        """Log what has happened alone."""
        return None if vars(request).get("_exotel_ccm_is_settled") else super().log_change(request, obj, message)

    def response_change(self, request: HttpRequest, obj: FollowUp) -> HttpResponse:
        """Say whose the call-back is now."""
        if vars(request)["_exotel_ccm_is_settled"]:
            return self._not_handed_on(request)
        text = gettext("%(who)s is to call back.") % {"who": obj.assigned_to_label}
        self.message_user(request, text, messages.SUCCESS)
        if "_continue" in request.POST:
            return HttpResponseRedirect(request.get_full_path())
        return self.response_post_save_change(request, obj)

    def _not_handed_on(self, request: HttpRequest) -> HttpResponse:
        text = gettext("The call-back was not handed on: it is done by now, or was deleted.")
        self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(request.get_full_path())

    def _ticket(self, request: HttpRequest) -> Callable[[Any], str]:
        return self.words(
            request,
            "ticket_name",
            pgettext_lazy("telephony", "ticket"),
            lambda follow_up: visible_to(follow_up.ticket_label, request.user),
        )

    def _text(self, request: HttpRequest, text: Callable[[Any, HttpRequest], str]) -> Callable[[Any], str]:
        return self.words(
            request, "shown_text", pgettext_lazy("telephony", "text"), lambda follow_up: text(follow_up, request)
        )

    def has_done_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may mark call-backs as done."""
        return Permission.CHANGE_FOLLOW_UP.granted_to(request.user)

    @action(_("Mark as done"), "done")
    def mark_as_done(self, request: HttpRequest, queryset: Any) -> None:
        """Mark the open ones among the chosen as done, now. Those about tickets that the user may not see stay open."""
        adapter = AdminAdapter(self.admin_site)
        done = hidden = 0
        for batch in batches(queryset.open(), BATCH):
            seen = adapter.visible_calls(request, batch)
            hidden += len(batch) - len(seen)
            done += FollowUp.objects.open().filter(pk__in=seen).update(done_at=timezone.now())
        if done or not hidden:
            text = ngettext("%(count)d call-back is done.", "%(count)d call-backs are done.", done)
            self.message_user(request, text % {"count": done}, messages.SUCCESS)
        if hidden:
            text = ngettext(
                "%(count)d call-back is left open: its ticket was deleted, or is not yours to see.",
                "%(count)d call-backs are left open: their tickets were deleted, or are not yours to see.",
                hidden,
            )
            self.message_user(request, text % {"count": hidden}, messages.WARNING)


def _check_can_call_back(request: HttpRequest, follow_up: FollowUp, user: Any) -> None:
    """Raise ``ValidationError`` if ``user`` could do nothing about the call-back."""
    words = {"who": str(user)}
    if not Permission.PLACE_CALL.granted_to(user):
        raise ValidationError(gettext("%(who)s may not call. Choose somebody else.") % words)
    # As if that user asked: our own adapters and the host's ModelAdmins look at the user of a request.
    theirs: Any = copy(request)
    theirs.user, theirs.resolver_match = user, request.resolver_match
    if follow_up.ticket_object_id and not colleague_sees_ticket(theirs, follow_up):
        raise ValidationError(gettext("%(who)s may not see the ticket. Choose somebody else.") % words)


def _short_text(row: CallNote | FollowUp, request: HttpRequest) -> str:
    return shortened(row.text, LISTED_CHARACTERS, lambda text: masked_text(text, request))


def _full_text(row: CallNote | FollowUp, request: HttpRequest) -> str:
    return verbatim(masked_text(row.text, request))
