"""The HTTP server of the simulator: for this machine only, and for no page of another site."""

from __future__ import annotations

import contextlib
import http.server
import ipaddress
import logging
import math
import os
import socket
import socketserver
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from django_exotel_ccm.simulator.clock import StoppedError
from django_exotel_ccm.simulator.http_types import Request, Response, json_response

logger = logging.getLogger("django_exotel_ccm.simulator")

IDLE = 30.0  # seconds a silent connection is kept
LONGEST_HANG = 300.0  # seconds for which a waiting client is left without a response


def loopback_address(host: str) -> str:
    """Return the address to bind; ValueError unless it is this machine only."""
    address = "127.0.0.1" if host == "localhost" else host
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(address).is_loopback:
            return address
    raise ValueError(f"The simulator serves this machine only: write host='127.0.0.1', not {host!r}")


class Server(http.server.ThreadingHTTPServer):
    """Serves `respond` in threads of its own; `wait` waits real seconds, or raises StoppedError."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, host: str, port: int, respond: Callable[[Request], Response], wait: Callable[[float], None]
    ) -> None:
        address = loopback_address(host)
        self.respond = respond
        self.wait = wait
        self._connections: dict[threading.Thread, socket.socket] = {}
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, port), Handler)
        name = f"[{address}]" if ":" in address else address
        port = self.server_port
        self.url = f"http://{name}:{port}"
        self.known_hosts = {f"{known}:{port}" for known in (name, "127.0.0.1", "localhost", "[::1]")}
        self._serve()

    def server_bind(self) -> None:
        """Bind without asking the name service for this machine's name, as the base class does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread that `stop` and `pause` know from its start."""
        arguments = (request, client_address)
        thread = threading.Thread(
            target=self._serve_connection, args=arguments, name="exotel-simulator-http", daemon=True
        )
        self._connections[thread] = request
        thread.start()

    def _serve_connection(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            del self._connections[threading.current_thread()]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong; a client that left is no error."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError | StoppedError):
            logger.error("The simulator failed to answer a request", exc_info=error)

    def pause(self) -> None:
        """Break every connection and refuse new ones until `resume`."""
        self.shutdown()
        self.server_close()
        # The new socket is bound and does not listen: nobody else gets the port, and who connects is refused.
        self.socket = socket.socket(self.address_family, self.socket_type)
        self.server_bind()
        self._break_connections()

    def resume(self) -> None:
        """Serve again, at the same address."""
        self.server_activate()
        self._serve()

    def stop(self) -> None:
        """Close everything and wait for the threads."""
        self.shutdown()
        self.server_close()
        self._break_connections()

    def _break_connections(self) -> None:
        connections = dict(self._connections)
        for connection in connections.values():
            with contextlib.suppress(OSError):  # it may have been closed meanwhile
                connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + 1.0
        for thread in (self._serving, *connections):
            thread.join(max(0.0, deadline - time.monotonic()))

    def _serve(self) -> None:
        self._serving = threading.Thread(
            target=self.serve_forever, args=(0.02,), name="exotel-simulator-http", daemon=True
        )
        self._serving.start()


class Handler(http.server.BaseHTTPRequestHandler):
    """Reads a request, hands it to the server's `respond`, and sends the response."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "ExotelSimulator"
    sys_version = ""
    timeout = IDLE
    wbufsize = -1
    disable_nagle_algorithm = True

    def handle_method(self) -> None:
        """Handle a request of any method."""
        if reason := self._refusal():
            self.close_connection = True
            answer = json_response(403, {"error": reason})
        else:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = self.server.respond(Request(self.command, self.path, self.headers, content))
        if answer.delay:
            self.server.wait(answer.delay)
        if answer.transmission == "hang":
            self.connection.settimeout(LONGEST_HANG)
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
        if host not in self.server.known_hosts:
            # A page whose name was made to lead here (DNS rebinding) shows itself by its Host.
            return f"The Host of the simulator is {self.server.url.removeprefix('http://')}"
        # A browser names the page that sends something, or at least that it embeds something: a link may lead here.
        is_embedded = self.headers.get("Sec-Fetch-Mode", "navigate") != "navigate"
        is_foreign = is_embedded and self.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
        if is_foreign if origin is None else origin.lower() != f"http://{host}":
            return "Pages of other sites may not use the simulator"
        return None

    def _send(self, answer: Response) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.length is not None:
            self.send_header("Content-Length", str(answer.length))
        if answer.length is None or self.close_connection:
            self.send_header("Connection", "close")  # closes the connection here too
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(answer)

    def _send_body(self, answer: Response) -> None:
        left = (answer.length or 0) // 2 if answer.transmission == "reset" else math.inf
        for chunk in answer.body:
            part = chunk if len(chunk) <= left else chunk[: int(left)]
            self.wfile.write(part)
            left -= len(part)
            if left <= 0:
                break
        if answer.transmission == "reset":
            self.wfile.flush()
            self.close_connection = True
            # Closing would let the client read a clean end; a linger time of 0 sends RST instead.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

    def log_message(self, *_args: Any) -> None:
        """Print nothing: the simulator records what was asked."""
