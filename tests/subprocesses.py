"""Processes that a test starts: on its own database, ended with its block; or with a bare environment, to their end."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent
ENDS_WITHIN = 20  # seconds


@contextlib.contextmanager
def child(*command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Start ``python *command`` on the test's database; yields the process, whose output is a pipe."""
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=child_environment() | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(ENDS_WITHIN)
        process.kill()
        process.communicate()


def python(*arguments: str, **environment: str) -> str:
    """Run Python in the project with a bare environment; return what it prints, fail with what it complains."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=ROOT,
        env=kept | {"NO_PROXY": "127.0.0.1"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def child_environment() -> dict[str, str]:
    """Return the environment of such a process: this one's, and which database and site are the test's."""
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "tests.subprocess_settings",
        "TEST_DATABASE": str(connection.settings_dict["NAME"]),
        "TEST_BASE_URL": settings.EXOTEL_CCM["CALLBACK_BASE_URL"],
        "PYTHONUNBUFFERED": "1",
    }
