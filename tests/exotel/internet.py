"""An internet of one machine: names lead to public addresses, and what is connected there is a server of the test's."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from django_exotel_ccm.exotel import pinning

PUBLIC = "52.219.32.1"
NAMES = ("recordings.exotel.com", "s3-ap-southeast-1.amazonaws.com", "ccm-api.in.exotel.com", "evil.example")


class Internet:
    """Names with the answers that they resolve to, one after the other; the last one stays."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, certificate: Path) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.lookups: list[str] = []
        self.attempts: list[str] = []
        """The IP addresses to which a connection was attempted."""
        self._servers: dict[str, int] = {}
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        monkeypatch.setattr(pinning, "getaddrinfo", self._resolve)
        self._connect = socket.socket.connect

        def connect(sock: socket.socket, address: Any) -> None:
            self._lead(sock, address)

        monkeypatch.setattr(socket.socket, "connect", connect)

    def name(self, name: str, *answers: str | list[str]) -> None:
        """Let a name resolve to these addresses, each lookup to the next of them."""
        self.names[name] = [[answer] if isinstance(answer, str) else answer for answer in answers]

    def serve(self, ip: str, port: int) -> None:
        """Let a public address lead to a port of this machine."""
        self._servers[ip] = port

    def _resolve(self, host: str, port: int, **kwargs: Any) -> list[Any]:
        self.lookups.append(host)
        if host not in self.names:
            return socket.getaddrinfo(host, port, **kwargs)
        answers = self.names[host]
        ips = answers.pop(0) if len(answers) > 1 else answers[0]
        families = [socket.AF_INET6 if ":" in ip else socket.AF_INET for ip in ips]
        return [(family, socket.SOCK_STREAM, 6, "", (ip, port)) for family, ip in zip(families, ips, strict=True)]

    def _lead(self, sock: socket.socket, address: Any) -> None:
        self.attempts.append(address[0])
        if address[0] in self._servers:
            address = ("127.0.0.1", self._servers[address[0]])
        elif address[0] in (PUBLIC, *(ip for answers in self.names.values() for ips in answers for ip in ips)):
            raise ConnectionRefusedError(111, "Connection refused")
        self._connect(sock, address)


def make_certificate(folder: Path, *names: str) -> Path:
    """Make a self-signed certificate for the names, with its key in the same file."""
    path = folder / f"{names[0]}.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"), "-days", "2"]
    command += ["-subj", f"/CN={names[0]}", "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return path


def context_of(certificate: Path, names_asked: list[str | None] | None = None) -> ssl.SSLContext:
    """Return what a server needs to show the certificate; the names that clients ask for are noted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if names_asked is not None:
        context.sni_callback = lambda _sock, name, _context: names_asked.append(name)
    return context
