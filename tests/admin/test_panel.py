"""Which pages show the panel, of which call."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import CallRecord
from tests.admin.pages import AGENT_WORK, SEES_CALLS, Session

pytestmark = pytest.mark.django_db


def call_of(user: Any, *, age: float = 5, **fields: Any) -> CallRecord:
    """Return a call that ``user`` placed ``age`` seconds ago."""
    created_at = timezone.now() - datetime.timedelta(seconds=age)
    fields = {"agent": user.exotel_agents.first(), "state": "active", "customer_label": "Meera", **fields}
    return CallRecord.objects.create(account="default", placed_by=user, created_at=created_at, **fields)


def panel_of(page: Any) -> str:
    """Return the reference of the call that the page's panel follows; "" if it has none."""
    html = page.html.partition("data-exotel-panel")[2]
    text = html.partition('<script type="application/json">')[2].partition("</script>")[0]
    return str(json.loads(text)["reference"]) if text else ""


@pytest.fixture
def asha(host: Any) -> Session:
    return Session(host.user("asha", *AGENT_WORK))


def test_no_call_no_panel(asha: Session, host: Any) -> None:
    ticket = host.ticket()

    assert (panel_of(asha.change_form(ticket)), panel_of(asha.changelist())) == ("", "")


@pytest.mark.parametrize(
    ("fields", "on_its_ticket", "elsewhere"),
    [
        ({"state": "requested"}, True, True),
        ({"state": "unconfirmed"}, True, True),
        ({"state": "active"}, True, True),
        ({"state": "ended", "outcome": "busy", "ended": 60}, True, False),
        ({"state": "ended", "outcome": "busy", "ended": 150}, False, False),
        ({"state": "refused"}, True, False),
        ({"state": "refused", "age": 150}, False, False),
        ({"state": "active", "age": 5 * 3600}, False, False),
        ({"state": "unconfirmed", "gave_up": 60}, True, False),
        ({"state": "unconfirmed", "gave_up": 150}, False, False),
    ],
)
def test_pages_that_show_the_call(
    asha: Session, host: Any, fields: dict[str, Any], on_its_ticket: bool, elsewhere: bool
) -> None:
    ticket, other = host.ticket(), host.ticket("Another")
    now = timezone.now()
    if "ended" in fields:
        fields = {**fields, "ended_at": now - datetime.timedelta(seconds=fields["ended"])}
    if "gave_up" in fields:
        fields = {**fields, "gave_up_at": now - datetime.timedelta(seconds=fields["gave_up"])}
    given = {name: value for name, value in fields.items() if name not in ("ended", "gave_up")}
    call = call_of(asha.user, ticket=ticket, **given)
    CallRecord.objects.update(updated_at=call.created_at)

    shown = [panel_of(page) for page in (asha.change_form(ticket), asha.change_form(other), asha.changelist())]

    assert shown == [str(call.reference) * on_its_ticket, *[str(call.reference) * elsewhere] * 2]


def test_call_in_progress_comes_first(asha: Session, host: Any) -> None:
    """Then that about the ticket, then the newest."""
    tickets = [host.ticket(f"Ticket {number}") for number in range(3)]
    call_of(asha.user, ticket=tickets[0], state="ended", ended_at=timezone.now())
    own = call_of(asha.user, ticket=tickets[1])
    newest = call_of(asha.user, ticket=tickets[2])

    assert [panel_of(asha.change_form(ticket)) for ticket in tickets] == [
        str(newest.reference),
        str(own.reference),
        str(newest.reference),
    ]
    assert panel_of(asha.changelist()) == str(newest.reference)


def test_calls_of_colleagues_are_not_followed(asha: Session, host: Any) -> None:
    ticket = host.ticket()
    call_of(host.user("vik", *AGENT_WORK, SEES_CALLS, agent="+919000000105"), ticket=ticket)

    assert (panel_of(asha.change_form(ticket)), panel_of(asha.changelist())) == ("", "")


@pytest.mark.parametrize("permissions", [AGENT_WORK[:-1], (*AGENT_WORK[:-1], SEES_CALLS)])
def test_user_who_may_not_call_has_no_panel(host: Any, permissions: tuple[str, ...]) -> None:
    assert AGENT_WORK[-1] == "exotel_ccm.place_call"
    session, ticket = Session(host.user("meera", *permissions)), host.ticket()
    call_of(session.user, ticket=ticket)

    assert (panel_of(session.change_form(ticket)), panel_of(session.changelist())) == ("", "")


def test_popup_has_no_panel(asha: Session, host: Any) -> None:
    ticket = host.ticket()
    call_of(asha.user, ticket=ticket)

    assert panel_of(asha.changelist("?_popup=1")) == ""
    assert panel_of(asha.get(f"{asha.url('helpdesk_ticket_change', ticket.pk)}?_popup=1")) == ""


def test_panel_is_safe_from_names(asha: Session, host: Any) -> None:
    evil = "</script><script>alert(1)</script>"
    ticket = host.ticket()
    call_of(asha.user, ticket=ticket, customer_label=evil, ticket_label=evil, answered_at=timezone.now())

    assert evil not in asha.change_form(ticket).html


def test_panel_costs_no_query_on_the_list(asha: Session, host: Any) -> None:
    host.ticket()

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            asha.changelist()
        return len([query for query in queries if "exotel_ccm_" in query["sql"]])

    cost()
    without = cost()
    call_of(asha.user)
    assert cost() == without


def test_link_that_loads_the_page_again(asha: Session, host: Any) -> None:
    """It names the page: an empty address leads elsewhere on a page with ``<base>``."""
    ticket = host.ticket()
    call_of(asha.user, ticket=ticket)
    addresses = [
        asha.url("helpdesk_ticket_change", ticket.pk) + "?_changelist_filters=q%3Dfan",
        asha.url("helpdesk_ticket_changelist") + "?q=fan&o=1",
        reverse("exotel_ccm:my-calls"),
    ]

    assert [asha.get(one).links["Reload to see how it goes"] for one in addresses] == addresses


LINK = re.compile(r'(?:href|src|action|formaction)="([^"]*)"')
WHOLE = re.compile(r"{{ [\w.]+ }}|{% (?:url|static) ")


def test_no_link_depends_on_the_base_of_the_page() -> None:
    """A page of the host's may have ``<base>``, which our links do not know."""
    templates = Path(__file__).parents[2] / "django_exotel_ccm" / "templates"
    links = [(path.name, link) for path in templates.rglob("*.html") for link in LINK.findall(path.read_text("utf-8"))]

    assert len(links) > 50
    assert [(name, link) for name, link in links if not WHOLE.match(link)] == []
