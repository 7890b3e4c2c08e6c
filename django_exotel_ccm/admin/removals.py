"""What was purged and erased when, and what is due by the clocks of ``RETENTION``."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from django_exotel_ccm.admin.readonly import ReadOnlyAdmin
from django_exotel_ccm.choices import RemovalKind
from django_exotel_ccm.models import Removal
from django_exotel_ccm.services.retention import COUNTED, ClockState, clock_states


@admin.register(Removal)
class RemovalAdmin(ReadOnlyAdmin):
    """The latest first; the clocks stand above the list."""

    list_display = ["started_at", "kind", "removed", "before", "state"]
    list_filter = ["kind"]
    ordering = ["-started_at", "-pk"]
    sortable_by = ("started_at",)
    fields = ("kind", "removed", "before", "started_at", "ended_at")
    change_list_template = "exotel_ccm/admin/removals.html"

    @admin.display(description=pgettext_lazy("telephony", "state"))
    def state(self, removal: Removal) -> str:
        """Return whether it came to its end."""
        if removal.ended_at is not None:
            return str(pgettext_lazy("telephony", "done"))
        if removal.kind == RemovalKind.CUSTOMER:  # the row does not know who it was
            return str(_("not finished; type the same exotel_erase again"))
        return str(_("not finished; the next one goes on"))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Show the clocks above the list."""
        context = {
            "title": capfirst(str(self.opts.verbose_name_plural)),
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
