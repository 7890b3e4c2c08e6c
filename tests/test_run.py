"""The runner's last lines and its exit status are honest, and it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.run import ROOT, CannotRun, Part, Suite, summary

QUICK = "tests/exotel/test_values.py"


def runner(*arguments: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Start the runner; what it keeps for a while lies in the folder."""
    kept = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "run.py"), *arguments],
        cwd=folder,
        env=kept | {"TMPDIR": str(folder)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "with a space"
    made.mkdir()
    return made


def test_the_last_line_counts_what_ran(folder: Path) -> None:
    process = runner("--only", "sqlite", "-q", QUICK, folder=folder)

    output, _ = process.communicate(timeout=60)

    assert process.returncode == 0, output
    assert output.splitlines()[-1].endswith(" passed, 0 failed, 0 skipped")
    assert int(output.splitlines()[-1].split()[0]) > 10
    assert list(folder.iterdir()) == []


def test_a_test_that_fails_fails_the_run(folder: Path) -> None:
    broken = folder / "test_broken.py"
    broken.write_text("def test_good(): pass\ndef test_bad(): assert False\n")

    process = runner("--only", "sqlite", "-q", str(broken), folder=folder)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert output.splitlines()[-1] == "1 passed, 1 failed, 0 skipped"


def test_a_file_that_cannot_be_imported_fails_the_run(folder: Path) -> None:
    broken = folder / "test_broken.py"
    broken.write_text("import nothing_of_this_name\n")

    process = runner("--only", "sqlite", "-q", str(broken), folder=folder)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert output.splitlines()[-1] == "0 passed, 1 failed, 0 skipped"


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_a_skip_is_said_loudly_and_fails_in_ci(folder: Path, ci: str, status: int) -> None:
    (folder / "test_skips.py").write_text(
        "import pytest\ndef test_good(): pass\ndef test_away(): pytest.skip('the moon is away')\n"
    )

    process = runner("--only", "sqlite", "-q", str(folder / "test_skips.py"), folder=folder, CI=ci)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == status
    assert output.splitlines()[-1] == "1 passed, 0 failed, 1 skipped"
    assert "the moon is away" in "\n".join(output.splitlines()[-3:])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_leaves_no_process_and_no_folder(folder: Path, number: signal.Signals) -> None:
    (folder / "test_long.py").write_text(
        "import os, pathlib, time\n"
        "def test_long():\n"
        "    note = pathlib.Path(__file__).with_name('started')\n"
        "    note.with_suffix('.part').write_text(f\"{os.getpid()} {os.environ['POSTGRES_HOST']}\")\n"
        "    note.with_suffix('.part').rename(note)\n"
        "    time.sleep(60)\n"
    )
    process = runner("--only", "postgres", "-q", str(folder / "test_long.py"), folder=folder)
    started = folder / "started"
    while not started.exists():
        assert process.poll() is None
        time.sleep(0.05)

    process.send_signal(number)
    process.communicate(timeout=60)

    pytest_process, socket_folder = started.read_text().split(maxsplit=1)
    assert process.returncode == 128 + number
    assert not Path("/proc", pytest_process).exists()
    assert not Path(socket_folder).exists()
    assert not [path for path in folder.iterdir() if path.name.startswith("exotel-ccm")]


def test_a_part_that_cannot_run_is_counted_and_named(tmp_path: Path) -> None:
    suite = Suite(tmp_path, [])

    def away(part: Part) -> None:
        raise CannotRun("no browser")

    suite._part("browser", away)
    text, status = summary([Part("sqlite", passed=3), *suite.parts], skip_is_failure=True)

    assert status == 1
    assert "SKIPPED browser: no browser" in text
    assert text.splitlines()[-1] == "3 passed, 0 failed, 1 skipped"
