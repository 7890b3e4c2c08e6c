"""WORK_CONTEXT is entered around receivers, policies and the reading of tickets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from django_exotel_ccm import signals, ticket_numbers, tickets
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import Simulator
from tests.factories import record_callback
from tests.services.announcements.queries import announcement, deliveries
from tests.services.announcements.test_announce import Connect

pytestmark = pytest.mark.books_differ(reason="the tests record callbacks that the simulator did not send")


# WORK_CONTEXT.

entered: list[Any] = []


@contextmanager
def tenant(call: CallRecord) -> Iterator[None]:
    entered.append(call.account)
    yield
    entered.append("left")


def broken_context(call: CallRecord) -> Any:
    raise LookupError("no such tenant")


def policy_in_context(call: CallRecord) -> None:
    entered.append("policy")


def test_receivers_and_policies_run_in_the_work_context(
    receivers: Connect, host: Any, exotel: Simulator, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered.clear()
    settings.EXOTEL_CCM = {
        **settings.EXOTEL_CCM,
        "WORK_CONTEXT": f"{__name__}.tenant",
        "POLICIES": [f"{__name__}.policy_in_context"],
    }
    load = tickets.load
    monkeypatch.setattr(tickets, "load", lambda *key, **options: entered.append("load") or load(*key, **options))
    receivers(signals.call_accepted, lambda **kwargs: entered.append("receiver"))

    place_call(agent=host.agent(), ticket=host.ticket())

    assert entered == ["default", "policy", "left", "default", "load", "receiver", "left"]


def test_broken_work_context_fails_the_delivery(receivers: Connect, call: CallRecord, settings: Any) -> None:
    entered.clear()
    receivers(signals.call_ended, lambda **kwargs: entered.append("receiver"), dispatch_uid="one")
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "WORK_CONTEXT": f"{__name__}.broken_context"}

    record_callback(call, "terminal", status="completed")

    call.refresh_from_db()
    assert (call.state, announcement("call_ended").state) == (State.ENDED, "failed")
    assert "no such tenant" in deliveries("call_ended")["one"]["error"]
    assert entered == []  # no receiver runs outside of its context


def test_ticket_number_is_read_in_the_work_context(
    host: Any, exotel: Simulator, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered.clear()
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "WORK_CONTEXT": f"{__name__}.tenant"}
    numbers_of, find = ticket_numbers.numbers_of, tickets.find
    monkeypatch.setattr(ticket_numbers, "numbers_of", lambda ticket: entered.append("numbers") or numbers_of(ticket))
    monkeypatch.setattr(tickets, "find", lambda text: entered.append("find") or find(text))

    place_call(agent=host.agent(), custom_field=f"ticket_{host.ticket().pk}")

    assert entered[:4] == ["default", "find", "numbers", "left"]
