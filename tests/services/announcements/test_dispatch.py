"""Failed deliveries are retried alone, with growing delays and in order, until they succeed or are abandoned."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_exotel_ccm.models import Announcement, CallRecord
from django_exotel_ccm.services.announcements.deliveries import MAX_ATTEMPTS
from django_exotel_ccm.services.announcements.dispatch import Report, deliver_pending, retry_now
from tests.factories import record_callback
from tests.services.announcements.queries import RECORDING, announcement, deliveries, notes

Connect = Callable[..., None]
pytestmark = pytest.mark.books_differ(reason="the tests record callbacks that the simulator did not send")
MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture
def call(clock: Any, call: CallRecord) -> CallRecord:
    """The call, placed while the clock stands still."""
    return call


def due(call: CallRecord) -> datetime.datetime | None:
    """Return when the call's announcements are due, after a check that the reconciler looks at the call by then."""
    call.refresh_from_db()
    assert call.next_check_at == min((one for one in (call.announce_at, call.details_check_at) if one), default=None)
    return call.announce_at


def retry_until_abandoned(call: CallRecord, clock: Any) -> list[float]:
    """Deliver whenever something is due, until nothing is; return the delays between, in minutes."""
    delays = []
    while (moment := due(call)) is not None and len(delays) < 2 * MAX_ATTEMPTS:
        delays.append((moment - timezone.now()) / MINUTE)
        clock.move_to(moment)
        assert deliver_pending(call.pk).failed == 1
    return delays


def test_failed_receiver_is_retried_alone(recorder: Any, call: CallRecord, clock: Any) -> None:
    bad, good = recorder("bad"), recorder("good")
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
    assert (bad.called, good.called) == (["call_ended"] * 2, ["call_ended"])
    assert notes() == "call_ended call_ended"  # once of each
    assert (announcement("call_ended").state, due(call)) == ("done", None)
    assert deliveries("call_ended")["bad"] == {
        "receiver": "bad",
        "delivered": True,
        "error": "",
        "traceback": "",
        "attempts": 2,
        "abandoned": False,
    }


def test_delays_grow_until_it_is_abandoned_after_three_days(recorder: Any, call: CallRecord, clock: Any) -> None:
    bad = recorder("bad", "call_ended")
    bad.broken = True
    began = timezone.now()
    record_callback(call, "terminal", status="completed")

    delays = retry_until_abandoned(call, clock)

    assert delays == [1, 5, 15, 60, 180, *[360] * 11]
    assert datetime.timedelta(days=2.9) < timezone.now() - began < datetime.timedelta(days=3.2)
    assert len(bad.called) == MAX_ATTEMPTS
    assert (announcement("call_ended").state, announcement("call_ended").next_try_at) == ("failed", None)
    assert deliveries("call_ended")["bad"]["abandoned"]
    assert (deliver_pending(call.pk), notes()) == (Report(), "")


def test_all_failed_receivers_are_retried_in_one_run(recorder: Any, call: CallRecord, clock: Any) -> None:
    one, other = recorder("one", "call_ended"), recorder("other", "call_ended")
    one.broken = other.broken = True
    record_callback(call, "terminal", status="completed")
    clock.shift(60)
    other.broken = False

    report = deliver_pending(call.pk)

    assert (one.called, other.called) == (["call_ended"] * 2, ["call_ended"] * 2)
    assert report == Report(delivered=1, failed=1, pending=1)


def test_one_transaction_per_receiver_and_plan(recorder: Any, call: CallRecord, clock: Any) -> None:
    broken = [recorder(uid, "call_ended") for uid in ("one", "other")]
    for receiver in broken:
        receiver.broken = True
    record_callback(call, "terminal", status="completed")
    for receiver in broken:
        receiver.broken = False
    clock.shift(60)

    with CaptureQueriesContext(connection) as captured:
        report = deliver_pending(call.pk)

    assert report == Report(delivered=2)
    assert [query["sql"] for query in captured.captured_queries].count("BEGIN") == 3


# In order.


def test_later_announcements_wait_per_receiver(recorder: Any, call: CallRecord, clock: Any) -> None:
    bad, good = recorder("bad"), recorder("good")
    bad.broken = True
    record_callback(call, "terminal", status="failed")
    due_then = due(call)
    bad.broken = False

    record_callback(call, "terminal", status="completed", recordings=(RECORDING,))

    assert good.called == ["call_ended", "recording_ready", "call_updated"]
    assert bad.called == ["call_ended"]
    assert [announcement(name).state for name in good.called] == ["failed", "pending", "pending"]
    assert (deliveries("call_updated")["bad"]["attempts"], deliveries("call_updated")["bad"]["delivered"]) == (0, False)
    assert due(call) == due_then


def test_waiting_announcements_follow_at_once(recorder: Any, call: CallRecord, clock: Any) -> None:
    bad = recorder("bad", "call_ended", "recording_ready", "call_updated")
    bad.broken = True
    record_callback(call, "terminal", status="failed", recordings=(RECORDING,))
    assert bad.called == ["call_ended"]  # also within one event
    record_callback(call, "terminal", status="completed", talk_time=42)
    bad.broken = False
    clock.shift(60)

    report = deliver_pending(call.pk)

    assert bad.called[1:] == ["call_ended", "recording_ready", "call_updated"]
    assert report == Report(delivered=3)
    assert (due(call), set(Announcement.objects.values_list("state", flat=True))) == (None, {"done"})


def test_another_failure_does_not_prolong_the_wait(recorder: Any, call: CallRecord, clock: Any) -> None:
    slow, quick = recorder("slow"), recorder("quick", "recording_ready")
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

    assert slow.called == ["call_ended", "call_ended", "recording_ready"]
    assert (quick.called, report) == (["recording_ready"], Report(delivered=2, pending=1))
    assert due(call) == timezone.now() + datetime.timedelta(seconds=50)


def test_nothing_waits_for_an_abandoned_delivery(recorder: Any, call: CallRecord, clock: Any) -> None:
    bad = recorder("bad")
    bad.broken = True
    record_callback(call, "terminal", status="failed")
    retry_until_abandoned(call, clock)
    bad.broken = False

    record_callback(call, "terminal", status="completed", talk_time=42)

    assert bad.called[-1] == "call_updated"
    assert (announcement("call_ended").state, announcement("call_updated").state) == ("failed", "done")


def test_end_does_not_wait_for_the_answer(recorder: Any, call: CallRecord, clock: Any) -> None:
    bad = recorder("bad")
    bad.broken = True
    record_callback(call, "answered")
    for _attempt in range(5):
        clock.move_to(due(call))
        deliver_pending(call.pk)
    assert due(call) == timezone.now() + 6 * 60 * MINUTE
    bad.broken = False

    record_callback(call, "terminal", status="completed")

    assert (notes(), announcement("call_ended").state) == ("call_ended", "done")
    clock.move_to(due(call))
    deliver_pending(call.pk)
    assert (notes(), announcement("call_answered").state, due(call)) == ("call_ended", "superseded", None)


def test_failed_answer_is_superseded_by_the_end(recorder: Any, call: CallRecord, clock: Any) -> None:
    bad = recorder("bad")
    bad.broken = True
    record_callback(call, "answered")
    bad.broken = False
    record_callback(call, "terminal", status="completed")
    clock.shift(60)

    deliver_pending(call.pk)

    assert bad.called == ["call_answered", "call_ended"]
    assert (announcement("call_answered").state, announcement("call_ended").state) == ("superseded", "done")
    assert due(call) is None


# "Try now".


def test_retry_now_of_an_abandoned_delivery(recorder: Any, call: CallRecord, clock: Any) -> None:
    bad = recorder("bad", "call_ended")
    bad.broken = True
    record_callback(call, "terminal", status="completed")
    retry_until_abandoned(call, clock)

    assert retry_now(announcement("call_ended").pk) == call.pk
    assert due(call) == timezone.now()
    assert deliver_pending(call.pk) == Report(failed=1, pending=1)
    assert due(call) == timezone.now() + MINUTE  # the delays start again
    bad.broken = False
    retry_now(announcement("call_ended").pk)

    assert deliver_pending(call.pk) == Report(delivered=1)
    assert notes() == "call_ended"


def test_retry_now_delivers_earlier_announcements_first(recorder: Any, call: CallRecord, clock: Any) -> None:
    bad = recorder("bad", "call_ended", "recording_ready")
    bad.broken = True
    record_callback(call, "terminal", status="completed", recordings=(RECORDING,))
    bad.broken = False

    report = deliver_pending(retry_now(announcement("recording_ready").pk))

    assert (bad.called[1:], report) == (["call_ended", "recording_ready"], Report(delivered=2))


def test_failed_delivery_waits_for_an_earlier_retried_one(recorder: Any, call: CallRecord, clock: Any) -> None:
    bad = recorder("bad", "call_ended", "recording_ready")
    bad.broken = True
    record_callback(call, "terminal", status="completed")
    retry_until_abandoned(call, clock)
    record_callback(call, "terminal", status="completed", recordings=(RECORDING,))
    deliver_pending(retry_now(announcement("call_ended").pk))
    clock.move_to(due(call))
    deliver_pending(call.pk)

    assert due(call) == timezone.now() + 5 * MINUTE  # not due again at once
    clock.move_to(due(call))
    bad.broken = False
    assert deliver_pending(call.pk) == Report(delivered=2)


def test_retry_now_repeats_no_delivery(recorder: Any, call: CallRecord) -> None:
    good = recorder("good", "call_ended")
    record_callback(call, "terminal", status="completed")

    report = deliver_pending(retry_now(announcement("call_ended").pk))

    assert (good.called, report, due(call)) == (["call_ended"], Report(), None)
