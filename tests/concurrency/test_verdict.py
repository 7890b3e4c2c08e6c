"""The comparison after a concurrency test or a soak finds each kind of fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import F, Value
from django.db.models.functions import Concat

from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import Simulator
from tests.concurrency.verdict import acknowledged_by, judge
from tests.helpdesk.models import Ticket
from tests.services.reconciliation.due_calls import end_calls

NOBODY_ANSWERS = "+919000001002"


@pytest.fixture
def finished_calls(host: Any, exotel: Simulator) -> Simulator:
    """Two calls with all their callbacks."""
    agent = host.agent()
    for phone in ("+919000001001", NOBODY_ANSWERS):
        place_call(agent=agent, ticket=host.ticket(phone=phone), recording=True)
        end_calls(exotel)
    return exotel


def test_correct_database_has_no_fault(finished_calls: Simulator) -> None:
    assert not judge(finished_calls, acknowledged_by(finished_calls))


def callbacks() -> Any:
    return CallEvent.objects.filter(kind="callback", event="terminal")


def repeat_post(exotel: Simulator) -> None:
    exotel.book.requests.append(next(one for one in exotel.book.requests if one.method == "POST"))


FAULTS: list[tuple[str, Callable[[Simulator], Any]]] = [
    ("differ", lambda exotel: CallRecord.objects.filter(talk_time__gt=0).update(talk_time=F("talk_time") + 1)),
    ("differ", lambda exotel: CallRecord.objects.filter(customer_number=NOBODY_ANSWERS).update(outcome="completed")),
    ("differ", lambda exotel: CallRecord.objects.update(ended_at=F("created_at"))),
    ("differ", lambda exotel: CallRecord.objects.update(recording_url="")),
    ("differ", lambda exotel: CallRecord.objects.update(next_check_at=F("created_at"))),
    ("differ", lambda exotel: CallRecord.objects.update(facts={})),
    ("lost", lambda exotel: callbacks().delete()),
    ("lost", lambda exotel: callbacks().update(raw=b"{}")),
    ("lost", lambda exotel: callbacks().update(reason="another_call")),
    ("wrong", lambda exotel: Announcement.objects.filter(signal="call_ended").delete()),
    ("wrong", lambda exotel: Announcement.objects.filter(signal="call_ended").update(state="failed")),
    ("wrong", lambda exotel: Ticket.objects.update(notes=Concat("notes", Value("call_ended ")))),
    ("wrong", lambda exotel: Ticket.objects.update(notes="")),
    ("twice", repeat_post),
]


@pytest.mark.books_differ("one of the two is falsified")
@pytest.mark.parametrize(("which", "falsify"), FAULTS)
def test_each_fault_is_found(which: str, falsify: Callable[[Simulator], Any], finished_calls: Simulator) -> None:
    falsify(finished_calls)

    assert getattr(judge(finished_calls, acknowledged_by(finished_calls)), which)
