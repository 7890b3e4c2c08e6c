"""Against the simulated Exotel: calls that others place, and our own of which the account's URL tells too early."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm import links, signals
from django_exotel_ccm.choices import EventKind, EventReason, State, UnverifiedReason
from django_exotel_ccm.models import CallRecord, UnverifiedCall
from django_exotel_ccm.services import place_call
from django_exotel_ccm.services.reconciliation.reconcile import reconcile
from django_exotel_ccm.simulator import Simulator
from tests.conftest import AGENT, EXOPHONE
from tests.factories import record_callback
from tests.services.reconciliation.due_calls import asked, finish, make_due

CUSTOMER = "+919000001001"


def place_elsewhere(exotel: Simulator, to: str = CUSTOMER, **options: Any) -> str:
    """Place a call as another system of the same account would; return its sid."""
    response = requests.post(
        f"{exotel.url}/v2/accounts/{exotel.account.sid}/calls",
        json={"from": {"user_contact_uri": AGENT}, "to": {"number": to}, "virtual_number": EXOPHONE, **options},
        auth=(exotel.account.key, exotel.account.token),
        timeout=10,
    )
    sid: str = response.json()["response"]["call_sid"]
    return sid


def report(sid: str, event: str = "terminal") -> None:
    """Report a call to the account's own URL."""
    body = {"event_details": {"event_type": event}, "call_details": {"call_sid": sid}}
    url = reverse("exotel_ccm:account-callback", args=[links.sign_account("default")])
    assert Client().post(url, json.dumps(body), content_type="application/json").status_code == 200


def hints_due() -> None:
    UnverifiedCall.objects.exclude(next_check_at=None).update(next_check_at=timezone.now())


@pytest.mark.books_differ("another system placed the call")
@pytest.mark.parametrize("shape", ["A", "B", "C"])
def test_a_call_placed_elsewhere_becomes_a_record_with_all_that_exotel_tells(
    shape: str, host: Any, exotel: Simulator, receivers: Callable[..., None]
) -> None:
    agent, ticket = host.agent(), host.ticket()
    heard: list[Any] = []
    receivers(signals.call_ended, lambda call, ticket, **news: heard.append((call.outcome, ticket)))
    exotel.options.details_shape = shape
    sid = place_elsewhere(exotel, custom_field=f"ticket_{ticket.pk}")
    finish(exotel)
    report(sid)
    assert reconcile().asked == 0  # two minutes are not over
    assert not CallRecord.objects.exists()

    hints_due()
    done = reconcile()

    call = CallRecord.objects.get()
    assert (done.confirmed, done.asked, asked(exotel)) == (1, 1, [sid])
    assert (call.call_sid, call.state, call.outcome, call.talk_time) == (sid, State.ENDED, "completed", 42)
    assert (call.agent, call.customer_number, call.ticket) == (agent, CUSTOMER, ticket)
    assert call.is_external
    assert heard == [("completed", ticket)]
    assert UnverifiedCall.objects.get().call == call


@pytest.mark.books_differ("another system placed the call")
def test_a_call_found_while_it_goes_on_is_followed_to_its_end(host: Any, exotel: Simulator) -> None:
    host.agent()
    exotel.speed = 1.0
    sid = place_elsewhere(exotel)
    report(sid, "answered")
    hints_due()
    reconcile()
    assert CallRecord.objects.get().state == State.ACTIVE

    finish(exotel)
    report(sid, "terminal")
    make_due()
    reconcile()

    call = CallRecord.objects.get()
    assert (call.state, call.outcome) == (State.ENDED, "completed")
    assert len(asked(exotel)) == 2
    assert [event.reason for event in call.events.order_by("pk")] == ["", EventReason.UNVERIFIED, ""]


@pytest.mark.books_differ("somebody told of a call that never was")
def test_a_call_that_never_was_becomes_none(host: Any, exotel: Simulator) -> None:
    report("f" * 32)
    hints_due()

    reconcile()

    assert not CallRecord.objects.exists()
    assert UnverifiedCall.objects.get().code == UnverifiedReason.NOT_FOUND


@pytest.mark.books_differ("the account's own URL was told too")
def test_a_call_of_which_the_account_s_url_tells_before_our_answer_is_there_gets_no_twin(
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
    report(sid)
    hints_due()
    early = reconcile()
    withheld = UnverifiedCall.objects.get()
    placing.join(20)

    assert (early.asked, early.confirmed, withheld.code) == (1, 0, UnverifiedReason.MAY_BE_OURS)
    call = CallRecord.objects.get()
    assert (call.call_sid, call.state, len(posts())) == (sid, State.ACTIVE, 1)
    assert not call.is_external

    hints_due()
    late = reconcile()

    assert (late.asked, late.confirmed) == (0, 0)
    assert (UnverifiedCall.objects.get().call, UnverifiedCall.objects.get().code) == (call, "")
    assert list(CallRecord.objects.all()) == [call]


@pytest.mark.books_differ("the account's own URL was told too")
def test_a_call_whose_answer_had_no_sid_gets_no_twin_and_its_sid_by_its_own_url(host: Any, exotel: Simulator) -> None:
    exotel.options.answer_fault = "no_sid"
    call = place_call(agent=host.agent(), to=CUSTOMER)
    finish(exotel)
    (sid,) = exotel.book.calls
    for _time in range(3):
        report(sid)
        hints_due()
        reconcile()
    assert (call.state, UnverifiedCall.objects.get().code) == (State.UNCONFIRMED, UnverifiedReason.MAY_BE_OURS)
    assert list(CallRecord.objects.all()) == [call]

    record_callback(call, "terminal", call_sid=sid)
    hints_due()
    make_due()
    reconcile()

    call.refresh_from_db()
    assert (call.state, call.outcome, UnverifiedCall.objects.get().call) == (State.ENDED, "completed", call)
    assert CallRecord.objects.count() == 1
    assert call.events.filter(kind=EventKind.DETAILS).count() == 1


@pytest.mark.books_differ("another system placed a call, too")
def test_a_call_to_another_customer_beside_ours_is_recorded_at_once(host: Any, exotel: Simulator) -> None:
    exotel.options.answer_fault = "no_sid"
    place_call(agent=host.agent(), to=CUSTOMER)
    finish(exotel)
    exotel.options.answer_fault = "none"
    sid = place_elsewhere(exotel, to="+919000021001")
    finish(exotel)
    report(sid)
    hints_due()

    reconcile()

    assert CallRecord.objects.get(call_sid=sid).customer_number == "+919000021001"
    assert CallRecord.objects.count() == 2
