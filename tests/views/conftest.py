"""The session of an agent, the simulated Exotel, and recordings."""

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


@pytest.fixture
def exotel(exotel: Any) -> Any:
    """The simulated Exotel in real time: an unanswered call rings longer than a test lasts."""
    exotel.speed = 1.0
    return exotel


@pytest.fixture
def player(host: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingPlayer]:
    """Serves recordings, makes calls that have them, and logs listeners in."""
    with ExitStack() as stack:
        yield RecordingPlayer(host, monkeypatch, stack)
