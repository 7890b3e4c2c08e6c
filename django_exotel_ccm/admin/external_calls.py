"""Unverified calls: what an account's own URL reported, and why it is not in the records."""

from __future__ import annotations

import datetime
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from django_exotel_ccm.admin.lists import AccountFilter
from django_exotel_ccm.admin.readonly import ReadOnlyAdmin
from django_exotel_ccm.choices import UnverifiedReason
from django_exotel_ccm.models import AccountUsage, UnverifiedCall

WARN_FOR = datetime.timedelta(days=1)


class StatusFilter(admin.SimpleListFilter):
    """Calls that wait, were verified, or were given up."""

    title = pgettext_lazy("telephony", "status")
    parameter_name = "status"
    _filters = {
        "waiting": {"next_check_at__isnull": False},
        "verified": {"call__isnull": False},
        "given_up": {"gave_up_at__isnull": False},
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the choices."""
        return [
            ("waiting", pgettext_lazy("telephony", "waiting")),
            ("verified", pgettext_lazy("telephony", "verified")),
            ("given_up", _("given up")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the calls of the chosen status."""
        return queryset.filter(**self._filters.get(self.value() or "", {}))


@admin.register(UnverifiedCall)
class UnverifiedCallAdmin(ReadOnlyAdmin):
    """Unverified calls, the newest first."""

    list_display = ["reported_at", "call_sid", "account", "status", "checks", "next_check_at", "call"]
    list_filter = [StatusFilter, AccountFilter]
    list_select_related = ["call"]
    search_fields = ["=call_sid"]
    ordering = ["-pk"]
    fields = ("reported_at", "account", "call_sid", "status", "call", "checks", "next_check_at", "gave_up_at")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Warn of accounts whose own URL was flooded during the last day."""
        if request.method == "GET" and self.has_view_permission(request):
            for usage in AccountUsage.objects.filter(flooded_at__gt=timezone.now() - WARN_FOR).order_by("account"):
                text = _(
                    "The own callback URL of account %(account)s reported more than is stored, so calls placed "
                    "elsewhere may be missing. Somebody else may know this URL."
                )
                self.message_user(request, text % {"account": usage.account}, messages.WARNING)
        return super().changelist_view(request, extra_context)

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave out the calls' facts, which can be large."""
        return super().get_queryset(request).defer("call__facts")

    @admin.display(description=pgettext_lazy("telephony", "status"))
    def status(self, unverified: UnverifiedCall) -> str:
        """Whether the call is in the records, and if not, why."""
        if unverified.call_id is not None:
            return str(_("verified: the call is in the records"))
        reason = _reason(unverified.code)
        if unverified.gave_up_at is not None:
            return str(_("given up: %(reason)s") % {"reason": reason})
        return str(_("waiting: %(reason)s") % {"reason": reason} if reason else pgettext_lazy("telephony", "waiting"))


def _reason(code: str) -> str:
    if code in UnverifiedReason.values:
        return str(UnverifiedReason(code).label)
    return str(_("Exotel gave no usable answer (%(code)s)") % {"code": code}) if code else ""
