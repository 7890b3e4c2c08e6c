"""Extracts and compiles the translations: ``python -m tests.messages``, which is what ``make messages`` runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APPS = (ROOT / "django_exotel_ccm", ROOT / "example_project" / "helpdesk")
"""The folders whose text is translated."""
TOOLS = ("xgettext", "msgmerge", "msgattrib", "msgfmt")
PACKAGES = ("gettext",)  # of Debian
MISSING = f"GNU gettext is not on the PATH ({', '.join(TOOLS)}); as root type: apt-get install {' '.join(PACKAGES)}"
# Files without lines, and no date: an extraction that finds nothing new changes nothing.
OPTIONS = ("--no-wrap", "--no-obsolete", "--add-location", "file")
DATE = '"POT-Creation-Date:'


def has_gettext() -> bool:
    """Return whether the tools of GNU gettext are here."""
    return all(map(shutil.which, TOOLS))


def catalogues(app: Path) -> list[Path]:
    """Return the app's ``.po`` files."""
    return sorted(app.glob("locale/*/LC_MESSAGES/django.po"))


def extract(app: Path) -> None:
    """Bring the ``.po`` files of ``app`` up to date: new messages are added, those that are gone are taken out."""
    languages = [option for path in catalogues(app) for option in ("--locale", path.parts[-3])]
    without_settings = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-m", "django", "makemessages", *languages, *OPTIONS]
    subprocess.run(command, cwd=app, env=without_settings, check=True, stdout=subprocess.DEVNULL)
    for path in catalogues(app):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not line.startswith(DATE)), encoding="utf-8")


def unfinished(path: Path) -> str:
    """Return the entries of a ``.po`` file that lack a translation, or have one that nobody has confirmed."""
    found = (
        subprocess.run(["msgattrib", option, "--no-wrap", str(path)], check=True, capture_output=True, text=True).stdout
        for option in ("--untranslated", "--only-fuzzy")
    )
    return "".join(entries.partition("\n\n")[2] for entries in found)


def compile_catalogue(path: Path, compiled: Path) -> None:
    """Compile a ``.po`` file; raises ``CalledProcessError`` where placeholders differ or plural forms are missing."""
    subprocess.run(["msgfmt", "--check", "-o", str(compiled), str(path)], check=True)


def main() -> int:
    """Extract and compile everything; return 1 when a translation is missing."""
    if not has_gettext():
        print(MISSING)
        return 1
    status = 0
    for app in APPS:
        extract(app)
        for path in catalogues(app):
            compile_catalogue(path, path.with_suffix(".mo"))
            if entries := unfinished(path):
                print(f"{path.relative_to(ROOT)} is not finished:\n\n{entries}")
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
