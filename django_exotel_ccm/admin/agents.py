"""Agents and ExoPhones."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminTextInputWidget
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import models
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from django_exotel_ccm import conf
from django_exotel_ccm.admin.agent_users import AgentUserForm, AgentUserFormSet, LinkedFilter
from django_exotel_ccm.admin.fetch import FetchMixin
from django_exotel_ccm.admin.lists import CheapLookupsAdmin
from django_exotel_ccm.admin.readonly import ReadOnlyInline
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.models import Agent, Device, ExoPhone
from django_exotel_ccm.phone_numbers import parse_number
from django_exotel_ccm.services import sync_agents, sync_exophones


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


class DeviceInline(ReadOnlyInline):
    """The agent's devices as Exotel has them; what may be seen of the agent may be seen of them."""

    model = Device
    formset = BaseInlineFormSet
    template = "exotel_ccm/admin/devices_inline.html"
    fields = ["kind", "contact_uri", "is_on", "is_verified", "status", "seen_at"]
    ordering = ["pk"]
    show_change_link = False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the fields above."""
        return [(None, {"fields": self.fields})]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True: the page asks for the agent."""
        return True


@admin.register(Agent)
class AgentAdmin(FetchMixin, AccountChoices):
    """Agents, the people whose phone rings first."""

    list_display = ["name", "user", "exotel_email", "contact_uri", "account", "exophone", "is_active"]
    list_editable = ["user"]
    list_filter = [LinkedFilter, "is_active", "account"]
    list_select_related = ["user", "exophone"]
    autocomplete_fields = ["exophone"]
    readonly_fields = ["exotel_email", "synced_at", "left_exotel_at"]
    ordering = ["name", "pk"]
    fetch_label = _("Fetch agents from Exotel")
    sync = staticmethod(sync_agents)

    class Media:
        css = {"all": ["exotel_ccm/call_customer.css"]}

    def get_inlines(self, request: HttpRequest, obj: Agent | None = None) -> list[Any]:
        """Show the devices of an agent of whom exotel_sync knows some."""
        return [DeviceInline] if obj is not None and obj.devices.exists() else []

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Let users be chosen in the list where they can be found by typing: a list of all in each row is too long."""
        changelist = super().get_changelist_instance(request)
        if "user" not in self.get_autocomplete_fields(request):
            changelist.list_editable = ()
        return changelist

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the form of one row."""
        return super().get_changelist_form(request, **{"form": AgentUserForm, **kwargs})

    def get_changelist_formset(self, request: HttpRequest, **kwargs: Any) -> Any:
        """Return the forms of the rows."""
        return super().get_changelist_formset(request, **{"formset": AgentUserFormSet, **kwargs})

    def save_model(self, request: HttpRequest, obj: Agent, form: Any, change: bool) -> None:
        """Save of a row in the list the user alone; an agent switched on or off by hand has not left Exotel."""
        if "user" in form.changed_data:
            obj.note_choice_of_user(form.initial.get("user"))
        if isinstance(form, AgentUserForm):
            obj.save(update_fields=["user", "linked_user_key"])
            return
        if "is_active" in form.changed_data:
            obj.left_exotel_at = None
        super().save_model(request, obj, form, change)

    def show_afterwards(self, request: HttpRequest) -> None:
        """Say how many agents nobody can call as."""
        count = Agent.objects.active().filter(user=None).count()
        if count:
            text = ngettext(
                "%(count)d active agent has no user, so nobody calls as them. Choose one in the list.",
                "%(count)d active agents have no user, so nobody calls as them. Choose one each in the list.",
                count,
            )
            self.message_user(request, text % {"count": count}, messages.INFO)

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
        return ["name", "contact_uri", "exotel_user_id", "exotel_email", f"user__{login}"]


@admin.register(ExoPhone)
class ExoPhoneAdmin(FetchMixin, AccountChoices):
    """ExoPhones, the numbers that customers see."""

    list_display = ["number", "label", "account", "is_default", "is_active"]
    list_filter = ["is_active", "account"]
    search_fields = ["number", "label"]
    readonly_fields = ["synced_at", "left_exotel_at"]
    ordering = ["account", "number", "pk"]
    fetch_label = _("Fetch ExoPhones from Exotel")
    sync = staticmethod(sync_exophones)

    class Media:
        css = {"all": ["exotel_ccm/call_customer.css"]}

    def save_model(self, request: HttpRequest, obj: ExoPhone, form: Any, change: bool) -> None:
        """Save one; an ExoPhone switched on or off by hand has not left Exotel."""
        if "is_active" in form.changed_data:
            obj.left_exotel_at = None
        super().save_model(request, obj, form, change)

    def formfield_for_dbfield(
        self, db_field: models.Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        """Accept numbers as people write them."""
        if db_field.name == "number":
            label = capfirst(db_field.verbose_name)
            return NumberField(label=label, help_text=db_field.help_text, max_length=64)
        return super().formfield_for_dbfield(db_field, request, **kwargs)
