"""Receivers that close the connection, break the commit or kill the process; what a retry is given."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services.announcements.dispatch import Report, deliver_pending, retry_now
from tests.factories import record_callback
from tests.helpdesk.models import Ticket
from tests.services.announcements.conftest import Recorder
from tests.services.announcements.queries import announcement, deliveries, notes
from tests.services.announcements.test_dispatch import MINUTE, Connect, due

pytestmark = pytest.mark.books_differ(reason="the tests record callbacks that the simulator did not send")


@pytest.fixture
def call(clock: Any, call: CallRecord) -> CallRecord:
    """The call, placed while the clock stands still."""
    return call


# Receivers that fail in other ways.


def swallow_a_database_error(ticket: Ticket, call: CallRecord, **kwargs: Any) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(team="half done")
    with suppress(IntegrityError):
        CallRecord.objects.create(reference=call.reference, created_at=call.created_at)


def test_writes_of_a_failed_retry_are_undone(receivers: Connect, recorder: Any, call: CallRecord, clock: Any) -> None:
    receivers(signals.call_ended, swallow_a_database_error, dispatch_uid="bad")
    good = recorder("good", "call_ended")
    good.broken = True
    record_callback(call, "terminal", status="completed")
    good.broken = False
    clock.shift(60)

    report = deliver_pending(call.pk)

    assert report == Report(delivered=1, failed=1, pending=1)
    assert (Ticket.objects.get().team, notes()) == ("", "call_ended")
    assert (deliveries("call_ended")["bad"]["attempts"], announcement("call_ended").state) == (2, "failed")
    assert "ReceiverRolledBack" in deliveries("call_ended")["bad"]["error"]
    assert due(call) == timezone.now() + 5 * MINUTE


def test_disconnected_receiver_is_abandoned(recorder: Any, receivers: Connect, call: CallRecord, clock: Any) -> None:
    gone, stays = Recorder(), recorder("stays", "call_ended")
    signals.call_ended.connect(gone, dispatch_uid="gone")
    gone.broken = stays.broken = True
    record_callback(call, "terminal", status="completed")
    signals.call_ended.disconnect(dispatch_uid="gone")
    clock.shift(60)
    stays.broken = False

    report = deliver_pending(call.pk)

    assert (gone.called, report, due(call)) == (["call_ended"], Report(delivered=1), None)
    assert announcement("call_ended").state == "failed"
    assert "No such receiver is connected any more" in deliveries("call_ended")["gone"]["error"]

    gone.broken = False
    receivers(signals.call_ended, gone, dispatch_uid="gone")
    deliver_pending(retry_now(announcement("call_ended").pk))

    assert announcement("call_ended").state == "done"
    assert notes() == "call_ended call_ended"


def break_the_connection(ticket: Ticket, **kwargs: Any) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(team="half done")
    connection.close()


def test_closed_connection_fails_its_receiver_only(
    receivers: Connect, recorder: Any, call: CallRecord, clock: Any
) -> None:
    before = recorder("before", "call_ended")
    receivers(signals.call_ended, break_the_connection, dispatch_uid="bad")
    after = recorder("after", "call_ended")

    record_callback(call, "terminal", status="completed", talk_time=42)

    call.refresh_from_db()
    assert (call.state, call.talk_time) == (State.ENDED, 42)
    assert CallEvent.objects.filter(event="terminal").count() == 1
    assert (announcement("call_ended").state, due(call)) == ("pending", timezone.now())
    assert notes() == ""

    assert deliver_pending(call.pk) == Report(delivered=2, failed=1, pending=1)

    assert (notes(), Ticket.objects.get().team) == ("call_ended call_ended", "")
    assert "TransactionLost" not in deliveries("call_ended")["bad"]["error"]
    assert deliveries("call_ended")["bad"]["error"]
    assert [deliveries("call_ended")[uid]["attempts"] for uid in ("before", "bad", "after")] == [1, 1, 1]
    assert due(call) == timezone.now() + MINUTE
    assert before.called[-1] == after.called[-1] == "call_ended"


def test_refused_commit_fails_its_receiver_only(
    receivers: Connect, recorder: Any, call: CallRecord, clock: Any
) -> None:
    def point_nowhere(ticket: Ticket, **kwargs: Any) -> None:
        # Most databases check foreign keys at the commit, MariaDB at once.
        Ticket.objects.filter(pk=ticket.pk).update(customer_id=987_654)

    receivers(signals.call_ended, point_nowhere, dispatch_uid="bad")
    recorder("good", "call_ended")
    customer = Ticket.objects.get().customer

    record_callback(call, "terminal", status="completed", talk_time=42)
    report = deliver_pending(call.pk)

    assert report.pending == 1
    assert (notes(), Ticket.objects.get().customer) == ("call_ended", customer)
    assert deliveries("call_ended")["bad"]["attempts"] == 1
    assert deliveries("call_ended")["bad"]["error"].startswith("IntegrityError(")
    assert deliveries("call_ended")["bad"]["traceback"]
    assert deliveries("call_ended")["good"]["delivered"]
    assert (announcement("call_ended").state, due(call)) == ("failed", timezone.now() + MINUTE)


def test_killed_process_loses_and_repeats_nothing(
    receivers: Connect, recorder: Any, call: CallRecord, clock: Any
) -> None:
    class Killed(BaseException):
        """The process is gone."""

    def die(**kwargs: Any) -> None:
        raise Killed

    first = recorder("first", "call_ended")
    last = Recorder()
    receivers(signals.call_ended, last, dispatch_uid="last")
    first.broken = last.broken = True
    record_callback(call, "terminal", status="completed")
    first.broken = last.broken = False
    signals.call_ended.disconnect(dispatch_uid="last")
    receivers(signals.call_ended, die, dispatch_uid="last")
    clock.shift(60)
    with pytest.raises(Killed):
        deliver_pending(call.pk)
    assert due(call) == timezone.now()  # so the reconciler finds it
    signals.call_ended.disconnect(dispatch_uid="last")
    signals.call_ended.connect(last, dispatch_uid="last", weak=False)

    report = deliver_pending(call.pk)

    assert report == Report(delivered=1)
    assert (first.called, last.called) == (["call_ended"] * 2, ["call_ended"] * 2)
    assert notes() == "call_ended call_ended"


def test_retry_gets_the_call_as_it_is_now(receivers: Connect, call: CallRecord, clock: Any) -> None:
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
    """A router that reads from a replica. There is none, so any read from it fails."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"


def test_arguments_are_not_read_from_a_replica(receivers: Connect, call: CallRecord, clock: Any, settings: Any) -> None:
    seen: list[Any] = []

    def fail_once(**given: Any) -> None:
        seen.append((given["call"].state, given["event"].event, given["ticket"].subject))
        if len(seen) == 1:
            raise LookupError("not yet")

    receivers(signals.call_ended, fail_once)
    record_callback(call, "terminal", status="completed")
    clock.shift(60)
    settings.DATABASE_ROUTERS = [Lagging()]

    assert deliver_pending(call.pk) == Report(delivered=1)
    assert seen == [(State.ENDED, "terminal", "Broken fan")] * 2


def test_deleted_call_has_nothing_pending(call: CallRecord) -> None:
    CallRecord.objects.all().delete()

    assert deliver_pending(call.pk) == Report()
