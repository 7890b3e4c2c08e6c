"""The file of a report over HTTP: how fast it comes, and how much memory the server needs for many lines.

python benchmarks/report_file.py [--sizes N N] [--only sqlite|postgres|mariadb]

The server is a process of its own, and the client drops what it reads. The file has a line for each call that is
stored. Memory is the most that the server had in RAM so far, and how much that is more than with the first size.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measuring import ALL_DATABASES, prepare, run
from benchmarks.reports import DAYS, fill, say

SIZES = [1_000, 100_000]  # a million takes minutes: --sizes 1000 1000000
SERVE = "--serve"


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Print what each file took. There is nothing to compare."""
    database = prepare()
    request = request_of_supervisor()
    with running_server() as (server, port):
        least = 0.0
        for size in options.sizes:
            fill(size)
            lines, megabytes, seconds = fetch(port, request)
            most = peak(server.pid)
            least = least or most
            say(
                f"{database}: {lines:,} lines, {megabytes:.1f} MB in {seconds:.1f} s, {lines / seconds:,.0f} lines a "
                f"second; the server had {most:.1f} MB at most, {most - least:+.1f} MB"
            )
    return {"database": database, "sizes": {}}


def request_of_supervisor() -> bytes:
    """Return the bytes by which a superuser who is logged in asks for the file of all calls."""
    from django.contrib.auth.models import User  # noqa: PLC0415 - Django is set up above
    from django.test import Client  # noqa: PLC0415
    from django.urls import reverse  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    client, first = Client(), timezone.localdate() - timedelta(days=DAYS)
    client.force_login(User.objects.create_superuser("boss", password="x"))
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    url = reverse("exotel_ccm:reports-csv", query={"from": first})
    return f"GET {url} HTTP/1.0\r\nHost: 127.0.0.1\r\nCookie: {cookies}\r\n\r\n".encode()


@contextlib.contextmanager
def running_server() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a server on the same database; yield its process and its port."""
    command = [sys.executable, str(Path(__file__).resolve()), SERVE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server, int(server.stdout.readline() if server.stdout else 0)
        finally:
            server.terminate()


def serve() -> None:
    """Print a free port, and answer there."""
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415 - the parent has named the settings

    class Silent(WSGIRequestHandler):
        def log_message(self, *_arguments: Any) -> None:
            """Say nothing."""

    server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Silent)
    print(server.server_port, flush=True)
    server.serve_forever()


def fetch(port: int, request: bytes) -> tuple[int, float, float]:
    """Return how many calls the file has, how many MB it is, and how many seconds it took."""
    lines, size, began = 0, 0, time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(request)
        answer = connection.makefile("rb")
        if b" 200 " not in answer.readline():
            raise SystemExit("the server did not answer with a file")
        while answer.readline().strip():
            pass  # headers
        for line in answer:
            lines, size = lines + 1, size + len(line)
    return lines - 1, size / 1e6, time.perf_counter() - began


def peak(process: int) -> float:
    """Return the most memory that a process has had in RAM, in MB; 0 where the system does not say."""
    status = Path(f"/proc/{process}/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1000 if found else 0.0


if __name__ == "__main__":
    if SERVE in sys.argv:
        serve()
    else:
        sys.exit(run(__file__, __doc__, measure, sizes=SIZES, databases=ALL_DATABASES))
