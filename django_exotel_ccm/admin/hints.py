"""Hints: calls that an account's own URL told of, and how far Exotel has confirmed them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm.admin.history import AccountFilter, HistoryAdmin
from django_exotel_ccm.choices import HintReason
from django_exotel_ccm.models import Hint


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


@admin.register(Hint)
class HintAdmin(HistoryAdmin):
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

    def get_queryset(self, request: HttpRequest) -> Any:
        """Leave the calls' facts in the database."""
        return super().get_queryset(request).defer("call__facts")

    @admin.display(description=_("standing"))
    def how_it_stands(self, hint: Hint) -> str:
        """Whether it is a call in the records, and why not."""
        if hint.call_id is not None:
            return str(_("confirmed: the call is in the records"))
        why = _why(hint.code)
        if hint.gave_up_at is not None:
            return str(_("given up: %(why)s") % {"why": why})
        return str(_("to be asked about again: %(why)s") % {"why": why} if why else _("to be asked about"))


def _why(code: str) -> str:
    if code in HintReason.values:
        return str(HintReason(code).label)
    return str(_("Exotel gave no usable answer (%(code)s)") % {"code": code}) if code else ""
