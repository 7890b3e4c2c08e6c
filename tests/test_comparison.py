"""The comparison of book and database at the end of a test: it is made, and finds what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services import place_call
from tests import comparison


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Collect what is compared when the fixture of the simulator ends."""
    seen: list[Any] = []
    monkeypatch.setattr(comparison, "assert_record_equals_book", seen.append)
    yield seen
    assert len(seen) == 1


def test_comparison_is_made_after_the_test(compared: list[Any], exotel: Any) -> None:
    assert compared == []


def test_running_call_is_compared_when_it_is_over(host: Any, exotel: Any, compare_books: Callable[..., None]) -> None:
    exotel.speed = 1.0
    call = place_call(agent=host.agent(), ticket=host.ticket())

    compare_books(exotel)

    call.refresh_from_db()
    assert (call.state, call.talk_time) == ("ended", 42)


@pytest.mark.books_differ(reason="the callbacks are awaited also where nothing is compared")
def test_callbacks_do_not_outlive_their_test(host: Any, exotel: Any, compare_books: Callable[..., None]) -> None:
    exotel.speed = 1.0
    call = place_call(agent=host.agent(), ticket=host.ticket())

    compare_books(exotel)

    call.refresh_from_db()
    assert call.state == "ended"


@pytest.mark.parametrize("falsify", [{"talk_time": 41}, {"outcome": "busy"}, {"custom_field": "ticket_0"}])
@pytest.mark.books_differ(reason="the test falsifies the database")
def test_falsified_record_is_found(host: Any, exotel: Any, falsify: dict[str, Any]) -> None:
    place_call(agent=host.agent(), ticket=host.ticket())
    exotel.wait_until_quiet()
    comparison.assert_record_equals_book(exotel)

    CallRecord.objects.update(**falsify)

    with pytest.raises(AssertionError):
        comparison.assert_record_equals_book(exotel)


@pytest.mark.books_differ(reason="the test falsifies the database")
def test_missing_event_is_found(host: Any, exotel: Any) -> None:
    place_call(agent=host.agent(), ticket=host.ticket())
    exotel.wait_until_quiet()

    CallEvent.objects.filter(event="terminal").delete()

    with pytest.raises(AssertionError, match=r"terminal of .* was acknowledged and is 0 times in the ledger"):
        comparison.assert_record_equals_book(exotel)
