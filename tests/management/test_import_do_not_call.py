"""exotel_import_do_not_call: what it prints, and how it exits."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from django_exotel_ccm.models import DoNotCall


def run(path: Path, *options: str) -> tuple[str, str, str]:
    """Return what the command printed, its warnings, and its error."""
    out, err = StringIO(), StringIO()
    try:
        call_command("exotel_import_do_not_call", str(path), *options, stdout=out, stderr=err)
    except CommandError as error:
        return out.getvalue(), err.getvalue(), str(error)
    return out.getvalue(), err.getvalue(), ""


def test_file_with_an_unread_line(db: None, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("number\n+919000001001\n9.19E+11\n")

    out, err, error = run(path)

    assert out == "2 lines: 1 added, 0 extended, 0 on the list already, 0 repeated, 1 not read.\n"
    assert err.startswith("Line 3: The spreadsheet has rounded this number.")
    assert error == "1 line not read: correct and import them again."
    assert DoNotCall.objects.get().number == "+919000001001"


def test_dry_run(db: None, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("+919000001001\n")

    out, _err, error = run(path, "--dry-run")

    assert out.endswith("1 added, 0 extended, 0 on the list already, 0 repeated, 0 not read. Nothing is changed.\n")
    assert error == ""
    assert not DoNotCall.objects.exists()


@pytest.mark.parametrize(("name", "problem"), [("none.csv", "cannot be read"), ("empty.csv", "There is no number")])
def test_file_that_cannot_be_read(db: None, tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "empty.csv").write_text("")

    assert problem in run(tmp_path / name)[2]
