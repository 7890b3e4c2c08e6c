"""Hosts' templates that write the form themselves: a save is compared there too, or a warning is logged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.http import HttpResponse
from django.template import engines
from django.template.loaders.locmem import Loader

from django_exotel_ccm.admin import shown
from tests.admin.orders import OpenForm
from tests.admin.pages import Session
from tests.admin.test_lost_updates import OrderAdmin, WithoutExtra, change, open_form, order
from tests.helpdesk.models import Line, Order, Ticket

__all__ = ["open_form", "order"]
Open = Callable[..., OpenForm]

INCLUDES = """{% for fieldset in adminform %}{% include "admin/includes/fieldset.html" %}{% endfor %}
    {% for inline_admin_formset in inline_admin_formsets %}
        {% include inline_admin_formset.opts.template %}
    {% endfor %}"""
LINES = """{% for inline in inline_admin_formsets %}{{ inline.formset.management_form }}
    {% for form in inline.formset %}{{ form.as_p }}{% endfor %}{% endfor %}"""
FORMS = {
    "Django's includes": INCLUDES,
    "a form as Django draws it": f"{{{{ adminform.form.as_p }}}}{LINES}",
    "field by field": f"{{% for field in adminform.form %}}{{{{ field.errors }}}}{{{{ field }}}}{{% endfor %}}{LINES}",
}
BY_HAND = """{% for field in adminform.form %}
    <input name="{{ field.html_name }}" value="{{ field.value|default_if_none:"" }}">{% endfor %}"""


@pytest.fixture(autouse=True)
def own_form(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return what makes an admin whose template writes its own form."""
    shown._warn_of_page.cache_clear()

    def make(inside: str, base: Any = WithoutExtra, before: str = "", **attributes: Any) -> Any:
        text = f"""{{% extends "admin/change_form.html" %}}{{% load i18n %}}{{% block content %}}{before}
            <form method="post" id="order_form">{{% csrf_token %}}{inside}</form>{{% endblock %}}"""
        engine = engines["django"].engine
        loaders = [Loader(engine, {"own_form.html": text}), *engine.template_loaders]
        monkeypatch.setattr(engine, "template_loaders", loaders)
        return type("OwnForm", (base,), {"change_form_template": "own_form.html", **attributes})

    return make


@pytest.mark.parametrize("inside", FORMS)
def test_own_form_is_compared(
    own_form: Any, open_form: Open, order: Order, inside: str, caplog: pytest.LogCaptureFixture
) -> None:
    form = open_form(own_form(FORMS[inside]))
    change(order, status="called", secret="4711")
    Line.objects.filter(pk=101).update(text="Fan, loud")

    assert not form.enter(notes="A note", secret="Mine").save()

    assert len(form.data["exotel:shown"]) == 1
    assert ["“4711”" in one for one in form.errors] == [True]
    assert form.save()
    found = Order.objects.get()
    assert (found.status, found.notes, found.secret) == ("called", "A note", "Mine")
    assert Line.objects.get(pk=101).text == "Fan, loud"
    assert caplog.messages == []


def test_form_of_inlines_alone(own_form: Any, open_form: Open, order: Order) -> None:
    fields = [field.name for field in Order._meta.get_fields() if field.concrete]
    form = open_form(own_form(INCLUDES, readonly_fields=[name for name in fields if name != "id"]))
    Line.objects.filter(pk=101).update(text="Fan, loud")

    assert form.save()

    assert Line.objects.get(pk=101).text == "Fan, loud"


SHARED = forms.TextInput()


class SharedWidget(forms.ModelForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("notes", "secret"):
            self.fields[name].widget = SHARED


def test_widget_that_is_one_for_all_requests(own_form: Any, open_form: Open, order: Order) -> None:
    model_admin = own_form("{{ adminform.form.notes }}{{ adminform.form.secret }}", admin.ModelAdmin, form=SharedWidget)

    form = open_form(model_admin)
    again = OpenForm(form.session, form.url)

    assert [one.page.html.count('name="exotel:shown"') for one in (form, again)] == [1, 1]
    assert type(SHARED) is forms.TextInput


def test_field_that_is_drawn_outside_of_the_form_too(own_form: Any, open_form: Open, order: Order) -> None:
    model_admin = own_form("{% block form_top %}{% endblock %}" + INCLUDES, before="{{ adminform.form.notes }}")

    form = open_form(model_admin)

    assert form.page.html.count('name="exotel:shown"') == 2
    assert len(form.data["exotel:shown"]) == 1


def test_list_that_is_drawn_by_the_host(
    make_session: Callable[..., Session], monkeypatch: pytest.MonkeyPatch, host: Any
) -> None:
    text = """{% extends "admin/change_list.html" %}{% block result_list %}{{ cl.formset.management_form }}
        {% for form in cl.formset %}{{ form.id }}{{ form.status }}{{ form.notes }}{% endfor %}
        <input type="submit" name="_save">{% endblock %}"""
    engine = engines["django"].engine
    monkeypatch.setattr(engine, "template_loaders", [Loader(engine, {"own_list.html": text}), *engine.template_loaders])
    host.ticket()

    class OwnList(admin.ModelAdmin):
        change_list_template = "own_list.html"
        list_display = ["subject", "status", "notes"]
        list_editable = ["status", "notes"]

    session = make_session(Ticket, OwnList)
    form = OpenForm(session, session.url("helpdesk_ticket_changelist"), "changelist-form")
    Ticket.objects.update(status="called")

    assert form.enter(**{"form-0-notes": "A note"}).save("_save")

    ticket = Ticket.objects.get()
    assert (ticket.status, ticket.notes) == ("called", "A note")


def test_form_that_is_drawn_by_hand_is_a_warning(
    own_form: Any, open_form: Open, order: Order, caplog: pytest.LogCaptureFixture
) -> None:
    model_admin = own_form(BY_HAND, admin.ModelAdmin)

    form = open_form(model_admin)
    OpenForm(form.session, form.url)

    assert caplog.messages == [
        "The form of helpdesk.order draws no field of Django's: a save can put back what a call changed meanwhile."
    ]


def test_page_that_the_host_renders_itself_is_a_warning(
    open_form: Open, order: Order, caplog: pytest.LogCaptureFixture
) -> None:
    class Rendered(OrderAdmin):
        def render_change_form(self, request: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
            return HttpResponse(context["adminform"].form.as_p())

    open_form(Rendered)

    assert ["draws no field" in one for one in caplog.messages] == [True]
