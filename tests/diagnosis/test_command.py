"""``exotel_doctor`` as people type it, in a process of its own, where not even the database need be there."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import translation

from django_exotel_ccm.models import ExoPhone
from tests.diagnosis.conftest import Doctor
from tests.subprocesses import ROOT


def run(data: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Type the command in the example project."""
    known = {"PATH": "/usr/bin:/bin", "HELPDESK_DATA": str(data), "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    known["CALLBACK_BASE_URL"] = "http://127.0.0.1:1"  # where nothing listens
    return subprocess.run(
        [sys.executable, "-W", "error", "manage.py", "exotel_doctor", *arguments],
        cwd=ROOT / "example_project",
        env=known | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_healthy_set_up(doctor: Doctor) -> None:
    out = io.StringIO()

    call_command("exotel_doctor", stdout=out, no_color=True)

    lines = out.getvalue().splitlines()
    assert lines[-1] == "All is well."
    assert all(line.startswith("ok     ") for line in lines[:-1])


def test_each_line_says_what_why_and_what_to_do(doctor: Doctor) -> None:
    ExoPhone.objects.update(is_active=False)
    out = io.StringIO()

    with pytest.raises(CommandError, match=r"Wrong: 1 of \d+\."):
        call_command("exotel_doctor", stdout=out, no_color=True)

    text = out.getvalue()
    assert "WRONG  There is no active ExoPhone.\n       Why: Customers see" in text
    assert "\n       Do: In the admin click Exotel calls > ExoPhones > +918000000700, and tick “active”." in text


def test_hindi(doctor: Doctor) -> None:
    out = io.StringIO()
    with translation.override("hi"):
        call_command("exotel_doctor", stdout=out, no_color=True)

    assert "Exotel accepts" not in out.getvalue()


def test_new_project_without_anything(tmp_path: Path) -> None:
    done = run(tmp_path)

    assert done.returncode == 1
    assert "python manage.py migrate" in done.stdout
    assert "EXOTEL_API_KEY" in done.stdout
    assert "python manage.py runserver 127.0.0.1:1" in done.stdout
    assert "CommandError: Wrong: 3 of" in done.stderr
    assert "Traceback" not in done.stderr


def test_database_that_is_away(tmp_path: Path) -> None:
    done = run(tmp_path, "--json", HELPDESK_DATABASE="no/such/folder/helpdesk.sqlite3")

    checks = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert checks["database"]["message"] == "The database default does not answer (OperationalError)."
    assert checks["settings"]["ok"]
    assert "agents" not in checks


def test_settings_that_do_not_pass_the_system_checks(tmp_path: Path) -> None:
    done = run(tmp_path, "--json", CALLBACK_BASE_URL="ftp://crm.example.com", EXOTEL_URL="exotel://nonsense")

    wrong: dict[str, Any] = {one["name"]: one for one in json.loads(done.stdout)["checks"] if not one["ok"]}
    assert done.returncode == 1
    assert {"settings", "accounts", "migrations"} <= set(wrong)
    assert "https" in wrong["settings"]["fix"]
    assert "nonsense" not in done.stdout + done.stderr
