"""A Redis of our own: started on a free port of loopback, keeping nothing, stopped afterwards."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.servers.base import STARTS_WITHIN, NoServer, last_words, short_folder, start, stop

PACKAGES = ("redis-server",)  # of Debian, which may start a Redis of its own: it is left alone
MISSING = f"no redis-server on the PATH; as root type: apt-get install {' '.join(PACKAGES)}"


class NoRedis(NoServer):
    """There is no redis-server on this machine, or it does not start; the text gives the reason."""


def has_redis() -> bool:
    """Say whether the binary is here."""
    return shutil.which("redis-server") is not None


@contextlib.contextmanager
def running_redis() -> Iterator[str]:
    """Start a server and yield its URL, as Celery takes it: ``redis://127.0.0.1:<port>/0``; raises NoRedis."""
    binary = shutil.which("redis-server")
    if binary is None:
        raise NoRedis(MISSING)
    port = _free_port()
    with short_folder("redis", "redis.sock") as folder:
        try:
            server = start(_command(binary, port, folder), folder)
        except NoServer as error:
            raise NoRedis(str(error)) from error
        try:
            _wait(server, port, folder)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            stop(server, signal.SIGTERM)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _command(binary: str, port: int, folder: Path) -> list[str | Path]:
    listens = ["--bind", "127.0.0.1", "--port", str(port)]
    keeps_nothing = ["--save", "", "--appendonly", "no"]
    return [binary, *listens, *keeps_nothing, "--dir", folder]


def _wait(server: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while not _answers(port):
        if server.poll() is not None or time.monotonic() > deadline:
            raise NoRedis(f"Redis does not start: {last_words(folder)}")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
