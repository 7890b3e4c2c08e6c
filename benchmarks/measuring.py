"""What the benchmarks share: the command line, an empty database in a process of its own, rounds, and the table."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

ENOUGH = 120  # seconds; a slow machine measures fewer rounds
DATABASES = ["sqlite", "postgres"]
ALL_DATABASES = [*DATABASES, "mariadb"]
SIZES = [1_000, 100_000]  # calls in the database

Side = Callable[[int], float]
"""Does so many of one thing, and returns the seconds that one took."""


def run(
    script: str,
    description: str | None,
    measure: Callable[[argparse.Namespace], dict[str, Any]],
    *,
    sizes: list[int] = SIZES,
    databases: list[str] = DATABASES,
) -> int:
    """Measure each database in a process of its own, and print a line for each number of stored calls."""
    options = read_options(description, sizes, databases)
    if options.here:
        print(json.dumps(measure(options)))
        return 0
    from tests.servers.mariadb import NoMariaDB  # noqa: PLC0415 - the path is set above

    for name in options.only:
        try:
            measured = in_a_process(name, options, script)
        except NoMariaDB as reason:
            print(f"\n{reason}")
            continue
        for size, rounds in measured["sizes"].items():
            print(f"\n{measured['database']}, {int(size):,} calls stored")
            print("\n".join(table(rounds)), flush=True)
    return 0


def read_options(description: str | None, sizes: list[int], databases: list[str]) -> argparse.Namespace:
    """Read the command line: ``calls`` (of a round), ``rounds``, ``only`` (the databases), ``here`` (in a child)."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200, help="calls on each side in a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds (%(default)s)")
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes, help="calls in the database (%(default)s)")
    parser.add_argument("--only", choices=databases, help="measure this database alone")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if min(options.calls, options.rounds) < 1:
        parser.error("--calls and --rounds are at least 1")
    options.only = [options.only] if options.only else databases
    return options


def in_a_process(name: str, options: argparse.Namespace, script: str) -> dict[str, Any]:
    """Return what a child that runs ``script`` measures on an empty database of its own."""
    from tests.servers.mariadb import running_mariadb  # noqa: PLC0415
    from tests.servers.postgresql import running_postgresql  # noqa: PLC0415

    if name == "mariadb":
        with running_mariadb(durable=True) as server_socket:
            _create_database(server_socket)
            return child(options, script, MYSQL_SOCKET=str(server_socket))
    with tempfile.TemporaryDirectory(prefix="exotel-ccm-bench-") as folder:
        if name == "sqlite":
            return child(options, script, SQLITE_NAME=str(Path(folder) / "benchmark.sqlite3"))
        with running_postgresql(durable=True) as socket_folder:
            return child(options, script, POSTGRES_HOST=str(socket_folder))


def _create_database(server_socket: Path) -> None:
    import pymysql  # noqa: PLC0415 - only for this database

    with pymysql.connect(unix_socket=str(server_socket), user="root") as connection:
        connection.cursor().execute("CREATE DATABASE exotel_ccm CHARACTER SET utf8mb4")


def child(options: argparse.Namespace, script: str, **environment: str) -> dict[str, Any]:
    """Run ``script`` with ``environment`` and read its answer."""
    strange = ("EXOTEL_", "POSTGRES_", "SQLITE_", "MYSQL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    command = [sys.executable, script, "--here", f"--calls={options.calls}", f"--rounds={options.rounds}", "--sizes"]
    command += map(str, options.sizes)
    done = subprocess.run(command, env=kept | environment, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def table(rounds: list[dict[str, float]]) -> list[str]:
    """Return the lines of the table: the first side's rate, and for each other side its rate and the ratio of both."""
    ours, *others = rounds[0]
    lines = [f"    {ours:<24}{1 / statistics.median(one[ours] for one in rounds):>8.0f} a second"]
    for other in others:
        ratios = [one[other] / one[ours] for one in rounds]
        rate, ratio = 1 / statistics.median(one[other] for one in rounds), statistics.median(ratios)
        lines.append(
            f"    {other:<24}{rate:>8.0f} a second; {ours} has {ratio:.2f} of its rate "
            f"({min(ratios):.2f} to {max(ratios):.2f} in {len(rounds)} rounds)"
        )
    return lines


def fill(size: int) -> None:
    """Store ended calls, each with three events and two announcements, until there are ``size``."""
    from django.utils import timezone  # noqa: PLC0415

    from django_exotel_ccm.models import Announcement, CallEvent, CallRecord  # noqa: PLC0415

    now = timezone.now()
    while missing := max(0, size - CallRecord.objects.count()):
        calls = CallRecord.objects.bulk_create(
            CallRecord(account="default", state="ended", outcome="completed", call_sid=uuid.uuid4().hex, created_at=now)
            for _call in range(min(missing, 1_000))
        )
        CallEvent.objects.bulk_create(
            CallEvent(
                call=call, reference=call.reference, fingerprint=uuid.uuid4().hex, received_at=now, raw=b"x" * 900
            )
            for call in calls
            for _event in range(3)
        )
        Announcement.objects.bulk_create(
            Announcement(call=call, signal="call_ended", key=key, state="done", created_at=now)
            for call in calls
            for key in ("accepted", "ended")
        )


def measure_rounds(
    sides: Mapping[str, Side], options: argparse.Namespace, fill: Callable[[int], None] = fill
) -> dict[int, list[dict[str, float]]]:
    """Return the seconds of one thing by side, for each number of stored calls and each round.

    ``fill`` stores calls until there are so many.

    The sides take turns, in another order each round, so that a slower minute of the machine hits all of them.
    """
    measured: dict[int, list[dict[str, float]]] = {}
    for size in options.sizes:
        fill(size)
        for side in sides.values():
            side(20)  # to warm up
        measured[size], began, order = [], time.monotonic(), list(sides)
        while len(measured[size]) < options.rounds and time.monotonic() - began < ENOUGH:
            seconds = {name: sides[name](options.calls) for name in order}
            measured[size].append({name: seconds[name] for name in sides})
            order = [*order[1:], order[0]]
    return measured


def prepare(*more_apps: str, **more_settings: str) -> str:
    """Set Django up with an empty, migrated database, and with these apps and settings besides those of the tests.

    Returns the name and the version of the database.
    """
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    from django.conf import settings  # noqa: PLC0415 - the environment decides the database

    settings.INSTALLED_APPS += more_apps
    settings.DATABASES["default"]["CONN_MAX_AGE"] = None
    for name, value in more_settings.items():
        setattr(settings, name, value)
    import django  # noqa: PLC0415

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    if connection.vendor == "sqlite":
        return f"SQLite {'.'.join(map(str, connection.Database.sqlite_version_info))}, WAL"
    if connection.vendor == "mysql":
        return f"MariaDB {'.'.join(map(str, connection.mysql_version))}"
    return f"PostgreSQL {connection.pg_version // 10000}.{connection.pg_version % 10000}"
