"""What commands say: how much there was, and how far they are while it takes long."""

from __future__ import annotations

import time
from typing import Protocol

EVERY = 5.0  # seconds between two lines


class Stream(Protocol):
    """Where the lines go: a command's ``stderr``."""

    def write(self, msg: str) -> None:
        """Write one line."""


class Progress:
    """Passes a line on when none was written for five seconds, and so none of a short run."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._last = time.monotonic()

    def __call__(self, text: str) -> None:
        """Write ``text``, or nothing if it is too early."""
        if time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            self._stream.write(text)


def several(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun: "1 call", "2 calls"."""
    return f"{count} {one if count == 1 else many or one + 's'}"
