"""Calls placed elsewhere become records once Call Details have confirmed them, and no call of ours gets a twin."""

from __future__ import annotations

import contextlib
import datetime
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone

from django_exotel_ccm import signals
from django_exotel_ccm.choices import EventKind, EventReason, State, UnverifiedReason
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord, UnverifiedCall
from django_exotel_ccm.services import committing
from django_exotel_ccm.services.reconciliation import external_calls
from django_exotel_ccm.services.reconciliation import reconcile as reconcile_module
from django_exotel_ccm.services.reconciliation.call_details import RateLimited
from django_exotel_ccm.services.reconciliation.external_calls import claim, next_due, verify
from tests.factories import record_callback
from tests.helpdesk.models import Ticket
from tests.services.reconciliation.unverified_calls import (
    CUSTOMER,
    ENDED,
    MINUTE,
    SID,
    Details,
    at,
    hear,
    make_due,
    settle,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hint() -> UnverifiedCall:
    """A hint of a call that nobody here knows, due now."""
    return make_due(hear())


def reread(hint: UnverifiedCall) -> UnverifiedCall:
    return UnverifiedCall.objects.get(pk=hint.pk)


def minutes_until(moment: datetime.datetime | None) -> int | None:
    return None if moment is None else round((moment - timezone.now()) / MINUTE)


# Confirmed.


def test_a_confirmed_call_is_recorded_as_it_stands(hint: UnverifiedCall) -> None:
    ask = Details()

    assert settle(ask) == [True]

    call = CallRecord.objects.get()
    assert ask.asked == [("default", SID)]
    assert (call.account, call.call_sid, call.state, call.customer_number) == ("default", SID, State.ACTIVE, CUSTOMER)
    assert call.is_external
    assert (call.agent, call.agent_label, call.placed_by, call.ticket) == (None, "", None, None)
    settled = reread(hint)
    assert (settled.call, settled.next_check_at, settled.gave_up_at, settled.code) == (call, None, None, "")
    event = call.events.get()
    assert (event.kind, event.reason, event.reference) == (EventKind.DETAILS, "", call.reference)


def test_what_becomes_of_it_is_announced_as_of_our_own_calls(
    hint: UnverifiedCall, host: Any, receivers: Callable[..., None]
) -> None:
    ticket = host.ticket()
    heard: list[tuple[str, Any, Any]] = []
    for name in ("call_accepted", "call_ended", "recording_ready"):
        receivers(
            getattr(signals, name),
            lambda call, ticket, name=name, **news: heard.append((name, ticket, call.call_sid)),
            sender=Ticket,
            dispatch_uid=name,
        )

    settle(Details(**ENDED, custom_field=f"ticket_{ticket.pk}", recordings=("https://r.example.com/1.mp3",)))

    assert heard == [(name, ticket, SID) for name in ("call_accepted", "call_ended", "recording_ready")]
    call = CallRecord.objects.get()
    assert (call.state, call.outcome, call.talk_time) == (State.ENDED, "completed", 42)
    assert set(call.announcements.values_list("state", flat=True)) == {"done"}


@pytest.mark.parametrize(("facts", "minutes"), [({}, 5), ({"state": "terminal"}, 2)])
def test_it_is_asked_about_again_like_our_own(facts: dict[str, Any], minutes: int, hint: UnverifiedCall) -> None:
    settle(Details(**facts))

    call = CallRecord.objects.get()
    assert minutes_until(call.details_check_at) == minutes
    assert call.next_check_at == call.details_check_at


def test_of_a_call_that_has_told_all_nothing_more_is_asked(hint: UnverifiedCall) -> None:
    settle(Details(**ENDED, ended_at=at(timezone.now())))

    assert CallRecord.objects.get().next_check_at is None


def test_a_recording_that_is_told_of_later_is_asked_about_once(
    hint: UnverifiedCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {**ENDED, "ended_at": at(timezone.now()), "recordings": ("https://recordings.exotel.com/acme1/late.mp3",)}
    settle(Details(**{**told, "recordings": ()}))
    assert CallRecord.objects.get().next_check_at is None

    hear(**told)

    call = CallRecord.objects.get()
    assert (call.recording_url, minutes_until(call.next_check_at)) == ("", 2)
    CallRecord.objects.update(details_check_at=timezone.now(), next_check_at=timezone.now())
    monkeypatch.setattr(reconcile_module, "ask", Details(**told))
    reconcile_module.reconcile()
    call.refresh_from_db()
    assert (call.recording_url, call.next_check_at) == (told["recordings"][0], None)
    hear(**{**told, "talk_time": 41})
    call.refresh_from_db()
    assert call.next_check_at is None


def test_agent_and_ticket_are_found(hint: UnverifiedCall, host: Any) -> None:
    agent, ticket = host.agent(exotel_user_id="7d1f6a52"), host.ticket("Broken fan")
    host.agent("Vik", "+919000000102", account="sales")

    settle(Details(agent_id="7d1f6a52", custom_field=f"ticket_{ticket.pk}"))

    call = CallRecord.objects.get()
    assert (call.agent, call.agent_label, call.custom_field) == (agent, "Asha", f"ticket_{ticket.pk}")
    assert (call.ticket, call.ticket_label) == (ticket, str(ticket))
    assert list(CallRecord.objects.about(ticket)) == [call]


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"agent_uri": "+919000000101"}, "Asha"),
        ({"agent_uri": "09000000101"}, "Asha"),
        ({"agent_uri": "sip:vik4c1d77e2"}, "Vik"),
        ({"agent_id": "vik", "agent_uri": "+919000000101"}, "Vik"),
        ({"agent_id": "unknown", "agent_uri": "+919000000101"}, "Asha"),
        ({"agent_id": "of-sales"}, ""),
        ({"agent_uri": "+919999999999"}, ""),
        ({}, ""),
    ],
)
def test_the_agent_is_the_account_s_by_id_and_else_by_device(
    told: dict[str, str], found: str, hint: UnverifiedCall, host: Any
) -> None:
    host.agent("Asha", "+919000000101")
    host.agent("Vik", "sip:vik4c1d77e2", exotel_user_id="vik")
    host.agent("Uma", "+919000000103", exotel_user_id="of-sales", account="sales")

    settle(Details(**told))

    assert CallRecord.objects.get().agent_label == found


@pytest.mark.parametrize(
    ("told", "kept"),
    [("09000001001", CUSTOMER), ("+919000001001", CUSTOMER), ("sip:ravi", ""), ("XXXXXX1001", ""), (None, "")],
)
def test_the_customer_s_number_is_read_or_left_blank(told: str | None, kept: str, hint: UnverifiedCall) -> None:
    settle(Details(customer_number=told))

    assert CallRecord.objects.get().customer_number == kept


def test_it_was_placed_when_exotel_says_so_but_not_after_we_heard_of_it(hint: UnverifiedCall) -> None:
    heard_at = hint.heard_at
    for began, placed in [(heard_at - 3 * MINUTE, heard_at - 3 * MINUTE), (heard_at + MINUTE, heard_at)]:
        CallEvent.objects.all().delete()
        UnverifiedCall.objects.update(call=None)
        CallRecord.objects.all().delete()
        make_due(hint)

        settle(Details(started_at=at(began)))

        assert CallRecord.objects.get().created_at == placed


def test_without_a_start_it_was_placed_when_we_heard_of_it(hint: UnverifiedCall) -> None:
    settle(Details())

    assert CallRecord.objects.get().created_at == hint.heard_at


@pytest.mark.parametrize("custom_field", ["ticket_999999", "nobody_7", "free text", "ticket_x"])
def test_a_custom_field_of_no_ticket_is_kept_as_it_is(custom_field: str, hint: UnverifiedCall) -> None:
    settle(Details(custom_field=custom_field))

    call = CallRecord.objects.get()
    assert (call.custom_field, call.ticket, call.ticket_label) == (custom_field, None, "")


@pytest.mark.parametrize(
    "broken",
    [
        {"TICKETS": {"helpdesk.Ticket": {"prefix": "ticket"}}},
        {"TICKETS": {"helpdesk.Gone": {"prefix": "ticket", "phone": "x"}}},
        {"WORK_CONTEXT": "tests.services.reconciliation.test_external_calls.no_context"},
        {"WORK_CONTEXT": "tests.services.no_such_thing"},
    ],
)
def test_a_mistake_in_the_settings_costs_the_ticket_and_not_the_call(
    broken: dict[str, Any], hint: UnverifiedCall, host: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ticket = host.ticket()
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, **broken}

    assert settle(Details(custom_field=f"ticket_{ticket.pk}")) == [True]

    assert (CallRecord.objects.get().ticket, reread(hint).code) == (None, "")
    assert "placed elsewhere" in caplog.text


def no_context(call: CallRecord) -> Any:
    raise RuntimeError("no tenant")


entered: list[tuple[str, str]] = []


@contextlib.contextmanager
def remembering(call: CallRecord) -> Iterator[None]:
    entered.append((call.account, call.custom_field))
    yield


def test_the_ticket_is_looked_for_in_the_host_s_work_context(hint: UnverifiedCall, host: Any, settings: Any) -> None:
    ticket = host.ticket()
    settings.EXOTEL_CCM = {
        **settings.EXOTEL_CCM,
        "WORK_CONTEXT": "tests.services.reconciliation.test_external_calls.remembering",
    }
    entered.clear()

    settle(Details(custom_field=f"ticket_{ticket.pk}"))

    assert entered == [("default", f"ticket_{ticket.pk}")]
    assert CallRecord.objects.get().ticket == ticket


def test_a_ticket_that_the_database_could_not_look_up_is_looked_for_again(hint: UnverifiedCall, host: Any) -> None:
    ticket = host.ticket()
    ask = Details(custom_field=f"ticket_{ticket.pk}")

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "helpdesk_ticket" in sql:
            raise OperationalError("away")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail), pytest.raises(OperationalError):
        settle(ask)
    assert not CallRecord.objects.exists()
    assert minutes_until(reread(hint).next_check_at) == 2

    make_due(hint)
    assert settle(ask) == [True]
    assert CallRecord.objects.get().ticket == ticket


def test_on_a_host_without_time_zones(settings: Any) -> None:
    settings.USE_TZ = False
    make_due(hear())
    began = datetime.datetime.now(datetime.UTC) - MINUTE
    call = ours(state=State.UNCONFIRMED)
    ask = Details(started_at=at(began))

    assert settle(ask) == [False]
    call.delete()
    make_due(UnverifiedCall.objects.get())
    assert settle(ask) == [True]

    assert abs(timezone.now() - CallRecord.objects.get().created_at - MINUTE) < MINUTE / 2


# Not confirmed.


def test_a_call_without_a_usable_answer_is_asked_about_ever_less_often_for_a_day(hint: UnverifiedCall) -> None:
    ask = Details(code="http_502")
    waits = []
    for _check in range(7):
        assert settle(ask) == [False]
        waits.append(minutes_until(reread(hint).next_check_at))
        make_due(hint)

    assert waits == [5, 10, 20, 40, 60, 60, 60]
    assert (reread(hint).checks, reread(hint).code, len(ask.asked)) == (7, "http_502", 7)

    make_due(hint, heard_at=timezone.now() - datetime.timedelta(hours=23, minutes=1))
    settle(ask)

    given_up = reread(hint)
    assert (given_up.next_check_at, given_up.code, given_up.checks) == (None, "http_502", 8)
    assert given_up.gave_up_at is not None
    assert not CallRecord.objects.exists()
    assert not CallEvent.objects.filter(kind=EventKind.DETAILS).exists()


@pytest.mark.parametrize("code", ["10744", "http_404"])
def test_exotel_says_in_two_ways_that_there_is_no_such_call(code: str, hint: UnverifiedCall) -> None:
    settle(Details(code=code))
    hear(status="completed")

    settled = reread(hint)
    assert (settled.code, settled.checks, settled.next_check_at) == (UnverifiedReason.NOT_FOUND, 1, None)
    assert settled.gave_up_at is not None


@pytest.mark.parametrize("code", ["http_502", "1017", "timeout", "unreadable_answer"])
def test_an_exotel_that_is_away_says_nothing_against_the_call(code: str, hint: UnverifiedCall) -> None:
    make_due(hint, heard_at=timezone.now() - datetime.timedelta(days=3))  # nobody reconciled for long

    for _check in range(5):
        settle(Details(code=code))
        assert reread(hint).gave_up_at is None
        make_due(hint)
    settle(Details(code=code))

    given_up = reread(hint)
    assert (given_up.code, given_up.next_check_at) == (code, None)
    assert given_up.gave_up_at is not None


def test_an_answer_about_another_call_confirms_nothing(hint: UnverifiedCall) -> None:
    assert settle(Details(call_sid="b" * 32)) == [False]

    assert not CallRecord.objects.exists()
    assert (reread(hint).code, minutes_until(reread(hint).next_check_at)) == ("no_call_sid", 5)


def test_an_account_that_may_not_be_asked_puts_it_off_and_that_is_no_check(hint: UnverifiedCall) -> None:
    until = timezone.now() + 7 * MINUTE

    def not_now(account: str, sid: str) -> CallEvent:
        raise RateLimited(until)

    assert claim(hint)
    assert verify(hint, not_now) is False

    assert (minutes_until(reread(hint).next_check_at), reread(hint).checks) == (7, 0)


def test_a_call_of_an_account_that_is_no_more_is_given_up(settings: Any) -> None:
    hint = make_due(hear(account="sales"))
    ask = Details()

    assert settle(ask) == [False]

    assert (ask.asked, reread(hint).code, reread(hint).next_check_at) == ([], UnverifiedReason.NO_ACCOUNT, None)
    assert reread(hint).gave_up_at is not None


# A call of ours.


def ours(**fields: Any) -> CallRecord:
    """A call placed from here just now, of which no sid is known."""
    now = timezone.now()
    placed = {"account": "default", "customer_number": CUSTOMER, "created_at": now}
    return CallRecord.objects.create(**{**placed, **fields})


def test_a_call_that_got_its_sid_meanwhile_is_not_asked_about_for_the_hint(hint: UnverifiedCall) -> None:
    call = ours()
    record_callback(call, "answered", call_sid=SID)
    ask = Details()

    assert settle(ask) == [False]

    assert ask.asked == []
    assert (reread(hint).call, reread(hint).next_check_at) == (call, None)
    call.refresh_from_db()
    assert minutes_until(call.details_check_at) == 0
    assert CallRecord.objects.count() == 1


def test_a_call_that_gets_its_sid_while_exotel_is_asked_takes_the_answer(hint: UnverifiedCall) -> None:
    call = ours()
    ask = Details(meanwhile=lambda: record_callback(call, "answered", call_sid=SID), **ENDED)

    assert settle(ask) == [False]

    call.refresh_from_db()
    assert (call.state, call.outcome, call.talk_time) == (State.ENDED, "completed", 42)
    assert reread(hint).call == call
    assert CallRecord.objects.count() == 1
    assert call.events.get(kind=EventKind.DETAILS).reason == ""


@pytest.mark.parametrize("state", [State.REQUESTED, State.UNCONFIRMED, State.ACTIVE, State.ENDED])
def test_what_may_be_ours_waits_and_is_never_recorded_twice(state: State, hint: UnverifiedCall) -> None:
    ours(state=state)

    for wait in (5, 10):
        assert settle(Details(started_at=at(timezone.now()))) == [False]
        waiting = reread(hint)
        assert (waiting.code, minutes_until(waiting.next_check_at)) == (UnverifiedReason.MAY_BE_OURS, wait)
        make_due(hint)

    assert CallRecord.objects.count() == 1
    assert not Announcement.objects.exists()


def test_what_may_be_ours_is_recorded_once_our_call_has_another_sid(hint: UnverifiedCall) -> None:
    call = ours(state=State.UNCONFIRMED)
    settle(Details(started_at=at(timezone.now())))
    record_callback(call, "answered", call_sid="b" * 32)
    make_due(hint)

    assert settle(Details(started_at=at(timezone.now()))) == [True]

    assert CallRecord.objects.filter(customer_number=CUSTOMER).count() == 2


@pytest.mark.parametrize("reason", ["our call was given up", "a day is over"])
def test_what_may_be_ours_is_given_up_in_sight(reason: str, hint: UnverifiedCall) -> None:
    over = reason == "our call was given up"
    call = ours(state=State.UNCONFIRMED, gave_up_at=timezone.now() if over else None)
    if not over:
        long_ago = timezone.now() - datetime.timedelta(hours=23, minutes=58)
        CallRecord.objects.filter(pk=call.pk).update(created_at=long_ago)
        make_due(hint, heard_at=long_ago)

    assert settle(Details()) == [False]

    given_up = reread(hint)
    assert (given_up.code, given_up.next_check_at, given_up.call) == (UnverifiedReason.MAY_BE_OURS, None, None)
    assert given_up.gave_up_at is not None
    assert list(CallRecord.objects.all()) == [call]


def test_one_of_several_that_may_be_ours_is_enough_to_wait(hint: UnverifiedCall) -> None:
    ours(state=State.UNCONFIRMED, gave_up_at=timezone.now())
    ours(state=State.UNCONFIRMED)

    settle(Details())

    assert reread(hint).gave_up_at is None


@pytest.mark.parametrize("region", ["IN", "GB", "US"])
@pytest.mark.parametrize(
    "told", [CUSTOMER, "09000001001", "9000001001", "919000001001", "XXXXXX1001", "sip:ravi", "null", None]
)
def test_our_customer_s_number_in_any_form_of_exotel_s_may_be_ours(
    told: str | None, region: str, hint: UnverifiedCall, settings: Any
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "NUMBER_REGION": region}
    ours()

    assert settle(Details(customer_number=told)) == [False]


@pytest.mark.parametrize("told", ["+919000001002", "09000001002", "9000001002", "+14155550123"])
def test_another_number_is_another_call(told: str, hint: UnverifiedCall) -> None:
    ours()

    assert settle(Details(customer_number=told)) == [True]


@pytest.mark.parametrize(
    ("minutes", "zoned", "withheld"),
    [
        (0, True, True),
        (9, True, True),
        (-9, True, True),
        (11, True, False),
        (-11, True, False),
        (-11, False, True),  # without a zone, it may be hours off
        (11, False, True),
        (-5 * 60, False, True),
        (-7 * 60, False, False),
        (11, None, True),
    ],
)
def test_only_calls_of_that_time_are_held_against_it(
    minutes: int, zoned: bool | None, withheld: bool, hint: UnverifiedCall
) -> None:
    """``minutes``: from the start that Exotel tells, or from when we heard of it, back to our call's press."""
    began = timezone.now() - 30 * MINUTE
    ours(state=State.UNCONFIRMED, created_at=(began if zoned else timezone.now() - 15 * MINUTE) + minutes * MINUTE)

    settled = settle(Details(started_at=None if zoned is None else at(began, zoned=zoned)))

    assert settled == [not withheld]


@pytest.mark.parametrize(
    "fields", [{"account": "sales"}, {"state": State.REFUSED}, {"call_sid": "b" * 32, "state": State.ACTIVE}]
)
def test_another_account_s_a_refused_and_a_known_call_are_not_it(fields: dict[str, Any], hint: UnverifiedCall) -> None:
    ours(**fields)

    assert settle(Details(started_at=at(timezone.now()))) == [True]


# Several at once, and cut off.


def test_of_two_reconcilers_one_has_the_claim_and_it_runs_out(hint: UnverifiedCall) -> None:
    mine, theirs = UnverifiedCall.objects.get(), UnverifiedCall.objects.get()

    assert (claim(mine), claim(theirs)) == (True, False)
    assert next_due(timezone.now(), newest=False) is None
    assert next_due(timezone.now() + 3 * MINUTE, newest=False) == hint


def test_two_whose_claims_overlap_make_one_record(hint: UnverifiedCall) -> None:
    barrier = threading.Barrier(4)

    def settle_at_once(_number: int) -> bool:
        try:
            return verify(UnverifiedCall.objects.get(), Details(meanwhile=lambda: barrier.wait(10)))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        settled = list(pool.map(settle_at_once, range(4)))

    call = CallRecord.objects.get()
    assert sorted(settled) == [False, False, False, True]
    assert (reread(hint).call, reread(hint).next_check_at) == (call, None)
    assert call.announcements.filter(key="accepted").count() == 1
    assert call.events.count() == 1


def test_a_rival_s_record_with_the_sid_takes_the_answer(hint: UnverifiedCall, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unique sid is the last guard: between our look and our insert, somebody else's call got it."""
    looks = []

    def rival() -> CallRecord:
        return CallRecord.objects.create(
            account="default", call_sid=SID, agent_label="rival", state=State.ACTIVE, created_at=timezone.now()
        )

    def see_nothing(*arguments: Any) -> list[CallRecord]:
        looks.append(rival())  # in our transaction, which it makes fail, and with which it is undone
        return []

    monkeypatch.setattr(external_calls, "possible_own_calls", see_nothing)
    monkeypatch.setattr(committing, "renew", lambda using: rival())  # between the two tries, for good

    assert settle(Details(**ENDED)) == [False]

    call = CallRecord.objects.get()
    assert (len(looks), call.agent_label, call.state, call.talk_time) == (1, "rival", State.ENDED, 42)
    assert reread(hint).call == call


@pytest.mark.parametrize("drops", [1, 2])
def test_what_the_database_dropped_in_silence_is_done_again(
    drops: int, hint: UnverifiedCall, receivers: Callable[..., None]
) -> None:
    heard: list[str] = []
    receivers(signals.call_ended, lambda call, **news: heard.append(call.call_sid))
    left = [1] * drops

    def drop(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("UPDATE") and "gave_up_at" in sql and "exotel_ccm_unverifiedcall" in sql and left:
            left.pop()
            context["connection"].set_rollback(True)
        return result

    with connection.execute_wrapper(drop):
        assert settle(Details(**ENDED)) == [True]

    call = CallRecord.objects.get()
    assert (call.state, call.talk_time, reread(hint).call) == (State.ENDED, 42, call)
    assert (call.events.count(), call.announcements.filter(key="ended").count()) == (1, 1)


@pytest.mark.parametrize("facts", [{}, {"code": "10744"}])
def test_a_customer_erased_while_exotel_is_asked_does_not_come_back(
    facts: dict[str, Any], hint: UnverifiedCall
) -> None:
    def erase() -> None:
        UnverifiedCall.objects.update(code=UnverifiedReason.ERASED, next_check_at=None, gave_up_at=timezone.now())

    assert settle(Details(meanwhile=erase, **facts)) == [False]

    assert (reread(hint).code, reread(hint).next_check_at) == (UnverifiedReason.ERASED, None)
    assert not CallRecord.objects.exists()


def test_a_call_of_ours_whose_customer_was_erased_gets_no_twin_either(hint: UnverifiedCall) -> None:
    ours(state=State.UNCONFIRMED, customer_number="", erased_at=timezone.now())

    assert settle(Details()) == [False]
    assert reread(hint).code == UnverifiedReason.MAY_BE_OURS


def test_a_rival_s_other_call_between_two_tries_is_left_alone(
    hint: UnverifiedCall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite it gets the key that our first try had."""
    failures = [1]

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("UPDATE") and "gave_up_at" in sql and "exotel_ccm_unverifiedcall" in sql and failures:
            failures.pop()
            raise OperationalError("deadlock detected")
        return execute(sql, params, many, context)

    monkeypatch.setattr(committing, "renew", lambda using: ours(account="sales"))

    with connection.execute_wrapper(fail):
        assert settle(Details()) == [True]

    assert sorted(CallRecord.objects.values_list("account", flat=True)) == ["default", "sales"]


def test_a_hint_that_another_has_settled_meanwhile_stays_settled(hint: UnverifiedCall) -> None:
    def not_now(account: str, sid: str) -> CallEvent:
        verify(reread(hint), Details())
        raise RateLimited(timezone.now())

    assert verify(hint, not_now) is False

    assert reread(hint).next_check_at is None
    assert reread(hint).call == CallRecord.objects.get()


def test_the_longest_due_or_the_newest_comes_next() -> None:
    now = timezone.now()
    for number, minutes in enumerate([1, 3, 2, 0]):
        hear(str(number))
        UnverifiedCall.objects.filter(call_sid=str(number)).update(next_check_at=now - minutes * MINUTE)
    hear("later")
    hear("sales", account="sales")
    UnverifiedCall.objects.filter(account="sales").update(next_check_at=now - 4 * MINUTE)

    due = [next_due(now, newest=newest, without=["sales"]) for newest in (False, True)]

    assert [hint and hint.call_sid for hint in due] == ["1", "3"]


def test_a_later_report_of_a_recorded_call_is_linked_and_makes_no_hint(hint: UnverifiedCall) -> None:
    settle(Details())
    call = CallRecord.objects.get()

    hear(status="completed")

    assert list(UnverifiedCall.objects.all()) == [hint]
    event = CallEvent.objects.filter(account="default").latest("pk")
    assert (event.call, event.reason) == (call, EventReason.UNVERIFIED)
    call.refresh_from_db()
    assert minutes_until(call.details_check_at) == 2
