"""Small HTTP servers on real sockets, each driven by a script that may misbehave."""

from __future__ import annotations

import json
import select
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Script = Callable[["Visit"], None]


class Visit:
    """One connection to a server."""

    def __init__(self, server: Server, sock: socket.socket, number: int) -> None:
        self.server = server
        self.sock = sock
        self.number = number

    def read_request(self) -> bytes:
        """Return the next request, head and body; b"" when the client has disconnected."""
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = self.sock.recv(65536)
            if not chunk:
                return b""
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")),
            0,
        )
        while len(body) < length:
            chunk = self.sock.recv(65536)
            if not chunk:
                return b""
            body += chunk
        self.server.requests.append(head + b"\r\n\r\n" + body)
        return head + b"\r\n\r\n" + body

    def reset(self) -> None:
        """Drop the connection with a RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def pause(self, seconds: float) -> None:
        self.server.closing.wait(seconds)


class Server:
    """Runs one script per connection; the last script serves all further ones."""

    def __init__(self, scripts: tuple[Script, ...], tls: ssl.SSLContext | None) -> None:
        self.scripts = scripts
        self.tls = tls
        self.requests: list[bytes] = []
        self.connections = 0
        self.closing = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.threads: list[threading.Thread] = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            number = self.connections
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock, number), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        sock.settimeout(10)
        with suppress(OSError):
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
            self.scripts[min(number, len(self.scripts) - 1)](Visit(self, sock, number))
        sock.close()

    def stop(self) -> None:
        self.closing.set()
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(2)

    @property
    def bodies(self) -> list[object]:
        """The JSON bodies of the requests."""
        return [json.loads(request.partition(b"\r\n\r\n")[2]) for request in self.requests]


@contextmanager
def serving(*scripts: Script, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(scripts, tls)
    try:
        yield server
    finally:
        server.stop()


def http(status: int, body: object = b"", *headers: str, reason: str = "Whatever") -> bytes:
    """An answer's bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} {reason}", *headers]
    if status != 204:
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join([*lines, "", ""]).encode() + content


def answering(*answers: bytes) -> Script:
    """Answer each request in turn; the last answer serves all further ones. An empty one is a disconnect."""

    def script(visit: Visit) -> None:
        while visit.read_request() and (answer := answers[min(len(visit.server.requests), len(answers)) - 1]):
            visit.sock.sendall(answer)

    return script


def dripping(data: bytes, *, at_once: int = 0, pause: float = 0.05) -> Script:
    """Answer byte by byte, after the first ``at_once`` bytes."""

    def script(visit: Visit) -> None:
        visit.read_request()
        visit.sock.sendall(data[:at_once])
        left = iter(data[at_once:])
        while not visit.server.closing.wait(pause):
            visit.sock.sendall(bytes([next(left)]))

    return script


def silent(visit: Visit) -> None:
    """Read the request and send nothing."""
    visit.read_request()
    visit.pause(10)


def reset_after_request(visit: Visit) -> None:
    visit.read_request()
    visit.reset()


def reset_at_once(visit: Visit) -> None:
    # Not before the first byte is here: sooner, connect() itself may see the reset, and then nothing was sent.
    visit.sock.recv(1, socket.MSG_PEEK)
    visit.reset()


class Proxy:
    """An HTTPS proxy that connects each name in ``ports`` to a server of the test, and refuses every other name."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self.heads: list[bytes] = []
        """The requests to the proxy."""

    @property
    def names(self) -> list[str]:
        """The host names that clients requested."""
        return [head.split()[1].decode().removesuffix(":443") for head in self.heads]

    def __call__(self, visit: Visit) -> None:
        self.heads.append(visit.read_request())
        port = self.ports.get(self.names[-1])
        if port is None:
            visit.sock.sendall(http(502))
            return
        with socket.create_connection(("127.0.0.1", port)) as server:
            visit.sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            while ready := select.select([visit.sock, server], [], [], 20)[0]:
                for sock in ready:
                    data = sock.recv(65536)
                    if not data:
                        return
                    (server if sock is visit.sock else visit.sock).sendall(data)


def make_certificate(folder: Path, *names: str) -> Path:
    """Make a self-signed certificate for the names, such as "DNS:localhost", with its key in the same file."""
    path = folder / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"), "-days", "2"]
    command += ["-subj", f"/CN={names[0].partition(':')[2]}", "-addext", f"subjectAltName={','.join(names)}"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return path


def context_of(certificate: Path) -> ssl.SSLContext:
    """Return what a server needs to show the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
