"""Runs the whole suite: on SQLite, on servers of its own, and one journey in a real browser.

python tests/run.py [--only sqlite|postgres|mariadb|redis|browser] [arguments of pytest]

Two parts run at once where there are two cores; each line then begins with the name of its part. A part that cannot
run is skipped and named in the last lines; with CI=true that is a failure.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # Python put tests/ there, from which no "tests" can be imported

from tests import messages  # noqa: E402
from tests.parts import Part, summary  # noqa: E402
from tests.servers import chromium, mariadb, redis  # noqa: E402
from tests.servers.base import NoServer  # noqa: E402
from tests.servers.packages import has_hindi_font, install  # noqa: E402
from tests.servers.postgresql import running_postgresql  # noqa: E402

AT_ONCE = min(2, os.cpu_count() or 1)  # parts; each uses one core
PART_WITHIN = 2400  # seconds; a part that hangs is ended, and has failed
STOPS_WITHIN = 20
PARTS = ("sqlite", "postgres", "mariadb", "redis", "browser")
EVERYWHERE = "not browser and not redis"  # the tests that run on every database
NOT_FOR_TESTS = ("DJANGO_SETTINGS_MODULE", "POSTGRES_HOST", "MYSQL_SOCKET", "SQLITE_NAME")
NO_TESTS = 5  # pytest's exit status when it found none


class CannotRun(Exception):
    """A part lacks something; the text names it."""


class Suite:
    """One run: its scratch folder, its environment, the arguments for pytest, and the result of each part."""

    def __init__(self, scratch: Path, arguments: Sequence[str]) -> None:
        self.scratch = scratch
        self.arguments = list(arguments)
        self.parts: list[Part] = []
        self._named = False  # whether each line begins with the name of its part
        self._lock = threading.Lock()
        self._processes: list[subprocess.Popen[str]] = []
        self._is_stopped = False

    def run(self, names: Sequence[str]) -> None:
        """Run the parts of these names. When we are stopped, all that was started is ended first."""
        at_once = min(AT_ONCE, len(names))
        self._named = at_once > 1
        with ThreadPoolExecutor(at_once) as pool:
            try:
                running = [pool.submit(getattr(self, name)) for name in names]
                self.parts = [part.result() for part in running]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self._stop()
                raise

    def sqlite(self) -> Part:
        """Run the tests on SQLite, installing what reads the translations where we may."""

        def run(part: Part) -> None:
            if not messages.has_gettext():
                install(*messages.PACKAGES)
            self._pytest(part, EVERYWHERE)

        return self._part("sqlite", run)

    def postgres(self) -> Part:
        """Run the same on a PostgreSQL that lives as long as they do."""

        def run(part: Part) -> None:
            with running_postgresql() as socket_folder:
                self._pytest(part, EVERYWHERE, POSTGRES_HOST=str(socket_folder))

        return self._part("postgres", run)

    def mariadb(self) -> Part:
        """Run the same on a MariaDB, installing one where we may."""

        def run(part: Part) -> None:
            if not mariadb.has_mariadb():
                install(*mariadb.PACKAGES)
            with mariadb.running_mariadb() as socket:
                self._pytest(part, EVERYWHERE, MYSQL_SOCKET=str(socket))

        return self._part("mariadb", run)

    def redis(self) -> Part:
        """Run the tests that need a Redis, on PostgreSQL, installing a Redis where we may."""

        def run(part: Part) -> None:
            if not redis.has_redis():
                install(*redis.PACKAGES)
            if not redis.has_redis():
                raise CannotRun(redis.MISSING)
            with running_postgresql() as socket_folder:
                self._pytest(part, "redis", POSTGRES_HOST=str(socket_folder))

        return self._part("redis", run)

    def browser(self) -> Part:
        """Run the journey in headless Chromium; its screenshots and axe counts stay in artifacts/."""

        def run(part: Part) -> None:
            if not (chromium.executable() and has_hindi_font()):
                install(*chromium.PACKAGES)
            if not chromium.executable():
                raise CannotRun(chromium.MISSING)
            self._pytest(part, "browser")

        return self._part("browser", run)

    def _part(self, name: str, run: Callable[[Part], None]) -> Part:
        part = Part(name)
        _say(f"=== {name} ===" if self._named else f"\n=== {name} ===")
        began = time.monotonic()
        try:
            run(part)
        except (CannotRun, NoServer) as reason:
            part.skip(str(reason))
        part.seconds = time.monotonic() - began
        return part

    def _pytest(self, part: Part, chosen: str, **environment: str) -> None:
        report = self.scratch / f"{part.name}.xml"
        command = [sys.executable, "-m", "pytest", "-m", chosen, f"--junit-xml={report}", *self.arguments]
        status = self._run(part.name, command, self._environment() | environment)
        if report.exists():
            part.read(report)
        if status == NO_TESTS and self.arguments:
            part.skip("no test is chosen by these arguments")
        elif status and not part.failed:
            part.fail("no test was found" if status == NO_TESTS else f"pytest ended with status {status}")

    def _run(self, name: str, command: list[str], environment: dict[str, str]) -> int:
        """Run pytest to its end and return its status; nothing that it started outlives it."""
        process = self._start(command, environment)
        lines = threading.Thread(target=_repeat, args=(process.stdout, name), daemon=True)
        if process.stdout is not None:
            lines.start()
        try:
            return process.wait(PART_WITHIN)
        except subprocess.TimeoutExpired:
            _say(f"Ended {name} after {PART_WITHIN} seconds.")
            return 1
        finally:
            _end(process)
            if process.stdout is not None:
                lines.join(STOPS_WITHIN)
                process.stdout.close()

    def _start(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
        with self._lock:
            if self._is_stopped:
                raise CannotRun("the run was stopped")
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if self._named else None,
                stderr=subprocess.STDOUT if self._named else None,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._processes.append(process)
            return process

    def _stop(self) -> None:
        with self._lock:
            self._is_stopped = True
        for process in self._processes:
            _end(process)

    def _environment(self) -> dict[str, str]:
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("EXOTEL_") and name not in NOT_FOR_TESTS
        }
        temporary = self.scratch / "tmp"
        temporary.mkdir(exist_ok=True)
        colours = {"PY_COLORS": "1"} if sys.stdout.isatty() else {}
        return environment | colours | {"TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"}


def _repeat(lines: IO[str], name: str) -> None:
    for line in lines:
        _say(f"{name:<8} | {line.rstrip()}")


def _end(process: subprocess.Popen[str]) -> None:
    """End pytest and all that it started."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)  # fixtures are torn down
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOPS_WITHIN)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _say(text: str) -> None:
    print(f"{text}\n", end="", flush=True)  # in one piece, for two parts may speak at once


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """Yield a folder for all that the tests leave; another user (PostgreSQL's) may walk through it."""
    with tempfile.TemporaryDirectory(prefix="exotel-ccm-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def _stopped(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def main() -> int:
    """Run the chosen parts and return the exit status."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=PARTS, help="run this part alone; may be repeated")
    options, arguments = parser.parse_known_args()
    signal.signal(signal.SIGTERM, _stopped)
    signal.signal(signal.SIGHUP, _stopped)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started deaf to it
    with _scratch() as scratch:
        suite = Suite(scratch, arguments)
        suite.run(options.only or PARTS)
    text, status = summary(suite.parts, skip_is_failure=os.environ.get("CI", "").lower() in {"1", "true"})
    _say(text)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
