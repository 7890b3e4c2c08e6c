"""One demo at a time sets up the database and places its first call: two at once would do both halves twice."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.console import Trouble, say
from demo.ending import NAP, nap

if sys.platform != "win32":
    import fcntl

PATIENCE = 120.0  # seconds for the other demo's set-up and call


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder. The system lets go of it when this process ends, however it ends, so no lock is left behind."""
    if sys.platform == "win32":
        yield  # two demos at once are not guarded there
        return
    held = os.open(folder, os.O_RDONLY)
    try:
        _wait_for(held)
        yield
    finally:
        os.close(held)


def _wait_for(held: int) -> None:
    for turn in range(int(PATIENCE / NAP)):
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if turn == 0:
                say("Another demo places its first call just now; this one waits for it.")
            nap()
        else:
            return
    raise Trouble("another demo has been at work for too long. End it, then start this one again.")
