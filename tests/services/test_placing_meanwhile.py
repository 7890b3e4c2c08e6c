"""What happens to a call after its commit, and before Exotel's answer is recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from django_exotel_ccm.choices import State
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.services.privacy import erase
from django_exotel_ccm.simulator import Simulator
from tests.factories import SID, Calls, record_callback
from tests.servers.scripted_http import answering, http, serving

NUMBER = "+919000001001"

pytestmark = pytest.mark.books_differ("the reports are not the simulator's")

Meanwhile = Callable[[Callable[[], object]], CallRecord]


@pytest.fixture
def place_while(host: Any, exotel: Simulator) -> Meanwhile:
    """Place a call, and do something when its request arrives: ``place_while(work)``."""

    def _place(work: Callable[[], object]) -> CallRecord:
        def on_call(body: dict[str, Any]) -> None:
            # The simulator's thread has a connection of its own.
            work()
            connections.close_all()

        exotel.on_call = on_call
        return place_call(agent=host.agent(), ticket=host.ticket())

    return _place


def announced() -> list[str]:
    return list(Announcement.objects.order_by("pk").values_list("signal", flat=True))


def test_answer_that_comes_first(place_while: Meanwhile) -> None:
    call = place_while(lambda: None)

    stored = CallRecord.objects.get()
    assert (stored.state, stored.call_sid, stored.events_stored) == (State.ACTIVE, call.call_sid, 1)
    assert stored.facts == call.facts
    assert announced() == ["call_accepted"]


def test_callback_before_the_answer(place_while: Meanwhile) -> None:
    call = place_while(lambda: record_callback(CallRecord.objects.get(), "answered"))

    stored = CallRecord.objects.get()
    assert (stored.state, stored.call_sid, stored.events_stored) == (State.ACTIVE, call.call_sid, 2)
    assert stored.answered_at is not None
    assert announced() == ["call_accepted", "call_answered"]


def test_end_before_the_answer(place_while: Meanwhile) -> None:
    call = place_while(lambda: record_callback(CallRecord.objects.get(), "terminal", status="completed"))

    stored = CallRecord.objects.get()
    assert stored.state == call.state == State.ENDED
    assert stored.call_sid == call.call_sid


def test_erased_before_the_answer(place_while: Meanwhile) -> None:
    place_while(lambda: list(erase(NUMBER, apply=True)))

    event = CallEvent.objects.get()
    assert CallRecord.objects.get().erased_at is not None
    assert NUMBER[3:] not in json.dumps(event.facts)
    assert bytes(event.raw) == b""


def test_sid_of_another_call(host: Any, real_calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    other = real_calls.accepted(SID)
    accepted = {"http_code": 200, "response": {"call_sid": SID, "call_state": "active"}}
    with serving(answering(http(200, accepted))) as server:
        monkeypatch.setenv("EXOTEL_URL", f"exotel://K:T@127.0.0.1:{server.port}/acme1?tls=off")

        call = place_call(agent=host.agent(), ticket=host.ticket())

    assert len(server.requests) == 1
    stored = CallRecord.objects.get(pk=call.pk)
    assert (stored.state, stored.call_sid) == (State.ACTIVE, None)
    assert real_calls.reread(other).call_sid == SID
