"""Connections that know two things: whether a request has begun to leave, and when to stop waiting.

`requests` bounds each wait but not their sum, and its errors do not tell "nothing was sent" from "sent, and
then silence". For a call that is the difference between "try again" and "a phone may be ringing". So the
pools of its adapter hold our own subclasses of urllib3's connections.
"""

from __future__ import annotations

import http.client
import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, PoolManager
from urllib3.connection import HTTPConnection

# Load balancers and NATs drop an idle connection in silence; a call sent into one would be lost.
LONGEST_IDLE = 20.0

clock = time.monotonic


@dataclass(slots=True)
class Attempt:
    """One request on its way."""

    deadline_at: float
    connect_timeout: float
    read_timeout: float
    sent: bool = False
    """Whether anything of the request itself, the proxy's CONNECT aside, may have left."""

    def wait(self) -> float:
        """How long the next step may take."""
        remaining = self.deadline_at - clock()
        if remaining <= 0:
            raise TimeoutError("The request's deadline has passed.")
        return min(self.read_timeout if self.sent else self.connect_timeout, remaining)


_current: ContextVar[Attempt] = ContextVar("exotel_attempt")


@contextmanager
def watching(attempt: Attempt) -> Iterator[None]:
    """Have the connections used inside report to this attempt and keep its deadline."""
    token = _current.set(attempt)
    try:
        yield
    finally:
        _current.reset(token)


class _BoundedReader(io.RawIOBase):
    """Reads a socket, each time for no longer than the attempt may still wait."""

    def __init__(self, raw: io.RawIOBase, sock: Any) -> None:
        self._raw = raw
        self._sock = sock
        self._attempt = _current.get()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._attempt.wait())
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    """An answer whose status line, headers and body all keep the deadline, however slowly they drip."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), sock))


class WatchedConnection(HTTPConnection):
    """Tells the attempt when the request begins to leave. Mixed into each kind of connection."""

    response_class = _BoundedResponse
    _used_at = 0.0

    @property
    def is_connected(self) -> bool:
        # The pool asks before it uses a connection again, and opens a new one if this says no.
        return super().is_connected and clock() - self._used_at < LONGEST_IDLE

    def endheaders(self, *args: Any, **kwargs: Any) -> None:
        attempt = _current.get()
        if self.sock is None:
            self.connect()
        self.sock.settimeout(attempt.wait())
        attempt.sent = True
        self._used_at = clock()
        super().endheaders(*args, **kwargs)

    def getresponse(self) -> Any:
        response = super().getresponse()
        self._used_at = clock()
        return response


class _WatchedAdapter(HTTPAdapter):
    """Fills the pools, those behind proxies included, with watched connections."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _watch(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return _watch(super().proxy_manager_for(*args, **kwargs))


def _watch(manager: PoolManager) -> PoolManager:
    # The manager's own classes are the base: SOCKS proxies bring some of theirs.
    pools = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _watched(pool) for scheme, pool in pools.items()}
    return manager


@cache
def _watched(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    if issubclass(pool.ConnectionCls, WatchedConnection):
        return pool
    connection = type(f"Watched{pool.ConnectionCls.__name__}", (WatchedConnection, pool.ConnectionCls), {})
    return type(f"Watched{pool.__name__}", (pool,), {"ConnectionCls": connection})


def new_session() -> requests.Session:
    """A session of watched connections that keeps no cookies and repeats nothing."""
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("https://", "http://"):
        session.mount(scheme, _WatchedAdapter(max_retries=0))
    return session
