"""Hints: calls that an account's own URL told of, and how far Exotel has confirmed them."""

from __future__ import annotations

import datetime
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm.admin.history import AccountFilter, HistoryAdmin
from django_exotel_ccm.choices import UnverifiedReason
from django_exotel_ccm.models import AccountUsage, UnverifiedCall

SHOWN_FOR = datetime.timedelta(days=1)


class StandingFilter(admin.SimpleListFilter):
    """How far a hint has come."""

    title = _("standing")
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer what can become of a hint."""
        return [("waiting", _("to be asked about")), ("found", _("confirmed")), ("given_up", _("given up"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the hints of the chosen standing."""
        chosen = {
            "waiting": {"next_check_at__isnull": False},
            "found": {"call__isnull": False},
            "given_up": {"gave_up_at__isnull": False},
        }
        return queryset.filter(**chosen.get(self.value() or "", {}))


@admin.register(UnverifiedCall)
class UnverifiedCallAdmin(HistoryAdmin):
    """Hints, the newest first."""

    list_display = ["heard_at", "call_sid", "account", "how_it_stands", "checks", "next_check_at", "call"]
    list_filter = [StandingFilter, AccountFilter]
    list_select_related = ["call"]
    search_fields = ["=call_sid"]
    ordering = ["-pk"]
    readonly_fields = [
        "heard_at",
        "account",
        "call_sid",
        "how_it_stands",
        "call",
        "checks",
        "next_check_at",
        "gave_up_at",
    ]
    fields = (*readonly_fields,)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Warn of accounts whose own URL was flooded during the last day."""
        if request.method == "GET" and self.has_view_permission(request):
            for usage in AccountUsage.objects.filter(flooded_at__gt=timezone.now() - SHOWN_FOR).order_by("account"):
                text = _(
                    "More was reported to the own callback URL of the account %(account)s than is kept: calls placed "
                    "elsewhere may be missing. If somebody else knows this address, change it."
                )
                self.message_user(request, text % {"account": usage.account}, messages.WARNING)
        return super().changelist_view(request, extra_context)

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave the calls' facts in the database."""
        return super().get_queryset(request).defer("call__facts")

    @admin.display(description=_("standing"))
    def how_it_stands(self, hint: UnverifiedCall) -> str:
        """Whether it is a call in the records, and why not."""
        if hint.call_id is not None:
            return str(_("confirmed: the call is in the records"))
        why = _why(hint.code)
        if hint.gave_up_at is not None:
            return str(_("given up: %(why)s") % {"why": why})
        return str(_("to be asked about again: %(why)s") % {"why": why} if why else _("to be asked about"))


def _why(code: str) -> str:
    if code in UnverifiedReason.values:
        return str(UnverifiedReason(code).label)
    return str(_("Exotel gave no usable answer (%(code)s)") % {"code": code}) if code else ""
