"""Promise 6 in the history: a call's ticket and number are for those who may see the ticket."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm.models import CallRecord
from tests.admin.desk import BY_HAND, SEES_CALLS, SEES_NUMBERS, Desk

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


def seen_by(desk: Desk, call: CallRecord) -> list[str]:
    """Return the list and the call's page."""
    lists = reverse("admin:exotel_ccm_callrecord_changelist")
    return [desk.get(lists).html, desk.get(reverse("admin:exotel_ccm_callrecord_change", args=[call.pk])).html]


def test_another_team_s_ticket_shows_neither_its_name_nor_its_number(host: Any) -> None:
    call = call_about(host.ticket("Red secret", team="red"))
    desk = Desk(host.user("meera", *SEES, agent=None, last_name="blue"))

    for html in seen_by(desk, call):
        assert BY_HAND not in html
        assert "Red secret" not in html
        assert f"/ticket/{call.ticket_object_id}/" not in html
        assert HIDDEN in html
        assert "not yours to see" in html


def test_one_s_own_team_s_ticket_shows_both(host: Any) -> None:
    call = call_about(host.ticket("Blue matter", team="blue"))
    desk = Desk(host.user("meera", *SEES, agent=None, last_name="blue"))

    for html in seen_by(desk, call):
        assert BY_HAND in html
        assert "Blue matter" in html
    assert f"/ticket/{call.ticket_object_id}/" in html


@pytest.mark.parametrize("why", ["no permission", "deleted", "model gone"])
def test_a_ticket_that_cannot_be_found_is_nobody_s_to_see(host: Any, why: str) -> None:
    ticket = host.ticket("Blue matter")
    call = call_about(ticket)
    if why == "deleted":
        ticket.delete()
    if why == "model gone":
        CallRecord.objects.update(ticket_content_type=None)
    permissions = SEES[1:] if why == "no permission" else SEES
    desk = Desk(host.user("meera", *permissions, agent=None))

    for html in seen_by(desk, call):
        assert BY_HAND not in html
        assert "Blue matter" not in html


def test_a_call_about_no_ticket_goes_by_permission_alone(host: Any) -> None:
    call = call_about()
    seeing = Desk(host.user("meera", SEES_CALLS, SEES_NUMBERS, agent=None))
    blind = Desk(host.user("uma", SEES_CALLS, agent=None))

    assert all(BY_HAND in html for html in seen_by(seeing, call))
    assert not any(BY_HAND in html for html in seen_by(blind, call))


def test_superusers_see_all(host: Any) -> None:
    ticket = host.ticket("Red secret", team="red")
    call = call_about(ticket)
    desk = Desk(host.user("root", is_superuser=True, last_name="blue", agent=None))

    assert all(BY_HAND in html and "Red secret" in html for html in seen_by(desk, call))


def test_the_list_asks_once_for_each_kind_of_ticket(host: Any) -> None:
    desk = Desk(host.user("meera", *SEES, agent=None, last_name="blue"))
    table = connection.ops.quote_name("helpdesk_ticket")

    def cost(rows: int) -> int:
        for n in range(rows):
            call_about(host.ticket(f"T{n}", team="blue"))
        with CaptureQueriesContext(connection) as queries:
            page = desk.get(reverse("admin:exotel_ccm_callrecord_changelist"))
        assert page.html.count(BY_HAND) == CallRecord.objects.count()
        return len([query for query in queries if table in query["sql"]])

    assert cost(2) == cost(20) == 1


def test_a_custom_field_with_a_number_is_masked(host: Any) -> None:
    call = call_about(custom_field=f"lead {BY_HAND}")

    blind = seen_by(Desk(host.user("meera", SEES_CALLS, agent=None)), call)[1]
    seeing = seen_by(Desk(host.user("uma", SEES_CALLS, SEES_NUMBERS, agent=None)), call)[1]

    assert f"lead {HIDDEN}" in blind
    assert BY_HAND not in blind
    assert f"lead {BY_HAND}" in seeing
