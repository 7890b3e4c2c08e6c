"""Whose phone an agent's is, chosen in the list of agents: what exotel_sync did not find, or found wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from django_exotel_ccm.models import Agent


class LinkedFilter(admin.SimpleListFilter):
    """Agents with and without a user."""

    title = pgettext_lazy("telephony", "user")
    parameter_name = "linked"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer both."""
        return [("no", _("without a user")), ("yes", _("with a user"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the chosen ones."""
        return queryset.filter(user__isnull=self.value() == "no") if self.value() in ("no", "yes") else queryset


class _UserSelect(AutocompleteSelect):
    """Finds a user by typing. The one who is chosen already is known, so a long list asks the database for nobody."""

    agent: Agent

    def build_attrs(self, base_attrs: dict[str, Any], extra_attrs: dict[str, Any] | None = None) -> dict[str, Any]:
        """Let an empty choice have a name, which screen readers read."""
        return {**super().build_attrs(base_attrs, extra_attrs), "data-placeholder": _("no user")}

    def optgroups(self, name: str, value: Sequence[str], attrs: dict[str, Any] | None = None) -> Any:
        """Return the empty choice, and the user who is chosen."""
        chosen = [(key, str(self.agent.user) if key == str(self.agent.user_id) else key) for key in value if key]
        options = [self.create_option(name, "", "", selected=False, index=0)]
        options += [self.create_option(name, key, label, selected=True, index=1) for key, label in chosen]
        return [(None, options, 0)]


class _UserField(forms.ModelChoiceField):
    """A user, whom only another choice makes the database look for."""

    agent: Agent

    def to_python(self, value: Any) -> Any:
        return self.agent.user_id if str(value) == str(self.agent.user_id) else super().to_python(value)


class AgentUserForm(forms.ModelForm):
    """One row of the list: the agent's user alone. What stands in the other columns is neither checked nor saved."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        old: Any = self.fields["user"]
        inner = getattr(old.widget, "widget", old.widget)  # without the icons that add and change a user
        widget = _UserSelect(Agent._meta.get_field("user"), inner.admin_site)
        field = _UserField(queryset=old.queryset, required=False, label=old.label, widget=widget)
        field.agent = field.widget.agent = self.instance
        self.fields["user"] = field

    def clean_user(self) -> Any:
        """Refuse a user who is another agent of the same account."""
        user = self.cleaned_data["user"]
        if "user" in self.changed_data and user is not None:
            others = Agent.objects.filter(user=user, account=self.instance.account).exclude(pk=self.instance.pk)
            if (other := others.first()) is not None:
                text = _("This user is the agent %(agent)s already. Take the user away there first.")
                raise ValidationError(text % {"agent": other})
        return user

    def _post_clean(self) -> None:
        if "user" in self.changed_data and "user" in self.cleaned_data:
            self.instance.user = self.cleaned_data["user"]


class AgentUserFormSet(forms.BaseModelFormSet):
    """The rows of the list that are saved together."""

    def clean(self) -> None:
        """Refuse a user who is chosen for two agents of one account."""
        seen: set[tuple[str, Any]] = set()
        for form in self.forms:
            if "user" not in form.changed_data or form.cleaned_data.get("user") is None:
                continue
            key = form.instance.account, form.cleaned_data["user"].pk
            if key in seen:
                form.add_error("user", _("This user is chosen for two agents."))
            seen.add(key)
