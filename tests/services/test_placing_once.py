"""Promise 1: a customer is never dialled twice by accident."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction
from django.test import TestCase

from django_exotel_ccm.choices import State
from django_exotel_ccm.exceptions import CallRefused, PlacedInsideTransaction, RequestKeyReused
from django_exotel_ccm.models import Agent, CallRecord, ExoPhone
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import Simulator

Posts = Callable[[], list[Any]]


def test_call_is_committed_before_the_post(host: Any, exotel: Simulator) -> None:
    seen: list[Any] = []

    def look(body: dict[str, Any]) -> None:
        # The simulator's thread has a connection of its own.
        seen.extend(CallRecord.objects.values_list("state", "customer_number", "custom_field"))
        connections.close_all()

    exotel.on_call = look
    ticket = host.ticket()

    place_call(agent=host.agent(), ticket=ticket)

    assert seen == [("requested", "+919000001001", f"ticket_{ticket.pk}")]


def test_no_transaction_is_open_while_dialling(host: Any, exotel: Simulator) -> None:
    placing = connections["default"]
    seen: list[bool] = []

    def look(body: dict[str, Any]) -> None:
        raw: Any = placing.connection
        if connection.vendor == "postgresql":
            idle = raw.info.transaction_status.name == "IDLE"
        elif connection.vendor == "mysql":
            with raw.cursor() as cursor:
                cursor.execute("SELECT @@in_transaction")
                idle = cursor.fetchone() == (0,)
        else:
            idle = not raw.in_transaction
        seen.append(idle and not placing.in_atomic_block)

    exotel.on_call = look

    place_call(agent=host.agent(), ticket=host.ticket())

    assert seen == [True]


def test_eight_threads_with_one_key_place_one_call(host: Any, exotel: Simulator, posts: Posts) -> None:
    agent, ticket, user = host.agent(), host.ticket(), host.user("ravi", agent=None)
    barrier = threading.Barrier(8)

    def press(_number: int) -> int:
        try:
            barrier.wait()
            return place_call(agent=agent, ticket=ticket, placed_by=user, request_key="press 1").pk
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(press, range(8)))

    assert len(posts()) == 1
    assert keys == [CallRecord.objects.get().pk] * 8


def test_same_request_key_returns_the_first_call(host: Any, exotel: Simulator, posts: Posts) -> None:
    agent, ticket = host.agent(), host.ticket()
    first = place_call(agent=agent, ticket=ticket, request_key="press 1")

    again = place_call(agent=agent, ticket=ticket, request_key="press 1")

    assert again == first
    assert again.state == State.ACTIVE
    assert len(posts()) == 1


def test_calls_without_a_key_are_separate(host: Any, exotel: Simulator, posts: Posts) -> None:
    agent, ticket = host.agent(), host.ticket()

    first = place_call(agent=agent, ticket=ticket)
    exotel.wait_until_quiet()
    second = place_call(agent=agent, ticket=ticket)

    assert first != second
    assert len(posts()) == 2


@pytest.mark.parametrize(
    "other", ["agent", "number", "ticket", "reason", "custom field", "ExoPhone", "limit", "audio", "recording"]
)
def test_request_key_of_another_call_is_refused(host: Any, exotel: Simulator, posts: Posts, other: str) -> None:
    agent, ticket = host.agent(), host.ticket()
    given = {
        "agent": agent,
        "to": "+919000001001",
        "ticket": ticket,
        "max_time_limit": 600,
        "wait_audio_url": "https://crm.example.com/wait.wav",
        "recording": True,
        "request_key": "press 1",
    }
    first = place_call(**given)
    others: dict[str, Callable[[], dict[str, Any]]] = {
        "agent": lambda: {"agent": host.agent("Vik", "sip:vik4c1d77e2")},
        "number": lambda: {"to": "+919000001002"},
        "ticket": lambda: {"ticket": host.ticket("Loud fan")},
        "reason": lambda: {"override_reason": "They asked for it"},
        "custom field": lambda: {"custom_field": "ticket_0"},
        "ExoPhone": lambda: {"exophone": ExoPhone.objects.create(number="+918000000701")},
        "limit": lambda: {"max_time_limit": 60},
        "audio": lambda: {"wait_audio_url": "https://crm.example.com/other.wav"},
        "recording": lambda: {"recording": False},
    }
    changed = others[other]()

    with pytest.raises(RequestKeyReused, match="Give each call a request_key of its own") as raised:
        place_call(**given | changed)

    assert raised.value.call == first
    assert len(posts()) == 1


def test_second_call_with_a_request_key_may_leave_out_options(host: Any, exotel: Simulator, posts: Posts) -> None:
    agent, ticket, address = host.agent(), host.ticket(), "https://crm.example.com/wait.wav?name=Asha\x00\ud800"
    options: dict[str, Any] = {"max_time_limit": 600, "attempt_time_out": 30, "recording_channels": "dual"}
    options |= {"exophone": host.exophone, "custom_field": f"ticket_{ticket.pk}", "wait_audio_url": address}
    first = place_call(agent=agent, ticket=ticket, request_key="press 1", **options)

    again = place_call(agent=agent, ticket=ticket, request_key="press 1")

    assert again == first == place_call(agent=agent, ticket=ticket, request_key="press 1", **options)
    assert {**again.options, "wait_audio_url": ""} == {
        "max_time_limit": 600,
        "attempt_time_out": 30,
        "recording_channels": "dual",
        "wait_audio_url": "",
    }
    assert "Asha" not in str(again.options)
    assert len(posts()) == 1


def test_refused_request_stays_refused_by_exotel(host: Any, exotel: Simulator, posts: Posts) -> None:
    agent, ticket = host.agent("Ola", "+919000000103"), host.ticket()
    with pytest.raises(CallRefused) as first:
        place_call(agent=agent, ticket=ticket, request_key="press 1")
    exotel.agent("+919000000103").device = "on"

    with pytest.raises(CallRefused) as again:
        place_call(agent=agent, ticket=ticket, request_key="press 1")

    assert again.value.call == first.value.call
    assert (again.value.code, again.value.advice) == (first.value.code, first.value.advice)
    assert again.value.code == "1012"
    assert len(posts()) == 1


def test_refused_request_stays_refused_by_policy(host: Any, exotel: Simulator, posts: Posts) -> None:
    agent, ticket = host.agent(is_active=False), host.ticket()
    with pytest.raises(CallRefused) as first:
        place_call(agent=agent, ticket=ticket, request_key="press 1")
    Agent.objects.update(is_active=True)

    with pytest.raises(CallRefused, match=str(first.value.advice)[:20]) as again:
        place_call(agent=Agent.objects.get(), ticket=ticket, request_key="press 1")

    assert (again.value.call, again.value.code) == (first.value.call, "agent_inactive")
    assert posts() == []


def test_transaction_is_refused_with_the_line_to_write(host: Any, exotel: Simulator, posts: Posts) -> None:
    agent = host.agent()

    with pytest.raises(PlacedInsideTransaction) as raised, transaction.atomic():
        place_call(agent=agent, to="+919000001001")

    assert "transaction.on_commit(lambda: place_call(...))" in str(raised.value)
    assert "'default'" in str(raised.value)
    assert raised.value.alias == "default"
    assert posts() == []
    assert not CallRecord.objects.exists()


def test_on_commit_places_the_call(host: Any, exotel: Simulator, posts: Posts) -> None:
    agent = host.agent()

    with transaction.atomic():
        transaction.on_commit(lambda: place_call(agent=agent, to="+919000001001"))

    assert len(posts()) == 1


def test_transaction_on_another_database_is_refused(
    host: Any, exotel: Simulator, posts: Posts, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, other = host.agent(), connections.create_connection("default")
    other.alias = "reports"
    monkeypatch.setattr(connections, "all", lambda initialized_only=False: [connections["default"], other])
    other.connect()
    other.set_autocommit(False)
    try:
        with pytest.raises(PlacedInsideTransaction, match="'reports'"):
            place_call(agent=agent, to="+919000001001")
    finally:
        other.close()

    assert posts() == []


def test_disabled_autocommit_is_a_transaction(host: Any, exotel: Simulator, posts: Posts) -> None:
    agent = host.agent()
    transaction.set_autocommit(False)
    try:
        with pytest.raises(PlacedInsideTransaction, match="'default'"):
            place_call(agent=agent, to="+919000001001")
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)

    assert posts() == []


@pytest.mark.django_db
def test_hosts_testcase_can_place_calls(exotel: Simulator, posts: Posts) -> None:
    class HostTest(TestCase):
        def runTest(self) -> None:  # noqa: N802 - unittest's name
            agent = Agent.objects.create(name="Asha", contact_uri="+919000000101")
            ExoPhone.objects.create(number="+918000000700", is_default=True)
            call = place_call(agent=agent, to="+919000001001", request_key="a")
            assert place_call(agent=agent, to="+919000001001", request_key="a") == call
            assert CallRecord.objects.get().state == State.ACTIVE

    result = HostTest().run()

    assert result is not None
    assert (result.errors, result.failures) == ([], [])
    assert len(posts()) == 1


def test_lost_answer_of_the_commit_writes_one_call(
    host: Any, exotel: Simulator, posts: Posts, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, broken = transaction.atomic, iter([True])

    class AnswerLost:
        """A commit whose connection breaks after the server has committed."""

        def __init__(self, **kwargs: Any) -> None:
            self.block = real(**kwargs)

        def __enter__(self) -> None:
            self.block.__enter__()

        def __exit__(self, *exc: object) -> None:
            self.block.__exit__(*exc)
            if next(broken, False):
                raise OperationalError("server closed the connection unexpectedly")

    agent = host.agent()
    monkeypatch.setattr(transaction, "atomic", AnswerLost)

    call = place_call(agent=agent, to="+919000001001")

    assert CallRecord.objects.get() == call
    assert len(posts()) == 1
