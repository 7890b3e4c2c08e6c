"""Posts one callback: bounded in time, to this machine only, and broken off when the simulator stops."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.util import parse_url

from django_exotel_ccm.simulator.callbacks import flat_fields
from django_exotel_ccm.simulator.clock import Clock, StoppedError
from django_exotel_ccm.simulator.options import CallbackShape

ACKNOWLEDGE_WITHIN = 15.0  # simulated seconds
AT_LEAST = 2.0  # real seconds: however fast the clock, the application runs in real time
REFUSED = (
    "not delivered: the simulator reports to this machine only. Set CALLBACK_BASE_URL to http://127.0.0.1:8000, "
    "or in a test start the simulator with deliver_anywhere=True"
)


@dataclass(frozen=True)
class Posted:
    """What became of a request: the receiver's status, or without one the reason."""

    status: int | None = None
    error: str = ""
    content_type: str = ""


class Poster:
    """Sends callbacks, each over a connection of its own."""

    def __init__(self, clock: Clock, *, deliver_anywhere: bool) -> None:
        self._clock = clock
        self._deliver_anywhere = deliver_anywhere
        self._adapter = WatchedAdapter(self._watch)
        self._sockets: set[socket.socket] = set()
        self.away = False
        """Is nothing to be sent? A connection that opens all the same is broken off."""

    def post(self, url: str, shape: CallbackShape, body: dict[str, Any]) -> Posted:
        """One try. Only a 2xx counts: a redirect is a failure and is not followed. StoppedError."""
        content_type = ""
        try:
            prepared = requests.Request("POST", url, **encoded_body(shape, body)).prepare()
            content_type = prepared.headers["Content-Type"]
            if not (self._deliver_anywhere or is_loopback(prepared.url or "")):
                return Posted(error=REFUSED, content_type=content_type)
            return Posted(status=self._send(prepared), content_type=content_type)
        except (requests.RequestException, ValueError) as problem:
            if self._clock.stopped:
                raise StoppedError from problem
            return Posted(error=f"{type(problem).__name__}: {problem}", content_type=content_type)

    def break_off(self) -> None:
        """Break off what is being sent: the receiver may have understood, but its answer is not heard."""
        with self._clock.changed:
            for connection in self._sockets:
                shut(connection)

    def _send(self, prepared: requests.PreparedRequest) -> int:
        patience = max(AT_LEAST, ACKNOWLEDGE_WITHIN / self._clock.speed)
        # The adapter itself, without a session: no proxies, no redirects, nothing from the environment.
        prepared.headers.update({"User-Agent": "exotel-simulator", "Accept": "*/*", "Connection": "close"})
        with self._adapter.send(prepared, timeout=patience, stream=True) as response:
            return response.status_code

    def _watch(self, connection: socket.socket) -> None:
        with self._clock.changed:
            self._sockets = {known for known in self._sockets if known.fileno() != -1} | {connection}
            if self._clock.stopped or self.away:
                shut(connection)


def shut(connection: socket.socket) -> None:
    """Break off whatever a thread waits for on this socket."""
    with contextlib.suppress(OSError):  # it may have been closed meanwhile
        connection.shutdown(socket.SHUT_RDWR)


class WatchedAdapter(HTTPAdapter):
    """An adapter of requests that reports each socket it opens: shut, it breaks a blocked delivery off."""

    def __init__(self, watch: Callable[[socket.socket], None]) -> None:
        self._watch = watch
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Build the pools over connections that report their socket."""
        super().init_poolmanager(*args, **kwargs)
        watch = self._watch

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                watch(self.sock)

        plain_pool = type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": Plain})
        self.poolmanager.pool_classes_by_scheme = {**self.poolmanager.pool_classes_by_scheme, "http": plain_pool}


def encoded_body(shape: CallbackShape, body: dict[str, Any]) -> dict[str, Any]:
    """The body as arguments for `requests.Request`."""
    if shape == "v1_form":
        return {"data": flat_fields(body)}
    if shape == "v1_multipart":
        return {"files": {name: (None, value) for name, value in flat_fields(body).items()}}
    return {"data": json.dumps(body).encode(), "headers": {"Content-Type": "application/json"}}


def is_loopback(url: str) -> bool:
    """Does the URL, read as urllib3 reads it when it connects, lead to this machine?"""
    host = (parse_url(url).host or "").strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
