"""Call lists, to read, and a way into each."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm.adapters import page_url
from django_exotel_ccm.admin.adapter import AdminAdapter
from django_exotel_ccm.admin.app_list import my_calls_url
from django_exotel_ccm.admin.readonly import ReadOnlyAdmin
from django_exotel_ccm.masking import visible_to
from django_exotel_ccm.models import CallList
from django_exotel_ccm.services.call_lists import progress_of


@admin.register(CallList)
class CallListAdmin(ReadOnlyAdmin):
    """Call lists, the newest first, and how far each is."""

    search_fields = ["owner_label"]
    list_filter = ["created_at"]
    ordering = ["-pk"]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Show whose it is, its name, and how far it is."""

        @admin.display(description=pgettext_lazy("telephony", "name"))
        def shown_name(row: CallList) -> str:
            return visible_to(row.name, request.user)  # what people type may hold a number

        @admin.display(description=_("work on it"))
        def way_in(row: CallList) -> str:
            url = page_url(AdminAdapter(self.admin_site), "call-list", row.pk)
            name = gettext("Go on: %(name)s") % {"name": visible_to(row.name, request.user)}
            return format_html('<a href="{}" aria-label="{}">{}</a>', url, name, gettext("Go on"))

        shown: list[Any] = ["created_at", "owner_label", shown_name, "progress"]
        return [*shown, way_in] if my_calls_url(self.admin_site, request) else shown

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Count the items of all rows at once."""
        changelist = super().get_changelist_instance(request)
        rows = list(changelist.result_list)
        progress = progress_of(rows)
        for row in rows:
            row.counts = progress.get(row.pk)
        return changelist

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the same on the page of one list."""
        return self.get_list_display(request)

    @admin.display(description=_("how far it is"))
    def progress(self, row: Any) -> str:
        """How many tickets are called or skipped, of how many."""
        counts = getattr(row, "counts", None) or progress_of([row]).get(row.pk, {"done": 0, "total": 0})
        return str(_("%(done)s of %(total)s") % {"done": counts["done"], "total": counts["total"]})
