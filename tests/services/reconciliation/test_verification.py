"""An end that only Call Details can prove is checked until settled Call Details are stored; these win."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from django_exotel_ccm.choices import State
from django_exotel_ccm.models import AccountUsage, CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.services.reconciliation.reconcile import reconcile
from django_exotel_ccm.simulator import Simulator
from tests.factories import body_of, url_of
from tests.services.reconciliation.due_calls import end_calls, make_due, requested_sids
from tests.services.reconciliation.unverified_calls import CUSTOMER, minutes_until

pytestmark = pytest.mark.books_differ("the reported ends are not the simulator's")

END = {"call_status": "failed", "total_talk_time": 0, "total_duration": 7, "recordings": []}


LATER = 60  # minutes; the simulated clock runs ahead


@pytest.fixture
def place(host: Any, exotel: Simulator) -> Callable[[], CallRecord]:
    agent = host.agent()
    return lambda: place_call(agent=agent, to=CUSTOMER)


def deliver_end(call: CallRecord, url: str = "terminal", **details: Any) -> CallRecord:
    """Deliver a complete end to the call's URL for ``url``; return the call."""
    end_time = f"{timezone.now():%Y-%m-%dT%H:%M:%SZ}"
    body = body_of("terminal", call.call_sid or "", **{**END, "end_time": end_time, **details})
    assert Client().post(url_of(call, url), body, content_type="application/json").status_code == 200
    call.refresh_from_db()
    return call


def reconcile_after(minutes: float) -> None:
    """Reconcile so many minutes later, when everything planned is due."""
    with time_machine.travel(timezone.now() + datetime.timedelta(minutes=minutes), tick=True):
        make_due()
        reconcile()


def test_end_at_the_answered_url_is_verified(place: Callable[[], CallRecord], exotel: Simulator) -> None:
    call = place()
    end_calls(exotel)
    deliver_end(call, "answered")
    assert (call.state, call.outcome, minutes_until(call.next_check_at)) == (State.ENDED, "failed", 2)

    reconcile_after(LATER)

    call.refresh_from_db()
    assert (call.outcome, call.talk_time, call.next_check_at) == ("completed", 42, None)
    deliver_end(call, "answered", total_talk_time=8)
    assert (call.outcome, call.talk_time, call.next_check_at) == ("completed", 42, None)
    assert requested_sids(exotel) == [call.call_sid]


def test_details_right_after_the_end_are_fetched_again(place: Callable[[], CallRecord], exotel: Simulator) -> None:
    call = place()
    end_calls(exotel)
    deliver_end(call, "answered")
    reconcile_after(0)
    call.refresh_from_db()
    assert minutes_until(call.next_check_at) == 5

    reconcile_after(LATER)  # the content is the same

    call.refresh_from_db()
    assert (call.outcome, call.talk_time, call.next_check_at) == ("completed", 42, None)
    assert len(requested_sids(exotel)) == 2


@pytest.mark.parametrize("fault", ["none", "bad_gateway"])
def test_verification_backs_off_and_is_given_up(
    fault: str, place: Callable[[], CallRecord], exotel: Simulator, settings: Any
) -> None:
    """Here the call goes on, or Exotel is away, and the report came a day late."""
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RECORDING_RETRY_FOR": 60}
    exotel.options.by_hand, exotel.speed = True, 1.0
    call = place()
    CallRecord.objects.update(created_at=timezone.now() - datetime.timedelta(hours=23))
    deliver_end(call, "answered")
    exotel.options.details_fault = fault

    waits = []
    for _check in range(6):
        AccountUsage.objects.update(paused_until=None)
        make_due()
        reconcile()
        call.refresh_from_db()
        waits.append(minutes_until(call.next_check_at))

    assert waits == [5, 10, 20, 40, 60, None]
    assert (call.state, call.outcome, call.gave_up_at) == (State.ENDED, "failed", None)
    deliver_end(call, total_talk_time=1)
    assert minutes_until(call.next_check_at) == 2


def test_replay_plans_the_verification(place: Callable[[], CallRecord], exotel: Simulator) -> None:
    call = place()
    end_calls(exotel)
    deliver_end(call, "answered")
    lost = {"facts": {}, "state": State.REQUESTED, "outcome": "", "details_check_at": None, "next_check_at": None}
    CallRecord.objects.update(**lost)

    call_command("exotel_replay", "--apply", verbosity=0)

    call.refresh_from_db()
    assert (call.state, minutes_until(call.next_check_at)) == (State.ENDED, 2)
