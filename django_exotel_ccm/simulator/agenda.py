"""What is to be done at which simulated moment: one thread does all of it, so nothing on it may block."""

from __future__ import annotations

import heapq
import itertools
import logging
import math
import threading
from collections.abc import Callable

from django_exotel_ccm.simulator.clock import Clock, StoppedError

logger = logging.getLogger("django_exotel_ccm.simulator")

Work = Callable[[], None]


class Agenda:
    """Does work at simulated moments, in their order, under the simulator's lock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._earlier = clock.condition()
        self._numbers = itertools.count()
        self._entries: list[tuple[float, int, Work]] = []
        self._thread: threading.Thread | None = None

    def add(self, moment: float, work: Work) -> None:
        """Do the work at the moment, or at once if it has passed."""
        with self._clock.changed:
            entry = (moment, next(self._numbers), work)
            heapq.heappush(self._entries, entry)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="exotel-simulator", daemon=True)
                self._thread.start()
            if self._entries[0] is entry:
                self._earlier.notify()

    def join(self, seconds: float) -> None:
        """Wait for the thread. The clock must have been stopped before."""
        if self._thread:
            self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            try:
                with self._clock.changed:
                    self._clock.wait_on(self._earlier, self._entries[0][0] if self._entries else math.inf)
                    if self._entries and self._entries[0][0] <= self._clock.moment():
                        heapq.heappop(self._entries)[2]()
            except StoppedError:
                return
            except Exception:
                logger.exception("The simulator failed to lead a call")
