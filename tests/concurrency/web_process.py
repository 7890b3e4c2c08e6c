"""The host's web servers, as processes of their own: ``python -m tests.concurrency.web_process``."""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import django

from tests.subprocesses import child

SERVES = "serving at "
STARTS_WITHIN = 60  # seconds
THREADS = 24  # each with a connection to the database


@dataclass(frozen=True)
class Web:
    """A web server of the host: where it is, and the lines of its log so far."""

    url: str
    process: subprocess.Popen[str]
    log: list[str]


@contextlib.contextmanager
def web(**environment: str) -> Iterator[Web]:
    """Start one, on the test's database unless ``environment`` says otherwise; it ends with the block."""
    with child("-m", "tests.concurrency.web_process", **environment) as process:
        log = drain(process)
        deadline = time.monotonic() + STARTS_WITHIN
        while not log or not log[-1].startswith(SERVES):
            assert process.poll() is None, "".join(log)
            assert time.monotonic() < deadline, "".join(log)
            time.sleep(0.01)
        yield Web(log[-1].removeprefix(SERVES).strip(), process, log)


def drain(process: subprocess.Popen[str]) -> list[str]:
    """Read what a process writes as it comes, so that it never waits for us; return the growing list of lines."""
    lines: list[str] = []

    def read() -> None:
        assert process.stdout is not None
        with contextlib.suppress(ValueError):  # closed, because the process has ended
            for line in process.stdout:
                lines.append(line)  # noqa: PERF402 - one by one, as they come

    threading.Thread(target=read, daemon=True).start()
    return lines


def main() -> None:
    """Serve on a free port until killed, with a pool of threads whose connections to the database stay open."""
    from django.conf import settings

    settings.DATABASES["default"]["CONN_MAX_AGE"] = None
    django.setup()
    importlib.import_module(os.environ.get("TEST_RECEIVERS", "tests.crashes.ticket_receivers")).listen()
    server = _server()
    os.write(1, f"{SERVES}http://127.0.0.1:{server.server_port}\n".encode())
    server.serve_forever(poll_interval=0.05)


def _server() -> Any:
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
    from django.core.wsgi import get_wsgi_application

    class Handler(WSGIRequestHandler):
        disable_nagle_algorithm = True

        def log_message(self, *_args: Any) -> None:
            """Write down nothing of what went well."""

    class Server(ThreadedWSGIServer):
        request_queue_size = 128
        pool = ThreadPoolExecutor(THREADS)

        def process_request(self, request: Any, client_address: Any) -> None:
            self.pool.submit(self.process_request_thread, request, client_address)

        def _close_connections(self) -> None:
            """Keep them, as a real server's threads do."""

    server = Server(("127.0.0.1", 0), Handler)
    server.set_app(get_wsgi_application())
    return server


if __name__ == "__main__":
    main()
