"""Callbacks per second through the full view, beside a bare Django view on the same database.

python benchmarks/callbacks.py [--calls N] [--rounds N] [--only sqlite|postgres]

Both views run in one process through Django's WSGI handler with the middleware of tests/settings.py and a connection
that stays open; nothing goes over a network, no receiver is connected. Each call gets its two callbacks, `answered` and
`terminal`. The two sides take turns in rounds, so that a slower minute of the machine hits both; the ratio is one
callback's time in units of the bare view's.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

ENOUGH = 120  # seconds; a slow machine measures fewer rounds
WARM_UP = 20
DATABASES = ["sqlite", "postgres"]


def main() -> int:
    """Measure each database in a process of its own and print the table."""
    options = options_of(__doc__, calls=200)
    if options.here:
        print(json.dumps(measure(options.calls, options.rounds)))
        return 0
    print(f"{'':<24}{'callbacks/s':>12}{'bare view/s':>12}{'ratio':>8}  smallest to largest of the rounds")
    for name in options.only:
        print(row(in_a_process(name, options)), flush=True)
    return 0


def options_of(description: str | None, *, calls: int) -> argparse.Namespace:
    """Read the command line: ``calls`` (of a round), ``rounds``, ``only`` (the databases), ``here`` (in a child)."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    text = "calls on each side in a round, two callbacks each (%(default)s)"
    parser.add_argument("--calls", type=int, default=calls, help=text)
    parser.add_argument("--rounds", type=int, default=7, help="rounds (7)")
    parser.add_argument("--only", choices=DATABASES, help="measure this database alone")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.calls < 1 or options.rounds < 1:
        parser.error("--calls and --rounds are at least 1")
    options.only = [options.only] if options.only else DATABASES
    return options


def in_a_process(name: str, options: argparse.Namespace, script: str = __file__) -> dict[str, Any]:
    """Return what a child that runs ``script`` measures on an empty database of its own."""
    from tests.servers.postgresql import running_postgresql  # noqa: PLC0415 - the path is set above

    with tempfile.TemporaryDirectory(prefix="exotel-ccm-bench-") as folder:
        if name == "sqlite":
            return child(options, script, SQLITE_NAME=str(Path(folder) / "benchmark.sqlite3"))
        with running_postgresql(durable=True) as socket_folder:
            return child(options, script, POSTGRES_HOST=str(socket_folder))


def child(options: argparse.Namespace, script: str, **environment: str) -> dict[str, Any]:
    """Run ``script`` with ``environment`` and read its answer."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("EXOTEL_", "POSTGRES_", "SQLITE_"))
    }
    command = [sys.executable, script, "--here", f"--calls={options.calls}", f"--rounds={options.rounds}"]
    done = subprocess.run(command, env=kept | environment, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def row(measured: dict[str, Any]) -> str:
    """Return one database's line of the table: medians over the rounds."""
    pairs = measured["rounds"]
    ratios = [ours / bare for ours, bare in pairs]
    ours, bare = (1 / statistics.median(side) for side in zip(*pairs, strict=True))
    middle, least, most = statistics.median(ratios), min(ratios), max(ratios)
    return (
        f"{measured['database']:<24}{ours:>12.0f}{bare:>12.0f}{middle:>8.2f}  {least:.2f} to {most:.2f} of {len(pairs)}"
    )


def measure(calls: int, rounds: int) -> dict[str, Any]:
    """Return the seconds of a callback and of a bare request in each round, on the database of the environment."""
    database = prepare()
    post = poster()
    began = time.monotonic()
    timed: list[tuple[float, float]] = []
    run(post, callbacks_of(WARM_UP))
    run(post, [("/bare/", b"{}")] * WARM_UP)
    for number in range(rounds):
        sides = [callbacks_of(calls), [("/bare/", b"{}")] * (2 * calls)]
        order = (0, 1) if number % 2 else (1, 0)
        seconds = {side: run(post, sides[side]) for side in order}
        timed.append((seconds[0], seconds[1]))
        if time.monotonic() - began > ENOUGH:
            break
    prove(WARM_UP + calls * len(timed))
    return {"database": database, "rounds": timed}


def prepare() -> str:
    """Set Django up with an empty, migrated database; return the database's name and version."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    from django.conf import settings  # noqa: PLC0415 - the environment decides the database

    settings.ROOT_URLCONF = "benchmarks.bare"
    settings.DATABASES["default"]["CONN_MAX_AGE"] = None
    import django  # noqa: PLC0415

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    if connection.vendor == "sqlite":
        return f"SQLite {'.'.join(map(str, connection.Database.sqlite_version_info))}, WAL"
    return f"PostgreSQL {connection.pg_version // 10000}.{connection.pg_version % 10000}"


def poster() -> Callable[[str, bytes], None]:
    """Return what posts a body to a path through the WSGI handler, and fails on any answer but 200."""
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415
    from django.test import RequestFactory  # noqa: PLC0415

    application = get_wsgi_application()
    environ = RequestFactory().post("/", b"", content_type="application/json").environ

    def post(url: str, body: bytes) -> None:
        statuses: list[str] = []
        asked = environ | {"PATH_INFO": url, "CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
        answer = application(asked, lambda status, _headers: statuses.append(status))
        b"".join(answer)
        answer.close()
        if statuses != ["200 OK"]:
            raise SystemExit(f"{url} was answered {statuses}")

    return post


def callbacks_of(calls: int) -> list[tuple[str, bytes]]:
    """Place calls that Exotel accepted; return URL and body of their callbacks: all answered, then all terminal."""
    from django.urls import reverse  # noqa: PLC0415

    from django_exotel_ccm import callback_urls  # noqa: PLC0415
    from tests.concurrency.callbacks import accepted  # noqa: PLC0415

    answered: list[tuple[str, bytes]] = []
    terminal: list[tuple[str, bytes]] = []
    for _ in range(calls):
        sid = uuid.uuid4().hex
        call = accepted(sid, customer_number="+919000001001")
        for event, posts in (("answered", answered), ("terminal", terminal)):
            url = reverse("exotel_ccm:callback", args=[callback_urls.sign(call.reference, event)])
            posts.append((url, json.dumps(body_of(sid, event)).encode()))
    return [*answered, *terminal]


def body_of(sid: str, event: str) -> dict[str, Any]:
    """Return the body of a callback, as a CCM v2 call's."""
    over = event == "terminal"
    return {
        "event_details": {"event_type": event},
        "call_details": {
            "call_sid": sid,
            "direction": "outbound",
            "virtual_number": "+918000000700",
            "call_state": "terminal" if over else "active",
            "call_status": "completed" if over else None,
            "assigned_agent_details": {"user_id": "7d1f6a52-0c3e-4b19-9a77-2f5d8e61c0aa", "status": "completed"},
            "customer_details": {"number": "+919000001001", "status": "completed"},
            "start_time": "2026-02-11T05:42:12Z",
            "end_time": "2026-02-11T05:44:58Z" if over else None,
            "total_duration": 166 if over else None,
            "total_talk_time": 141 if over else None,
            "custom_field": "ticket_8842",
            "recordings": [{"url": f"https://recordings.example.com/{sid}.mp3"}] if over else None,
        },
    }


def run(post: Callable[[str, bytes], None], posts: Iterable[tuple[str, bytes]]) -> float:
    """Return the seconds that one post takes."""
    posts = list(posts)
    began = time.perf_counter()
    for url, body in posts:
        post(url, body)
    return (time.perf_counter() - began) / len(posts)


def prove(calls: int, *, unkept: int = 0) -> None:
    """Make sure that what was measured was done: all calls have ended, and all callbacks but ``unkept`` are kept."""
    from django_exotel_ccm.choices import EventKind, State  # noqa: PLC0415
    from django_exotel_ccm.models import CallEvent, CallRecord  # noqa: PLC0415

    ended = CallRecord.objects.filter(state=State.ENDED, talk_time=141).exclude(answered_at=None).count()
    kept = CallEvent.objects.filter(kind=EventKind.CALLBACK, reason="").count()
    due = 2 * calls - unkept
    if (ended, kept) != (calls, due):
        raise SystemExit(f"{ended} of {calls} calls have ended, {kept} of {due} callbacks are applied")


if __name__ == "__main__":
    sys.exit(main())
