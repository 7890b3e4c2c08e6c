"""A proxy in front of a site, over real sockets, that may do what badly set-up proxies do."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from tests.servers.scripted_http import context_of


@dataclass
class Proxy:
    """What the proxy does; may be changed while it serves. ``answer`` is given instead of the site's; in
    its headers, {path} stands for the path of the request."""

    site: str
    url: str = ""
    answer: tuple[int, dict[str, str], bytes] | None = None
    keeps_body: bool = True
    keeps_length: bool = False
    """Whether the site is told the length of a body that is not passed on."""
    host: str = ""
    """The Host that the site sees; the client's if blank."""
    proto: str = ""
    paths: list[str] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.proxy.paths.append(self.path)
        status, headers, content = self.proxy.answer or self._ask_the_site(body)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value.replace("{path}", self.path))
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST  # noqa: N815 - the parent's names

    def _ask_the_site(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        proxy, headers = self.proxy, {"Connection": "close"}
        headers["Host"] = proxy.host or self.headers["Host"]
        headers["Content-Type"] = self.headers.get("Content-Type", "")
        if proxy.proto:
            headers["X-Forwarded-Proto"] = proxy.proto
        if proxy.keeps_length:
            headers["Content-Length"] = str(len(body))
        upstream = http.client.HTTPConnection(urlsplit(proxy.site).netloc, timeout=20)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True)
            content = body if proxy.keeps_body else b""
            for name, value in ({"Content-Length": str(len(content))} | headers).items():
                upstream.putheader(name, value)
            upstream.endheaders(content)
            if proxy.keeps_length and not proxy.keeps_body and upstream.sock:
                upstream.sock.shutdown(1)  # the rest never comes
            answer = upstream.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name in ("Content-Type", "Location")}
            return answer.status, kept, answer.read()
        except OSError:
            return 502, {"Content-Type": "text/html"}, b"<h1>Bad Gateway</h1>"
        finally:
            upstream.close()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def proxy_before(site: str, certificate: Path | None = None, name: str = "localhost") -> Iterator[Proxy]:
    """Serve a proxy before ``site``, over TLS with a certificate; yields what can be changed about it."""
    proxy = Proxy(site)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    server.daemon_threads = True
    if certificate:
        server.socket = context_of(certificate).wrap_socket(server.socket, server_side=True)
    proxy.url = f"{'https' if certificate else 'http'}://{name}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
