"""The comparison at the end of every test finds what differs, and is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services import place_call
from tests import book


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What has been compared; asked when the fixture of the simulator is over."""
    seen: list[Any] = []
    monkeypatch.setattr(book, "assert_record_equals_book", seen.append)
    yield seen
    assert len(seen) == 1


def test_every_test_ends_with_a_comparison(compared: list[Any], exotel: Any) -> None:
    assert compared == []


def test_a_call_that_still_goes_on_is_compared_when_it_is_over(
    host: Any, exotel: Any, compare_books: Callable[..., None]
) -> None:
    exotel.speed = 1.0
    call = place_call(agent=host.agent(), ticket=host.ticket())

    compare_books(exotel)

    call.refresh_from_db()
    assert (call.state, call.talk_time) == ("ended", 42)


@pytest.mark.parametrize("falsify", [{"talk_time": 41}, {"outcome": "busy"}, {"custom_field": "ticket_0"}])
@pytest.mark.books_differ(reason="the test falsifies the database")
def test_a_falsified_record_is_found(host: Any, exotel: Any, falsify: dict[str, Any]) -> None:
    place_call(agent=host.agent(), ticket=host.ticket())
    exotel.wait_until_quiet()
    book.assert_record_equals_book(exotel)

    CallRecord.objects.update(**falsify)

    with pytest.raises(AssertionError):
        book.assert_record_equals_book(exotel)


@pytest.mark.books_differ(reason="the test falsifies the database")
def test_a_delivery_that_the_ledger_lacks_is_found(host: Any, exotel: Any) -> None:
    place_call(agent=host.agent(), ticket=host.ticket())
    exotel.wait_until_quiet()

    CallEvent.objects.filter(event="terminal").delete()

    with pytest.raises(AssertionError, match=r"terminal of .* was acknowledged and is 0 times in the ledger"):
        book.assert_record_equals_book(exotel)
