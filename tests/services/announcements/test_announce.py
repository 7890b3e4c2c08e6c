"""Which signals a change sends, once each, and what a failing receiver cannot harm."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, connections, transaction

from django_exotel_ccm import signals
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import Simulator
from tests.factories import record_callback
from tests.helpdesk.models import Customer, Ticket
from tests.services.announcements.queries import RECORDING, announcement, deliveries

Connect = Callable[..., None]
Sent = list[tuple[str, dict[str, Any]]]
NAMES = ("call_accepted", "call_refused", "call_answered", "call_ended", "recording_ready", "call_updated")
pytestmark = pytest.mark.books_differ(reason="the tests record callbacks that the simulator did not send")


@pytest.fixture
def sent(receivers: Connect) -> Sent:
    """Every signal sent, with its arguments."""
    made: Sent = []
    for name in NAMES:
        receivers(getattr(signals, name), lambda name=name, **kwargs: made.append((name, kwargs)), dispatch_uid="sent")
    return made


@pytest.fixture
def call(sent: Sent, call: CallRecord) -> CallRecord:
    """The call, with a receiver of every signal."""
    return call


def names(sent: Sent) -> list[str]:
    return [name for name, _arguments in sent]


# Which signals are sent.


def test_signals_in_order_and_once(sent: Sent, call: CallRecord) -> None:
    for _repetition in range(2):
        record_callback(call, "answered")
    for _repetition in range(2):
        record_callback(call, "terminal", status="completed", talk_time=42, recordings=(RECORDING,))

    assert names(sent) == ["call_accepted", "call_answered", "call_ended", "recording_ready"]
    stored = list(Announcement.objects.order_by("pk").values_list("signal", "state"))
    assert stored == [(name, "done") for name in names(sent)]


def test_arguments(sent: Sent, call: CallRecord) -> None:
    event = record_callback(call, "terminal", status="completed", talk_time=42)

    _name, arguments = sent[-1]
    assert set(arguments) == {"signal", "sender", "call", "ticket", "event"}
    assert (arguments["signal"], arguments["sender"]) == (signals.call_ended, Ticket)
    assert (arguments["ticket"], arguments["event"]) == (Ticket.objects.get(), event)
    given = arguments["call"]
    assert (given.pk, given.state, given.outcome, given.talk_time) == (call.pk, State.ENDED, "completed", 42)


def test_changes_after_the_end_are_named(sent: Sent, call: CallRecord) -> None:
    record_callback(call, "terminal", status="failed")
    record_callback(call, "terminal", status="completed", talk_time=42)
    record_callback(call, "terminal", status="completed", talk_time=42, total_duration=50)

    assert names(sent) == ["call_accepted", "call_ended", "call_updated", "call_updated"]
    assert {"outcome", "talk_time"} <= set(sent[2][1]["changed"])
    assert "total_duration" in sent[3][1]["changed"]
    assert "talk_time" not in sent[3][1]["changed"]


def test_answer_after_the_end_is_superseded(sent: Sent, call: CallRecord) -> None:
    record_callback(call, "terminal", status="customer_unanswered")
    record_callback(call, "answered")

    assert names(sent) == ["call_accepted", "call_ended", "call_updated"]
    assert "answered_at" in sent[-1][1]["changed"]
    assert announcement("call_answered").state == "superseded"


def test_each_recording_once(sent: Sent, call: CallRecord) -> None:
    record_callback(call, "terminal", status="completed", recordings=(RECORDING,))
    record_callback(call, "terminal", status="completed", recordings=(f"{RECORDING}?Expires=2000000000",))
    record_callback(call, "terminal", status="completed", recordings=(RECORDING, f"{RECORDING}.2"))

    assert names(sent) == ["call_accepted", "call_ended", "recording_ready", "recording_ready"]
    assert [arguments.get("recording_url") for _name, arguments in sent[2:]] == [RECORDING, f"{RECORDING}.2"]


def test_sender_without_a_ticket(host: Any, exotel: Simulator, sent: Sent) -> None:
    place_call(agent=host.agent(), to="+919000001001")

    [(name, arguments)] = sent
    assert (name, arguments["sender"], arguments["ticket"]) == ("call_accepted", CallRecord, None)


def test_receivers_of_other_senders_are_not_called(receivers: Connect, call: CallRecord) -> None:
    called: list[Any] = []
    for sender in (Customer, Ticket, CallRecord, None):
        receivers(signals.call_ended, lambda sender=sender, want=sender, **_: called.append(want), sender=sender)

    record_callback(call, "terminal", status="completed")

    assert called == [Ticket, None]


def test_end_of_another_call_is_corrected(sent: Sent, host: Any, exotel: Simulator) -> None:
    """A callback with another SID ends the call too early. The true end is an update."""

    def report_too_early(body: dict[str, Any]) -> None:
        record_callback(CallRecord.objects.get(), "terminal", call_sid="another", status="failed")
        connections.close_all()

    exotel.on_call = report_too_early
    call = place_call(agent=host.agent(), ticket=host.ticket())

    record_callback(call, "terminal", call_sid=call.call_sid, status="completed", talk_time=42)

    call.refresh_from_db()
    assert (call.state, call.outcome, call.talk_time) == (State.ENDED, "completed", 42)
    assert names(sent).count("call_ended") == 1


# Failing receivers.


def close_ticket(ticket: Ticket, **kwargs: Any) -> None:
    ticket.status += " closed"
    ticket.save(update_fields=["status"])


def fail_after_writing(ticket: Ticket, **kwargs: Any) -> None:
    ticket.team = "half done"
    ticket.save(update_fields=["team"])
    raise LookupError("the mail server is gone")


def swallow_a_database_error(ticket: Ticket, call: CallRecord, **kwargs: Any) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(team="half done")
    with suppress(IntegrityError):
        CallRecord.objects.create(reference=call.reference, created_at=call.created_at)


def swallow_an_error_of_raw_sql(ticket: Ticket, **kwargs: Any) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(team="half done")
    with suppress(IntegrityError), connection.cursor() as cursor:
        cursor.execute("UPDATE helpdesk_ticket SET subject = NULL")


def ask_for_a_rollback(ticket: Ticket, **kwargs: Any) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(team="half done")
    transaction.set_rollback(True)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (fail_after_writing, "LookupError('the mail server is gone')"),
        (swallow_a_database_error, "ReceiverRolledBack"),
        (ask_for_a_rollback, "ReceiverRolledBack"),
    ],
)
def test_failing_receiver_harms_no_other(
    receivers: Connect, call: CallRecord, bad: Callable[..., None], error: str
) -> None:
    receivers(signals.call_ended, close_ticket, dispatch_uid="before")
    receivers(signals.call_ended, bad)
    receivers(signals.call_ended, close_ticket, dispatch_uid="after")

    record_callback(call, "terminal", status="completed", talk_time=42)

    ticket = Ticket.objects.get()
    assert (ticket.status, ticket.team) == ("open closed closed", "")
    call.refresh_from_db()
    assert (call.state, call.talk_time) == (State.ENDED, 42)
    assert announcement("call_ended").state == "failed"
    stored = deliveries("call_ended")
    assert stored["before"]["error"] == stored["after"]["error"] == ""
    failed = stored[f"{__name__}.{bad.__name__}"]
    assert error in failed["error"]
    assert "Traceback" in failed["traceback"]
    assert "ReceiverRolledBack" in error or bad.__name__ in failed["traceback"]


def test_aborted_transaction_is_undone_for_its_receiver(receivers: Connect, call: CallRecord) -> None:
    receivers(signals.call_ended, swallow_an_error_of_raw_sql, dispatch_uid="bad")
    receivers(signals.call_ended, close_ticket)

    record_callback(call, "terminal", status="completed")

    assert Ticket.objects.get().status == "open closed"
    call.refresh_from_db()
    assert call.state == State.ENDED
    if connection.vendor == "postgresql":  # SQLite undoes the statement and goes on
        assert Ticket.objects.get().team == ""
        assert deliveries("call_ended")["bad"]["error"]


def test_ticket_is_loaded_again_after_a_failure(receivers: Connect, call: CallRecord) -> None:
    teams: list[str] = []
    receivers(signals.call_ended, fail_after_writing)
    receivers(signals.call_ended, lambda ticket, **kwargs: teams.append(ticket.team))

    record_callback(call, "terminal", status="completed")

    assert teams == [""]


def test_failure_while_placing_keeps_the_call(receivers: Connect, host: Any, exotel: Simulator) -> None:
    receivers(signals.call_accepted, fail_after_writing)

    call = place_call(agent=host.agent(), ticket=host.ticket())

    assert call.state == CallRecord.objects.get().state == State.ACTIVE
    assert Announcement.objects.get().state == "failed"


class Unprintable:
    def __repr__(self) -> str:
        raise AttributeError("no name yet")


@pytest.mark.parametrize(
    ("argument", "start"),
    [("NUL \0 and \ud800 and " + "x" * 50_000, "LookupError('NUL "), (Unprintable(), "LookupError")],
)
def test_any_error_is_stored(receivers: Connect, call: CallRecord, argument: object, start: str) -> None:
    def fail(**kwargs: Any) -> None:
        raise LookupError(argument)

    receivers(signals.call_ended, fail, dispatch_uid="fail")

    record_callback(call, "terminal", status="completed")

    assert CallRecord.objects.get().state == State.ENDED
    error = deliveries("call_ended")["fail"]["error"]
    assert error.startswith(start)
    assert len(error) <= 20_000


def test_writes_commit_with_the_announcement(receivers: Connect, call: CallRecord) -> None:
    class Crash(BaseException):
        """The process dies."""

    def crash(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        if sql.startswith("INSERT") and Announcement._meta.db_table in sql:
            raise Crash
        return execute(sql, *arguments)

    receivers(signals.call_ended, close_ticket)
    with connection.execute_wrapper(crash), pytest.raises(Crash):
        record_callback(call, "terminal", status="completed")
    after_the_crash = Ticket.objects.get().status, Announcement.objects.filter(signal="call_ended").count()

    record_callback(call, "terminal", status="completed")

    assert after_the_crash == ("open", 0)
    assert CallEvent.objects.filter(event="terminal").count() == 1
    assert Ticket.objects.get().status == "open closed"
    assert announcement("call_ended").state == "done"


def test_arguments_are_the_receivers_own_copies(host: Any, exotel: Simulator, receivers: Connect, sent: Sent) -> None:
    def spoil(*, call: CallRecord, event: CallEvent, **kwargs: Any) -> None:
        call.state, call.customer_number = State.ENDED, ""
        call.facts["phase"].clear()
        call.facts.clear()
        event.facts.clear()
        event.call = None
        raise ValueError("after spoiling everything")

    signals.call_accepted.disconnect(dispatch_uid="sent")
    receivers(signals.call_accepted, spoil)
    receivers(signals.call_accepted, lambda **kwargs: sent.append(("call_accepted", kwargs)))

    call = place_call(agent=host.agent(), to="+919000001001")

    [(_name, arguments)] = sent
    for seen in (call, arguments["call"], CallRecord.objects.get()):
        assert (seen.state, seen.customer_number, seen.facts["phase"]) == (State.ACTIVE, "+919000001001", [3])
    assert arguments["event"].call == call
    assert arguments["event"].facts


@pytest.mark.parametrize("error", [ValueError("no mail server"), OperationalError("no other database")])
def test_failing_on_commit_hook_keeps_call_and_event(
    host: Any, exotel: Any, receivers: Connect, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail() -> None:
        raise error

    receivers(signals.call_accepted, lambda **kwargs: transaction.on_commit(fail))

    call = place_call(agent=host.agent(), to="+919000001001")

    assert call.state == CallRecord.objects.get().state == State.ACTIVE
    assert CallEvent.objects.count() == 1
    assert len([request for request in exotel.book.requests if request.method == "POST"]) == 1
    assert "robust=True" in caplog.text
