"""A database server that can be killed at any moment and restarted on the same data."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.contrib.contenttypes.models import ContentType
from django.db import connection

from tests.servers import base, mariadb, postgresql

STOPS_WITHIN = 20  # seconds


@dataclass
class Server:
    """A server of our own; committed data survives every kill."""

    environment: dict[str, str]
    address: dict[str, str]
    deadly: signal.Signals
    folder: Path
    process: subprocess.Popen[bytes]
    check: Callable[[subprocess.Popen[bytes], Path], None]

    def cut(self) -> None:
        """Kill the server, as when its machine loses power."""
        self.process.send_signal(self.deadly)
        self.process.wait(STOPS_WITHIN)

    def restore(self) -> None:
        """Start it again, and return when it answers."""
        self.process = base.start(self.process.args, self.folder, base.another_user())  # type: ignore[arg-type]
        self.check(self.process, self.folder)


@contextlib.contextmanager
def server(vendor: str) -> Iterator[Server]:
    """Start a server like that of the tests ("postgresql" or "mysql"), which waits for the disk; it has no tables."""
    start = {"postgresql": _postgresql, "mysql": _mariadb}[vendor]
    with start() as running:
        try:
            running.check(running.process, running.folder)
            yield running
        finally:
            base.stop(running.process, running.deadly)


@contextlib.contextmanager
def _postgresql() -> Iterator[Server]:
    with base.short_folder("pg", postgresql.SOCKET) as folder:
        environment = {"POSTGRES_HOST": str(folder), "TEST_DATABASE": "postgres"}
        address = {"HOST": str(folder), "NAME": "postgres"}
        process = postgresql._start(folder, [])
        # "Immediate": its processes leave without a word, and the next start recovers from the log.
        yield Server(environment, address, signal.SIGQUIT, folder, process, postgresql._wait)


@contextlib.contextmanager
def _mariadb() -> Iterator[Server]:
    with base.short_folder("my", mariadb.SOCKET) as folder:
        socket = str(folder / mariadb.SOCKET)
        environment = {"MYSQL_SOCKET": socket, "TEST_DATABASE": "exotel_ccm"}
        address = {"HOST": socket, "NAME": "exotel_ccm"}
        process = mariadb._start(folder, [])

        def check(process: subprocess.Popen[bytes], folder: Path) -> None:
            import pymysql

            mariadb._wait(process, folder)
            with contextlib.closing(pymysql.connect(unix_socket=socket, user="root")) as first:
                first.cursor().execute("CREATE DATABASE IF NOT EXISTS exotel_ccm CHARACTER SET utf8mb4")

        yield Server(environment, address, signal.SIGKILL, folder, process, check)


@contextlib.contextmanager
def moved_to(running: Server) -> Iterator[None]:
    """Have this process, and those that it starts, work on the server instead of the test's database."""
    usual = {name: connection.settings_dict[name] for name in running.address}
    _connect_to(running.address)
    try:
        yield
    finally:
        _connect_to(usual)


def _connect_to(address: dict[str, str]) -> None:
    connection.close()
    connection.settings_dict.update(address)
    ContentType.objects.clear_cache()  # each database has keys of its own
