"""200 means committed: a transaction that the database dropped is run again, and after three attempts answered 503."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import Error, InterfaceError, OperationalError, connection

from django_exotel_ccm import signals
from django_exotel_ccm.choices import EventKind, State
from django_exotel_ccm.models import Announcement, CallEvent
from django_exotel_ccm.services import record_event
from django_exotel_ccm.services.transactions import MAX_ATTEMPTS, NotCommitted
from tests.factories import Calls, body_of

LAST_STATEMENT = "exotel_ccm_announcement"


@contextmanager
def dropped(times: int) -> Iterator[list[int]]:
    """Make the database silently drop that many transactions: all statements succeed, nothing is committed.

    MariaDB does this after a deadlock inside a savepoint; Django then rolls the block back without an error.
    """
    drops: list[int] = []

    def drop(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("INSERT") and LAST_STATEMENT in sql and len(drops) < times:
            drops.append(1)
            context["connection"].set_rollback(True)
        return result

    with connection.execute_wrapper(drop):
        yield drops


@contextmanager
def failing(error: Exception, times: int) -> Iterator[list[int]]:
    """Make the INSERT of the event fail that many times."""
    failures: list[int] = []

    def fail(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("INSERT") and "exotel_ccm_callevent" in sql and len(failures) < times:
            failures.append(1)
            raise error
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail):
        yield failures


@pytest.fixture
def received(receivers: Callable[..., None]) -> list[str]:
    """What a receiver of call_ended received."""
    signals_received: list[str] = []
    receivers(signals.call_ended, lambda **kwargs: signals_received.append("ended"))
    return signals_received


@pytest.mark.parametrize("drops", range(1, MAX_ATTEMPTS))
def test_dropped_transaction_is_run_again(drops: int, real_calls: Calls, received: list[str]) -> None:
    call = real_calls.accepted()

    with dropped(drops) as seen:
        response = real_calls.deliver(call, body_of())

    assert (response.status_code, len(seen)) == (200, drops)
    assert real_calls.reread(call).state == State.ENDED
    assert CallEvent.objects.filter(kind=EventKind.CALLBACK).count() == 1
    # Receivers are called again on each attempt but the last, because they may be the cause.
    is_last = drops + 1 == MAX_ATTEMPTS
    assert len(received) == drops + (not is_last)
    assert Announcement.objects.get(key="ended").state == ("pending" if is_last else "done")


def test_dropped_three_times_is_answered_503(real_calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    call = real_calls.accepted()

    with dropped(MAX_ATTEMPTS) as seen:
        response = real_calls.deliver(call, body_of())
    assert (response.status_code, len(seen)) == (503, MAX_ATTEMPTS)
    assert real_calls.reread(call).state == State.ACTIVE
    assert not CallEvent.objects.filter(kind=EventKind.CALLBACK).exists()
    assert str(call.reference) in caplog.text

    assert real_calls.deliver(call, body_of()).status_code == 200
    assert real_calls.reread(call).state == State.ENDED


def test_record_event_raises_not_committed(real_calls: Calls) -> None:
    call = real_calls.accepted()
    real_calls.deliver(call, body_of())
    event = CallEvent.objects.get(kind=EventKind.CALLBACK)
    CallEvent.objects.filter(pk=event.pk).delete()
    Announcement.objects.all().delete()
    type(call).objects.filter(pk=call.pk).update(facts={}, state=State.REQUESTED)

    with dropped(MAX_ATTEMPTS), pytest.raises(NotCommitted):
        record_event(event)

    assert not CallEvent.objects.filter(kind=EventKind.CALLBACK).exists()


@pytest.mark.parametrize("error", [OperationalError("database is locked"), OperationalError("deadlock detected")])
def test_passing_failure_is_retried(error: Exception, real_calls: Calls) -> None:
    call = real_calls.accepted()

    with failing(error, MAX_ATTEMPTS - 1) as failures:
        response = real_calls.deliver(call, body_of())

    assert (response.status_code, len(failures)) == (200, MAX_ATTEMPTS - 1)
    assert real_calls.reread(call).state == State.ENDED


@pytest.mark.parametrize("error", [OperationalError("disk full"), InterfaceError("connection already closed"), Error()])
def test_lasting_failure_is_answered_503(error: Exception, real_calls: Calls) -> None:
    call = real_calls.accepted()

    with failing(error, 99):
        response = real_calls.deliver(call, body_of())

    assert (response.status_code, response.json()) == (503, {"detail": "Not stored; send it again."})
    assert real_calls.reread(call).state == State.ACTIVE


class BrokenConnection:
    """A body whose client has disconnected."""

    def read(self, *size: int) -> bytes:
        raise ConnectionResetError("gone")

    readline = read


def test_disconnected_client_is_answered_503(calls: Calls) -> None:
    call = calls.accepted()

    broken: dict[str, Any] = {"wsgi.input": BrokenConnection()}
    response = calls.deliver(call, body_of(), **broken)

    assert response.status_code == 503
    assert not CallEvent.objects.filter(kind=EventKind.CALLBACK).exists()
