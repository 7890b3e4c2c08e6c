"""A MariaDB of our own: started on a socket in a temporary folder, stopped and removed afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.servers.base import STARTS_WITHIN, NoServer, another_user, last_words, prepare, short_folder, start, stop

PACKAGES = ("mariadb-server-core", "mariadb-client-core")  # of Debian; they start no service
OUTSIDE_PATH = "/usr/sbin"  # where Debian puts servers; on the PATH of root alone
SOCKET = "mariadb.sock"
SERVER = ["--skip-networking", "--character-set-server=utf8mb4", "--default-time-zone=+00:00", "--max-connections=200"]
# The data is thrown away: nothing is gained by waiting for the disk.
RELAXED = ["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-flush-method=nosync"]


class NoMariaDB(NoServer):
    """There are no binaries for this machine, or they do not start; the text gives the reason."""


def has_mariadb() -> bool:
    """Say whether the binaries are here."""
    return None not in (_found("mariadbd"), _found("mariadb-install-db"))


@contextlib.contextmanager
def running_mariadb(*, durable: bool = False) -> Iterator[Path]:
    """Start a server and yield its socket: MYSQL_SOCKET. ``durable`` waits for the disk as usual. Raises NoMariaDB."""
    with short_folder("my", SOCKET) as folder:
        server = _start(folder, [] if durable else RELAXED)
        try:
            _wait(server, folder)
            yield folder / SOCKET
        finally:
            stop(server, signal.SIGTERM)


def _found(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), OUTSIDE_PATH]))


def _start(folder: Path, options: list[str]) -> subprocess.Popen[bytes]:
    binary, install = _found("mariadbd"), _found("mariadb-install-db")
    if binary is None or install is None:
        raise NoMariaDB(f"no mariadbd and mariadb-install-db; as root type: apt-get install {' '.join(PACKAGES)}")
    user = another_user()
    if user is not None:
        os.chown(folder, user, -1)
    data = f"--datadir={folder / 'data'}"
    # No host name is needed: all connections use the socket.
    ours = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", "--force"]
    try:
        prepare([install, "--no-defaults", data, *ours, *options], folder, user)
        # In /tmp, another server that starts would remove the temporary tables of this one.
        places = [f"--socket={folder / SOCKET}", f"--pid-file={folder / 'pid'}", f"--tmpdir={folder}"]
        return start([binary, "--no-defaults", data, *places, *SERVER, *options], folder, user)
    except NoServer as error:
        raise NoMariaDB(str(error)) from error


def _wait(server: subprocess.Popen[bytes], folder: Path) -> None:
    try:
        import pymysql
    except ImportError as error:
        raise NoMariaDB(f"pymysql is not usable: {error}") from error
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            pymysql.connect(unix_socket=str(folder / SOCKET), user="root").close()
        except pymysql.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise NoMariaDB(f"MariaDB does not start: {last_words(folder)}") from error
            time.sleep(0.05)
        else:
            return
