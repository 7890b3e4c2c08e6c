"""Simulated time: a clock that can run faster than the machine's, and does planned work in a thread of its own."""

from __future__ import annotations

import logging
import sched
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

logger = logging.getLogger("django_exotel_ccm.simulator")


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
        self._planned = sched.scheduler(self.moment)
        self._thread = threading.Thread(target=self._run, name="exotel-simulator", daemon=True)

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

    def wait_real(self, seconds: float) -> None:
        """Wait real seconds. Raises StoppedError as soon as the simulator stops."""
        self.wait(seconds * self.speed)

    def wait_until(self, moment: float, unless: Callable[[], bool] = lambda: False) -> None:
        """Wait for the moment, or until `unless` returns True. Raises StoppedError.

        `unless` is called under the lock, each time something changed.
        """
        with self.changed:
            while not unless():
                left = (moment - self.moment()) / self.speed
                if self.stopped:
                    raise StoppedError
                if left <= 0:
                    return
                self.changed.wait(min(left, threading.TIMEOUT_MAX))

    def plan(self, moment: float, work: Callable[[], object]) -> None:
        """Do work at the moment, or at once if it has passed. The work has the lock, so it must not block."""
        with self.changed:
            self._planned.enterabs(moment, 0, work)
            self.changed.notify_all()

    def start(self) -> None:
        """Begin to do planned work."""
        self._thread.start()

    def stop(self) -> None:
        """Make every wait raise StoppedError, and end the thread."""
        with self.changed:
            self.stopped = True
            self.changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(1.0)

    def _run(self) -> None:
        with self.changed:
            while not self.stopped:
                try:
                    left = self._planned.run(blocking=False)
                except Exception:
                    logger.exception("The simulator failed in planned work")
                    continue
                self.changed.notify_all()  # of what the work changed
                self.changed.wait(left and min(left / self.speed, threading.TIMEOUT_MAX))


def checked_speed(speed: float) -> float:
    """Return the speed; ValueError if no clock can run at it."""
    if not 0.01 <= speed <= 1_000_000:
        raise ValueError(f"speed={speed!r}: write a number from 0.01 to 1000000, 1.0 being real time")
    return speed
