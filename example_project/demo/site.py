"""The helpdesk's web server: Django's own threaded one, on loopback, in threads of this process."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

from demo.console import Trouble, say

HOST = "127.0.0.1"
NEIGHBOURS = 50  # ports tried after a taken one

Started = TypeVar("Started")


class Site(ThreadedWSGIServer):
    """Holds its port from the moment it is made; serves once it is told what."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__((HOST, port), WSGIRequestHandler)
        self.url = f"http://{HOST}:{self.server_port}"

    def server_bind(self) -> None:
        """Bind without asking the name service who we are: a machine without network would wait for it."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", int(self.server_address[1])
        self.setup_environ()

    @contextmanager
    def serving(self, application: Any) -> Iterator[None]:
        """Serve ``application`` until the block is left."""
        self.set_app(application)
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join(timeout=5)


def on_a_free_port(start: Callable[[int], Started], wanted: int, what: str) -> Started:
    """Return ``start(port)`` for the wanted port, or for the next free one, which is then said."""
    for port in range(wanted, wanted + NEIGHBOURS):
        if is_taken(port):
            continue
        try:
            started = start(port)
        except OSError:
            continue  # taken meanwhile, or not ours to use
        if port != wanted:
            say(f"Port {wanted} is taken, so {what} uses {port}.")
        return started
    raise Trouble(f"no port from {wanted} to {wanted + NEIGHBOURS - 1} is free for {what}.")


def is_taken(port: int) -> bool:
    """Say whether somebody serves this port already; some systems let two bind the same one."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
