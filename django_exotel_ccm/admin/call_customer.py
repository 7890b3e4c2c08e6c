"""The mixin for a ticket's ModelAdmin: an action, a button on each row and on the form, and the calls so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model, QuerySet
from django.forms import Media
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import select_template
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from django_exotel_ccm import tickets
from django_exotel_ccm.adapters import CHECK, MAX_QUERY_LENGTH, MAX_TICKETS, call_query, page_url
from django_exotel_ccm.admin.adapter import AdminAdapter
from django_exotel_ccm.admin.button_column import ButtonColumn, seen_by
from django_exotel_ccm.admin.last_calls import CalledTodayFilter, LastCallColumn, ListedCalls, said_of_cut_filter
from django_exotel_ccm.admin.lists import action
from django_exotel_ccm.admin.lost_updates import LostUpdatesMixin
from django_exotel_ccm.admin.shown import ShownInput
from django_exotel_ccm.call_button import CallButton, call_button, call_buttons
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.local_time import local_now
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.models.ticket_link import link_key
from django_exotel_ccm.panel import call_to_show, panel_of
from django_exotel_ccm.services.call_lists import MAX_ITEMS, create_call_list
from django_exotel_ccm.services.readiness import Obstacle, preview
from django_exotel_ccm.tickets import TicketType
from django_exotel_ccm.timeline import timeline_of

if TYPE_CHECKING:
    _Base = admin.ModelAdmin
else:
    _Base = object


class CallCustomerMixin(LostUpdatesMixin, _Base):
    """Put before ``ModelAdmin`` in the bases of a ticket's admin; the model must be declared in ``TICKETS``.

    Entries of ``TICKETS`` whose ModelAdmin has no mixin get it by themselves. It then stands before the host's own
    class, so what Django's ModelAdmin lacks begins with ``exotel``: a column, an action or a field of the host's of the
    same name would be lost.
    """

    exotel_is_attached = False
    """Whether a ``TICKETS`` entry added the mixin, and not the host's code."""

    def _get_base_actions(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Add our actions to the host's own, which may be a property."""
        named = [getattr(one, "__name__", one) for one in self.actions or ()]
        names = [name for name in ("exotel_call_customer", "exotel_make_call_list") if name not in named]
        ours = [self.get_action(getattr(type(self), name), *args, **kwargs) for name in names]
        return [*super()._get_base_actions(*args, **kwargs), *filter(None, ours)]  # type: ignore[misc]

    # Who may call.

    def has_call_customer_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return whether this user sees the button at all. A press checks each ticket again."""
        return Permission.PLACE_CALL.granted_to(request.user) and self._exotel_is_ticket()

    def _exotel_is_ticket(self) -> bool:
        try:
            reverse("exotel_ccm:place")
            self.exotel_ticket_type()
        except NoReverseMatch:
            return False  # a check reports that our URLs are not included, and the host's pages work on
        except ImproperlyConfigured:
            if self.exotel_is_attached:
                return False  # after tickets.unregister, or with a test's own settings
            raise
        return True

    def exotel_ticket_type(self) -> TicketType:
        """Return the entry of ``TICKETS`` for this model."""
        return tickets.type_of(self.model)

    # The list.

    @action(gettext_lazy("Call customer"), "call_customer")
    def exotel_call_customer(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Redirect one chosen ticket to the place view, several to the choose page. Places no call."""
        keys = [str(key) for key in queryset.values_list("pk", flat=True)[: MAX_TICKETS + 1]]
        query = self._exotel_query(keys, request)
        if len(keys) > MAX_TICKETS or len(query) > MAX_QUERY_LENGTH:
            most = max(1, min(MAX_TICKETS, len(keys) * MAX_QUERY_LENGTH // len(query) // 10 * 10))
            text = ngettext(
                "Choose at most %(most)d ticket: tickets are called one by one.",
                "Choose at most %(most)d tickets: they are called one by one.",
                most,
            )
            self.message_user(request, text % {"most": most}, messages.WARNING)
            return None
        # "All tickets of this search" may be another ticket by now than the page showed.
        if len(keys) == 1 and request.POST.get("select_across") != "1":
            query = self._exotel_query(keys, request, after=seen_by(request, keys[0]))
            # The browser sends the same form with its CSRF token to the place view.
            return HttpResponseRedirect(f"{reverse('exotel_ccm:place')}?{query}", preserve_request=True)
        return HttpResponseRedirect(f"{reverse('exotel_ccm:choose')}?{query}")

    @action(gettext_lazy("Make a call list"), "call_customer")
    def exotel_make_call_list(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Make a call list of the chosen tickets, in the order of the list, and go to its first ticket."""
        name = tickets.declared_type(self.model).model._meta.pk.name
        keys = list(dict.fromkeys(queryset.values_list(name, flat=True)[: MAX_ITEMS + 1]))
        if len(keys) > MAX_ITEMS:
            text = _("Choose at most %(most)d tickets for one call list.") % {"most": MAX_ITEMS}
            self.message_user(request, text, messages.WARNING)
            return None
        title = f"{capfirst(self.opts.verbose_name_plural)}, {date_format(local_now(), 'SHORT_DATETIME_FORMAT')}"
        made = create_call_list(owner=request.user, name=title, model=self.model, keys=keys)
        if 1 < len(keys) <= MAX_TICKETS:
            buttons = call_buttons(AdminAdapter(self.admin_site), request, list(queryset), {})
            not_theirs = Obstacle(_("not yours"), "")
            obstacles = [button.obstacle if button is not None else not_theirs for button in buttons]
            self.message_user(request, str(preview(obstacles)), messages.INFO)
        return HttpResponseRedirect(page_url(AdminAdapter(self.admin_site), "call-list", made.pk))

    def get_list_display(self, request: HttpRequest) -> Any:
        """Add the button's column for users who may call, and the last call's for those who may see calls."""
        columns = super().get_list_display(request)
        if IS_POPUP_VAR in request.GET:
            return columns
        ours: list[Any] = []
        if self.has_call_customer_permission(request):
            ours.append(ButtonColumn(AdminAdapter(self.admin_site), self.exotel_ticket_type(), request))
        if self._exotel_shows_calls(request):
            ours.append(LastCallColumn(request.user))
        # Beside the name, because on wide lists a last column is out of sight.
        return [*columns[:1], *ours, *columns[1:]]

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Add the filter by today's calls for users who may see calls."""
        filters = super().get_list_filter(request)
        return [*filters, CalledTodayFilter] if self._exotel_shows_calls(request) else filters

    def _exotel_shows_calls(self, request: HttpRequest) -> bool:
        return Permission.VIEW_CALL.granted_to(request.user) and self._exotel_is_ticket()

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Load for all rows at once what our columns show."""
        changelist = super().get_changelist_instance(request)
        self.exotel_prepare_columns(request, changelist)
        return changelist

    def exotel_prepare_columns(self, request: HttpRequest, changelist: ChangeList) -> None:
        """Load what our columns show of the changelist's rows."""
        ours = [one for one in changelist.list_display if isinstance(one, (ButtonColumn, LastCallColumn))]
        if ours:
            listed = ListedCalls.load(request.user, list(changelist.result_list))
            for column in ours:
                column.listed = listed
                if isinstance(column, ButtonColumn):
                    column.prepare(changelist)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the panel, with the user's call in progress, above the host's own list, whatever its template is.

        Say so if the filter by calls leaves tickets out.
        """
        response = super().changelist_view(request, extra_context)
        changelist: Any = (getattr(response, "context_data", None) or {}).get("cl")
        if changelist is not None and CHECK not in request.headers and (text := said_of_cut_filter(changelist)):
            self.message_user(request, text, messages.WARNING)
        for column in getattr(changelist, "list_display", ()):
            if isinstance(column, ButtonColumn):
                if column.show_edited_rows(changelist):
                    self.exotel_prepare_columns(request, changelist)
                column.show_stored(changelist, response)
                panel = self._exotel_panel(request, column.listed.in_progress)
                _extend(request, response, "change_list.html", panel)
        return response

    # The form.

    def render_change_form(
        self,
        request: HttpRequest,
        context: Any,
        add: Any = False,
        change: Any = False,
        form_url: Any = "",
        obj: Any = None,
    ) -> HttpResponse:
        """Add the button and the calls so far to the host's own change form, whatever its template is."""
        response = super().render_change_form(request, context, add=add, change=change, form_url=form_url, obj=obj)
        if obj is None or add:
            return response
        shown = {} if context.get("is_popup") else self._exotel_on_form(request, obj)
        if self.has_call_customer_permission(request, obj):
            shown["input"] = ShownInput.of_form(context, came_back=request.method == "POST")
            shown["input"].warn_if_missing(response)
        if shown:
            _extend(request, response, "change_form.html", shown)
        return response

    def _exotel_panel(self, request: HttpRequest, call: CallRecord | None) -> dict[str, Any]:
        return {"panel": panel_of(call, request.user, AdminAdapter(self.admin_site), next_url=request.get_full_path())}

    def _exotel_on_form(self, request: HttpRequest, ticket: Model) -> dict[str, Any]:
        adapter = AdminAdapter(self.admin_site)
        may_call = self.has_call_customer_permission(request, ticket)
        shown: dict[str, Any] = {}
        after = None
        if may_call and self.exotel_ticket_type().allows(request.user, ticket):
            own, in_progress = CallRecord.objects.newest_and_in_progress(request.user, [ticket])
            newest = own.get(link_key(ticket))
            shown |= self._exotel_panel(request, call_to_show(newest, in_progress))
            button = call_button(adapter, request, ticket, newest)
            if button.obstacle is not None and button.obstacle.url == request.path:
                # The number is entered on this very form.
                button = replace(button, obstacle=replace(button.obstacle, url=""))
            if button.obstacle is None:
                after = newest.pk if newest is not None else 0
            # A form that came back with errors holds edits that are not saved.
            shown |= {"button": button, "tools": _Tools(button), "unsaved": request.method == "POST"}
        if self._exotel_is_ticket():
            next_url = request.get_full_path()
            shown["timeline"] = timeline_of(request, adapter, ticket, next_url=next_url, after=after)
        shown["can_listen"] = Permission.LISTEN.granted_to(request.user)
        return shown

    @property
    def media(self) -> Media:
        """Add our script, which makes buttons of our links, and our styles."""
        styles = ["exotel_ccm/call_customer.css", "exotel_ccm/note.css"]
        return super().media + Media(js=["exotel_ccm/call_customer.js"], css={"all": styles})

    def _exotel_query(self, keys: Sequence[str], request: HttpRequest, **more: str) -> str:
        adapter = AdminAdapter(self.admin_site)
        return call_query(adapter, self.exotel_ticket_type(), keys, request.get_full_path(), **more)


class _Tools:
    """The button, for that of two places in a template which takes it first."""

    def __init__(self, button: CallButton) -> None:
        self._button: CallButton | None = button

    def take(self) -> CallButton | None:
        button, self._button = self._button, None
        return button


def _extend(request: HttpRequest, response: HttpResponse, template: str, shown: dict[str, Any]) -> None:
    """Have a template of ours, which shows ``shown``, extend the one of the host's page."""
    if isinstance(response, TemplateResponse) and response.context_data is not None:
        parent = response.template_name
        names: Any = [parent] if isinstance(parent, str) else parent
        response.context_data |= {"exotel_parent": select_template(names), "exotel": shown}
        response.template_name = f"exotel_ccm/admin/{template}"
        if CHECK in request.headers:
            response.context_data["messages"] = ()  # our script shows none, so they wait for the next page
