"""The supported pairs of Python and Django. `make matrix` runs all; `.ci/run` runs the lowest and the newest."""

from __future__ import annotations

import os
from pathlib import Path

import nox

PAIRS = [
    ("3.11", "5.2"),
    ("3.12", "5.2"),
    ("3.12", "6.0"),
    ("3.12", "6.1"),
    ("3.13", "5.2"),
    ("3.13", "6.0"),
    ("3.13", "6.1"),
]
PROJECT = nox.project.load_toml("pyproject.toml")
GROUP = nox.project.dependency_groups(PROJECT, "test")

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["matrix"]
# A pair that was not tried is not supported.
nox.options.error_on_missing_interpreters = True


def _real_interpreters_first() -> None:
    """Put pyenv's interpreters before its shims, which answer for versions that are not switched on."""
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for wanted in sorted({python for python, _django in PAIRS}):
        for folder in sorted(versions.glob(f"{wanted}.*/bin")):
            os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"


_real_interpreters_first()


def _suite(session: nox.Session, *requirements: str) -> None:
    """Install the package with these requirements, and run the suite on SQLite without the browser."""
    session.install("--quiet", *GROUP, "--editable", ".", *requirements)
    session.run("python", "-W", "error", "-c", "import django, sys; print(sys.version, django.__version__)")
    session.run("python", "tests/run.py", "--only", "sqlite", "-q", *session.posargs)


@nox.session
@nox.parametrize(("python", "django"), [nox.param(*pair, id="python{}-django{}".format(*pair)) for pair in PAIRS])
def matrix(session: nox.Session, django: str) -> None:
    """Run the suite under each of the seven pairs."""
    _suite(session, f"django~={django}.0")


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """Run the suite with the lowest release of everything that the package itself requires."""
    _suite(session, *[requirement.replace(">=", "==") for requirement in PROJECT["project"]["dependencies"]])


@nox.session(python="3.13")
def newest(session: nox.Session) -> None:
    """Run the suite with the newest Python and Django."""
    _suite(session, "django~=6.1.0")
