"""The mixin stands before the host's ModelAdmin, and hides none of the host's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.core.checks import run_checks
from django.forms import BaseModelFormSet, ModelForm
from django.urls import reverse
from django.utils.html import format_html

from django_exotel_ccm.admin import CallCustomerMixin
from django_exotel_ccm.admin.lost_updates import _Comparing, _ComparingRows
from django_exotel_ccm.models import CallRecord
from tests.admin.pages import BY_HAND, OTHER, Session
from tests.helpdesk.models import Ticket

HOOKS = {"has_call_customer_permission"}  # docs/admin.md, "The mixin"


def call_link(ticket: Any) -> str:
    return format_html('<a href="tel:{0}">dial {0}</a>', ticket.customer.phone)


class OwnColumns(admin.ModelAdmin):
    list_display = ["subject", "get_ticket_type", "call_customer", "make_call_list"]
    readonly_fields = ["get_ticket_type", "call_customer"]

    def get_ticket_type(self, obj: Any) -> str:
        return f"type of {obj.subject}"

    def call_customer(self, obj: Any) -> str:
        return call_link(obj)

    def make_call_list(self, obj: Any) -> str:
        return f"list of {obj.subject}"


class OwnActions(admin.ModelAdmin):
    actions = ["call_customer", "make_call_list"]

    @admin.action(description="Mark as called by hand")
    def call_customer(self, request: Any, queryset: Any) -> None:
        queryset.update(status="called by hand")

    @admin.action(description="Print a list")
    def make_call_list(self, request: Any, queryset: Any) -> None:
        queryset.update(status="printed")


class OwnActionsByHand(CallCustomerMixin, OwnActions):
    pass


def of_property(base: Any) -> Any:
    """Return a ModelAdmin whose actions are a property without a setter, and another one for each user."""

    class OfProperty(base):
        @property
        def actions(self) -> Any:
            return ["close"]

        def close(self, request: Any, queryset: Any) -> None:
            queryset.update(status="closed")

    return OfProperty


@pytest.mark.parametrize(
    ("ours", "djangos"),
    [(CallCustomerMixin, admin.ModelAdmin), (_Comparing, ModelForm), (_ComparingRows, BaseModelFormSet)],
)
def test_names_that_django_lacks_are_prefixed(ours: type, djangos: type) -> None:
    names = {*dir(ours)} - {*dir(djangos)} - HOOKS - {"__annotations__"}

    assert names
    assert [name for name in sorted(names) if not name.removeprefix("_").startswith("exotel_")] == []


def test_columns_of_the_host(host: Any, make_session: Callable[..., Session]) -> None:
    ticket, session = host.ticket(phone=BY_HAND), make_session(Ticket, OwnColumns)

    changelist, form = session.changelist(), session.change_form(ticket)

    assert all(text in changelist.text for text in ("type of Broken fan", "list of Broken fan"))
    assert changelist.links[f"dial {BY_HAND}"] == form.links[f"dial {BY_HAND}"] == f"tel:{BY_HAND}"
    assert "type of Broken fan" in form.text
    assert len(changelist.row_buttons) == len(form.call_buttons) == 1


def test_column_that_is_a_method_of_the_model(
    host: Any, make_session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ticket, "call_customer", call_link, raising=False)
    host.ticket(phone=BY_HAND)

    class OfModel(admin.ModelAdmin):
        list_display = ["subject", "call_customer"]

    page = make_session(Ticket, OfModel).changelist()

    assert page.links[f"dial {BY_HAND}"] == f"tel:{BY_HAND}"
    assert len(page.row_buttons) == 1


@pytest.mark.parametrize("model_admin", [OwnActions, OwnActionsByHand])
@pytest.mark.parametrize(("name", "status"), [("call_customer", "called by hand"), ("make_call_list", "printed")])
def test_action_of_the_host(
    host: Any, exotel: Any, make_session: Callable[..., Session], model_admin: Any, name: str, status: str
) -> None:
    ticket, session = host.ticket(phone=BY_HAND), make_session(Ticket, model_admin)

    session.run_action([ticket], action=[name])

    ticket.refresh_from_db()
    assert ticket.status == status
    assert not CallRecord.objects.exists()

    session.run_action([ticket])

    assert CallRecord.objects.get().ticket == ticket


@pytest.mark.parametrize(
    "model_admin",
    [of_property(admin.ModelAdmin), type("ByHand", (of_property(CallCustomerMixin), admin.ModelAdmin), {})],
)
def test_actions_that_are_a_property(
    host: Any, exotel: Any, make_session: Callable[..., Session], model_admin: Any
) -> None:
    ticket, session = host.ticket(phone=OTHER), make_session(Ticket, model_admin)

    page = session.changelist()
    session.run_action([ticket], action=["close"])

    ticket.refresh_from_db()
    assert ticket.status == "closed"
    assert page.html.count('value="exotel_call_customer"') == page.html.count('value="exotel_make_call_list"') == 1


@pytest.mark.parametrize("is_name", [True, False])
def test_action_of_ours_that_the_host_names(host: Any, make_session: Callable[..., Session], is_name: bool) -> None:
    name = "exotel_make_call_list"

    class Named(CallCustomerMixin, admin.ModelAdmin):
        actions = [name if is_name else getattr(CallCustomerMixin, name)]

    host.ticket()
    page = make_session(Ticket, Named).changelist()

    assert page.html.count('value="exotel_make_call_list"') == page.html.count('value="exotel_call_customer"') == 1
    assert not [one for one in run_checks() if one.id == "admin.E130"]


class Without(admin.ModelAdmin):
    actions = None


class Emptied(admin.ModelAdmin):
    def get_actions(self, request: Any, action_location: Any = None) -> Any:
        return {}


@pytest.mark.parametrize("model_admin", [Without, Emptied])
def test_no_actions(host: Any, make_session: Callable[..., Session], model_admin: Any) -> None:
    host.ticket()

    assert 'name="action"' not in make_session(Ticket, model_admin).changelist().html


def test_super_of_its_own_class(host: Any, make_session: Callable[..., Session]) -> None:
    class Old(admin.ModelAdmin):
        actions = ["close"]

        def get_queryset(self, request: Any) -> Any:
            return super(self.__class__, self).get_queryset(request).exclude(subject="Hidden")

        def close(self, request: Any, queryset: Any) -> None:
            queryset.update(status="closed")

    hidden, shown = host.ticket("Hidden"), host.ticket("Shown")
    session = make_session(Ticket, Old)

    page = session.changelist()
    session.run_action([shown], action=["close"])

    assert ("Hidden" in page.text, len(page.row_buttons)) == (False, 1)
    shown.refresh_from_db()
    assert shown.status == "closed"
    session.get(reverse("crm:helpdesk_ticket_change", args=[hidden.pk]))
    assert session.where == "/crm/"
