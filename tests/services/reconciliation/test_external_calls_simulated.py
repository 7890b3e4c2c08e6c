"""Calls placed elsewhere, from their report over HTTP to their record, with a simulated Exotel."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from django_exotel_ccm import signals
from django_exotel_ccm.choices import EventKind, EventReason, Origin, State, UnverifiedReason
from django_exotel_ccm.models import CallRecord, UnverifiedCall
from django_exotel_ccm.services import place_call
from django_exotel_ccm.services.reconciliation.reconcile import Report, reconcile
from django_exotel_ccm.simulator import Simulator
from tests.factories import record_callback
from tests.services.reconciliation.due_calls import end_calls, make_due, requested_sids
from tests.services.reconciliation.unverified_calls import CUSTOMER, make_all_due, place_external_call, post_report

pytestmark = pytest.mark.books_differ("another system placed a call, or its report came to the account's own URL")


def verify_reports() -> Report:
    """Have all reported calls verified now; return what the pass did."""
    make_all_due()
    return reconcile()


@pytest.mark.parametrize("shape", ["A", "B", "C"])
def test_external_call_is_recorded_with_all_facts(
    shape: str, host: Any, exotel: Simulator, receivers: Callable[..., None]
) -> None:
    agent, ticket = host.agent(), host.ticket()
    received: list[Any] = []
    receivers(signals.call_ended, lambda call, ticket, **kwargs: received.append((call.outcome, ticket)))
    exotel.options.details_shape = shape
    sid = place_external_call(exotel, custom_field=f"ticket_{ticket.pk}")
    end_calls(exotel)
    post_report(sid)
    assert reconcile().requests == 0  # two minutes are not over
    assert not CallRecord.objects.exists()

    done = verify_reports()

    call = CallRecord.objects.get()
    assert (done.external, done.requests, requested_sids(exotel)) == (1, 1, [sid])
    assert (call.call_sid, call.state, call.outcome, call.talk_time) == (sid, State.ENDED, "completed", 42)
    assert (call.agent, call.customer_number, call.ticket) == (agent, CUSTOMER, ticket)
    assert call.origin == Origin.EXTERNAL
    assert received == [("completed", ticket)]
    assert UnverifiedCall.objects.get().call == call


def test_active_external_call_is_followed_to_its_end(host: Any, exotel: Simulator) -> None:
    host.agent()
    exotel.speed = 1.0
    sid = place_external_call(exotel)
    post_report(sid, "answered")
    verify_reports()
    assert CallRecord.objects.get().state == State.ACTIVE

    end_calls(exotel)
    post_report(sid, "terminal")
    make_due()
    reconcile()

    call = CallRecord.objects.get()
    assert (call.state, call.outcome, len(requested_sids(exotel))) == (State.ENDED, "completed", 2)
    assert [event.reason for event in call.events.order_by("pk")] == ["", EventReason.UNVERIFIED, ""]


def test_report_before_our_answer_makes_no_second_record(
    host: Any, exotel: Simulator, posts: Callable[[], list[Any]]
) -> None:
    exotel.options.answer_fault, exotel.options.answer_delay = "late", 3.0
    agent = host.agent()

    def place() -> None:
        try:
            place_call(agent=agent, to=CUSTOMER)
        finally:
            connections.close_all()

    placing = threading.Thread(target=place)
    placing.start()
    exotel.clock.wait_until(float("inf"), unless=lambda: bool(exotel.book.calls))
    (sid,) = exotel.book.calls
    post_report(sid)
    early = verify_reports()
    withheld = UnverifiedCall.objects.get()
    placing.join(20)

    assert (early.requests, early.external, withheld.code) == (1, 0, UnverifiedReason.MAY_BE_OURS)
    call = CallRecord.objects.get()
    assert (call.call_sid, call.state, call.origin, len(posts())) == (sid, State.ACTIVE, Origin.HERE, 1)

    late = verify_reports()

    assert (late.requests, late.external) == (0, 0)
    assert (UnverifiedCall.objects.get().call, UnverifiedCall.objects.get().code) == (call, "")
    assert list(CallRecord.objects.all()) == [call]


def test_call_without_sid_gets_no_second_record(host: Any, exotel: Simulator) -> None:
    exotel.options.answer_fault = "no_sid"
    call = place_call(agent=host.agent(), to=CUSTOMER)
    end_calls(exotel)
    (sid,) = exotel.book.calls
    for _time in range(3):
        post_report(sid)
        verify_reports()
    assert (call.state, UnverifiedCall.objects.get().code) == (State.UNCONFIRMED, UnverifiedReason.MAY_BE_OURS)
    assert list(CallRecord.objects.all()) == [call]

    record_callback(call, "terminal", call_sid=sid)
    make_due()
    verify_reports()

    call.refresh_from_db()
    assert (call.state, call.outcome, UnverifiedCall.objects.get().call) == (State.ENDED, "completed", call)
    assert CallRecord.objects.count() == 1
    assert call.events.filter(kind=EventKind.DETAILS).count() == 1


def test_call_to_another_customer_is_recorded_at_once(host: Any, exotel: Simulator) -> None:
    exotel.options.answer_fault = "no_sid"
    place_call(agent=host.agent(), to=CUSTOMER)
    end_calls(exotel)
    exotel.options.answer_fault = "none"
    sid = place_external_call(exotel, to="+919000021001")
    end_calls(exotel)
    post_report(sid)

    verify_reports()

    assert CallRecord.objects.get(call_sid=sid).customer_number == "+919000021001"
    assert CallRecord.objects.count() == 2
