"""What a list costs: as many statements for 100 rows as for one."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_exotel_ccm.models import Agent, CallEvent, CallNote, CallRecord, Disposition, DoNotCall, ExoPhone, FollowUp
from django_exotel_ccm.models.ticket_link import ticket_columns
from tests.admin.pages import AGENT_WORK, SEES_CALLS
from tests.api.conftest import Api, placed

OF_EVERY_REQUEST = 4
"""Statements that read the session, the user, and their permissions and those of their groups."""
NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


class Rows:
    """A host to which rows are added, each about a ticket, a customer, a user and so on of its own."""

    def __init__(self, host: Any) -> None:
        self.host = host
        work = ("view_callevent", "view_followup", "view_agent", "view_donotcall", "add_callnote", "listen_recording")
        self.user = host.user("asha", *AGENT_WORK, SEES_CALLS, *(f"exotel_ccm.{name}" for name in work), agent=None)
        self.call = placed(self.user)
        self.count = 0

    def add(self, path: str) -> None:
        self.count += 1
        number, ticket = f"+9198765{self.count:05}", self.host.ticket(f"Ticket {self.count}")
        owner = self.host.user(f"user {self.count}", agent=None)
        disposition = Disposition.objects.create(code=f"d{self.count}", label="x", position=self.count)
        content_type, key = ticket_columns(ticket)
        link = {"ticket_content_type": content_type, "ticket_object_id": key, "ticket_label": str(ticket)}
        made: dict[str, Any] = {
            "status/": lambda: placed(owner, ticket, agent=Agent.objects.create(user=owner, contact_uri=number)),
            "calls/": lambda: placed(owner, ticket, customer_number=number, recording_url="https://x.exotel.com/a"),
            "events/": lambda: CallEvent.objects.create(
                call=self.call,
                reference=self.call.reference,
                kind="callback",
                received_at=NOW,
                facts={"a": number},
                fingerprint=number,
            ),
            "notes/": lambda: CallNote.objects.create(
                call=self.call, author=owner, text=number, disposition=disposition, created_at=NOW
            ),
            "follow-ups/": lambda: FollowUp.objects.create(
                **link, due_at=NOW, assigned_to=owner, created_at=NOW, call=placed(owner, ticket), done_by=self.call
            ),
            "agents/": lambda: Agent.objects.create(user=owner, name="x", contact_uri=number),
            "exophones/": lambda: ExoPhone.objects.create(number=number),
            "dispositions/": lambda: None,
            "do-not-call/": lambda: DoNotCall.objects.create(number=number, created_by=owner),
        }
        made[path.split("/")[-2] + "/"]()


# The tickets of a page are read twice: as the admin site lists them, and as the host's default manager does.
@pytest.mark.parametrize(
    ("path", "statements"),
    [
        ("calls/", 6),  # those that are looked through, and their tickets; the page, and its tickets
        ("calls/status/", 3),  # the calls, and their tickets
        ("calls/<call>/events/", 2),  # the call; it is about no ticket
        ("calls/<call>/notes/", 2),
        ("follow-ups/", 7),  # as calls; the open ones and the settled are two statements
        ("agents/", 1),
        ("exophones/", 1),
        ("dispositions/", 1),
        ("do-not-call/", 1),
    ],
)
def test_100_rows_cost_what_one_does(host: Any, path: str, statements: int) -> None:
    rows, counts = Rows(host), []

    for size in (1, 100):
        while rows.count < size:
            rows.add(path)
        references = CallRecord.objects.order_by("-pk").values_list("reference", flat=True)[:size]
        query = "&".join(f"reference={one}" for one in references) if path == "calls/status/" else "page_size=100"
        client, address = Api(rows.user), f"{path.replace('<call>', str(rows.call.reference))}?{query}"
        client.get(address)  # fills the caches of content types
        with CaptureQueriesContext(connection) as queries:
            shown = len(client.get(address).json()["results"])
        counts.append(len(queries) - OF_EVERY_REQUEST)
        assert shown in (size, min(size + 1, 100))  # there is a call of one's own, too

    assert counts == [statements] * 2
