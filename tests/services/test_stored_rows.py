"""A host that listens to the rows of this package, for an audit log or a search index, hears of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models.signals import post_save, pre_save

from django_exotel_ccm.models import CallRecord
from tests.factories import Calls, body_of

Saved = list[tuple[str, bool, bool]]


@pytest.fixture
def saved() -> Iterator[Saved]:
    """The rows that are saved: model, whether the row is new, and whether it has a key."""
    found: Saved = []
    before: list[str] = []

    def receive_before(sender: Any, **kwargs: Any) -> None:
        before.append(sender.__name__)

    def receive(sender: Any, instance: Any, created: bool, **kwargs: Any) -> None:
        found.append((sender.__name__, created, instance.pk is not None))
        assert sender.__name__ in before

    pre_save.connect(receive_before)
    post_save.connect(receive)
    yield found
    pre_save.disconnect(receive_before)
    post_save.disconnect(receive)


def test_each_row_of_a_callback_is_signalled(saved: Saved, real_calls: Calls) -> None:
    call = real_calls.accepted()
    saved.clear()

    real_calls.deliver(call, body_of("answered"), "answered")

    assert saved == [("CallEvent", True, True), ("CallRecord", False, True), ("Announcement", True, True)]


def test_saved_columns_are_named(real_calls: Calls) -> None:
    call = real_calls.accepted()
    named: list[Any] = []

    def receive(update_fields: Any, **kwargs: Any) -> None:
        named.append(update_fields)

    post_save.connect(receive, sender=CallRecord)
    try:
        real_calls.deliver(call, body_of("answered"), "answered")
    finally:
        post_save.disconnect(receive, sender=CallRecord)

    [columns] = named
    assert {"answered_at", "facts", "events_stored"} <= columns
    assert "customer_number" not in columns


def test_database_that_returns_no_keys(saved: Saved, real_calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    call = real_calls.accepted()
    saved.clear()

    with monkeypatch.context() as patch:
        if connection.vendor != "postgresql":  # it always returns them
            patch.setattr(connection.features, "can_return_columns_from_insert", False)
        real_calls.deliver(call, body_of("answered"), "answered")

    assert saved == [("CallEvent", True, True), ("CallRecord", False, True), ("Announcement", True, True)]
