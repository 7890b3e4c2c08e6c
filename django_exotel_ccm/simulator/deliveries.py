"""Delivers callbacks: each is tried up to three times, until it is acknowledged (contract 4.6)."""

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

from django_exotel_ccm.simulator.book import Book, Delivery
from django_exotel_ccm.simulator.clock import Clock, StoppedError
from django_exotel_ccm.simulator.options import CallbackShape
from django_exotel_ccm.simulator.wire import flat_fields

ACKNOWLEDGE_WITHIN = 15.0  # simulated seconds
AT_LEAST = 2.0  # real seconds: however fast the clock, the application runs in real time
SPACING = (300.0, 900.0)  # simulated seconds before the second and the third try
REFUSED = "not delivered: only loopback addresses are, unless you say deliver_anywhere=True"


@dataclass
class Errand:
    """One callback to be delivered: body and address are fixed when the event happens."""

    call_sid: str
    event: str
    url: str
    shape: CallbackShape
    body: dict[str, Any]
    after: Errand | None = None
    tries: int = 0
    done: bool = False

    def __str__(self) -> str:
        return f"callback {self.event} of call {self.call_sid}, tried {self.tries} times"


class Courier:
    """Delivers callbacks, each in a thread of its own; books every try."""

    def __init__(self, clock: Clock, book: Book, *, deliver_anywhere: bool) -> None:
        self._clock = clock
        self._book = book
        self._deliver_anywhere = deliver_anywhere
        self._sockets: set[socket.socket] = set()
        self._last: dict[str, Errand] = {}
        self.errands: list[Errand] = []

    def send(self, errand: Errand, *, in_order: bool, start: Callable[[Callable[[], None]], None]) -> None:
        """Deliver from now on. In order: not before the first try of the call's callback before it."""
        with self._clock.changed:
            errand.after = self._last.get(errand.call_sid) if in_order else None
            self._last[errand.call_sid] = errand
            self.errands.append(errand)
        start(lambda: self._run(errand))

    def open_errands(self) -> list[Errand]:
        """What is still to be delivered."""
        with self._clock.changed:
            self.errands = [errand for errand in self.errands if not errand.done]
            return list(self.errands)

    def stop(self) -> None:
        """Break off what is being delivered. The clock must have been stopped before."""
        with self._clock.changed:
            for connection in self._sockets:
                shut(connection)

    def _run(self, errand: Errand) -> None:
        try:
            self._deliver(errand)
        except StoppedError:
            return
        finally:
            with self._clock.changed:
                errand.done = True
                self._clock.changed.notify_all()

    def _deliver(self, errand: Errand) -> None:
        before, errand.after = errand.after, None
        if before:
            self._clock.wait_until(float("inf"), unless=lambda: before.tries > 0 or before.done)
        for pause in (0.0, *SPACING):
            self._clock.wait(pause)
            delivery = self._attempt(errand)
            with self._clock.changed:
                errand.tries += 1
                self._book.deliveries.append(delivery)
                self._clock.changed.notify_all()
            if delivery.succeeded or delivery.error == REFUSED:
                return

    def _attempt(self, errand: Errand) -> Delivery:
        """One try. Only a 2xx counts: a redirect is a failure and is not followed."""
        status, error, content_type = None, "", ""
        at = self._clock.now()
        try:
            prepared = requests.Request("POST", errand.url, **encoded_body(errand.shape, errand.body)).prepare()
            content_type = prepared.headers["Content-Type"]
            if self._deliver_anywhere or is_loopback(prepared.url or ""):
                status = self._post(prepared)
            else:
                error = REFUSED
        except (requests.RequestException, ValueError) as problem:
            if self._clock.stopped:
                raise StoppedError from problem
            error = f"{type(problem).__name__}: {problem}"
        return Delivery(
            call_sid=errand.call_sid,
            event=errand.event,
            url=errand.url,
            attempt=errand.tries + 1,
            status=status,
            error=error,
            at=at,
            content_type=content_type,
            body=errand.body,
        )

    def _post(self, prepared: requests.PreparedRequest) -> int:
        patience = max(AT_LEAST, ACKNOWLEDGE_WITHIN / self._clock.speed)
        prepared.headers["User-Agent"] = "exotel-simulator"
        with requests.Session() as session:
            session.trust_env = False
            session.mount("http://", WatchedAdapter(self._watch))
            with session.send(prepared, allow_redirects=False, timeout=patience, stream=True) as response:
                return response.status_code

    def _watch(self, connection: socket.socket) -> None:
        with self._clock.changed:
            self._sockets = {known for known in self._sockets if known.fileno() != -1} | {connection}
            if self._clock.stopped:
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
