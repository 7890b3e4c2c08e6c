"""What was purged and erased when, what is due by the clocks of ``RETENTION``, and the customers to erase."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from django_exotel_ccm.admin.agents import NumberField
from django_exotel_ccm.admin.readonly import ReadOnlyAdmin, masked_column
from django_exotel_ccm.choices import RemovalKind
from django_exotel_ccm.models import Removal
from django_exotel_ccm.services.privacy import schedule_erasure
from django_exotel_ccm.services.retention import COUNTED, ClockState, clock_states

_STATE = pgettext_lazy("telephony", "state")


class ErasureForm(forms.ModelForm):
    """Whom to erase. It says nothing of what there is, so that it tells nobody who is a customer."""

    number = NumberField(
        label=pgettext_lazy("telephony", "Number"),
        max_length=64,
        help_text=_(
            "The next run of exotel_purge --apply removes this number, its recordings, and the texts of notes about "
            "its calls. Calls, outcomes and durations stay; so do Exotel's own copy, backups, and your own customer "
            "and tickets. It cannot be undone after that run."
        ),
    )

    class Meta:
        model = Removal
        fields = ("number", "off_do_not_call")


@admin.register(Removal)
class RemovalAdmin(ReadOnlyAdmin):
    """The latest first; the clocks stand above the list."""

    list_display = ["started_at", "kind", "removed", "before"]
    list_filter = ["kind"]
    ordering = ["-started_at", "-pk"]
    sortable_by = ("started_at",)
    form = ErasureForm
    change_list_template = "exotel_ccm/admin/removals.html"

    @admin.display(description=_STATE)
    def state(self, removal: Removal) -> str:
        """Return whether it came to its end."""
        if removal.ended_at is not None:
            return str(pgettext_lazy("telephony", "done"))
        if removal.is_waiting:
            return str(_("waits for the next exotel_purge --apply"))
        return str(_("not finished; the next one goes on"))

    def get_list_display(self, request: HttpRequest) -> Any:
        """Say how far each is, and who is still to be erased, as the user may see numbers."""

        def state(removal: Removal) -> str:
            return ": ".join(filter(None, [self.state(removal), removal.number]))

        return [*self.list_display, masked_column(request, "state_with_number", _STATE, state)]

    def get_fields(self, request: HttpRequest, obj: Removal | None = None) -> Any:
        """Return the form's fields for a new erasure, and what is known of a row otherwise."""
        if obj is None:
            return ("number", "off_do_not_call")
        return ("kind", "removed", "before", "started_at", "ended_at", "state")

    def get_readonly_fields(self, request: HttpRequest, obj: Removal | None = None) -> Any:
        """A row is read, and a new erasure is typed."""
        return () if obj is None else super().get_readonly_fields(request, obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may add erasures may have customers erased."""
        return admin.ModelAdmin.has_add_permission(self, request)

    def has_delete_permission(self, request: HttpRequest, obj: Removal | None = None) -> bool:
        """An erasure that has not begun can be taken back; nothing else goes."""
        return obj is not None and obj.is_waiting and admin.ModelAdmin.has_delete_permission(self, request, obj)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Say what is added."""
        return super().add_view(request, form_url, {"title": _("Erase a customer"), **(extra_context or {})})

    def delete_model(self, request: HttpRequest, obj: Removal) -> None:
        """Take an erasure back, unless it began while the page was open: then its row has to finish it."""
        if not Removal.objects.filter(pk=obj.pk, is_waiting=True).delete()[0]:
            raise PermissionDenied

    def save_model(self, request: HttpRequest, obj: Removal, form: Any, change: bool) -> None:
        """Have the next purge erase the customer; one that waits already is not doubled."""
        obj.pk = schedule_erasure(obj.number, do_not_call=obj.off_do_not_call).pk
        obj.kind = RemovalKind.CUSTOMER

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the clocks above the list."""
        context = {
            "title": capfirst(str(self.opts.verbose_name_plural)),
            "exotel_customers_to_erase": Removal.objects.due_erasures().count(),
            "exotel_clocks": [_described(one) for one in clock_states()],
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)


def _described(clock: ClockState) -> dict[str, Any]:
    days = clock.days
    return {
        "name": clock.kind.label,
        "setting": clock.kind.value,
        "kept": ngettext("%(count)d day", "%(count)d days", days) % {"count": days} if days is not None else "",
        "due": f"{COUNTED}+" if clock.due >= COUNTED else str(clock.due),
        "last": clock.last,
    }
