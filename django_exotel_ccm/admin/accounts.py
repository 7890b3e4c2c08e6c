"""How often each account is asked, and when exotel_reconcile last ran."""

from __future__ import annotations

from django.contrib import admin

from django_exotel_ccm.admin.readonly import ReadOnlyAdmin
from django_exotel_ccm.models import AccountUsage


@admin.register(AccountUsage)
class AccountUsageAdmin(ReadOnlyAdmin):
    """One row per account."""

    fields = (
        "account",
        "reconciled_at",
        "minute",
        "requests_this_minute",
        "paused_until",
        "failures",
        "flooded_at",
    )
    list_display = fields
    ordering = ["account"]
