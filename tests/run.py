"""Runs the whole suite: on SQLite, on a PostgreSQL of its own, and one journey in a real browser.

python tests/run.py [--only sqlite|postgres|browser] [arguments of pytest]

A part that cannot run is skipped, and said so in the last lines; with CI=true that is a failure.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.postgresql import NoPostgreSQL, running_postgresql  # noqa: E402

PART_WITHIN = 1500  # seconds; a part that hangs is ended, and has failed
STOPS_WITHIN = 20
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NOT_FOR_TESTS = ("DJANGO_SETTINGS_MODULE", "POSTGRES_HOST", "SQLITE_NAME")
NO_TESTS = 5  # pytest's exit status when it found none


class CannotRun(Exception):
    """A part has not what it needs; the text says what."""


@dataclass
class Part:
    """What became of one part of the suite."""

    name: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    remarks: list[str] = field(default_factory=list)

    def skip(self, reason: str) -> None:
        """Count the whole part as skipped."""
        self.skipped += 1
        self.remarks.append(f"SKIPPED {self.name}: {reason}")

    def fail(self, reason: str) -> None:
        """Count a failure that no test stands for."""
        self.failed += 1
        self.remarks.append(f"FAILED {self.name}: {reason}")

    def read(self, report: Path) -> None:
        """Count the tests of pytest's report."""
        for case in ElementTree.parse(report).iter("testcase"):
            skipped = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                self.failed += 1
            elif skipped is not None:
                self.skipped += 1
                name = f"{case.get('classname')}.{case.get('name')}"
                self.remarks.append(f"SKIPPED {self.name}: {name}: {skipped.get('message')}")
            else:
                self.passed += 1


class Suite:
    """One run: its scratch folder, its environment, the arguments for pytest, and what became of each part."""

    def __init__(self, scratch: Path, arguments: Sequence[str]) -> None:
        self.scratch = scratch
        self.arguments = list(arguments)
        self.parts: list[Part] = []

    def sqlite(self) -> None:
        """Run all tests but the browser's on SQLite."""
        self._part("sqlite", lambda part: self._pytest(part, "not browser"))

    def postgres(self) -> None:
        """Run all tests but the browser's on a PostgreSQL that lives as long as they do."""

        def run(part: Part) -> None:
            try:
                with running_postgresql() as socket_folder:
                    self._pytest(part, "not browser", POSTGRES_HOST=str(socket_folder))
            except NoPostgreSQL as error:
                raise CannotRun(str(error)) from error

        self._part("postgres", run)

    def browser(self) -> None:
        """Run the journey in headless Chromium; its screenshots and axe counts stay in artifacts/."""

        def run(part: Part) -> None:
            _need_browser()
            self._pytest(part, "browser")

        self._part("browser", run)

    def _part(self, name: str, run: Callable[[Part], None]) -> None:
        part = Part(name)
        self.parts.append(part)
        _say(f"\n=== {name} ===")
        began = time.monotonic()
        try:
            run(part)
        except CannotRun as reason:
            part.skip(str(reason))
        part.seconds = time.monotonic() - began

    def _pytest(self, part: Part, chosen: str, **environment: str) -> None:
        report = self.scratch / f"{part.name}.xml"
        command = [sys.executable, "-m", "pytest", "-m", chosen, f"--junit-xml={report}", *self.arguments]
        status = _run(command, self._environment() | environment)
        if report.exists():
            part.read(report)
        if status == NO_TESTS and self.arguments:
            part.skip("no test is chosen by these arguments")
        elif status and not part.failed:
            part.fail("no test was found" if status == NO_TESTS else f"pytest ended with status {status}")

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("EXOTEL_") and name not in NOT_FOR_TESTS
        }
        temporary = self.scratch / "tmp"
        temporary.mkdir(exist_ok=True)
        return kept | {"TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"}


def _run(command: list[str], environment: dict[str, str]) -> int:
    """Run pytest to its end and return its status; nothing that it started outlives it."""
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait(PART_WITHIN)
    except subprocess.TimeoutExpired:
        _say(f"Ended after {PART_WITHIN} seconds.")
        return 1
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # fixtures are torn down
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOPS_WITHIN)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _need_browser() -> None:
    """Make sure that there is a browser, installing one where we may; raises :class:`CannotRun`."""
    if _has_browser():
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _say("No browser: installing Chromium with apt-get.")
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            ["apt-get", "-q", "update"],
            ["apt-get", "-q", "install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
        ):
            subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
    if not _has_browser():
        raise CannotRun(f"no browser on PATH ({', '.join(BROWSERS)}), and apt-get as root could not install one")


def _has_browser() -> bool:
    return any(map(shutil.which, BROWSERS))


def summary(parts: Sequence[Part], *, skip_is_failure: bool) -> tuple[str, int]:
    """Return the last lines of a run, and its exit status."""
    passed, failed, skipped = (sum(getattr(part, name) for part in parts) for name in ("passed", "failed", "skipped"))
    lines = ["", f"{'part':<10}{'passed':>8}{'failed':>8}{'skipped':>8}{'seconds':>9}"]
    lines += [f"{one.name:<10}{one.passed:>8}{one.failed:>8}{one.skipped:>8}{one.seconds:>9.1f}" for one in parts]
    lines += [remark for part in parts for remark in part.remarks]
    bad = bool(failed or not passed)
    if skipped and skip_is_failure:
        bad = True
        lines.append("CI=true: a skip is a failure.")
    if not passed:
        lines.append("Nothing has passed: a failure.")
    lines.append(f"{passed} passed, {failed} failed, {skipped} skipped")
    return "\n".join(lines), int(bad)


def _say(text: str) -> None:
    print(text, flush=True)


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """Yield a folder for all that the tests leave; another user (PostgreSQL's) may walk through it."""
    with tempfile.TemporaryDirectory(prefix="exotel-ccm-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def _stopped(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def main() -> int:
    """Run the parts that are asked for and return the exit status."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=["sqlite", "postgres", "browser"], help="run this part alone")
    options, arguments = parser.parse_known_args()
    signal.signal(signal.SIGTERM, _stopped)
    signal.signal(signal.SIGHUP, _stopped)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is started deaf to it
    with _scratch() as scratch:
        suite = Suite(scratch, arguments)
        for name in [options.only] if options.only else ["sqlite", "postgres", "browser"]:
            getattr(suite, name)()
    text, status = summary(suite.parts, skip_is_failure=os.environ.get("CI", "").lower() in {"1", "true"})
    _say(text)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
