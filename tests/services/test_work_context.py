"""Tickets, receivers and policies are met in the host's own surroundings, and broken surroundings harm no history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from django_exotel_ccm import signals, tickets
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import Announcement, CallRecord
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import Simulator
from tests.factories import record_callback

Connect = Callable[..., None]

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


def test_receivers_tickets_and_policies_run_in_the_work_context(
    receivers: Connect, host: Any, exotel: Simulator, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered.clear()
    settings.EXOTEL_CCM = {
        **settings.EXOTEL_CCM,
        "WORK_CONTEXT": f"{__name__}.tenant",
        "POLICIES": [f"{__name__}.policy_in_context"],
    }
    load = tickets.load

    def watched_load(*key: Any, **options: Any) -> Any:
        entered.append("load")
        return load(*key, **options)

    monkeypatch.setattr(tickets, "load", watched_load)
    receivers(signals.call_accepted, lambda **kwargs: entered.append("receiver"))

    place_call(agent=host.agent(), ticket=host.ticket())

    assert entered == ["default", "policy", "left", "default", "load", "receiver", "left"]


@pytest.mark.books_differ(reason="the test speaks in the place of Exotel")
def test_a_broken_work_context_harms_no_history(
    receivers: Connect, host: Any, exotel: Simulator, settings: Any
) -> None:
    call = place_call(agent=host.agent(), ticket=host.ticket())
    entered.clear()
    receivers(signals.call_ended, lambda **kwargs: entered.append("receiver"))
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "WORK_CONTEXT": f"{__name__}.broken_context"}

    record_callback(call, "terminal", status="completed")

    call.refresh_from_db()
    assert call.state == State.ENDED
    announcement = Announcement.objects.get(signal="call_ended")
    assert announcement.state == "failed"
    assert "no such tenant" in announcement.receivers[0]["error"]
    assert entered == []  # outside of its context no receiver runs


def test_a_worker_reads_the_tickets_number_in_the_work_context(
    host: Any, exotel: Simulator, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered.clear()
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "WORK_CONTEXT": f"{__name__}.tenant"}
    numbers_of, find = tickets.numbers_of, tickets.find
    monkeypatch.setattr(tickets, "numbers_of", lambda ticket: entered.append("numbers") or numbers_of(ticket))
    monkeypatch.setattr(tickets, "find", lambda text: entered.append("find") or find(text))

    place_call(agent=host.agent(), custom_field=f"ticket_{host.ticket().pk}")

    assert entered[:4] == ["default", "find", "numbers", "left"]
