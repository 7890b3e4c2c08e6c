"""What the tests' own servers share: a folder for a socket, a user who is not root, and an end."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

STARTS_WITHIN = 60  # seconds
STOPS_WITHIN = 20
LONGEST_SOCKET = 100  # bytes of a socket's path; the kernel's limit is 107
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


class NoServer(Exception):
    """There are no binaries for this machine, or they do not start; the text gives the reason."""


@contextlib.contextmanager
def short_folder(name: str, socket: str) -> Iterator[Path]:
    """Yield a temporary folder; another user may enter it, and the path of ``socket`` in it is short enough."""
    base = tempfile.gettempdir()
    longest = len(os.fsencode(base)) + len(f"/exotel-ccm-{name}-12345678/{socket}")
    if longest > LONGEST_SOCKET or not open_to_all(base):
        base = "/tmp"
    with tempfile.TemporaryDirectory(prefix=f"exotel-ccm-{name}-", dir=base, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def open_to_all(path: str | Path) -> bool:
    """Say whether every user of the machine may walk to ``path``."""
    path = Path(path).resolve()
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def another_user() -> int | None:
    """Return the user who runs a server when we are root, which a database refuses to be; None when we are not."""
    return pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None


def prepare(command: Sequence[str | Path], folder: Path, user: int | None = None) -> None:
    """Run the command that makes an empty database in ``folder``; raises :class:`NoServer`."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, user=user, capture_output=True, check=False)
    except OSError as error:
        raise NoServer(f"{name} does not start: {error}") from error
    if done.returncode:
        raise NoServer(f"{name} failed: {(done.stdout + done.stderr).decode(errors='replace').strip()[-300:]}")


def start(command: Sequence[str | Path], folder: Path, user: int | None = None) -> subprocess.Popen[bytes]:
    """Start a server in ``folder``, where it writes its ``log``; raises :class:`NoServer`."""
    try:
        with (folder / "log").open("wb") as output:
            return subprocess.Popen(
                command,
                cwd=folder,
                env=ENVIRONMENT,
                user=user,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C is for us; we stop the server when its last client is gone.
                start_new_session=True,
            )
    except OSError as error:
        raise NoServer(f"{Path(command[0]).name} does not start: {error}") from error


def last_words(folder: Path) -> str:
    """Return the end of what a server wrote to its log."""
    return (folder / "log").read_text(errors="replace").strip()[-300:]


def stop(server: subprocess.Popen[bytes], *requests: signal.Signals) -> None:
    """Ask a server to end, each time more firmly, and at last kill it."""
    for request in (*requests, signal.SIGKILL):
        if server.poll() is None:
            server.send_signal(request)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(STOPS_WITHIN)
