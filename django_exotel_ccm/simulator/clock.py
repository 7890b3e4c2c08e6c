"""Simulated time: a clock that can run faster than the machine's, and a thread that does planned work."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import math
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

logger = logging.getLogger("django_exotel_ccm.simulator")

LONGEST_WAIT = 3600.0  # seconds; every system limits how long a thread may wait in one piece


class StoppedError(Exception):
    """The simulator was stopped while somebody waited on its clock."""


class Clock:
    """Simulated time. At `speed` 60 a minute passes in a second. A moment is simulated seconds since the start.

    `changed` holds the one lock of the simulator: hold it to change anything, and notify it afterwards.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.stopped = False
        self._epoch = datetime.now(UTC)
        # A moment, the machine's time then, the speed since: one tuple, because it is read without the lock.
        self._anchor = (0.0, time.monotonic(), checked_speed(speed))

    @property
    def speed(self) -> float:
        """Simulated seconds in a real one; may be changed while the clock runs."""
        return self._anchor[2]

    @speed.setter
    def speed(self, speed: float) -> None:
        with self.changed:
            self._anchor = (self.moment(), time.monotonic(), checked_speed(speed))
            self.changed.notify_all()

    def moment(self) -> float:
        """Return the simulated seconds since the simulator started."""
        moment, real, speed = self._anchor
        return moment + (time.monotonic() - real) * speed

    def now(self) -> datetime:
        """Return the simulated time, aware, UTC; it runs ahead of the machine's at a speed above 1."""
        return self._epoch + timedelta(seconds=self.moment())

    def wait(self, seconds: float) -> None:
        """Wait simulated seconds. Raises StoppedError as soon as the simulator stops."""
        self.wait_until(self.moment() + seconds)

    def wait_until(self, moment: float, unless: Callable[[], bool] = lambda: False) -> bool:
        """Wait for the moment, or until `unless` returns True: then return True. Raises StoppedError.

        `unless` is called under the lock, each time something changed.
        """
        with self.changed:
            while not unless():
                left = (moment - self.moment()) / self.speed
                if self.stopped:
                    raise StoppedError
                if left <= 0:
                    return False
                self.changed.wait(min(left, LONGEST_WAIT))
            return True

    def stop(self) -> None:
        """Make every wait raise StoppedError."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()


def checked_speed(speed: float) -> float:
    """Return the speed; ValueError if no clock can run at it."""
    if not 0.01 <= speed <= 1_000_000:
        raise ValueError(f"speed={speed!r}: write a number from 0.01 to 1000000, 1.0 being real time")
    return speed


class Scheduler:
    """Does work at simulated moments, in one thread and under the simulator's lock, so the work must not block."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._numbers = itertools.count()
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._thread = threading.Thread(target=self._run, name="exotel-simulator", daemon=True)
        self._thread.start()

    def add(self, moment: float, work: Callable[[], None]) -> None:
        """Do the work at the moment, or at once if it has passed."""
        with self._clock.changed:
            heapq.heappush(self._entries, (moment, next(self._numbers), work))
            self._clock.changed.notify_all()

    def join(self) -> None:
        """Wait for the thread. The clock must have been stopped before."""
        self._thread.join(1.0)

    def _run(self) -> None:
        with contextlib.suppress(StoppedError), self._clock.changed:
            while True:
                first = self._entries[0][0] if self._entries else math.inf
                if not self._clock.wait_until(first, unless=partial(self._has_earlier, first)):
                    self._do(heapq.heappop(self._entries)[2])

    def _has_earlier(self, moment: float) -> bool:
        return bool(self._entries) and self._entries[0][0] < moment

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            logger.exception("The simulator failed in planned work")
