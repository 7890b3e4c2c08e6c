"""The HTTP server: loopback only, keep-alive, bounded bodies, and no thread left behind when it stops."""

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
from http import HTTPStatus
from typing import Any

from django_exotel_ccm.simulator.clock import StoppedError
from django_exotel_ccm.simulator.exchange import Answer, Request, json_answer

logger = logging.getLogger("django_exotel_ccm.simulator")

LARGEST_BODY = 64 * 1024  # bytes
MOST_DRAINED = 4 * 1024 * 1024  # bytes of a body too large that are read and thrown away
IDLE = 30.0  # seconds a silent connection is kept
LONGEST_HANG = 300.0  # seconds for which a client that waits is left without an answer

Respond = Callable[[Request], Answer]


def loopback_host(host: str) -> str:
    """The address to bind; ValueError unless it is this machine only."""
    address = "127.0.0.1" if host == "localhost" else host
    try:
        if ipaddress.ip_address(address).is_loopback:
            return address
    except ValueError:
        pass
    raise ValueError(f"The simulator serves this machine only: write host='127.0.0.1', not {host!r}")


class Server(http.server.ThreadingHTTPServer):
    """Serves `respond` in threads of its own."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, respond: Respond, wait: Callable[[float], None]) -> None:
        address = loopback_host(host)
        self.respond = respond
        self.wait = wait
        self._open: dict[threading.Thread, socket.socket] = {}
        self._lock = threading.Lock()
        if ":" in address:
            self.address_family = socket.AF_INET6
        super().__init__((address, port), Handler)
        self.host = f"[{address}]" if ":" in address else address
        self.port: int = self.socket.getsockname()[1]
        self.known_hosts = frozenset(f"{name}:{self.port}" for name in {self.host, "127.0.0.1", "localhost", "[::1]"})
        self._serve()

    def server_bind(self) -> None:
        """Bind without asking the name service who we are."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.socket.getsockname()[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread that `stop` knows of."""
        thread = threading.Thread(
            target=self._serve_connection,
            args=(request, client_address),
            name="exotel-simulator-http",
            daemon=True,
        )
        with self._lock:
            self._open[thread] = request
        thread.start()

    def _serve_connection(self, request: socket.socket, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            with self._lock:
                del self._open[threading.current_thread()]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what went wrong; a client that left is nothing wrong."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError | StoppedError):
            logger.error("The simulator failed to answer a request", exc_info=error)

    def pause(self) -> None:
        """Break every connection and refuse new ones until `resume`; the port stays ours."""
        self.shutdown()
        self.server_close()
        # Bound and not listening: nobody else gets the port, and who connects is refused.
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

    def _serve(self) -> None:
        self._serving = threading.Thread(
            target=self.serve_forever,
            kwargs={"poll_interval": 0.02},
            name="exotel-simulator-http",
            daemon=True,
        )
        self._serving.start()

    def _break_connections(self) -> None:
        with self._lock:
            left = dict(self._open)
        for connection in left.values():
            with contextlib.suppress(OSError):  # it may have been closed meanwhile
                connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + 1.0
        for thread in (self._serving, *left):
            thread.join(max(0.0, deadline - time.monotonic()))


class Handler(http.server.BaseHTTPRequestHandler):
    """Reads a request, hands it to the server's `respond`, writes the answer."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "ExotelSimulator"
    sys_version = ""
    timeout = IDLE
    wbufsize = -1
    disable_nagle_algorithm = True

    def answer_request(self) -> None:
        """Any method: check the Host, read the body, answer."""
        answer = self._answer()
        if answer.way in ("closed", "hang"):
            self.close_connection = True
            if answer.way == "hang":
                self._wait_for_the_client_to_leave()
            return
        if answer.delay:
            self.server.wait(answer.delay)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        if answer.length is None:
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(answer.length))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = answer_request  # noqa: N815

    def _wait_for_the_client_to_leave(self) -> None:
        self.connection.settimeout(LONGEST_HANG)
        while self.connection.recv(LARGEST_BODY):
            pass

    def _send_body(self, answer: Answer) -> None:
        left = (answer.length or 0) // 2 if answer.way == "reset" else math.inf
        for chunk in answer.chunks():
            part = chunk if len(chunk) <= left else chunk[: int(left)]
            self.wfile.write(part)
            left -= len(part)
            if left <= 0:
                break
        if answer.way == "reset":
            self._reset()

    def _reset(self) -> None:
        """Send RST: closing would let the client read on to a clean end."""
        self.wfile.flush()
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def _answer(self) -> Answer:
        if (self.headers.get("Host") or "").lower() not in self.server.known_hosts:
            # A page elsewhere whose name was made to lead here (DNS rebinding) shows itself by its Host.
            return self._close(HTTPStatus.FORBIDDEN, f"Host must be {self.server.host}:{self.server.port}")
        if self._is_of_a_foreign_page():
            return self._close(HTTPStatus.FORBIDDEN, "Pages of other sites may not use the simulator")
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdecimal()):
            return self._close(HTTPStatus.LENGTH_REQUIRED, "Send a Content-Length")
        if len(length) > len(str(MOST_DRAINED)) or int(length) > LARGEST_BODY:
            self._drain(length)
            return self._close(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {LARGEST_BODY} bytes")
        content = self.rfile.read(int(length))
        return self.server.respond(Request(self.command, self.path, self.headers, content))

    def _is_of_a_foreign_page(self) -> bool:
        """Return True if a browser sends this for a page of another site; only the link of such a page is followed."""
        origin = self.headers.get("Origin")
        if origin is not None:
            return origin.lower() != f"http://{self.headers['Host']}".lower()
        is_embedded = self.headers.get("Sec-Fetch-Mode", "navigate") != "navigate"
        return is_embedded and self.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")

    def _drain(self, length: str) -> None:
        """Read on for a while: a client that is still sending would not see the answer."""
        left = min(int(length[:9]), MOST_DRAINED)
        while left > 0 and (read := len(self.rfile.read(min(left, LARGEST_BODY)))):
            left -= read

    def _close(self, status: HTTPStatus, words: str) -> Answer:
        self.close_connection = True
        return json_answer(status.value, {"error": words})

    def log_message(self, *_args: Any) -> None:
        """The book keeps what was asked; nothing is printed."""
