"""Promise 4: each receiver hears once, on its own, in the transaction that marks it as told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.db.models import QuerySet

from django_exotel_ccm import signals
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import Simulator
from tests.factories import record_callback
from tests.helpdesk.models import Customer, Ticket

Connect = Callable[..., None]
NAMES = ("call_accepted", "call_refused", "call_answered", "call_ended", "recording_ready", "call_updated")
pytestmark = pytest.mark.books_differ(reason="the tests speak in the place of Exotel")
RECORDING = "https://s3.example.com/acme1/call.mp3"


@pytest.fixture
def heard(receivers: Connect) -> list[tuple[str, dict[str, Any]]]:
    """Every signal sent, with its arguments."""
    told: list[tuple[str, dict[str, Any]]] = []
    for name in NAMES:
        receivers(getattr(signals, name), lambda name=name, **kwargs: told.append((name, kwargs)))
    return told


@pytest.fixture
def call(host: Any, exotel: Simulator) -> CallRecord:
    """A call about a ticket, accepted by Exotel."""
    return place_call(agent=host.agent(), ticket=host.ticket())


def names(heard: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [name for name, _arguments in heard]


def fates(signal: str) -> dict[str, str]:
    return {fate["receiver"]: fate["error"] for fate in Announcement.objects.get(signal=signal).receivers}


def test_a_call_is_told_in_order_and_once(heard: list[Any], call: CallRecord) -> None:
    record_callback(call, "answered")
    record_callback(call, "answered")
    record_callback(call, "terminal", status="completed", talk_time=42, recordings=(RECORDING,))
    record_callback(call, "terminal", status="completed", talk_time=42, recordings=(RECORDING,))

    assert names(heard) == ["call_accepted", "call_answered", "call_ended", "recording_ready"]
    assert list(Announcement.objects.order_by("pk").values_list("signal", "state")) == [
        (name, "done") for name in names(heard)
    ]


def test_what_a_receiver_is_given(heard: list[Any], call: CallRecord) -> None:
    event = record_callback(call, "terminal", status="completed", talk_time=42)

    _name, arguments = heard[-1]
    assert set(arguments) == {"signal", "sender", "call", "ticket", "event"}
    assert arguments["signal"] is signals.call_ended
    assert arguments["sender"] is Ticket
    assert arguments["ticket"] == Ticket.objects.get()
    assert arguments["event"] == event
    given = arguments["call"]
    assert (given.pk, given.state, given.outcome, given.talk_time) == (call.pk, State.ENDED, "completed", 42)


def test_changes_after_the_end_are_told_with_their_names(heard: list[Any], call: CallRecord) -> None:
    record_callback(call, "terminal", status="failed")
    record_callback(call, "terminal", status="completed", talk_time=42)
    record_callback(call, "terminal", status="completed", talk_time=42, total_duration=50)

    assert names(heard) == ["call_accepted", "call_ended", "call_updated", "call_updated"]
    assert {"outcome", "talk_time"} <= set(heard[2][1]["changed"])
    assert "total_duration" in heard[3][1]["changed"]
    assert "talk_time" not in heard[3][1]["changed"]


def test_an_answer_told_after_the_end_is_superseded(heard: list[Any], call: CallRecord) -> None:
    record_callback(call, "terminal", status="customer_unanswered")
    record_callback(call, "answered")

    assert "call_answered" not in names(heard)
    assert Announcement.objects.get(signal="call_answered").state == "superseded"
    assert heard[-1][0] == "call_updated"
    assert "answered_at" in heard[-1][1]["changed"]


def test_each_recording_is_told_once(heard: list[Any], call: CallRecord) -> None:
    record_callback(call, "terminal", status="completed", recordings=(RECORDING,))
    record_callback(call, "terminal", status="completed", recordings=(f"{RECORDING}?Expires=2000000000",))
    record_callback(call, "terminal", status="completed", recordings=(RECORDING, f"{RECORDING}.2"))

    assert names(heard) == ["call_accepted", "call_ended", "recording_ready", "recording_ready"]


def test_without_a_ticket_the_sender_is_the_call(host: Any, exotel: Simulator, heard: list[Any]) -> None:
    place_call(agent=host.agent(), to="+919000001001")

    assert names(heard) == ["call_accepted"]
    assert heard[0][1]["sender"] is CallRecord
    assert heard[0][1]["ticket"] is None


def test_receivers_of_other_senders_are_not_told(receivers: Connect, call: CallRecord) -> None:
    told: list[Any] = []
    for sender in (Customer, Ticket, CallRecord, None):
        receivers(signals.call_ended, lambda sender=sender, want=sender, **_: told.append(want), sender=sender)

    record_callback(call, "terminal", status="completed")

    assert told == [Ticket, None]


# Failing receivers.


def close_ticket(ticket: Ticket, **kwargs: Any) -> None:
    ticket.status = "closed"
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
    ("bad", "words"),
    [
        (fail_after_writing, "LookupError('the mail server is gone')"),
        (swallow_a_database_error, "ReceiverRolledBack"),
        (ask_for_a_rollback, "ReceiverRolledBack"),
    ],
)
@pytest.mark.parametrize("bad_first", [True, False])
def test_a_failing_receiver_harms_nobody_else(
    receivers: Connect, call: CallRecord, bad: Callable[..., None], words: str, *, bad_first: bool
) -> None:
    for receiver in (bad, close_ticket) if bad_first else (close_ticket, bad):
        receivers(signals.call_ended, receiver)

    record_callback(call, "terminal", status="completed", talk_time=42)

    ticket = Ticket.objects.get()
    assert (ticket.status, ticket.team) == ("closed", "")
    call.refresh_from_db()
    assert (call.state, call.talk_time) == (State.ENDED, 42)
    announcement = Announcement.objects.get(signal="call_ended")
    assert announcement.state == "failed"
    kept = {fate["receiver"]: fate for fate in announcement.receivers}
    assert kept[f"{__name__}.close_ticket"]["error"] == ""
    assert words in kept[f"{__name__}.{bad.__name__}"]["error"]
    assert "Traceback" in kept[f"{__name__}.{bad.__name__}"]["traceback"]
    assert "ReceiverRolledBack" in words or bad.__name__ in kept[f"{__name__}.{bad.__name__}"]["traceback"]


def test_an_aborted_transaction_is_undone_for_its_receiver_alone(receivers: Connect, call: CallRecord) -> None:
    receivers(signals.call_ended, swallow_an_error_of_raw_sql)
    receivers(signals.call_ended, close_ticket)

    record_callback(call, "terminal", status="completed")

    assert Ticket.objects.get().status == "closed"
    call.refresh_from_db()
    assert call.state == State.ENDED
    if connection.vendor == "postgresql":  # SQLite undoes the statement and goes on
        assert Ticket.objects.get().team == ""
        assert fates("call_ended")[f"{__name__}.swallow_an_error_of_raw_sql"]


def test_the_next_receiver_gets_the_ticket_as_it_is(receivers: Connect, call: CallRecord) -> None:
    teams: list[str] = []
    receivers(signals.call_ended, fail_after_writing)
    receivers(signals.call_ended, lambda ticket, **kwargs: teams.append(ticket.team))

    record_callback(call, "terminal", status="completed")

    assert teams == [""]


def test_a_receiver_that_fails_while_dialling_leaves_the_call_as_it_is(
    receivers: Connect, host: Any, exotel: Simulator
) -> None:
    receivers(signals.call_accepted, fail_after_writing)

    call = place_call(agent=host.agent(), ticket=host.ticket())

    assert call.state == CallRecord.objects.get().state == State.ACTIVE
    assert Announcement.objects.get().state == "failed"


def test_an_error_that_no_database_stores_is_kept_as_far_as_it_goes(receivers: Connect, call: CallRecord) -> None:
    def fail(**kwargs: Any) -> None:
        raise LookupError("NUL \0 and \ud800 and " + "x" * 50_000)

    receivers(signals.call_ended, fail, dispatch_uid="fail")

    record_callback(call, "terminal", status="completed")

    assert fates("call_ended")["fail"].startswith("LookupError('NUL ")
    assert len(fates("call_ended")["fail"]) <= 20_000


def test_an_error_that_cannot_be_shown_loses_no_news(receivers: Connect, call: CallRecord) -> None:
    class Shy:
        def __repr__(self) -> str:
            raise AttributeError("no name yet")

    def fail(**kwargs: Any) -> None:
        raise LookupError(Shy())

    receivers(signals.call_ended, fail, dispatch_uid="fail")

    record_callback(call, "terminal", status="completed")

    assert CallRecord.objects.get().state == State.ENDED
    assert fates("call_ended") == {"fail": "LookupError"}


def test_writes_and_mark_are_kept_together_or_not_at_all(
    receivers: Connect, call: CallRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        """The process dies."""

    def crash(*args: Any, **kwargs: Any) -> None:
        raise Crash

    receivers(signals.call_ended, close_ticket)
    monkeypatch.setattr(QuerySet, "bulk_create", crash)
    with pytest.raises(Crash):
        record_callback(call, "terminal", status="completed")
    monkeypatch.undo()
    after_the_crash = Ticket.objects.get().status, Announcement.objects.filter(signal="call_ended").count()

    record_callback(call, "terminal", status="completed")

    assert after_the_crash == ("open", 0)
    assert CallEvent.objects.filter(event="terminal").count() == 1
    assert Ticket.objects.get().status == "closed"
    assert Announcement.objects.get(signal="call_ended").state == "done"


def test_what_was_told_of_another_call_is_not_told_again(
    heard: list[Any], receivers: Connect, host: Any, exotel: Simulator
) -> None:
    def too_early(body: dict[str, Any]) -> None:
        record_callback(CallRecord.objects.get(), "terminal", call_sid="another", status="failed")
        connections.close_all()

    exotel.on_call = too_early
    call = place_call(agent=host.agent(), ticket=host.ticket())

    record_callback(call, "terminal", call_sid=call.call_sid, status="completed", talk_time=42)

    call.refresh_from_db()
    assert (call.state, call.outcome, call.talk_time) == (State.ENDED, "completed", 42)
    assert names(heard).count("call_ended") == 1
