"""The helpdesk's admin: stock Django. "Call customer" is put there by one entry of EXOTEL_CCM["TICKETS"]."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.forms import BaseModelFormSet, ModelForm, Textarea
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from helpdesk.models import Comment, Customer, Ticket

admin.site.site_header = _("Helpdesk")
admin.site.site_title = _("Helpdesk")


class CommentInline(admin.TabularInline):
    """What was said so far, and room for one line more."""

    model = Comment
    extra = 0
    formfield_overrides = {models.TextField: {"widget": Textarea(attrs={"rows": 2, "cols": 60})}}
    fields = ("text",)
    ordering = ("pk",)
    can_delete = False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What was said stays said."""
        return False


@admin.register(Ticket)
class TicketAdmin(admin.ModelAdmin):
    """Tickets, the most pressing first."""

    list_display = ("subject", "customer", "status", "priority", "assignee")
    list_filter = ("status", "priority", "assignee")
    list_select_related = ("customer", "assignee")
    search_fields = ("subject", "customer__name", "description")
    search_help_text = _("Search subjects, descriptions and customers.")
    date_hierarchy = "created_at"
    ordering = ("priority", "pk")
    autocomplete_fields = ("customer",)
    formfield_overrides = {models.TextField: {"widget": Textarea(attrs={"rows": 3, "cols": 60})}}
    readonly_fields = ("created_at", "updated_at")
    inlines = (CommentInline,)
    fieldsets = (
        (None, {"fields": ("subject", "customer", "description")}),
        (_("Handling"), {"fields": (("status", "priority"), "assignee", ("created_at", "updated_at"))}),
    )

    def save_formset(self, request: HttpRequest, form: ModelForm, formset: BaseModelFormSet, change: bool) -> None:
        """Sign comments with their author."""
        for comment in formset.save(commit=False):
            comment.author = request.user
        super().save_formset(request, form, formset, change)


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    """The people who call for help."""

    list_display = ("name", "city", "phone", "other_phone", "email")
    list_filter = ("city",)
    search_fields = ("name", "phone", "other_phone", "email")
    ordering = ("name", "pk")
