"""The exact SQL statements of place_call."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_exotel_ccm import signals
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import Simulator
from tests.helpdesk.models import Ticket


def statements(captured: CaptureQueriesContext) -> list[str]:
    """Return each statement as its verb and table."""
    found = []
    for query in captured.captured_queries:
        sql = query["sql"]
        tables = re.findall(r'(?:FROM|INTO|UPDATE) ["`]?(\w+)', sql)[-1:]  # before the last are those of subqueries
        found.append(" ".join([sql.lstrip("(").split()[0], *(table.removeprefix("exotel_ccm_") for table in tables)]))
    return found


#: Where rows cannot be locked, an UPDATE that finds no row locks the database.
BEGIN = ["BEGIN"] if connection.features.has_select_for_update else ["BEGIN", "UPDATE callrecord"]
DIALLED = [*BEGIN, "INSERT callrecord", "COMMIT"]


def recorded() -> list[str]:
    return [
        *BEGIN,
        "UPDATE callrecord",
        "INSERT callevent",
        "INSERT announcement",
        "COMMIT",
    ]


def test_call_to_a_number(host: Any, exotel: Simulator) -> None:
    agent, exophone = host.agent(), host.exophone

    with CaptureQueriesContext(connection) as captured:
        place_call(agent=agent, to="+919000001001", exophone=exophone)

    assert statements(captured) == [*DIALLED, *recorded()]


def test_call_with_ticket_key_and_receiver(host: Any, exotel: Simulator, receivers: Callable[..., None]) -> None:
    agent, user = host.agent(), host.user("ravi", agent=None)
    ticket = Ticket.objects.get(pk=host.ticket().pk)
    ContentType.objects.get_for_model(Ticket)
    receivers(signals.call_accepted, lambda **kwargs: None)

    with CaptureQueriesContext(connection) as captured:
        place_call(agent=agent, ticket=ticket, placed_by=user, request_key="press 1")

    receiver = ["SAVEPOINT", "SELECT helpdesk_ticket", "RELEASE"]
    unit = recorded()
    assert (
        statements(captured)
        == [
            "SELECT helpdesk_customer",
            "SELECT exophone",
            "SELECT callrecord",  # the request key
            *DIALLED,
            *unit[:-2],
            *receiver,
            *unit[-2:],
        ]
    )
