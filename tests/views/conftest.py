"""The session of somebody who may do all that an agent does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.admin.pages import AGENT_WORK, SEES_CALLS, SEES_NUMBERS, Session
from tests.views.recording_player import RecordingPlayer


@pytest.fixture
def session(host: Any) -> Session:
    return Session(host.user("asha", *AGENT_WORK, SEES_CALLS, SEES_NUMBERS))


def orders(exotel: Any) -> list[Any]:
    """Return the calls that Exotel was asked to place."""
    return [seen.body for seen in exotel.book.requests if seen.method == "POST"]


@pytest.fixture
def exotel(exotel: Any) -> Any:
    """The simulated Exotel at the pace of real phones: a call that nobody answers rings longer than a test."""
    exotel.speed = 1.0
    return exotel


@pytest.fixture
def player(host: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingPlayer]:
    """Return what keeps, makes and plays recordings."""
    with ExitStack() as stack:
        yield RecordingPlayer(host, monkeypatch, stack)
