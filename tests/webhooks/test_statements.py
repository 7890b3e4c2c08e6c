"""The exact number of SQL statements of a callback: five, and six on SQLite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_exotel_ccm import signals
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import CallRecord
from tests.factories import SID, Calls, body_of
from tests.helpdesk.models import Ticket

#: The lock is one statement where rows can be locked, and an UPDATE and a SELECT elsewhere.
LOCK = ["SELECT"] if connection.features.has_select_for_update else ["UPDATE", "SELECT"]
WORK = [*LOCK, "INSERT", "UPDATE", "INSERT"]
SAVEPOINT = ["SAVEPOINT", "RELEASE"]

Count = Callable[..., list[str]]


@pytest.fixture
def statements(real_calls: Calls) -> Count:
    """Deliver a callback and return the first word of each statement: ``statements(call, body, event)``."""

    def _statements(call: CallRecord, body: bytes, event: str = "terminal") -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            response = real_calls.deliver(call, body, event)
        assert response.status_code == 200
        words = [query["sql"].split()[0] for query in captured.captured_queries]
        assert (words[0], words[-1]) == ("BEGIN", "COMMIT")
        return words[1:-1]

    return _statements


@pytest.mark.parametrize("event", ["answered", "terminal"])
def test_statements_of_a_callback(event: str, statements: Count, real_calls: Calls) -> None:
    assert statements(real_calls.accepted(), body_of(event), event) == WORK


def test_ticket_adds_no_statement(statements: Count, real_calls: Calls, host: Any) -> None:
    ticket = host.ticket()
    call = real_calls.accepted(ticket=ticket, custom_field=f"ticket_{ticket.pk}")

    assert statements(call, body_of()) == WORK


def test_first_word_of_a_conversation_settles_follow_ups(statements: Count, real_calls: Calls, host: Any) -> None:
    ticket = host.ticket()
    silent, spoken = (real_calls.accepted(f"{SID}{n}", ticket=ticket) for n in range(2))

    assert statements(silent, body_of(sid=f"{SID}0", total_talk_time=0)) == WORK
    talked = body_of(sid=f"{SID}1", total_talk_time=42)
    assert statements(spoken, talked) == [*WORK[:-1], "UPDATE", WORK[-1]]
    assert statements(spoken, talked) == [*LOCK, "SELECT"]
    longer = body_of(sid=f"{SID}1", total_talk_time=43)
    assert statements(spoken, longer) == WORK  # they had talked already


def test_conversation_about_no_ticket_settles_nothing(statements: Count, real_calls: Calls) -> None:
    assert statements(real_calls.accepted(), body_of(total_talk_time=42)) == WORK


def test_callback_without_new_facts(statements: Count, real_calls: Calls) -> None:
    call = real_calls.accepted()
    statements(call, body_of("answered"), "answered")

    looked_up = [*LOCK, "SELECT", "INSERT", "UPDATE"]
    assert statements(call, body_of("answered", custom_field="x"), "answered") == looked_up


@pytest.mark.parametrize("count", [1, 3])
def test_each_receiver_adds_a_savepoint(
    count: int, statements: Count, real_calls: Calls, receivers: Callable[..., None]
) -> None:
    for number in range(count):
        receivers(signals.call_ended, lambda **kwargs: None, dispatch_uid=f"receiver {number}")

    assert statements(real_calls.accepted(), body_of()) == [*WORK[:-1], *(SAVEPOINT * count), WORK[-1]]


def test_failing_receivers_add_one_update(statements: Count, real_calls: Calls, receivers: Callable[..., None]) -> None:
    for uid in ("one", "other"):
        receivers(signals.call_ended, lambda **kwargs: 1 / 0, dispatch_uid=uid)

    undone = ["SAVEPOINT", "ROLLBACK", "RELEASE"]
    assert statements(real_calls.accepted(), body_of()) == [*WORK[:-1], *undone, *undone, "UPDATE", WORK[-1]]


def take_job(name: str, arguments: dict[str, Any]) -> None:
    """A runner that drops its jobs."""


def test_receivers_of_a_runner_add_nothing(
    statements: Count, real_calls: Calls, receivers: Callable[..., None], settings: Any
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RUNNER": f"{__name__}.take_job"}
    receivers(signals.call_ended, lambda **kwargs: None)

    assert statements(real_calls.accepted(), body_of()) == WORK


def test_ticket_is_loaded_once_for_all_receivers(
    statements: Count, real_calls: Calls, receivers: Callable[..., None], host: Any
) -> None:
    ticket = host.ticket()
    for uid in ("one", "other"):
        receivers(signals.call_ended, lambda **kwargs: None, sender=Ticket, dispatch_uid=uid)
    call = real_calls.accepted(ticket=ticket)

    with_ticket = [*WORK[:-1], "SAVEPOINT", "SELECT", "RELEASE", *SAVEPOINT, WORK[-1]]
    assert statements(call, body_of()) == with_ticket


def test_statements_of_a_repeated_callback(statements: Count, real_calls: Calls) -> None:
    call = real_calls.accepted()
    statements(call, body_of())

    assert statements(call, body_of()) == [*LOCK, "SELECT"]


def test_first_sid_is_looked_up(statements: Count, real_calls: Calls) -> None:
    call = real_calls.requested()
    real_calls.answer(call, State.UNCONFIRMED, {})

    first = statements(call, body_of("answered", SID), "answered")

    assert first == [*LOCK, "SELECT", "INSERT", "UPDATE", "INSERT"]
    assert statements(call, body_of("terminal", SID)) == WORK
