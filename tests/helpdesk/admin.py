"""A third-party app's admin: it knows nothing of calls."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from tests.helpdesk.models import Customer, Lead, Ticket, UrgentTicket


@admin.register(Ticket)
class TicketAdmin(admin.ModelAdmin):
    list_display = ["subject", "customer", "status"]
    list_filter = ["status"]
    search_fields = ["subject"]
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Ticket]:
        """People of a team see its tickets alone."""
        tickets = super().get_queryset(request)
        team = request.user.last_name
        return tickets.filter(team=team) if team else tickets


admin.site.register([Customer, Lead, UrgentTicket])
