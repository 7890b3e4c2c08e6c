"""A site on a real socket behind a proxy that terminates TLS, removes a mount path and sets forwarded headers."""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from django.core.handlers.wsgi import WSGIHandler

MOUNT = "/crm"


class _Site(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


class _Proxy(BaseHTTPRequestHandler):
    """Forwards each request, without the mount path."""

    site: tuple[str, int]

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65_537)
        if self.raw_requestline and self.parse_request():
            self._hand_on()
        self.close_connection = True

    def _hand_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        # The proxy overwrites the headers that the client sent.
        headers = {name: value for name, value in self.headers.items() if not name.lower().startswith("x-forwarded")}
        headers |= {"X-Forwarded-Proto": "https", "X-Forwarded-For": self.client_address[0], "Connection": "close"}
        upstream = http.client.HTTPConnection(*self.site, timeout=20)
        upstream.request(self.command, self.path.removeprefix(MOUNT), body, headers)
        answer = upstream.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        upstream.close()

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(server: HTTPServer) -> Iterator[tuple[str, int]]:
    """Serve until the block ends, and yield the address."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield "127.0.0.1", server.server_port
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


@contextmanager
def site_behind_a_proxy(certificate: Path) -> Iterator[tuple[str, str]]:
    """Yield the site's URL through the proxy, below the mount path, and its own URL behind the proxy."""
    site = _Site(("127.0.0.1", 0), _Quiet)
    site.set_app(WSGIHandler())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(site) as address:
        proxy = ThreadingHTTPServer(("127.0.0.1", 0), type("Proxy", (_Proxy,), {"site": address}))
        proxy.daemon_threads = True
        proxy.socket = context.wrap_socket(proxy.socket, server_side=True)
        with serving(proxy) as (host, port):
            yield f"https://{host}:{port}{MOUNT}", f"http://{address[0]}:{address[1]}"
