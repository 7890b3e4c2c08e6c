"""A call that may have rung is unconfirmed and is never dialled again."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection

from django_exotel_ccm import signals
from django_exotel_ccm.choices import State
from django_exotel_ccm.exceptions import CallRefused
from django_exotel_ccm.exotel.client import ExotelClient
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services import place_call, placing, transactions
from django_exotel_ccm.simulator import Simulator
from tests.factories import record_callback
from tests.servers.scripted_http import answering, http, serving, silent

Posts = Callable[[], list[Any]]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (silent, "timeout"),
        (answering(http(502, b"<html>Bad gateway</html>")), "http_502"),
        (answering(http(200, {"http_code": 200, "response": {}})), "no_call_sid"),
    ],
)
def test_inconclusive_answers(host: Any, monkeypatch: pytest.MonkeyPatch, script: Any, code: str) -> None:
    monkeypatch.setattr(placing, "ExotelClient", functools.partial(ExotelClient, read_timeout=0.3))
    with serving(script) as server:
        monkeypatch.setenv("EXOTEL_URL", f"exotel://K:T@127.0.0.1:{server.port}/acme1?tls=off")

        call = place_call(agent=host.agent(), ticket=host.ticket())

    assert len(server.requests) == 1
    assert call.state == CallRecord.objects.get().state == State.UNCONFIRMED
    event = call.events.get()
    assert (event.code, event.verdict) == (code, State.UNCONFIRMED)
    assert "not known whether" in event.advice
    assert CallRecord.objects.get().next_check_at is not None
    assert not Announcement.objects.exists()


def test_internal_error_may_ring(host: Any, exotel: Simulator, posts: Posts) -> None:
    call = place_call(agent=host.agent(), ticket=host.ticket(phone="+919000001101"))

    assert call.state == State.UNCONFIRMED
    assert (call.refusal_code, call.outcome) == ("", "")
    assert len(posts()) == 1
    assert len(exotel.book.calls) == 1  # it does ring


@pytest.mark.books_differ(reason="the test sends the callback instead of Exotel")
def test_callback_settles_an_unconfirmed_call(
    host: Any, exotel: Simulator, posts: Posts, receivers: Callable[..., None]
) -> None:
    received: list[str] = []
    for name in ("call_accepted", "call_refused", "call_answered", "call_ended"):
        receivers(getattr(signals, name), lambda name=name, **kwargs: received.append(name))
    exotel.options.refuse_with = 1100
    call = place_call(agent=host.agent(), ticket=host.ticket())

    record_callback(call, "terminal", call_sid="sid1", status="completed", talk_time=42)

    call.refresh_from_db()
    assert (call.state, call.call_sid, call.talk_time) == (State.ENDED, "sid1", 42)
    assert received == ["call_accepted", "call_ended"]


def test_repeated_request_after_unconfirmed_dials_nothing(host: Any, exotel: Simulator, posts: Posts) -> None:
    exotel.options.refuse_with = 1100
    agent, ticket = host.agent(), host.ticket()
    first = place_call(agent=agent, ticket=ticket, request_key="press 1")

    assert place_call(agent=agent, ticket=ticket, request_key="press 1") == first
    assert len(posts()) == 1


@contextmanager
def database_gone(times: int, error: Exception) -> Iterator[None]:
    """Make that many statements about events fail."""
    left = [times]

    def fail(execute: Any, sql: str, *arguments: Any) -> Any:
        if "exotel_ccm_callevent" in sql and left[0]:
            left[0] -= 1
            raise error
        return execute(sql, *arguments)

    with connection.execute_wrapper(fail):
        yield


@pytest.fixture
def pauses_made(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses made; only these pass time."""
    pauses: list[float] = []
    time = SimpleNamespace(monotonic=lambda: 1000.0 + sum(pauses), sleep=pauses.append)
    monkeypatch.setattr(placing, "time", time)
    monkeypatch.setattr(transactions, "time", SimpleNamespace(sleep=lambda seconds: None))
    return pauses


@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("connection already closed")])
def test_saving_the_answer_is_retried(
    host: Any, exotel: Simulator, posts: Posts, pauses_made: list[float], error: Exception
) -> None:
    agent, ticket = host.agent(), host.ticket()

    with database_gone(5, error):
        call = place_call(agent=agent, ticket=ticket)

    assert pauses_made == [0.5]  # three times in one unit of work, twice in the next
    assert call.state == CallRecord.objects.get().state == State.ACTIVE
    assert CallEvent.objects.count() == 1
    assert len(posts()) == 1


@pytest.mark.books_differ(reason="the answer is lost for good")
def test_unsaved_answer_is_logged(
    host: Any, exotel: Simulator, posts: Posts, pauses_made: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    agent, ticket = host.agent(), host.ticket()

    with database_gone(10_000, OperationalError("gone")), caplog.at_level(logging.ERROR):
        call = place_call(agent=agent, ticket=ticket)

    [sid] = exotel.book.calls
    assert sum(pauses_made) == 10.0
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert str(call.reference) in record.getMessage()
    assert sid in record.getMessage()
    assert (call.state, call.call_sid) == (State.ACTIVE, sid)
    assert CallRecord.objects.get().state == State.REQUESTED
    assert CallRecord.objects.get().next_check_at is not None
    assert len(posts()) == 1


@pytest.mark.books_differ(reason="the answer is lost for good")
def test_unsaved_refusal_is_raised(host: Any, exotel: Simulator, posts: Posts, pauses_made: list[float]) -> None:
    exotel.options.refuse_with = 1012
    agent, ticket = host.agent(), host.ticket()

    with database_gone(10_000, OperationalError("gone")), pytest.raises(CallRefused) as raised:
        place_call(agent=agent, ticket=ticket)

    assert (raised.value.code, raised.value.call.state) == ("1012", State.REFUSED)
