"""The mixin for a ticket's ModelAdmin: an action, a press on each row, a button on the form, and the calls so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

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
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_exotel_ccm import tickets
from django_exotel_ccm.admin.door import AdminDoor
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.tickets import TicketType
from django_exotel_ccm.wording import describe

if TYPE_CHECKING:
    _Base = admin.ModelAdmin
else:
    _Base = object

MOST = 100
LONGEST_QUERY = 3000  # common servers refuse addresses of more than 4,000 characters
LISTED = 10


class CallCustomerMixin(_Base):
    """Put before ``ModelAdmin`` in the bases of a ticket's admin; the model must be declared in ``TICKETS``.

    Entries of ``TICKETS`` whose ModelAdmin has no mixin get it by themselves.
    """

    call_customer_by_itself = False
    """Whether a ``TICKETS`` entry brought the mixin, not the host's code."""

    def __init__(self, model: type[Model], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        self.add_call_customer()

    def add_call_customer(self) -> None:
        """List the action, unless the ModelAdmin has switched actions off."""
        if self.actions is not None and "call_customer" not in self.actions:
            self.actions = [*self.actions, "call_customer"]

    # Who may call.

    def has_call_customer_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this user sees the button at all; each ticket is asked again when it is pressed."""
        return request.user.has_perm(Permission.PLACE_CALL) and self._is_ticket()

    def _is_ticket(self) -> bool:
        try:
            reverse("exotel_ccm:place")
            self.get_ticket_type()
        except NoReverseMatch:
            return False  # our URLs are not included: a check says so, and the host's pages work on
        except ImproperlyConfigured:
            if self.call_customer_by_itself:
                return False  # declared no longer: tickets.unregister, or a test's own settings
            raise
        return True

    def get_ticket_type(self) -> TicketType:
        """Return the entry of ``TICKETS`` for this model."""
        return tickets.type_of(self.model)

    # The list.

    @admin.action(description=gettext_lazy("Call customer"), permissions=["call_customer"])
    def call_customer(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Send one chosen ticket on to be called, several to the page that goes through them. Dials nothing."""
        keys = [str(key) for key in queryset.values_list("pk", flat=True)[: MOST + 1]]
        query = self._query(keys, request.get_full_path())
        if len(keys) > MOST or len(query) > LONGEST_QUERY:
            most = min(MOST, len(keys) * LONGEST_QUERY // len(query) // 10 * 10)
            text = _("Choose at most %(most)d tickets: they are called one by one.") % {"most": most}
            self.message_user(request, text, messages.WARNING)
            return None
        if len(keys) == 1:
            # The browser sends the same form, CSRF token and all, to the view that may place calls.
            return HttpResponseRedirect(f"{reverse('exotel_ccm:place')}?{query}", preserve_request=True)
        return HttpResponseRedirect(f"{reverse('exotel_ccm:choose')}?{query}")

    def get_list_display(self, request: HttpRequest) -> Any:
        """Add the column with the button for those who may call."""
        columns = super().get_list_display(request)
        if not self.has_call_customer_permission(request) or IS_POPUP_VAR in request.GET:
            return columns
        # Beside the name: a last column scrolls out of sight on long lists.
        return [*columns[:1], _CallColumn(self, request), *columns[1:]]

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Look up for all rows at once what the page shows as each ticket's newest call."""
        changelist = super().get_changelist_instance(request)
        for column in changelist.list_display:
            if isinstance(column, _CallColumn):
                column.prepare(changelist)
        return changelist

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
        """Put the button and the calls so far on the host's own change form, whichever template that is."""
        response = super().render_change_form(request, context, add=add, change=change, form_url=form_url, obj=obj)
        if obj is None or add or context.get("is_popup") or not isinstance(response, TemplateResponse):
            return response
        shown = self._on_form(request, obj)
        if shown and response.context_data is not None:
            template = response.template_name
            names: Any = [template] if isinstance(template, str) else template
            response.context_data |= {"exotel_parent": select_template(names), "exotel": shown}
            response.template_name = "exotel_ccm/admin/change_form.html"
        return response

    def _on_form(self, request: HttpRequest, ticket: Model) -> dict[str, Any]:
        door = AdminDoor(self.admin_site)
        may_call = self.has_call_customer_permission(request, ticket)
        shown: dict[str, Any] = {}
        if may_call and self.get_ticket_type().allows(request.user, ticket):
            newest = CallRecord.objects.newest_by(request.user, [ticket]).get(str(ticket.pk))
            query = self._query([str(ticket.pk)], request.get_full_path())
            shown |= {
                "place_url": f"{reverse('exotel_ccm:place')}?{query}",
                "choose_url": f"{reverse('exotel_ccm:choose')}?{query}" if self._may_choose(request) else "",
                "after": str(newest.pk if newest else 0),
                # A form that was sent back with errors holds edits that are saved nowhere.
                "unsaved": request.method == "POST",
            }
        if request.user.has_perm(Permission.VIEW_CALL):
            calls = CallRecord.objects.about(ticket).newest_first()[:LISTED]
            shown["calls"] = [
                {"call": call, "said": describe(call, request.user), "url": door.call_url(request, call)}
                for call in calls
            ]
        return shown

    def _may_choose(self, request: HttpRequest) -> bool:
        return any(map(request.user.has_perm, (Permission.ANY_NUMBER, Permission.FOR_OTHERS)))

    @property
    def media(self) -> Media:
        """Add the script that keeps unsaved edits, and the styles."""
        return super().media + Media(js=["exotel_ccm/call_customer.js"], css={"all": ["exotel_ccm/call_customer.css"]})

    def _query(self, keys: list[str], next_url: str) -> str:
        query = {
            "door": self.admin_site.name,
            "type": self.get_ticket_type().label,
            "ticket": keys,
            "next": next_url,
        }
        return urlencode(query, doseq=True)


class _CallColumn:
    """The list's column of buttons, for one request."""

    __name__ = "call_customer"
    short_description = gettext_lazy("call")

    def __init__(self, model_admin: CallCustomerMixin, request: HttpRequest) -> None:
        self._model_admin = model_admin
        self._request = request
        self._newest: dict[str, CallRecord] = {}
        self._attributes = ""

    def prepare(self, changelist: ChangeList) -> None:
        """Look up this user's newest call about each row."""
        rows = list(changelist.result_list)
        self._newest = CallRecord.objects.newest_by(self._request.user, rows)
        if changelist.list_editable:
            # Without our script, edits made in the list stay in this tab.
            self._attributes = SafeString(' formtarget="_blank" data-exotel-edits')
            if self._request.method == "POST":
                self._attributes += SafeString(" data-exotel-unsaved")

    def __call__(self, ticket: Model) -> SafeString:
        """Return the row's button, with what the page shows as the newest call."""
        key = str(ticket.pk)
        newest = self._newest.get(key)
        query = self._model_admin._query([key], self._request.get_full_path())  # noqa: SLF001 - one class in two parts
        return format_html(
            '<button type="submit" class="exotel-call" formmethod="post" formnovalidate formaction="{}?{}"{}'
            ' aria-label="{}">{}</button><input type="hidden" name="exotel_after_{}" value="{}">',
            reverse("exotel_ccm:place"),
            query,
            self._attributes,
            _("Call customer: %(ticket)s") % {"ticket": ticket},
            _("Call"),
            key,
            newest.pk if newest is not None else 0,
        )
