"""The files and the metadata of the wheel."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "django_exotel_ccm"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel, built from this tree as a release is."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def information(wheel: zipfile.ZipFile, name: str) -> str:
    (path,) = (one for one in wheel.namelist() if one.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


def metadata(wheel: zipfile.ZipFile) -> Message:
    return Parser().parsestr(information(wheel, "METADATA"))


def test_wheel_has_the_files_of_the_package(wheel: zipfile.ZipFile) -> None:
    ours = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    ours = {name for name in ours if "__pycache__" not in name}

    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert packed == ours


def test_files_that_nothing_imports_are_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    for pattern in (
        r"py\.typed",
        r"migrations/0001_\w+\.py",
        r"templates/exotel_ccm/.+\.html",
        r"static/exotel_ccm/.+\.js",
        r"static/exotel_ccm/.+\.css",
        r"locale/hi/LC_MESSAGES/django\.mo",
        r"simulator/web_page/.+\.html",
        r"management/commands/exotel_simulator\.py",
    ):
        assert [name for name in wheel.namelist() if re.fullmatch(f"django_exotel_ccm/{pattern}", name)], pattern


def test_licence_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    text = information(wheel, "licenses/LICENSE")

    assert metadata(wheel)["License-Expression"] == "BSD-3-Clause"
    assert "the django-exotel-ccm contributors" in text


def test_version_is_the_changelogs_newest(wheel: zipfile.ZipFile) -> None:
    headings = re.findall(r"^## \[?(\d+\.\d+\.\d+\w*)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert headings[0] == PROJECT["version"] == metadata(wheel)["Version"]


def test_pytest_plugin_is_declared(wheel: zipfile.ZipFile) -> None:
    assert "[pytest11]\nexotel_simulator = django_exotel_ccm.pytest_plugin" in information(wheel, "entry_points.txt")


def test_sdist_has_what_its_commands_need(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}

    folders = {name.partition("/")[0] for name in names if "/" in name}
    assert folders == {"benchmarks", "django_exotel_ccm", "docs", "example_project", "tests"}
    files = {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "SECURITY.md", "noxfile.py"}
    assert {name for name in names if "/" not in name} - {".gitignore"} == files | {"PKG-INFO", "pyproject.toml"}
    left_behind = r"(^|/)(__pycache__|_build|artifacts|\..*)(/|$)|\.sqlite3"
    assert [name for name in names if re.search(left_behind, name) and name != ".gitignore"] == []


def test_dependencies_are_documented() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    floors = [re.split(">=", one)[:2] for one in PROJECT["dependencies"]]
    extras = PROJECT["optional-dependencies"]

    for name, floor in floors:
        assert f"\n| {name} | {floor} |" in text
    for extra, packages in extras.items():
        names = ", ".join(re.split(">=", one)[0] for one in packages)
        assert f"\n| `{extra}` | {names} |" in text
        assert "<" not in names
    assert "<" not in " ".join(PROJECT["dependencies"])


def test_classifiers_equal_the_matrix() -> None:
    pairs = next(
        ast.literal_eval(node.value)
        for node in ast.parse((ROOT / "noxfile.py").read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PAIRS"
    )
    claimed = "\n".join(PROJECT["classifiers"])

    assert set(re.findall(r"Python :: (3\.\d+)", claimed)) == {python for python, _django in pairs}
    assert set(re.findall(r"Django :: (\d\.\d)", claimed)) == {django for _python, django in pairs}
    assert PROJECT["requires-python"] == f">={min(pairs)[0]}"
