"""Themes put object tools inside the ticket's form: there, too, a press of the button calls once and saves nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.template import engines
from django.template.loaders.locmem import Loader

from django_exotel_ccm.models import CallRecord
from tests.admin.pages import AGENT_WORK, SEES_CALLS
from tests.browser.conftest import CALLING, log_in, press
from tests.helpdesk.models import Ticket

pytestmark = pytest.mark.browser

Open = Callable[..., Any]
TOOLS_INSIDE = """{% extends "admin/change_form.html" %}
{% block object-tools %}{% endblock %}
{% block form_top %}
<ul class="object-tools">{% block object-tools-items %}<li>Print</li>{% endblock %}</ul>
{% endblock %}
"""


@pytest.fixture
def tools_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Move the tools of the ticket's page into its form, by a template of the host's."""
    engine = engines["django"].engine
    templates = {"admin/helpdesk/ticket/change_form.html": TOOLS_INSIDE}
    monkeypatch.setattr(engine, "template_loaders", [Loader(engine, templates), *engine.template_loaders])


@pytest.fixture
def ticket(host: Any) -> Ticket:
    host.user("asha", *AGENT_WORK, SEES_CALLS)
    found: Ticket = host.ticket()
    return found


@pytest.fixture
def page(ticket: Ticket, tools_inside: None, site: Any, open_page: Open, request: Any) -> Any:
    page = open_page(java_script_enabled=getattr(request, "param", True))
    log_in(page, site.url, "asha")
    page.goto(f"{site.url}/admin/helpdesk/ticket/{ticket.pk}/change/")
    page.fill("#id_notes", "He wants a new fan")
    return page


def assert_nothing_saved(ticket: Ticket) -> None:
    ticket.refresh_from_db()
    assert ticket.notes == ""


def test_press_calls_once_and_saves_nothing(ticket: Ticket, page: Any, exotel: Any) -> None:
    press(page)

    assert CallRecord.objects.count() == 1
    assert len([seen for seen in exotel.book.requests if seen.method == "POST"]) == 1
    assert page.input_value("#id_notes") == "He wants a new fan"
    assert_nothing_saved(ticket)


@pytest.mark.parametrize("page", [False], indirect=True)
def test_press_without_script_asks_and_saves_nothing(ticket: Ticket, page: Any) -> None:
    with page.context.expect_page() as opened:
        page.click("text=Call customer")
    opened.value.wait_for_selector("button.exotel-call")
    before = CallRecord.objects.count()
    opened.value.click("button.exotel-call")
    opened.value.wait_for_selector(".messagelist")

    assert (before, CallRecord.objects.count()) == (0, 1)
    assert page.input_value("#id_notes") == "He wants a new fan"
    assert_nothing_saved(ticket)


def test_button_waits_while_it_calls(page: Any, exotel: Any) -> None:
    waiting = page.evaluate(
        """() => { const button = document.querySelector("button.exotel-call"); button.click();
        const panel = document.querySelector(".exotel-panel");
        const isEmpty = "exotelEmpty" in panel.dataset;
        return [button.type, button.textContent, button.ariaDisabled, isEmpty, panel.innerText.trim()]; }"""
    )
    page.wait_for_selector(CALLING)

    assert waiting[:4] == ["button", "Calling…", "true", False]
    assert waiting[4].startswith("Calling…")
    assert page.inner_text("button.exotel-call").lower() == "call customer"
