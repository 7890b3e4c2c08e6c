"""Concurrent clients that deliver callbacks as Exotel does, and record each status."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

TRIES = 3  # Exotel's
PAUSE = 0.2  # seconds before the next; Exotel's are minutes
PATIENCE = 60  # seconds for an answer
HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Callback:
    """A callback: its call and event, the path of its signed URL, its body."""

    reference: str
    event: str
    path: str
    body: bytes


@dataclass
class Statuses:
    """The statuses of each callback, in order; None where the connection broke."""

    of: dict[Callback, list[int | None]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def note(self, callback: Callback, status: int | None) -> None:
        """Write an answer down."""
        with self.lock:
            self.of.setdefault(callback, []).append(status)

    def all(self) -> list[int | None]:
        """Return every answer."""
        with self.lock:
            return [status for statuses in self.of.values() for status in statuses]

    def stored(self) -> set[Callback]:
        """Return the callbacks that were answered as stored."""
        with self.lock:
            return {callback for callback, statuses in self.of.items() if any(map(is_stored, statuses))}


def is_stored(status: int | None) -> bool:
    """Return True if the status means that Exotel does not send the callback again."""
    return status is not None and 200 <= status < 300


class Client:
    """One connection, kept open, to one server."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE)

    def deliver(self, callback: Callback) -> int | None:
        """Send a callback once; return the status, None when there was none."""
        try:
            self._connection.request("POST", callback.path, callback.body, HEADERS)
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return None
        return response.status

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def deliver_all(
    urls: Sequence[str],
    callbacks: Iterable[Callback],
    *,
    clients: int,
    seed: int = 0,
    tries: int = TRIES,
    statuses: Statuses | None = None,
) -> Statuses:
    """Deliver the callbacks, shuffled with ``seed``, by so many clients at once; return every answer.

    A callback that is not answered 2xx is tried again, as Exotel does. ``statuses`` can be watched meanwhile.
    """
    shuffled = list(callbacks)
    random.Random(seed).shuffle(shuffled)
    waiting, statuses = deque(shuffled), statuses or Statuses()

    def work(client: Client) -> None:
        while True:
            try:
                callback = waiting.popleft()
            except IndexError:
                return
            for attempt in range(tries):
                time.sleep(PAUSE * bool(attempt))
                status = client.deliver(callback)
                statuses.note(callback, status)
                if is_stored(status):
                    break

    at_once([urls[number % len(urls)] for number in range(clients)], work)
    return statuses


def at_once(urls: Sequence[str], work: Callable[[Client], None]) -> None:
    """Have a client for each of ``urls`` work, all beginning in the same moment; return when all are done."""
    barrier = threading.Barrier(len(urls))
    failed: list[BaseException] = []

    def run(url: str) -> None:
        client = Client(url)
        try:
            barrier.wait(10)
            work(client)
        except BaseException as error:  # noqa: BLE001 - it is the test's own, and raised there
            failed.append(error)
        finally:
            client.close()

    threads = [threading.Thread(target=run, args=[url]) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
