"""Presses at once: each sees the calls that the others have placed, whatever the database's isolation level is."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections

from django_exotel_ccm.exceptions import CallRefused
from django_exotel_ccm.models import Agent, CallRecord, PressLock
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import Simulator

CLIENTS = 16
ASHAS = "+919000001001"
ROOM = "django_exotel_ccm.policies"


@pytest.fixture
def exotel(exotel_simulator: Simulator) -> Simulator:
    """A simulated Exotel that reports nothing, so that a call goes on, and knows all agents."""
    exotel_simulator.options.lost_events = frozenset({"answered", "terminal"})
    for number in range(CLIENTS):
        exotel_simulator.directory.add_agent(f"sip:agent{number}", name=f"Agent {number}")
    return exotel_simulator


def agents() -> list[Agent]:
    return [Agent.objects.create(name=f"Agent {n}", contact_uri=f"sip:agent{n}") for n in range(CLIENTS)]


def at_once(press: Callable[[int], CallRecord]) -> Counter[str]:
    """Press in as many threads; return how often each state, code of a refusal or database error came."""
    barrier = threading.Barrier(CLIENTS)

    def run(number: int) -> str:
        try:
            connection.ensure_connection()
            barrier.wait(20)
            return press(number).state
        except CallRefused as refused:
            return refused.code
        except DatabaseError as error:
            return type(error).__name__
        finally:
            connections.close_all()

    with ThreadPoolExecutor(CLIENTS) as threads:
        return Counter(threads.map(run, range(CLIENTS)))


def rule(settings: Any, name: str, **options: Any) -> None:
    entry = {"NAME": f"{ROOM}.{name}", "OPTIONS": options}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [entry]}


def assert_shared(found: Counter[str], passed: int, code: str, isolation: str) -> None:
    """Exactly so many were placed, and the others refused; PostgreSQL's strict levels may give one up instead."""
    gave_up = found.pop("OperationalError", 0)
    assert gave_up == 0 or (isolation != "usual" and connection.vendor == "postgresql")
    assert found == {"active": passed, code: CLIENTS - passed - gave_up}
    assert CallRecord.objects.filter(state="active").count() == passed
    assert CallRecord.objects.filter(state="refused", refusal_code=code).count() == found[code]


def test_one_agent_calls_many_customers(host: Any, exotel: Simulator, settings: Any, isolation: str) -> None:
    rule(settings, "OneCallAtATime")
    agent = host.agent()

    found = at_once(lambda number: place_call(agent=agent, to=f"+9190000{30000 + number}"))

    assert_shared(found, 1, "OneCallAtATime", isolation)


def test_many_agents_call_one_customer(host: Any, exotel: Simulator, settings: Any, isolation: str) -> None:
    rule(settings, "OneCallAtATime")
    callers = agents()

    found = at_once(lambda number: place_call(agent=callers[number], to=ASHAS))

    assert_shared(found, 1, "OneCallAtATime", isolation)


def test_calls_of_a_day_are_not_overdrawn(host: Any, exotel: Simulator, settings: Any, isolation: str) -> None:
    rule(settings, "CallsPerDay", customer=3)
    callers = agents()

    found = at_once(lambda number: place_call(agent=callers[number], to=ASHAS))

    assert_shared(found, 3, "CallsPerDay", isolation)


def test_presses_that_cross_do_not_block_each_other(host: Any, exotel: Simulator, settings: Any) -> None:
    """Many agents call many customers in other orders, so that each press waits for others."""
    rule(settings, "CallsPerDay", customer=1)
    callers = agents()

    def press(number: int) -> CallRecord:
        for turn in range(4):
            to = f"+9190000{30000 + (number * 7 + turn) % CLIENTS}"
            with suppress(CallRefused):
                place_call(agent=callers[(number + turn) % CLIENTS], to=to)
        return place_call(agent=callers[number], to="+919000039999")

    found = at_once(press)

    assert found["OperationalError"] == 0
    placed = CallRecord.objects.exclude(state="refused").values_list("customer_number", flat=True)
    assert max(Counter(placed).values()) == 1


def test_one_key_is_one_call(host: Any, exotel: Simulator, settings: Any, isolation: str) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": None}  # the default rules
    agent = host.agent()

    found = at_once(lambda number: place_call(agent=agent, to=ASHAS, request_key="press 1"))

    gave_up = found.pop("OperationalError", 0)
    assert gave_up == 0 or (isolation != "usual" and connection.vendor == "postgresql")
    # A second press can get the call back while the first still waits for Exotel's answer.
    assert set(found) <= {"active", "requested"}
    assert CallRecord.objects.count() == 1
    assert len([one for one in exotel.book.requests if one.method == "POST"]) == 1


@pytest.mark.not_on_sqlite("it locks the whole database instead")
def test_locks_say_nothing_of_people(host: Any, exotel: Simulator, settings: Any) -> None:
    rule(settings, "OneCallAtATime")
    place_call(agent=host.agent(), to=ASHAS)

    assert PressLock.objects.count() == PressLock.SLOTS
    assert PressLock.objects.filter(presses=1).count() == 2
    assert {field.name for field in PressLock._meta.fields} == {"slot", "presses"}


@pytest.mark.not_on_sqlite("it locks the whole database instead")
def test_missing_lock_is_made_anew(host: Any, exotel: Simulator, settings: Any) -> None:
    rule(settings, "OneCallAtATime")
    place_call(agent=host.agent(), to=ASHAS)
    exotel.wait_until_quiet()
    PressLock.objects.filter(presses=1).delete()
    CallRecord.objects.update(state="ended")

    assert place_call(agent=host.agent("Vik", "sip:agent1"), to=ASHAS).state == "active"
    assert PressLock.objects.count() == PressLock.SLOTS
