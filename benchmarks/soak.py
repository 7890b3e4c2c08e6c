"""Many calls through everything that is real, with faults by chance; afterwards every record equals the truth.

python benchmarks/soak.py [--calls N] [--seed N] [--seconds LIMIT] [--on postgres|mariadb|sqlite]

A simulated Exotel, a database server of its own that waits for the disk, and two processes each that place calls, serve
the host's site and reconcile. 5 % of the callbacks come twice, 5 % of "answered" after the end, 2 % never; one button
in fifty is pressed twice; one call in ten takes another course than the usual (nobody answers, refused, an error that
hides a ringing phone, …). The same seed draws the same faults. Exit status 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SHOWN = 10  # complaints of a kind


def main() -> int:
    """Run the soak, print its table and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=32_000, help="calls to place (32000: some 60000 callbacks)")
    parser.add_argument("--seed", type=int, default=1, help="what faults are drawn with (1)")
    parser.add_argument("--seconds", type=float, default=3600, help="after which no more calls are placed (3600)")
    parser.add_argument("--on", choices=["postgres", "mariadb", "sqlite"], default="postgres", help="(postgres)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, stopped)
    signal.signal(signal.SIGINT, stopped)  # a shell's background job is started deaf to it
    with database(options.on):
        return run(options)


def stopped(number: int, _frame: Any) -> NoReturn:
    """End, and with this process everything that it started."""
    raise SystemExit(128 + number)


@contextlib.contextmanager
def database(name: str) -> Iterator[None]:
    """Start an empty database and name it in the environment, which knows no other."""
    from tests.servers.mariadb import running_mariadb  # noqa: PLC0415 - the path is set above
    from tests.servers.postgresql import running_postgresql  # noqa: PLC0415

    for known in [one for one in os.environ if one.startswith(("EXOTEL_", "POSTGRES_", "MYSQL_", "SQLITE_"))]:
        del os.environ[known]
    with contextlib.ExitStack() as stack:
        if name == "postgres":
            os.environ["POSTGRES_HOST"] = str(stack.enter_context(running_postgresql(durable=True)))
        elif name == "mariadb":
            os.environ["MYSQL_SOCKET"] = str(stack.enter_context(running_mariadb(durable=True)))
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="exotel-ccm-soak-"))
            os.environ["SQLITE_NAME"] = str(Path(folder) / "soak.sqlite3")
        yield


def run(options: argparse.Namespace) -> int:
    """Set Django up, soak, and print what came of it."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    prepare(options.on)
    from django_exotel_ccm import simulator  # noqa: PLC0415 - the environment decides the database
    from tests.concurrency.soak import Plan, soak  # noqa: PLC0415

    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:>7.0f} s  {text}", flush=True)

    with simulator.running() as exotel:
        os.environ["EXOTEL_URL"] = exotel.account_url
        result = soak(exotel, Plan(options.calls, options.seed, options.seconds), say)
    print(f"\nsoak on {options.on}, seed {options.seed}")
    for name, value in rows(result):
        print(f"{name:<26}{value}")
    return int(bool(result.verdict or result.complaints))


def prepare(name: str) -> None:
    """Set Django up with an empty, migrated database."""
    import django  # noqa: PLC0415 - the environment decides the database

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    if name == "mariadb":
        from pymysql import connect  # noqa: PLC0415

        with contextlib.closing(connect(unix_socket=os.environ["MYSQL_SOCKET"], user="root")) as server:
            server.cursor().execute("CREATE DATABASE exotel_ccm CHARACTER SET utf8mb4")
    call_command("migrate", verbosity=0)
    connection.close()


def rows(result: Any) -> Iterator[tuple[str, Any]]:
    """Yield the lines of the table."""
    wrong = {
        "records that differ": result.verdict.differ,
        "events lost": result.verdict.lost,
        "announcements wrong": result.verdict.wrong,
        "dialled twice": result.verdict.twice,
    }
    yield "calls", counted(result.calls, result.states)
    yield "  ended", counted(result.states["ended"], result.outcomes)
    yield "callbacks", counted(result.callbacks, result.answers)
    for fault in ("duplicate", "reordered", "lost"):
        yield f"  {fault}", result.faults[fault]
    yield "questions to Exotel", result.fetched
    yield "events", counted(result.events.total(), result.events)
    yield "announcements", counted(result.announcements.total(), result.announcements)
    for name, found in wrong.items():
        yield name, len(found)
    yield "seconds", counted(round(sum(result.seconds.values())), {k: round(v) for k, v in result.seconds.items()})
    for complaint in [*result.complaints, *(one for found in wrong.values() for one in found[:SHOWN])]:
        yield "WRONG", complaint


def counted(total: int, parts: Counter[str] | dict[str, int]) -> str:
    """Return a number and what it is made of."""
    named = [f"{count} {name}" for name, count in sorted(parts.items(), key=lambda one: -one[1])]
    return f"{total}  ({', '.join(named)})"


if __name__ == "__main__":
    sys.exit(main())
