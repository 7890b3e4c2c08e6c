"""Changes `lifecycle` in every way that mutmut knows, one at a time, and runs its tests against each.

make mutants

Takes about a minute and ends with the number of mutants: exit status 0 if each made a test fail, else 1 and what the
others changed. The tests need no database, and neither draw nor guess: a mutant that dies once dies always.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
NEEDED = ("pyproject.toml", "django_exotel_ccm", "tests/__init__.py", "tests/lifecycle")
WITHIN = 900  # seconds


class MutmutFailed(Exception):
    """mutmut failed; the text is its output."""


def main() -> int:
    """Run all mutants in a copy of the tree and return the exit status."""
    with tempfile.TemporaryDirectory(prefix="exotel-ccm-mutants-") as folder:
        copy_tree(Path(folder))
        try:
            mutmut(Path(folder), "run")
            return report(Path(folder))
        except MutmutFailed as error:
            print(error)
            return 1


def copy_tree(folder: Path) -> None:
    """Copy what is mutated, and its tests, into ``folder``."""
    for name in NEEDED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


def report(folder: Path) -> int:
    """Print the counts and every mutant that no test has killed; return the exit status."""
    mutmut(folder, "export-cicd-stats")
    counts = json.loads((folder / "mutants" / "mutmut-cicd-stats.json").read_text("utf-8"))
    left = [line.partition(":")[0].strip() for line in mutmut(folder, "results").splitlines() if ": " in line]
    for name in left:
        print(mutmut(folder, "show", name))
    print(f"{counts['total']} mutants, {counts['killed']} killed, {counts['survived']} survived")
    return 0 if counts["total"] == counts["killed"] > 0 else 1


def mutmut(folder: Path, *arguments: str) -> str:
    """Run mutmut in ``folder`` and return what it printed; nothing that it started outlives it."""
    with (folder / "mutmut.log").open("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mutmut", *arguments],
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(WITHIN)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        log.seek(0)
        printed = log.read()
    if status:
        raise MutmutFailed(printed)
    return printed


if __name__ == "__main__":
    raise SystemExit(main())
