"""The HTTP server of the simulator: for this machine only, and for no page of another site."""

from __future__ import annotations

import contextlib
import http.server
import ipaddress
import json
import logging
import os
import socket
import socketserver
import struct
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from typing import Any, Literal

from django_exotel_ccm.simulator.clock import StoppedError

logger = logging.getLogger("django_exotel_ccm.simulator")

IDLE_TIMEOUT = 30.0  # seconds for which a silent connection is kept
MAX_HANG = 300.0  # seconds for which a waiting client is left without a response
TEXT, HTML = "text/plain; charset=utf-8", "text/html"
WEB_PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"

Transmission = Literal["whole", "closed", "reset", "hang"]
"""How a response is sent. closed: the connection is closed instead. reset: headers and half of the body, then the
connection is reset. hang: nothing, until the client gives up."""


@dataclass(frozen=True)
class Request:
    """An HTTP request whose body was read. The path is without the query."""

    method: str
    path: str
    headers: Message
    content: bytes
    query: str = ""
    request_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def json(self) -> Any:
        """Return the body's JSON value; ValueError if it is not JSON."""
        try:
            return json.loads(self.content)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


@dataclass(frozen=True)
class Response:
    """An HTTP response, and how it is sent.

    `length` is None if the body never ends. `delay` is real seconds to wait first.
    """

    status: int
    content_type: str
    body: Iterable[bytes]
    length: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    transmission: Transmission = "whole"
    delay: float = 0.0


def response(status: int, content: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response whose body is at hand."""
    return Response(status, content_type, (content,), len(content), headers or {})


def json_response(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response whose body is JSON; times are written in ISO 8601."""
    return response(status, json.dumps(value, default=datetime.isoformat).encode(), "application/json", headers)


def is_loopback(host: str) -> bool:
    """Return True if the name or address is this machine's own."""
    with contextlib.suppress(ValueError):
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    return False


class Server(http.server.ThreadingHTTPServer):
    """Takes a port at once; from `start` on it serves `respond` in daemon threads.

    `wait` waits real seconds, or raises StoppedError.
    """

    request_queue_size = 128

    def __init__(
        self, host: str, port: int, respond: Callable[[Request], Response], wait: Callable[[float], None]
    ) -> None:
        if not is_loopback(host):
            raise ValueError(f"The simulator serves this machine only: write host='127.0.0.1', not {host!r}")
        address = "127.0.0.1" if host == "localhost" else host
        self.respond, self.wait = respond, wait
        self._connections: dict[threading.Thread, socket.socket] = {}
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), Handler)
        names = (f"[{address}]" if ":" in address else address, "127.0.0.1", "localhost", "[::1]")
        self.hosts = [f"{name}:{self.server_port}" for name in names]
        self.url = f"http://{self.hosts[0]}"

    def server_bind(self) -> None:
        """Bind without asking the name service for this machine's name, as the base class does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def start(self) -> None:
        """Serve in a thread of its own."""
        self._serving = self._thread(self.serve_forever, 0.02)
        self._serving.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread that `stop` knows before it starts."""
        thread = self._thread(self.process_request_thread, request, client_address)
        self._connections[thread] = request
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        """Close a connection at the end of its thread."""
        super().shutdown_request(request)
        self._connections.pop(threading.current_thread(), None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong; a client that left is no error."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError | StoppedError):
            logger.error("The simulator failed to answer a request", exc_info=error)

    def stop(self) -> None:
        """Break every connection, refuse new ones, and wait for the threads."""
        self.shutdown()
        self.server_close()
        connections = dict(self._connections)
        for connection in connections.values():
            with contextlib.suppress(OSError):  # it may have been closed meanwhile
                connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + 1.0
        for thread in (self._serving, *connections):
            thread.join(max(0.0, deadline - time.monotonic()))

    def pause(self) -> None:
        """Break every connection, and refuse new ones until `resume`."""
        self.stop()
        # The new socket is bound and does not listen: nobody else gets the port, and who connects is refused.
        self.socket = socket.socket(self.address_family, self.socket_type)
        self.server_bind()

    def resume(self) -> None:
        """Serve again, at the same address."""
        self.server_activate()
        self.start()

    def _thread(self, target: Callable[..., None], *args: Any) -> threading.Thread:
        return threading.Thread(target=target, args=args, name="exotel-simulator-http", daemon=True)


class Handler(http.server.BaseHTTPRequestHandler):
    """Reads a request, hands it to the server's `respond`, and sends the response."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "ExotelSimulator"
    sys_version = ""
    timeout = IDLE_TIMEOUT
    wbufsize = -1
    disable_nagle_algorithm = True

    def handle_method(self) -> None:
        """Handle a request of any method."""
        if reason := self._refusal():
            self.close_connection = True
            self._send(json_response(403, {"error": reason}))
            return
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        answer = self.server.respond(Request(self.command, path, self.headers, content, query))
        if answer.delay:
            self.server.wait(answer.delay)
        if answer.transmission == "hang":
            self.connection.settimeout(MAX_HANG)
            while self.connection.recv(1024):
                pass
        if answer.transmission in ("closed", "hang"):
            self.close_connection = True
        else:
            self._send(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_method  # noqa: N815

    def _refusal(self) -> str | None:
        """Return why the request goes no further; None if it may."""
        host, origin = (self.headers.get("Host") or "").lower(), self.headers.get("Origin")
        if host not in self.server.hosts:
            # A page whose name was made to lead here (DNS rebinding) shows itself by its Host.
            return f"The Host of the simulator is {self.server.hosts[0]}"
        # A browser names the page that sends something, or at least that it embeds something: a link may lead here.
        is_embedded = self.headers.get("Sec-Fetch-Mode", "navigate") != "navigate"
        is_foreign = is_embedded and self.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
        if is_foreign if origin is None else origin.lower() != f"http://{host}":
            return "Pages of other sites may not use the simulator"
        return None

    def _send(self, answer: Response) -> None:
        self.send_response(answer.status)
        headers = {"Content-Type": answer.content_type, **answer.headers}
        if answer.length is not None:
            headers["Content-Length"] = str(answer.length)
        if answer.length is None or self.close_connection:
            headers["Connection"] = "close"  # closes the connection here too
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(answer)

    def _send_body(self, answer: Response) -> None:
        left = (answer.length or 0) // 2 if answer.transmission == "reset" else sys.maxsize
        for chunk in answer.body:
            self.wfile.write(chunk[:left])
            left -= len(chunk)
            if left <= 0:
                break
        if answer.transmission == "reset":
            self.wfile.flush()
            self.close_connection = True
            # Closing would let the client read a clean end; a linger time of 0 sends RST instead.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

    def log_message(self, *_args: Any) -> None:
        """Print nothing: the simulator records each request."""
