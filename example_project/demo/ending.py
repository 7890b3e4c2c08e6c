"""How the demo ends: Ctrl-C, a polite kill, a closed terminal, or the death of whoever started it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # not every system has all of them
STARTED_BY = os.getppid()
NAP = 0.2  # seconds


class Ended(Exception):
    """Somebody ended the demo. ``status`` is the exit status that shells expect after the signal."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@contextmanager
def by_signals() -> Iterator[None]:
    """Raise :class:`Ended` where the demo is, so that everything on the way out is closed."""
    known = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    # Whoever starts a demo with nohup wants it to outlive the terminal.
    known = [one for one in known if one.name != "SIGHUP" or signal.getsignal(one) != signal.SIG_IGN]

    def end(number: int, frame: FrameType | None) -> None:
        for one in known:
            signal.signal(one, signal.SIG_IGN)  # the way out is short: a second Ctrl-C shall not break it off
        raise Ended(128 + number)

    before = {one: signal.signal(one, end) for one in known}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def nap() -> None:
    """Wait a moment; end with whoever started the demo, who may have been killed without a word."""
    if os.getppid() != STARTED_BY:
        raise Ended(1)
    time.sleep(NAP)


def wait_for_ctrl_c() -> None:
    """Wait until the demo is ended; that is how it is meant to end, so it is no failure."""
    try:
        while True:
            nap()
    except Ended as ended:
        ended.status = 0
        raise
