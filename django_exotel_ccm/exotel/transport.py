"""HTTP connections that know whether a request has begun to leave, and when to stop waiting.

``requests`` limits each wait but not their sum, and its errors do not tell "nothing was sent" from "sent, and then no
answer". For a call, the first may be tried again and after the second a phone may be ringing. So the connections here
are subclasses of urllib3's. ``requests`` still says which proxy and which certificate authorities to use.
"""

from __future__ import annotations

import http.client
import io
import os
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPConnectionPool, PoolManager, Timeout
from urllib3.connection import HTTPConnection
from urllib3.util.ssl_ import create_urllib3_context

# Load balancers and NATs drop idle connections without notice, and a call sent into one would be lost.
LONGEST_IDLE = 20.0

clock = time.monotonic


@dataclass(slots=True)
class Attempt:
    """One request on its way. Times are in seconds."""

    deadline_at: float
    connect_timeout: float
    read_timeout: float
    sent: bool = False
    """Whether anything of the request itself, the proxy's CONNECT aside, may have left."""
    target: str = field(default="", repr=False)
    """The path with its query, or behind a proxy for plain http the whole address."""
    wire: Any = field(default=None, repr=False)
    """The socket, once the request begins to leave."""

    def wait(self) -> float:
        """Return how long the next step may take."""
        remaining = self.deadline_at - clock()
        if remaining <= 0:
            raise TimeoutError("The request's deadline has passed.")
        return min(self.read_timeout if self.sent else self.connect_timeout, remaining)

    def abort(self) -> None:
        """End a read that goes on in another thread."""
        # TLS inside of TLS, behind an https proxy, is an object of urllib3's round a socket.
        wire = getattr(self.wire, "socket", self.wire)
        if wire is not None:
            with suppress(OSError):
                # Not the method of the TLS socket: it would take the session from the thread that reads.
                socket.socket.shutdown(wire, socket.SHUT_RDWR)


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
    """An answer whose status line, headers and body all keep the deadline, however slowly they come."""

    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReader(self.fp.detach(), sock))


class WatchedConnection(HTTPConnection):
    """Tells the attempt when the request begins to leave. Mixed into each kind of connection."""

    response_class = _BoundedResponse
    _used_at = 0.0

    @property
    def is_connected(self) -> bool:
        # The pool asks this before it uses a connection again, and opens a new one if the answer is no.
        return super().is_connected and clock() - self._used_at < LONGEST_IDLE

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        # urllib3 writes the URL to its log at level DEBUG, signature included. So only the attempt knows the target.
        super().putrequest(method, _current.get().target, *args, **kwargs)

    def endheaders(self, *args: Any, **kwargs: Any) -> None:
        attempt = _current.get()
        if self.sock is None:
            self.connect()
        self.sock.settimeout(attempt.wait())
        attempt.sent = True
        attempt.wire = self.sock
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


@cache
def _tls_context(authorities: str) -> ssl.SSLContext:
    # To read the usual authorities takes 20 to 30 ms, and each new connection would do it again.
    context = create_urllib3_context()
    is_folder = os.path.isdir(authorities)
    context.load_verify_locations(None if is_folder else authorities, authorities if is_folder else None)
    return context


class Connections:
    """The connections to one origin, such as ``https://api.exotel.com``.

    Proxies and certificate authorities are those of the environment at the time when this is made. Cookies and netrc
    play no part, redirects are not followed, and nothing is repeated.
    """

    def __init__(self, origin: str) -> None:
        request = requests.Request("GET", origin).prepare()
        with requests.Session() as session:
            settings = session.merge_environment_settings(origin, {}, False, None, None)
        proxies, verify = settings["proxies"], settings["verify"]
        self._adapter = _WatchedAdapter(max_retries=0)
        pool = cast("Any", self._adapter.get_connection_with_tls_context(request, verify, proxies=proxies))
        if pool.scheme == "https" and pool.proxy is None:
            pool.ca_certs = pool.ca_cert_dir = None
            pool.conn_kw["ssl_context"] = _tls_context(verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH)
        else:
            self._adapter.cert_verify(pool, origin, verify, None)  # type: ignore[no-untyped-call]
        self._pool = pool
        # A proxy for plain http wants whole addresses; every other server wants paths.
        self._prefix = "" if self._adapter.request_url(request, proxies).startswith("/") else origin

    def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None, attempt: Attempt) -> Any:
        """Send a request for ``target``, a path with its query; return urllib3's response, whose body is unread."""
        attempt.target = self._prefix + target
        with watching(attempt):
            return self._pool.urlopen(
                method,
                f"{self._prefix}/",
                body=body,
                headers=dict(headers),
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=Timeout(connect=attempt.wait(), read=attempt.read_timeout),
                preload_content=False,
                decode_content=False,
            )

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._adapter.close()
