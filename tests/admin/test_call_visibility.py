"""Promise 6 in the history: a call's ticket and number are for those who may see the ticket."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import CallRecord
from tests.admin.pages import BY_HAND, LEDGER, SEES_CALLS, SEES_NUMBERS, Session

SEES = ("helpdesk.view_ticket", SEES_CALLS, SEES_NUMBERS)
HIDDEN = "+••••••••••09"


def call_about(ticket: Any = None, **fields: Any) -> CallRecord:
    return CallRecord.objects.create(
        **{
            "account": "default",
            **({"ticket": ticket, "ticket_label": str(ticket)} if ticket else {}),
            "agent_label": "Vik",
            "customer_number": BY_HAND,
            "created_at": timezone.now(),
            "state": "active",
            **fields,
        }
    )


def seen_by(session: Session, call: CallRecord) -> list[str]:
    """Return the list and the call's page."""
    lists = reverse("admin:exotel_ccm_callrecord_changelist")
    return [session.get(lists).html, session.get(reverse("admin:exotel_ccm_callrecord_change", args=[call.pk])).html]


def test_hidden_ticket_shows_no_name_or_number(host: Any) -> None:
    call = call_about(host.ticket("Red secret", team="red"))
    session = Session(host.user("meera", *SEES, agent=None, last_name="blue"))

    for html in seen_by(session, call):
        assert BY_HAND not in html
        assert "Red secret" not in html
        assert f"/ticket/{call.ticket_object_id}/" not in html
        assert HIDDEN in html
        assert "not yours to see" in html


def test_visible_ticket_shows_name_and_number(host: Any) -> None:
    call = call_about(host.ticket("Blue matter", team="blue"))
    session = Session(host.user("meera", *SEES, agent=None, last_name="blue"))

    for html in seen_by(session, call):
        assert BY_HAND in html
        assert "Blue matter" in html
    assert f"/ticket/{call.ticket_object_id}/" in html


@pytest.mark.parametrize("why", ["no permission", "deleted", "model gone"])
def test_missing_ticket_is_visible_to_nobody(host: Any, why: str) -> None:
    ticket = host.ticket("Blue matter")
    call = call_about(ticket)
    if why == "deleted":
        ticket.delete()
    if why == "model gone":
        CallRecord.objects.update(ticket_content_type=None)
    permissions = SEES[1:] if why == "no permission" else SEES
    session = Session(host.user("meera", *permissions, agent=None))

    for html in seen_by(session, call):
        assert BY_HAND not in html
        assert "Blue matter" not in html


def test_call_about_no_ticket(host: Any) -> None:
    call = call_about()
    seeing = Session(host.user("meera", SEES_CALLS, SEES_NUMBERS, agent=None))
    blind = Session(host.user("uma", SEES_CALLS, agent=None))

    assert all(BY_HAND in html for html in seen_by(seeing, call))
    assert not any(BY_HAND in html for html in seen_by(blind, call))


def test_superuser_sees_all(host: Any) -> None:
    ticket = host.ticket("Red secret", team="red")
    call = call_about(ticket)
    session = Session(host.user("root", is_superuser=True, last_name="blue", agent=None))

    assert all(BY_HAND in html and "Red secret" in html for html in seen_by(session, call))


def test_list_needs_one_query_for_each_kind_of_ticket(host: Any) -> None:
    session = Session(host.user("meera", *SEES, agent=None, last_name="blue"))
    table = connection.ops.quote_name("helpdesk_ticket")

    def cost(rows: int) -> int:
        for n in range(rows):
            call_about(host.ticket(f"T{n}", team="blue"))
        with CaptureQueriesContext(connection) as queries:
            page = session.get(reverse("admin:exotel_ccm_callrecord_changelist"))
        assert page.html.count(BY_HAND) == CallRecord.objects.count()
        return len([query for query in queries if table in query["sql"]])

    assert cost(2) == cost(20) == 1


def test_custom_field_is_masked(host: Any) -> None:
    call = call_about(custom_field=f"lead {BY_HAND}")

    blind = seen_by(Session(host.user("meera", SEES_CALLS, *LEDGER, agent=None)), call)[1]
    seeing = seen_by(Session(host.user("uma", SEES_CALLS, SEES_NUMBERS, *LEDGER, agent=None)), call)[1]

    assert f"lead {HIDDEN}" in blind
    assert BY_HAND not in blind
    assert f"lead {BY_HAND}" in seeing
