"""Agents and ExoPhones."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AdminTextInputWidget
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest
from django.utils.text import capfirst

from django_exotel_ccm import conf
from django_exotel_ccm.admin.lists import CheapLookupsAdmin
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.models import Agent, ExoPhone
from django_exotel_ccm.phone_numbers import parse_number


class AccountChoices(CheapLookupsAdmin):
    """Offers the configured accounts as choices."""

    def formfield_for_dbfield(
        self, db_field: models.Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        """Return a choice of aliases for ``account``, Django's own field for all others."""
        if db_field.name != "account":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        aliases = list(conf.get_settings().accounts) or [conf.DEFAULT_ALIAS]
        # An alias that has left the settings stays a choice while it is used, so that saving does not change it.
        used = db_field.model._base_manager.order_by().values_list("account", flat=True).distinct()
        aliases += sorted(set(used) - set(aliases))
        return forms.ChoiceField(
            choices=[(alias, alias) for alias in aliases],
            label=capfirst(db_field.verbose_name),
            help_text=db_field.help_text,
        )


class NumberField(forms.CharField):
    """A phone number with the spaces and brackets people write, which the column has no room for."""

    widget = AdminTextInputWidget

    def to_python(self, value: Any) -> str:
        """Return the number as E.164."""
        text = super().to_python(value)
        if text in self.empty_values:
            return str(text)
        try:
            return parse_number(text)
        except InvalidNumber as error:
            raise ValidationError(str(error), code="invalid") from None


@admin.register(Agent)
class AgentAdmin(AccountChoices):
    """Agents, the people whose phone rings first."""

    list_display = ["name", "user", "contact_uri", "exotel_user_id", "account", "exophone", "is_active"]
    list_filter = ["is_active", "account"]
    list_select_related = ["user", "exophone"]
    autocomplete_fields = ["exophone"]
    ordering = ["name", "pk"]

    def get_autocomplete_fields(self, request: HttpRequest) -> list[str]:
        """Find the user by typing, where the site has a user admin that this person may search; else by a list."""
        user_model = get_user_model()
        if not self.admin_site.is_registered(user_model):
            return self.autocomplete_fields
        user_admin = self.admin_site.get_model_admin(user_model)
        if not user_admin.get_search_fields(request) or not user_admin.has_view_permission(request):
            return self.autocomplete_fields
        return [*self.autocomplete_fields, "user"]

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Search also by the name with which the user logs in, whichever field that is."""
        login = get_user_model().USERNAME_FIELD
        return ["name", "contact_uri", "exotel_user_id", f"user__{login}"]


@admin.register(ExoPhone)
class ExoPhoneAdmin(AccountChoices):
    """ExoPhones, the numbers that customers see."""

    list_display = ["number", "label", "account", "is_default", "is_active"]
    list_filter = ["is_active", "account"]
    search_fields = ["number", "label"]
    ordering = ["account", "number", "pk"]

    def formfield_for_dbfield(
        self, db_field: models.Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        """Accept numbers as people write them."""
        if db_field.name == "number":
            label = capfirst(db_field.verbose_name)
            return NumberField(label=label, help_text=db_field.help_text, max_length=64)
        return super().formfield_for_dbfield(db_field, request, **kwargs)
