"""Commands on a database without tables say what to type, without a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.subprocesses import ROOT, child_environment

SERVERS = ("POSTGRES_HOST", "MYSQL_SOCKET")
COMMANDS = [
    ("exotel_reconcile",),
    ("exotel_sync",),
    ("exotel_replay",),
    ("exotel_purge", "--older-than=90"),
    ("exotel_erase", "+919000001001", "--apply"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_missing_tables(command: tuple[str, ...], tmp_path: Path) -> None:
    environment = {name: value for name, value in child_environment().items() if name not in SERVERS}

    done = subprocess.run(
        [sys.executable, "-m", "django", *command],
        cwd=ROOT,
        env=environment | {"TEST_DATABASE": str(tmp_path / "empty.sqlite3"), "EXOTEL_URL": "exotel://k:t@mumbai/s"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "CommandError: The database failed, nothing is lost: no such table: " in done.stderr
    assert done.stderr.endswith("Run it again; if a table is missing, first type: python manage.py migrate\n")
    assert "Traceback" not in done.stderr
