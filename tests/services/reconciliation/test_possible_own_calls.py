"""A reported call that may have been placed here is never recorded twice, also when several processes verify it."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.choices import EventKind, State, UnverifiedReason
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord, UnverifiedCall
from django_exotel_ccm.services import transactions
from django_exotel_ccm.services.budget import RateLimited
from django_exotel_ccm.services.reconciliation import external_calls
from django_exotel_ccm.services.reconciliation.external_calls import claim, verify
from tests.factories import record_callback
from tests.services.reconciliation.unverified_calls import (
    CUSTOMER,
    ENDED,
    HOUR,
    MINUTE,
    SID,
    FakeDetails,
    at,
    make_due,
    minutes_until,
    report,
    reread,
    verify_due,
)

pytestmark = pytest.mark.django_db(transaction=True)


def own_call(**fields: Any) -> CallRecord:
    """Return a call placed here just now, whose sid is not known."""
    placed = {"account": "default", "customer_number": CUSTOMER, "created_at": timezone.now()}
    return CallRecord.objects.create(**{**placed, **fields})


# The call is in the records meanwhile.


def test_call_that_got_its_sid_is_not_fetched(unverified: UnverifiedCall) -> None:
    call = own_call()
    record_callback(call, "answered", call_sid=SID)
    fetch = FakeDetails()

    assert verify_due(fetch) == [False]

    assert fetch.requests == []
    assert (reread(unverified).call, reread(unverified).next_check_at) == (call, None)
    call.refresh_from_db()
    assert minutes_until(call.details_check_at) == 0
    assert CallRecord.objects.count() == 1


def test_call_that_gets_its_sid_meanwhile_takes_the_answer(unverified: UnverifiedCall) -> None:
    call = own_call()
    fetch = FakeDetails(meanwhile=lambda: record_callback(call, "answered", call_sid=SID), **ENDED)

    assert verify_due(fetch) == [False]

    call.refresh_from_db()
    assert (call.state, call.outcome, call.talk_time) == (State.ENDED, "completed", 42)
    assert (reread(unverified).call, CallRecord.objects.count()) == (call, 1)
    assert call.events.get(kind=EventKind.DETAILS).reason == ""


# It may be a call placed here.


@pytest.mark.parametrize("state", [State.REQUESTED, State.UNCONFIRMED, State.ACTIVE, State.ENDED])
def test_possible_own_call_is_not_recorded(state: State, unverified: UnverifiedCall) -> None:
    own_call(state=state)

    for wait in (5, 10):
        assert verify_due(FakeDetails(started_at=at(timezone.now()))) == [False]
        row = reread(unverified)
        assert (row.code, minutes_until(row.next_check_at)) == (UnverifiedReason.MAY_BE_OURS, wait)
        make_due(unverified)

    assert CallRecord.objects.count() == 1
    assert not Announcement.objects.exists()


def test_call_is_recorded_once_ours_has_another_sid(unverified: UnverifiedCall) -> None:
    call = own_call(state=State.UNCONFIRMED)
    verify_due(FakeDetails(started_at=at(timezone.now())))
    record_callback(call, "answered", call_sid="b" * 32)
    make_due(unverified)

    assert verify_due(FakeDetails(started_at=at(timezone.now()))) == [True]

    assert CallRecord.objects.filter(customer_number=CUSTOMER).count() == 2


@pytest.mark.parametrize("reason", ["our call was given up", "a day is over"])
def test_possible_own_call_is_given_up(reason: str, unverified: UnverifiedCall) -> None:
    hopeless = reason == "our call was given up"
    call = own_call(state=State.UNCONFIRMED, gave_up_at=timezone.now() if hopeless else None)
    if not hopeless:
        long_ago = timezone.now() - 24 * HOUR + 2 * MINUTE
        CallRecord.objects.filter(pk=call.pk).update(created_at=long_ago)
        make_due(unverified, reported_at=long_ago)

    assert verify_due(FakeDetails()) == [False]

    row = reread(unverified)
    assert (row.code, row.next_check_at, row.call) == (UnverifiedReason.MAY_BE_OURS, None, None)
    assert row.gave_up_at is not None
    assert list(CallRecord.objects.all()) == [call]


def test_one_of_several_own_calls_is_enough_to_wait(unverified: UnverifiedCall) -> None:
    own_call(state=State.UNCONFIRMED, gave_up_at=timezone.now())
    own_call(state=State.UNCONFIRMED)

    verify_due(FakeDetails())

    assert reread(unverified).gave_up_at is None


def test_erased_own_call_gets_no_second_record(unverified: UnverifiedCall) -> None:
    own_call(state=State.UNCONFIRMED, customer_number="", erased_at=timezone.now())

    assert verify_due(FakeDetails()) == [False]
    assert reread(unverified).code == UnverifiedReason.MAY_BE_OURS


@pytest.mark.parametrize(
    ("number", "region", "withheld"),
    [
        (CUSTOMER, "IN", True),
        ("09000001001", "GB", True),
        ("XXXXXX1001", "IN", True),
        (None, "IN", True),
        ("09000001002", "IN", False),
    ],
)
def test_number_that_may_be_ours(
    number: str | None, region: str, withheld: bool, unverified: UnverifiedCall, settings: Any
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "NUMBER_REGION": region}
    own_call()

    assert verify_due(FakeDetails(customer_number=number)) == [not withheld]


@pytest.mark.parametrize(
    ("minutes", "zoned", "withheld"),
    [
        (9, True, True),
        (11, True, False),
        (-11, True, False),
        (11, False, True),  # without a zone, it may be hours off
        (-7 * 60, False, False),
        (11, None, True),
    ],
)
def test_time_that_may_be_ours(minutes: int, zoned: bool | None, withheld: bool, unverified: UnverifiedCall) -> None:
    """``minutes``: from Exotel's start, or else from the report, to the placing of our call."""
    began = timezone.now() - 30 * MINUTE
    own_call(state=State.UNCONFIRMED, created_at=(began if zoned else timezone.now() - 15 * MINUTE) + minutes * MINUTE)

    added = verify_due(FakeDetails(started_at=None if zoned is None else at(began, zoned=zoned)))

    assert added == [not withheld]


@pytest.mark.parametrize(
    "fields", [{"account": "sales"}, {"state": State.REFUSED}, {"call_sid": "b" * 32, "state": State.ACTIVE}]
)
def test_other_own_calls_do_not_matter(fields: dict[str, Any], unverified: UnverifiedCall) -> None:
    own_call(**fields)

    assert verify_due(FakeDetails(started_at=at(timezone.now()))) == [True]


def test_host_without_time_zones(settings: Any) -> None:
    settings.USE_TZ = False
    unverified = make_due(report())
    call = own_call(state=State.UNCONFIRMED)
    fetch = FakeDetails(started_at=at(datetime.datetime.now(datetime.UTC) - MINUTE))

    assert verify_due(fetch) == [False]
    call.delete()
    make_due(unverified)
    assert verify_due(fetch) == [True]

    assert abs(timezone.now() - CallRecord.objects.get().created_at - MINUTE) < MINUTE / 2


# Several processes, and interruptions.


def test_claim_excludes_others_and_runs_out(unverified: UnverifiedCall) -> None:
    mine, theirs = UnverifiedCall.objects.get(), UnverifiedCall.objects.get()

    assert (claim(mine), claim(theirs)) == (True, False)
    assert UnverifiedCall.objects.next_due(timezone.now(), newest=False) is None
    assert UnverifiedCall.objects.next_due(timezone.now() + 3 * MINUTE, newest=False) == unverified


def test_overlapping_claims_make_one_record(unverified: UnverifiedCall) -> None:
    barrier = threading.Barrier(4)

    def verify_at_once(_number: int) -> bool:
        try:
            return verify(UnverifiedCall.objects.get(), FakeDetails(meanwhile=lambda: barrier.wait(10)))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(verify_at_once, range(4)))

    call = CallRecord.objects.get()
    assert sorted(added) == [False, False, False, True]
    assert (reread(unverified).call, reread(unverified).next_check_at) == (call, None)
    assert (call.announcements.filter(key="accepted").count(), call.events.count()) == (1, 1)


def test_other_call_with_the_sid_takes_the_answer(unverified: UnverifiedCall, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unique sid is the last guard: another process adds a call with it after we looked for one."""
    inserts = []

    def insert() -> CallRecord:
        return own_call(call_sid=SID, agent_label="rival", state=State.ACTIVE)

    def find_none(*arguments: Any) -> list[CallRecord]:
        inserts.append(insert())  # in our transaction, which then fails and is rolled back
        return []

    monkeypatch.setattr(external_calls, "possible_own_calls", find_none)
    monkeypatch.setattr(transactions, "reset_connection", lambda using: insert())  # between the two attempts

    assert verify_due(FakeDetails(**ENDED)) == [False]

    call = CallRecord.objects.get()
    assert (len(inserts), call.agent_label, call.state, call.talk_time) == (1, "rival", State.ENDED, 42)
    assert reread(unverified).call == call


@pytest.mark.parametrize("failure", ["dropped", "dropped twice", "deadlock"])
def test_lost_transaction_is_repeated(
    failure: str, unverified: UnverifiedCall, receivers: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two attempts another call gets the primary key that the first attempt had on SQLite."""
    monkeypatch.setattr(transactions, "reset_connection", lambda using: own_call(account="sales"))
    ended: list[str] = []
    receivers(signals.call_ended, lambda call, **kwargs: ended.append(call.call_sid))
    left = ["fail"] * (2 if failure == "dropped twice" else 1)

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        is_last = sql.startswith("UPDATE") and "gave_up_at" in sql and "exotel_ccm_unverifiedcall" in sql
        if is_last and left and failure == "deadlock":
            left.pop()
            raise OperationalError("deadlock detected")
        result = execute(sql, params, many, context)
        if is_last and left:
            left.pop()
            context["connection"].set_rollback(True)
        return result

    with connection.execute_wrapper(fail):
        assert verify_due(FakeDetails(**ENDED)) == [True]

    call = CallRecord.objects.get(account="default")
    assert (call.state, call.talk_time, reread(unverified).call) == (State.ENDED, 42, call)
    assert (call.events.count(), call.announcements.filter(key="ended").count()) == (1, 1)
    assert CallRecord.objects.filter(account="sales").count() == (failure == "deadlock")


@pytest.mark.parametrize("facts", [{}, {"code": "10744"}])
def test_erased_meanwhile_stays_erased(facts: dict[str, Any], unverified: UnverifiedCall) -> None:
    def erase() -> None:
        UnverifiedCall.objects.update(code=UnverifiedReason.ERASED, next_check_at=None, gave_up_at=timezone.now())

    assert verify_due(FakeDetails(meanwhile=erase, **facts)) == [False]

    assert (reread(unverified).code, reread(unverified).next_check_at) == (UnverifiedReason.ERASED, None)
    assert not CallRecord.objects.exists()


def test_verified_meanwhile_stays_verified(unverified: UnverifiedCall) -> None:
    def limited(account: str, sid: str) -> CallEvent:
        verify(reread(unverified), FakeDetails())
        raise RateLimited(timezone.now())

    assert verify(unverified, limited) is False

    assert (reread(unverified).next_check_at, reread(unverified).call) == (None, CallRecord.objects.get())
