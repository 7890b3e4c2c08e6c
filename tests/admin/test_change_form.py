"""The button and the calls so far on a ticket's own page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.http import HttpResponse
from django.template import engines
from django.template.loaders.locmem import Loader
from django.utils import timezone

from django_exotel_ccm.admin import CallCustomerMixin
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import CallRecord
from tests.admin.pages import AGENT_WORK, BY_HAND, OTHER, SEES_CALLS, SEES_NUMBERS, Session
from tests.helpdesk.models import Ticket


@pytest.fixture
def session(host: Any) -> Session:
    return Session(host.user("asha", *AGENT_WORK, "helpdesk.add_ticket", SEES_CALLS, SEES_NUMBERS))


def ended_call(ticket: Any, **fields: Any) -> CallRecord:
    return CallRecord.objects.create(
        **{
            "account": "default",
            "ticket": ticket,
            "agent_label": "Asha",
            "customer_number": BY_HAND,
            "created_at": timezone.now(),
            "state": State.ENDED,
            "outcome": "completed",
            "talk_time": 42,
            **fields,
        }
    )


def test_button_places_call_and_returns(host: Any, exotel: Any, session: Session) -> None:
    ticket = host.ticket(phone=BY_HAND)

    page = session.press_button(ticket)

    call = CallRecord.objects.get()
    assert (call.state, call.ticket) == (State.ACTIVE, ticket)
    assert session.where == session.url("helpdesk_ticket_change", ticket.pk)
    assert "Exotel accepted the request" in page.messages
    assert "success" not in page.messages.lower()


def test_button_is_an_object_tool(host: Any, session: Session) -> None:
    page = session.change_form(host.ticket())

    tools = page.html.partition('class="object-tools"')[2].partition("</ul>")[0]
    assert "Call customer" in tools
    assert "History" in tools
    assert page.call_buttons[0].attributes["target"] == "_blank"


def test_add_form_and_popup_have_no_button(host: Any, session: Session) -> None:
    ticket = host.ticket()

    pages = [
        session.get(session.url("helpdesk_ticket_add")),
        session.get(session.url("helpdesk_ticket_change", ticket.pk) + "?_popup=1"),
    ]

    assert [page.call_buttons for page in pages] == [[], []]
    assert not any("exotel-calls" in page.html for page in pages)


def test_form_with_errors_is_unsaved(host: Any, session: Session) -> None:
    page = session.change_form(host.ticket())

    page = session.post(session.where, page.of_id("ticket_form").data | {"subject": ""})

    assert "This field is required." in page.text
    [form] = page.call_buttons
    assert "data-exotel-unsaved" in form.attributes


def test_permissions_of_timeline_and_button(host: Any) -> None:
    ticket = host.ticket()
    ended_call(ticket)
    caller = Session(host.user("asha", *AGENT_WORK))
    reader = Session(host.user("vik", "helpdesk.view_ticket", SEES_CALLS, agent=None))

    for_caller, for_reader = caller.change_form(ticket), reader.change_form(ticket)

    assert "Talked for" not in for_caller.text
    assert len(for_caller.call_buttons) == 1
    assert "Talked for" in for_reader.text
    assert for_reader.call_buttons == []


def test_can_call_hides_button(host: Any, session: Session, settings: Any) -> None:
    entry = {"prefix": "ticket", "phone": "customer.phone", "can_call": f"{__name__}.only_open"}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": {"helpdesk.Ticket": entry}}

    pages = [session.change_form(host.ticket()), session.change_form(host.ticket(status="closed"))]

    assert [len(page.call_buttons) for page in pages] == [1, 0]


def only_open(user: Any, ticket: Ticket) -> bool:
    return ticket.status == "open"


# Hosts of all kinds.


class OwnTemplate(admin.ModelAdmin):
    change_form_template = "own_form.html"


class OwnRendering(admin.ModelAdmin):
    def render_change_form(self, request: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        context["title"] = "Our very own title"
        return super().render_change_form(request, context, *args, **kwargs)


class PlainRendering(admin.ModelAdmin):
    def render_change_form(self, request: Any, context: Any, *args: Any, **kwargs: Any) -> Any:
        return HttpResponse("a page of the host's own making")


@pytest.fixture
def own_template(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make the template of the host's change form from its blocks."""

    def make(blocks: str) -> None:
        text = f'{{% extends "admin/change_form.html" %}}{{% load i18n %}}{blocks}'
        engine = engines["django"].engine
        loaders = [Loader(engine, {"own_form.html": text}), *engine.template_loaders]
        monkeypatch.setattr(engine, "template_loaders", loaders)

    return make


def test_own_template_of_host(
    own_template: Callable[[str], None], host: Any, make_session: Callable[..., Session]
) -> None:
    own_template("{% block object-tools-items %}<li>Print</li>{{ block.super }}{% endblock %}")

    page = make_session(Ticket, OwnTemplate).change_form(host.ticket())

    tools = page.html.partition('class="object-tools"')[2].partition("</ul>")[0]
    assert [word for word in ("Call customer", "Print", "History") if word in tools] == [
        "Call customer",
        "Print",
        "History",
    ]


WITHOUT_TOOLS = {
    "empty": "{% block object-tools %}{% endblock %}",
    "own content": "{% block object-tools %}{% endblock %}{% block content %}The host's own page{% endblock %}",
    "tools behind the content": """{% block object-tools %}{% endblock %}
        {% block sidebar %}<ul class="object-tools">{% block object-tools-items %}{% endblock %}</ul>{% endblock %}""",
}


@pytest.mark.parametrize("blocks", WITHOUT_TOOLS)
def test_template_without_a_place_for_the_button(
    own_template: Callable[[str], None], host: Any, exotel: Any, make_session: Callable[..., Session], blocks: str
) -> None:
    own_template(WITHOUT_TOOLS[blocks])
    ticket, without_number = host.ticket(phone=BY_HAND), host.ticket("No number", phone="")
    session = make_session(Ticket, OwnTemplate)

    page = session.change_form(ticket)
    session.press_button_of(page)

    assert CallRecord.objects.get().ticket == ticket
    assert (
        page.html.index("exotel-panel")
        < page.html.index('class="exotel-call"')
        < page.html.index('class="exotel-calls')
    )
    assert session.change_form(without_number).text.count("Call customer: no number") == 1


def test_own_rendering_of_host(host: Any, exotel: Any, make_session: Callable[..., Session]) -> None:
    ticket = host.ticket(phone=BY_HAND)
    session = make_session(Ticket, OwnRendering)

    page = session.change_form(ticket)
    session.press_button_of(page)

    assert "Our very own title" in page.text
    assert CallRecord.objects.get().state == State.ACTIVE


def test_response_without_template(host: Any, make_session: Callable[..., Session]) -> None:
    page = make_session(Ticket, PlainRendering).change_form(host.ticket())

    assert page.html == "a page of the host's own making"


class ByHand(CallCustomerMixin, admin.ModelAdmin):
    actions = ["close"]

    @admin.action(description="Close")
    def close(self, request: Any, queryset: Any) -> None:
        queryset.update(status="closed")


def test_own_mixin_keeps_actions(host: Any, exotel: Any, make_session: Callable[..., Session]) -> None:
    ticket = host.ticket(phone=OTHER)
    session = make_session(Ticket, ByHand)

    page = session.changelist()
    session.press_button(ticket)

    assert page.html.count('value="exotel_call_customer"') == 1
    assert 'value="close"' in page.html
    assert len(page.row_buttons) == 1
    assert CallRecord.objects.get().customer_number == OTHER
