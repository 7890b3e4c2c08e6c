"""Receivers that failed are called again, alone, with back-off and in order, until they are told or given up."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.services.announcements.deliveries import MAX_ATTEMPTS
from django_exotel_ccm.services.announcements.dispatch import Report, deliver_pending, retry_now
from django_exotel_ccm.simulator import Simulator
from tests.factories import record_callback
from tests.helpdesk.models import Ticket

Connect = Callable[..., None]
pytestmark = pytest.mark.books_differ(reason="the tests speak in the place of Exotel")
MINUTE = datetime.timedelta(minutes=1)
RECORDING = "https://s3.example.com/acme1/call.mp3"


@pytest.fixture
def clock() -> Iterator[Any]:
    """A clock that the test moves on, ``clock.shift(seconds)``, and that stands still else."""
    with time_machine.travel(timezone.now(), tick=False) as traveller:
        yield traveller


@pytest.fixture
def call(host: Any, exotel: Simulator, clock: Any) -> CallRecord:
    """A call about a ticket, accepted by Exotel before anybody listened."""
    return place_call(agent=host.agent(), ticket=host.ticket())


class Listener:
    """Writes what it hears into the ticket and into a list, and fails for as long as it is broken."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.broken = False

    def __call__(self, signal: Any, ticket: Ticket, **kwargs: Any) -> None:
        name = next(name for name, one in vars(signals).items() if one is signal)
        self.heard.append(name)
        ticket.notes += f"{name} "
        ticket.save(update_fields=["notes"])
        if self.broken:
            raise LookupError("the mail server is gone")


@pytest.fixture
def listener(receivers: Connect) -> Callable[..., Listener]:
    """Return a listener to these signals, known as ``uid``."""

    def make(uid: str, *names: str) -> Listener:
        made = Listener()
        for name in names or ("call_answered", "call_ended", "recording_ready", "call_updated"):
            receivers(getattr(signals, name), made, dispatch_uid=uid)
        return made

    return make


def announcement(signal: str) -> Announcement:
    return Announcement.objects.get(signal=signal)


def fate(signal: str, uid: str) -> dict[str, Any]:
    return next(one for one in announcement(signal).receivers if one["receiver"] == uid)


def notes() -> str:
    return Ticket.objects.get().notes.strip()


def due(call: CallRecord) -> datetime.datetime | None:
    """Return when receivers of the call are called next, and check that the call is looked after by then."""
    call.refresh_from_db()
    assert call.next_check_at == min((one for one in (call.announce_at, call.details_check_at) if one), default=None)
    return call.announce_at


def try_until_given_up(call: CallRecord, clock: Any) -> list[float]:
    """Tell whenever something is due, until nothing is any more; return the pauses between, in minutes."""
    pauses = []
    while (moment := due(call)) is not None and len(pauses) < 2 * MAX_ATTEMPTS:
        pauses.append((moment - timezone.now()) / MINUTE)
        clock.move_to(moment)
        assert deliver_pending(call.pk).failed == 1
    return pauses


def test_a_receiver_that_failed_is_called_again_alone_and_once_mended_no_more(
    listener: Any, call: CallRecord, clock: Any
) -> None:
    bad, good = listener("bad"), listener("good")
    bad.broken = True
    record_callback(call, "terminal", status="completed", talk_time=42)
    failed = announcement("call_ended")
    assert (failed.state, notes()) == ("failed", "call_ended")
    assert due(call) == failed.next_try_at == timezone.now() + MINUTE
    bad.broken = False

    too_early = deliver_pending(call.pk)
    clock.shift(60)
    in_time = deliver_pending(call.pk)
    again = deliver_pending(call.pk)

    assert (too_early, in_time, again) == (Report(pending=1), Report(delivered=1), Report())
    assert (bad.heard, good.heard) == (["call_ended"] * 2, ["call_ended"])
    assert notes() == "call_ended call_ended"  # once of each
    assert (announcement("call_ended").state, due(call)) == ("done", None)
    assert fate("call_ended", "bad") == {
        "receiver": "bad",
        "delivered": True,
        "error": "",
        "traceback": "",
        "attempts": 2,
        "abandoned": False,
    }


def test_the_pauses_grow_and_after_three_days_a_person_has_to_act(listener: Any, call: CallRecord, clock: Any) -> None:
    bad = listener("bad", "call_ended")
    bad.broken = True
    began = timezone.now()
    record_callback(call, "terminal", status="completed")

    pauses = try_until_given_up(call, clock)

    assert pauses == [1, 5, 15, 60, 180, *[360] * 11]
    assert datetime.timedelta(days=2.9) < timezone.now() - began < datetime.timedelta(days=3.2)
    assert len(bad.heard) == MAX_ATTEMPTS
    assert (announcement("call_ended").state, announcement("call_ended").next_try_at) == ("failed", None)
    assert fate("call_ended", "bad")["abandoned"]
    assert (deliver_pending(call.pk), notes()) == (Report(), "")


def test_all_that_failed_are_called_in_the_same_round(listener: Any, call: CallRecord, clock: Any) -> None:
    one, other = listener("one", "call_ended"), listener("other", "call_ended")
    one.broken = other.broken = True
    record_callback(call, "terminal", status="completed")
    clock.shift(60)
    other.broken = False

    report = deliver_pending(call.pk)

    assert (one.heard, other.heard) == (["call_ended"] * 2, ["call_ended"] * 2)
    assert report == Report(delivered=1, failed=1, pending=1)


# In order.


def test_a_receiver_hears_in_order_and_keeps_nobody_else_waiting(listener: Any, call: CallRecord, clock: Any) -> None:
    bad, good = listener("bad"), listener("good")
    bad.broken = True
    record_callback(call, "terminal", status="failed")
    due_then = due(call)
    bad.broken = False

    record_callback(call, "terminal", status="completed", recordings=(RECORDING,))

    assert good.heard == ["call_ended", "recording_ready", "call_updated"]
    assert bad.heard == ["call_ended"]
    assert [announcement(name).state for name in good.heard] == ["failed", "pending", "pending"]
    assert (fate("call_updated", "bad")["attempts"], fate("call_updated", "bad")["delivered"]) == (0, False)
    assert due(call) == due_then


def test_what_waits_is_told_right_after_what_it_waited_for(listener: Any, call: CallRecord, clock: Any) -> None:
    bad = listener("bad", "call_ended", "recording_ready", "call_updated")
    bad.broken = True
    record_callback(call, "terminal", status="failed", recordings=(RECORDING,))
    assert bad.heard == ["call_ended"]  # in one event, too
    record_callback(call, "terminal", status="completed", talk_time=42)
    bad.broken = False
    clock.shift(60)

    report = deliver_pending(call.pk)

    assert bad.heard[1:] == ["call_ended", "recording_ready", "call_updated"]
    assert report == Report(delivered=3)
    assert (due(call), set(Announcement.objects.values_list("state", flat=True))) == (None, {"done"})


def test_waiting_does_not_become_longer_because_another_receiver_fails(
    listener: Any, call: CallRecord, clock: Any
) -> None:
    slow, quick = listener("slow"), listener("quick", "recording_ready")
    slow.broken = True
    record_callback(call, "terminal", status="completed")
    first_due = due(call)
    clock.shift(50)
    quick.broken = True
    record_callback(call, "terminal", status="completed", recordings=(RECORDING,))
    assert due(call) == first_due
    slow.broken = False
    clock.shift(10)

    report = deliver_pending(call.pk)

    assert slow.heard == ["call_ended", "call_ended", "recording_ready"]
    assert (quick.heard, report) == (["recording_ready"], Report(delivered=2, pending=1))
    assert due(call) == timezone.now() + datetime.timedelta(seconds=50)


def test_nobody_waits_for_what_was_given_up(listener: Any, call: CallRecord, clock: Any) -> None:
    bad = listener("bad")
    bad.broken = True
    record_callback(call, "terminal", status="failed")
    try_until_given_up(call, clock)
    bad.broken = False

    record_callback(call, "terminal", status="completed", talk_time=42)

    assert bad.heard[-1] == "call_updated"
    assert (announcement("call_ended").state, announcement("call_updated").state) == ("failed", "done")


def test_the_end_does_not_wait_for_an_answer_that_it_supersedes(listener: Any, call: CallRecord, clock: Any) -> None:
    bad = listener("bad")
    bad.broken = True
    record_callback(call, "answered")
    for _hours in range(5):
        clock.move_to(due(call))
        deliver_pending(call.pk)
    assert due(call) == timezone.now() + 6 * 60 * MINUTE
    bad.broken = False

    record_callback(call, "terminal", status="completed")

    assert (notes(), announcement("call_ended").state) == ("call_ended", "done")
    clock.move_to(due(call))
    deliver_pending(call.pk)
    assert (notes(), announcement("call_answered").state, due(call)) == ("call_ended", "superseded", None)


def test_an_answer_is_not_told_any_more_when_the_call_has_ended(listener: Any, call: CallRecord, clock: Any) -> None:
    bad = listener("bad")
    bad.broken = True
    record_callback(call, "answered")
    bad.broken = False
    record_callback(call, "terminal", status="completed")
    clock.shift(60)

    deliver_pending(call.pk)

    assert bad.heard == ["call_answered", "call_ended"]
    assert (announcement("call_answered").state, announcement("call_ended").state) == ("superseded", "done")
    assert due(call) is None


# Receivers of all kinds.


def swallow_a_database_error(ticket: Ticket, call: CallRecord, **kwargs: Any) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(team="half done")
    with suppress(IntegrityError):
        CallRecord.objects.create(reference=call.reference, created_at=call.created_at)


def ask_for_a_rollback(ticket: Ticket, **kwargs: Any) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(team="half done")
    transaction.set_rollback(True)


@pytest.mark.parametrize("bad", [swallow_a_database_error, ask_for_a_rollback])
def test_writes_of_a_receiver_that_fails_again_are_undone_again(
    receivers: Connect, listener: Any, call: CallRecord, clock: Any, bad: Callable[..., None]
) -> None:
    receivers(signals.call_ended, bad, dispatch_uid="bad")
    good = listener("good", "call_ended")
    good.broken = True
    record_callback(call, "terminal", status="completed")
    good.broken = False
    clock.shift(60)

    report = deliver_pending(call.pk)

    assert report == Report(delivered=1, failed=1, pending=1)
    assert (Ticket.objects.get().team, notes()) == ("", "call_ended")
    assert (fate("call_ended", "bad")["attempts"], announcement("call_ended").state) == (2, "failed")
    assert "ReceiverRolledBack" in fate("call_ended", "bad")["error"]
    assert due(call) == timezone.now() + 5 * MINUTE


def test_a_receiver_that_is_not_connected_any_more_is_closed(
    listener: Any, receivers: Connect, call: CallRecord, clock: Any
) -> None:
    gone, stays = Listener(), listener("stays", "call_ended")
    signals.call_ended.connect(gone, dispatch_uid="gone")
    gone.broken = stays.broken = True
    record_callback(call, "terminal", status="completed")
    signals.call_ended.disconnect(dispatch_uid="gone")
    clock.shift(60)
    stays.broken = False

    report = deliver_pending(call.pk)

    assert (gone.heard, report, due(call)) == (["call_ended"], Report(delivered=1), None)
    assert announcement("call_ended").state == "failed"
    assert "No such receiver is connected any more" in fate("call_ended", "gone")["error"]

    gone.broken = False
    receivers(signals.call_ended, gone, dispatch_uid="gone")
    deliver_pending(retry_now(announcement("call_ended").pk))

    assert announcement("call_ended").state == "done"
    assert notes() == "call_ended call_ended"


def break_the_connection(ticket: Ticket, **kwargs: Any) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(team="half done")
    connection.close()


def test_a_receiver_that_breaks_the_transaction_loses_no_news_and_harms_nobody_else(
    receivers: Connect, listener: Any, call: CallRecord, clock: Any
) -> None:
    before = listener("before", "call_ended")
    receivers(signals.call_ended, break_the_connection, dispatch_uid="bad")
    after = listener("after", "call_ended")

    record_callback(call, "terminal", status="completed", talk_time=42)

    call.refresh_from_db()
    assert (call.state, call.talk_time) == (State.ENDED, 42)
    assert CallEvent.objects.filter(event="terminal").count() == 1
    assert (announcement("call_ended").state, due(call)) == ("pending", timezone.now())
    assert notes() == ""

    assert deliver_pending(call.pk) == Report(delivered=2, failed=1, pending=1)

    assert (notes(), Ticket.objects.get().team) == ("call_ended call_ended", "")
    assert "TransactionLost" not in fate("call_ended", "bad")["error"]
    assert fate("call_ended", "bad")["error"]
    assert [fate("call_ended", uid)["attempts"] for uid in ("before", "bad", "after")] == [1, 1, 1]
    assert due(call) == timezone.now() + MINUTE
    assert before.heard[-1] == after.heard[-1] == "call_ended"


def test_a_receiver_whose_write_is_refused_at_the_commit_fails_alone(
    receivers: Connect, listener: Any, call: CallRecord, clock: Any
) -> None:
    def point_nowhere(ticket: Ticket, **kwargs: Any) -> None:
        # Most databases look at foreign keys when all is to be committed, MariaDB at once.
        Ticket.objects.filter(pk=ticket.pk).update(customer_id=987_654)

    receivers(signals.call_ended, point_nowhere, dispatch_uid="bad")
    listener("good", "call_ended")
    customer = Ticket.objects.get().customer

    record_callback(call, "terminal", status="completed", talk_time=42)
    report = deliver_pending(call.pk)

    assert report.pending == 1
    assert (notes(), Ticket.objects.get().customer) == ("call_ended", customer)
    assert fate("call_ended", "bad")["attempts"] == 1
    assert fate("call_ended", "bad")["error"].startswith("IntegrityError(")
    assert fate("call_ended", "bad")["traceback"]
    assert fate("call_ended", "good")["delivered"]
    assert (announcement("call_ended").state, due(call)) == ("failed", timezone.now() + MINUTE)


def test_a_process_that_dies_while_it_tells_loses_and_doubles_nothing(
    receivers: Connect, listener: Any, call: CallRecord, clock: Any
) -> None:
    class Killed(BaseException):
        """The process is gone."""

    def die(**kwargs: Any) -> None:
        raise Killed

    first = listener("first", "call_ended")
    last = Listener()
    receivers(signals.call_ended, last, dispatch_uid="last")
    first.broken = last.broken = True
    record_callback(call, "terminal", status="completed")
    first.broken = last.broken = False
    signals.call_ended.disconnect(dispatch_uid="last")
    receivers(signals.call_ended, die, dispatch_uid="last")
    clock.shift(60)
    with pytest.raises(Killed):
        deliver_pending(call.pk)
    assert due(call) == timezone.now()  # and so is found again
    signals.call_ended.disconnect(dispatch_uid="last")
    signals.call_ended.connect(last, dispatch_uid="last", weak=False)

    report = deliver_pending(call.pk)

    assert report == Report(delivered=1)
    assert (first.heard, last.heard) == (["call_ended"] * 2, ["call_ended"] * 2)
    assert notes() == "call_ended call_ended"


def test_what_a_receiver_is_given_is_as_it_is_now(receivers: Connect, call: CallRecord, clock: Any) -> None:
    given: list[dict[str, Any]] = []

    def fail_once(**kwargs: Any) -> None:
        given.append(kwargs)
        kwargs["call"].facts.clear()
        if len(given) == 1:
            raise LookupError("not yet")

    record_callback(call, "terminal", status="failed")
    receivers(signals.call_updated, fail_once)
    event = record_callback(call, "terminal", status="completed", talk_time=42)
    record_callback(call, "terminal", status="completed", talk_time=42, total_duration=50)
    clock.shift(60)

    deliver_pending(call.pk)

    first, again, later = given
    assert set(again) == set(first) == {"signal", "sender", "call", "ticket", "event", "changed"}
    assert (again["sender"], again["ticket"], again["event"]) == (Ticket, Ticket.objects.get(), event)
    assert (again["changed"], "talk_time" in again["changed"]) == (first["changed"], True)
    assert (first["call"].total_duration, again["call"].total_duration) == (None, 50)
    assert "total_duration" in later["changed"]
    assert CallRecord.objects.get().facts


class Lagging:
    """A router that reads from a replica: one that is not there, so that nobody reads from it."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"


def test_what_a_receiver_is_given_is_never_read_from_a_replica(
    receivers: Connect, call: CallRecord, clock: Any, settings: Any
) -> None:
    heard: list[Any] = []

    def fail_once(**given: Any) -> None:
        heard.append((given["call"].state, given["event"].event, given["ticket"].subject))
        if len(heard) == 1:
            raise LookupError("not yet")

    receivers(signals.call_ended, fail_once)
    record_callback(call, "terminal", status="completed")
    clock.shift(60)
    settings.DATABASE_ROUTERS = [Lagging()]

    assert deliver_pending(call.pk) == Report(delivered=1)
    assert heard == [(State.ENDED, "terminal", "Broken fan")] * 2


def test_a_call_that_is_deleted_has_nobody_to_tell(call: CallRecord) -> None:
    CallRecord.objects.all().delete()

    assert deliver_pending(call.pk) == Report()


# Taken up by a person.


def test_what_was_given_up_is_tried_when_a_person_says_so(listener: Any, call: CallRecord, clock: Any) -> None:
    bad = listener("bad", "call_ended")
    bad.broken = True
    record_callback(call, "terminal", status="completed")
    try_until_given_up(call, clock)

    assert retry_now(announcement("call_ended").pk) == call.pk
    assert due(call) == timezone.now()
    assert deliver_pending(call.pk) == Report(failed=1, pending=1)
    assert due(call) == timezone.now() + MINUTE  # and the pauses begin anew
    bad.broken = False
    retry_now(announcement("call_ended").pk)

    assert deliver_pending(call.pk) == Report(delivered=1)
    assert notes() == "call_ended"


def test_what_it_waits_for_is_tried_with_it(listener: Any, call: CallRecord, clock: Any) -> None:
    bad = listener("bad", "call_ended", "recording_ready")
    bad.broken = True
    record_callback(call, "terminal", status="completed", recordings=(RECORDING,))
    bad.broken = False

    report = deliver_pending(retry_now(announcement("recording_ready").pk))

    assert (bad.heard[1:], report) == (["call_ended", "recording_ready"], Report(delivered=2))


def test_what_failed_waits_for_what_was_taken_up_ahead_of_it(listener: Any, call: CallRecord, clock: Any) -> None:
    bad = listener("bad", "call_ended", "recording_ready")
    bad.broken = True
    record_callback(call, "terminal", status="completed")
    try_until_given_up(call, clock)
    record_callback(call, "terminal", status="completed", recordings=(RECORDING,))
    deliver_pending(retry_now(announcement("call_ended").pk))
    clock.move_to(due(call))
    deliver_pending(call.pk)

    assert due(call) == timezone.now() + 5 * MINUTE  # not at once, and again and again
    clock.move_to(due(call))
    bad.broken = False
    assert deliver_pending(call.pk) == Report(delivered=2)


def test_what_is_done_is_not_told_again(listener: Any, call: CallRecord) -> None:
    good = listener("good", "call_ended")
    record_callback(call, "terminal", status="completed")

    report = deliver_pending(retry_now(announcement("call_ended").pk))

    assert (good.heard, report, due(call)) == (["call_ended"], Report(), None)
