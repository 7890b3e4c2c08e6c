"""The supported pairs of Python and Django, the admin themes, and other programs that we are tried with.

`make matrix` tries all pairs, `.ci/run` the lowest and the newest; `make themes` and `.ci/run` try every theme;
`make release` builds what is published, and installs it under every pair.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
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
# Each theme with the newest Django that it names; semantic-admin and simpleui name none. First the admin without one.
THEMES = {
    "stock-5.2": ("django", "5.2"),
    "stock-6.0": ("django", "6.0"),
    "stock-6.1": ("django", "6.1"),
    "jazzmin": ("django-jazzmin==3.0.5", "6.0"),
    "unfold": ("django-unfold==0.110.0", "6.1"),
    "grappelli": ("django-grappelli==5.0.1", "6.1"),
    "admin-interface": ("django-admin-interface==0.32.0", "6.0"),
    "simpleui": ("django-simpleui==2026.1.13", "6.1"),
    "semantic-admin": ("django-semantic-admin==0.7.0", "6.1"),
}
# What a theme loads from another host, as npm calls it. A machine without npm tries the theme without it.
THEME_FILES = {"semantic-admin": "fomantic-ui@2.9.4"}
HELPDESK = ("django-helpdesk==2.6.1", "6.0")
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PROJECT = nox.project.load_toml("pyproject.toml")
GROUP = nox.project.dependency_groups(PROJECT, "test")
VERSION = PROJECT["project"]["version"]
# What may be in an environment with all extras. All of them allow any use; a new one is looked at first.
LICENCES = ("Apache", "BSD", "ISC", "MIT", "MPL-2.0", "Mozilla", "PSF", "Python Software Foundation")

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


@nox.session(python="3.13")
def release(session: nox.Session) -> None:
    """Build wheel and sdist into dist/, check them, and write the list of all that they need beside them."""
    session.install("--quiet", *nox.project.dependency_groups(PROJECT, "release"))
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", "dist", ".", silent=True)
    session.run("twine", "check", "--strict", *map(str, sorted(Path("dist").iterdir())))
    needed = Path(session.virtualenv.location, "needed")
    session.run("python", "-m", "venv", str(needed))
    python = str(needed / "bin" / "python")
    extras = ",".join(PROJECT["project"]["optional-dependencies"])
    wheel = next(Path("dist").glob("*.whl"))
    session.run(python, "-m", "pip", "install", "--quiet", f"{wheel}[{extras}]", external=True)
    bill = f"dist/{PROJECT['project']['name']}-{VERSION}.cdx.json"
    session.run("cyclonedx-py", "environment", python, "--pyproject", "pyproject.toml", "--output-file", bill)
    licences = ("pip-licenses", "--python", python, "--from", "mixed", "--order", "license", "--partial-match")
    session.run(*licences, "--allow-only", ";".join(LICENCES))


@nox.session
@nox.parametrize(("python", "django"), [nox.param(*pair, id="python{}-django{}".format(*pair)) for pair in PAIRS])
def installed(session: nox.Session, django: str) -> None:
    """Install the release of dist/ into a bare environment, and do what README says in a new project."""
    name = PROJECT["project"]["name"]
    session.install("--quiet", "--find-links", "dist", f"{name}=={VERSION}", f"django~={django}.0")
    readme, walk = Path("README.md").resolve(), Path("tests/walk_readme.py").resolve()
    # Elsewhere, so that the package is the installed one.
    session.chdir(session.create_tmp())
    with tempfile.TemporaryDirectory() as folder:
        session.run("python", str(walk), str(readme), folder)


@nox.session(python="3.13", reuse_venv=True)
@nox.parametrize("theme", [nox.param(name, id=name) for name in THEMES])
def themes(session: nox.Session, theme: str) -> None:
    """Do an agent's and a supervisor's work under an admin theme, and look at our pages, in a browser."""
    environment = {"ADMIN_THEME": theme, "THEME_FILES": _theme_files(session, theme)}
    _in_browser(session, *THEMES[theme], folder="tests/themes", settings="tests.themes.settings", **environment)


def _theme_files(session: nox.Session, theme: str) -> str:
    """Return the folder with what the theme loads from another host; "" if there is none."""
    folder = Path(session.virtualenv.location, "theme_files")
    if theme not in THEME_FILES or not (folder.is_dir() or shutil.which("npm")):
        return ""
    if not folder.is_dir():
        pack = ("npm", "pack", "--silent", "--pack-destination", str(folder.parent), THEME_FILES[theme])
        archive = folder.with_name(str(session.run(*pack, external=True, silent=True)).strip())
        with tarfile.open(archive) as packed:
            packed.extractall(folder.with_suffix(".part"), filter="data")
        archive.unlink()
        folder.with_suffix(".part").rename(folder)
    return str(folder / "package")


@nox.session(python="3.13", reuse_venv=True)
def schemathesis(session: nox.Session) -> None:
    """Send what schemathesis makes of the API's schema to the running example project: nothing may fail."""
    session.install("--quiet", ".[openapi]", "schemathesis>=4")
    session.run("python", "-m", "tests.api.schemathesis_run", *session.posargs)


@nox.session(python="3.13", reuse_venv=True)
def generated_client(session: nox.Session) -> None:
    """Place a call of the running example project with a client that is generated from the API's schema."""
    session.install("--quiet", ".[openapi]", "openapi-python-client>=0.24", "ruff")
    session.run("python", "-m", "tests.api.generated_client_run")


@nox.session(python="3.13", reuse_venv=True)
def helpdesk(session: nox.Session) -> None:
    """Press the button on the page of a ticket of django-helpdesk, as the cookbook says, in a browser."""
    folder, settings = "tests/django_helpdesk", "tests.django_helpdesk.settings"
    _in_browser(session, *HELPDESK, folder=folder, settings=settings)


def _in_browser(
    session: nox.Session, requirement: str, django: str, *, folder: str, settings: str, **environment: str
) -> None:
    """Run the tests of ``folder`` with another package installed."""
    if not any(map(shutil.which, BROWSERS)):
        session.error(f"No browser is on the PATH: {', '.join(BROWSERS)}.")
    # The package itself is not built, but found in this folder, like its pytest plugin.
    needed = (*PROJECT["project"]["dependencies"], *nox.project.dependency_groups(PROJECT, "themes"))
    try:
        session.install("--quiet", *needed, requirement, f"django~={django}.0")
    except nox.command.CommandFailed:
        session.error(f"{requirement} could not be installed with Django {django}.")
    session.run(
        *("python", "-m", "pytest", folder, "--ds", settings, "-q"),
        *("-p", "django_exotel_ccm.pytest_plugin"),
        *("-W", "default"),  # what another package is warned of is not ours to mend
        *("-o", "faulthandler_exit_on_timeout=true"),  # a test that hangs ends its theme's run
        *session.posargs,
        env=environment,
    )
