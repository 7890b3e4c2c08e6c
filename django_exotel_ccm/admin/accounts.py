"""How much Exotel is asked, account by account, and when somebody last reconciled."""

from __future__ import annotations

from django.contrib import admin

from django_exotel_ccm.admin.history import HistoryAdmin
from django_exotel_ccm.models import AccountUsage


@admin.register(AccountUsage)
class AccountUsageAdmin(HistoryAdmin):
    """One row an account."""

    readonly_fields = [
        "account",
        "reconciled_at",
        "minute",
        "requests_this_minute",
        "paused_until",
        "failures",
        "flooded_at",
    ]
    list_display = (*readonly_fields,)
    fields = (*readonly_fields,)
    ordering = ["account"]
