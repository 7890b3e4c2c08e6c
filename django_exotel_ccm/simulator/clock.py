"""A clock that can run faster than the wall's, and the one lock under which the simulator changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

LONGEST_NAP = 3600.0  # seconds; what a thread may be asked to wait in one piece has a limit on every system


class StoppedError(Exception):
    """The simulator was stopped while somebody waited on its clock."""


def always_false() -> bool:
    """Nothing to wait for but the time."""
    return False


class Clock:
    """Simulated time. `speed` 60 lets a minute pass in a second.

    Moments are simulated seconds since the start.

    `changed` is the lock of the whole simulator: hold it to change anything, notify it when you have.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._lock = threading.RLock()
        self._conditions: list[threading.Condition] = []
        self.changed = self.condition()
        self.stopped = False
        self._epoch = datetime.now(UTC)
        # A moment, the machine's time then, the speed since: one value, as it is read without the lock.
        self._anchor = (0.0, time.monotonic(), checked_speed(speed))

    def condition(self) -> threading.Condition:
        """A condition of the same lock, for those who need not be woken by every change."""
        made = threading.Condition(self._lock)
        with self._lock:
            self._conditions.append(made)
        return made

    @property
    def speed(self) -> float:
        """Simulated seconds in a real one; may be changed while the clock runs."""
        return self._anchor[2]

    @speed.setter
    def speed(self, speed: float) -> None:
        checked_speed(speed)
        with self._lock:
            self._anchor = (self.moment(), time.monotonic(), speed)
            self._wake_everybody()

    def moment(self) -> float:
        """Simulated seconds since the simulator started."""
        moment, really_at, speed = self._anchor
        return moment + (time.monotonic() - really_at) * speed

    def now(self) -> datetime:
        """The simulated time of day, aware, UTC."""
        return self.at(self.moment())

    def at(self, moment: float) -> datetime:
        """The simulated time of day at a moment, aware, UTC."""
        return self._epoch + timedelta(seconds=moment)

    def wait(self, seconds: float) -> None:
        """Let simulated seconds pass. Raises StoppedError as soon as the simulator stops."""
        self.wait_until(self.moment() + seconds)

    def wait_until(self, moment: float, unless: Callable[[], bool] = always_false) -> bool:
        """Wait for the moment, or for `unless` to come true: then the answer is True.

        `unless` is asked under the lock, each time something changed. Raises StoppedError.
        """
        with self._lock:
            while not unless():
                if self.moment() >= moment:
                    return False
                self.wait_on(self.changed, moment)
            return True

    def wait_on(self, condition: threading.Condition, moment: float) -> None:
        """Wait for a notification or for the moment, whatever comes first; StoppedError. Hold the lock."""
        left = (moment - self.moment()) / self.speed
        if not self.stopped and left > 0:
            condition.wait(min(left, LONGEST_NAP))
        if self.stopped:
            raise StoppedError

    def stop(self) -> None:
        """Wake everybody who waits, with StoppedError."""
        with self._lock:
            self.stopped = True
            self._wake_everybody()

    def _wake_everybody(self) -> None:
        for condition in self._conditions:
            condition.notify_all()


def checked_speed(speed: float) -> float:
    """The speed, if a clock can run at it; else ValueError."""
    if not 0.01 <= speed <= 1_000_000:
        raise ValueError(f"speed={speed!r}: write a number from 0.01 to 1000000, 1.0 being real time")
    return speed
