"""Connections that go to an IP address that was checked, and nowhere else.

A name that is looked up twice can lead to two places. So it is looked up once, all that it resolves to is checked,
and the connection is opened to one of these addresses; in TLS, the certificate still has to be the name's. Neither
proxies nor netrc nor cookies of the environment play a part; the authorities to trust are those of the client.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from socket import getaddrinfo
from typing import Any

from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection

from .connections import Attempt, WatchedConnection
from .recordings import Address, AddressRefused

SocketAddress = tuple[Any, ...]


class PinnedConnection(WatchedConnection):
    """A connection that looks up nothing itself. Made by :func:`pinned_connection`."""

    checked: list[tuple[int, SocketAddress]]
    attempt: Attempt
    _wire: Any

    def _new_conn(self) -> socket.socket:
        failed: OSError | None = None
        for family, address in self.checked:
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.settimeout(self.attempt.wait())
                sock.connect(address)
            except OSError as error:
                sock.close()
                failed = error
            else:
                return sock
        raise failed or OSError("The name has no address.")

    def connect(self) -> None:
        """Connect to the first checked address that answers."""
        super().connect()
        # Kept, since the connection forgets its socket when the answer is to be its last.
        self._wire = self.sock

    def abort(self) -> None:
        """End at once what another thread reads from this connection, which is open or was."""
        with suppress(OSError):
            # Not the method of the TLS socket, which would pull the session from under the thread that reads.
            socket.socket.shutdown(self._wire, socket.SHUT_RDWR)


class _PinnedHTTP(PinnedConnection, HTTPConnection):
    pass


class _PinnedHTTPS(PinnedConnection, HTTPSConnection):
    pass


def pinned_connection(address: Address, attempt: Attempt) -> PinnedConnection:
    """Return a connection, not opened yet, to ``address``.

    Raises :class:`AddressRefused` unless every IP address of its host may be connected to, and ``OSError`` when there
    is none.
    """
    connection: PinnedConnection
    if address.scheme == "https":
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH
        folder = os.path.isdir(bundle)
        connection = _PinnedHTTPS(
            address.host,
            address.port,
            cert_reqs="CERT_REQUIRED",
            ca_certs=None if folder else bundle,
            ca_cert_dir=bundle if folder else None,
        )
    else:
        connection = _PinnedHTTP(address.host, address.port)
    connection.attempt = attempt
    connection.checked = _resolved(address)
    return connection


def _resolved(address: Address) -> list[tuple[int, SocketAddress]]:
    found = getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    for _family, _type, _protocol, _name, sockaddr in found:
        if not address.may_lead_to(str(sockaddr[0])):
            raise AddressRefused(f"{address.host!r} resolves to {sockaddr[0]}, where no recording of Exotel can be")
    return [(family, sockaddr) for family, _type, _protocol, _name, sockaddr in found]
