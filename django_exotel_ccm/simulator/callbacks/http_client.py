"""Posts one callback: bounded in time, to this machine only, and broken off when the simulator stops."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
from urllib.parse import urlsplit

from django_exotel_ccm.simulator.clock import Clock, StoppedError

ACKNOWLEDGE_WITHIN = 15.0  # simulated seconds
AT_LEAST = 2.0  # real seconds: however fast the clock, the application runs in real time
NOT_SENT = (
    "not delivered: the simulator reports to this machine only. Set CALLBACK_BASE_URL to http://127.0.0.1:8000, "
    "or in a test start the simulator with deliver_anywhere=True"
)


class HttpClient:
    """Posts callbacks, each over a connection of its own."""

    def __init__(self, clock: Clock, *, deliver_anywhere: bool) -> None:
        self._clock = clock
        self._deliver_anywhere = deliver_anywhere
        self._sockets: set[socket.socket] = set()
        self.paused = False
        """While it is set, a connection that opens all the same is broken off."""

    def post(self, url: str, content_type: str, content: bytes) -> tuple[int | None, str]:
        """Try once; return the status, or None and the reason. A redirect is not followed. StoppedError."""
        try:
            if not (self._deliver_anywhere or is_loopback(url)):
                return None, NOT_SENT
            return self._send(url, content_type, content), ""
        except (OSError, http.client.HTTPException, ValueError) as problem:
            if self._clock.stopped:
                raise StoppedError from problem
            return None, f"{type(problem).__name__}: {problem}"

    def pause(self) -> None:
        """Break off what is being sent, and what opens from now on."""
        with self._clock.changed:
            self.paused = True
            self.break_off()

    def break_off(self) -> None:
        """Break off what is being sent: the receiver may have got it, but its answer is lost."""
        with self._clock.changed:
            for connection in self._sockets:
                shut_down(connection)

    def _send(self, url: str, content_type: str, content: bytes) -> int:
        parts = urlsplit(url)
        patience = max(AT_LEAST, ACKNOWLEDGE_WITHIN / self._clock.speed)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=patience)
        connection.connect()
        opened = connection.sock
        try:
            self._watch(opened)
            target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
            headers = {"Content-Type": content_type, "User-Agent": "exotel-simulator", "Connection": "close"}
            connection.request("POST", target, content, headers)
            with connection.getresponse() as answer:
                return answer.status
        finally:
            with self._clock.changed:
                self._sockets.discard(opened)
            connection.close()

    def _watch(self, connection: socket.socket) -> None:
        with self._clock.changed:
            self._sockets.add(connection)
            if self._clock.stopped or self.paused:
                shut_down(connection)


def shut_down(connection: socket.socket) -> None:
    """Make every thread that waits for this socket go on."""
    with contextlib.suppress(OSError):  # it may have been closed meanwhile
        connection.shutdown(socket.SHUT_RDWR)


def is_loopback(url: str) -> bool:
    """Return True if the URL leads to this machine. ValueError if it is no URL."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False
