"""The examples in the documentation run."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

import tests.helpdesk.models
from django_exotel_ccm import conf
from django_exotel_ccm.background import with_celery
from django_exotel_ccm.exotel.account import Secret, account_from_url
from tests.admin.pages import AGENT_WORK, Session
from tests.test_docs import PAGES, ROOT, blocks, file_in, read


def test_examples_are_python() -> None:
    examples = [(path.stem, block) for path in PAGES for block in blocks(path.stem, "python")]

    assert len(examples) > 20
    for page, block in examples:
        compile(block, page, "exec")  # raises a SyntaxError that names the page


@pytest.mark.parametrize("page", ["index", "tutorial", "settings"])
def test_settings_in_examples_are_usable(page: str, settings: Any) -> None:
    examples = [block for block in blocks(page, "python") if "EXOTEL_CCM = {" in block]

    assert examples
    for example in examples:
        names: dict[str, Any] = {"INSTALLED_APPS": []}
        exec(example, names)
        settings.EXOTEL_CCM = names["EXOTEL_CCM"]
        assert conf.get_settings().problems == ()


@pytest.mark.parametrize("path", ["README.md", "docs/index.md", "docs/tutorial.md"])
def test_url_examples_import_what_they_use(path: str) -> None:
    text = (ROOT / path).read_text("utf-8").replace("\n   ", "\n")  # in lists, blocks are indented
    [example] = [
        it for it in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) if "urlpatterns +=" in it
    ]
    names: dict[str, Any] = {"urlpatterns": [], "path": None}

    exec(example, names)

    assert len(names["urlpatterns"]) == 1


def test_account_urls_in_examples_are_readable() -> None:
    shown = re.findall(r"exotel://[^\s'`]+[A-Za-z0-9_]", "".join(map(read, ("settings", "tutorial"))))

    assert len(shown) > 5
    for url in shown:
        assert account_from_url(Secret(url), variable="EXOTEL_URL").sid


def test_view_that_makes_a_call_list(host: Any, monkeypatch: pytest.MonkeyPatch, rf: Any) -> None:
    monkeypatch.setitem(sys.modules, "helpdesk", tests.helpdesk)
    monkeypatch.setitem(sys.modules, "helpdesk.models", tests.helpdesk.models)
    names: dict[str, Any] = {}
    exec(file_in("host-pages", "helpdesk/views.py"), names)
    asha = Session(host.user("asha", *AGENT_WORK))

    def press() -> str:
        request = rf.post("/call-open-tickets/")
        request.user = asha.user
        return str(names["call_open_tickets"](request).url)

    assert press() == reverse("exotel_ccm:my-calls")
    first = host.ticket("Broken fan")
    host.ticket("Solved", status="closed")
    host.ticket("No light")
    page = asha.get(press())

    assert "1 of 2" in page.text
    assert page.links[str(first)] == asha.url("helpdesk_ticket_change", first.pk)
    assert page.text.count("Open tickets") >= 1


def test_log_filter_masks_callback_tokens(caplog: pytest.LogCaptureFixture) -> None:
    names: dict[str, Any] = {}
    exec(file_in("go-live", "crm/logs.py"), names)
    caplog.handler.addFilter(names["CutCallbackTokens"]())
    caplog.set_level(logging.INFO, "access")

    for name in ("callback", "account-callback"):
        path = reverse(f"exotel_ccm:{name}", args=["a-token.of-a.callback"])
        Client().post(path)
        logging.getLogger("access").info('"POST %s HTTP/1.1" 403', path)
    logging.getLogger("host").warning("%s paid %d", "Ravi", 7)

    assert "/exotel/callbacks/…/ HTTP/1.1" in caplog.text
    assert "/exotel/callbacks/…/account/ HTTP/1.1" in caplog.text
    assert "a-token" not in caplog.text
    assert "Ravi paid 7" in caplog.text


def test_receivers_and_tests_of_the_examples_run(tmp_path: Path) -> None:
    host = tmp_path / "helpdesk"
    host.mkdir()
    (host / "__init__.py").touch()
    (host / "models.py").write_text("from tests.helpdesk.models import Customer, Ticket\n")
    (host / "telephony.py").write_text(file_in("tutorial", "helpdesk/telephony.py"))
    (host / "mails.py").write_text(file_in("signals", "helpdesk/telephony.py"))
    (tmp_path / "test_telephony.py").write_text(file_in("testing", "tests/test_telephony.py"))
    (tmp_path / "test_helpdesk.py").write_text(file_in("testing", "helpdesk/tests.py"))
    (tmp_path / "conftest.py").write_text(
        "import pytest\n"
        "@pytest.fixture(autouse=True)\n"
        "def mails(request, settings, mailoutbox):\n"
        "    from helpdesk import mails, telephony\n"
        "    settings.MANAGERS = [('Boss', 'boss@example.com')]\n"
        "    yield\n"
        "    assert len(mailoutbox) == ('call again' in request.node.name)\n"
    )
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nDJANGO_SETTINGS_MODULE = tests.settings\naddopts = -p no:cacheprovider\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("POSTGRES", "MYSQL"))}

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", str(tmp_path)],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "SQLITE_NAME": str(tmp_path / "db.sqlite3")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_celery_recipe_installs_what_its_broker_needs() -> None:
    """Newer versions of Celery's library for brokers import more than the package ``redis``."""
    [recipe] = [block for block in blocks("background", "sh") if "-A crm worker" in block]
    [broker] = re.findall(r'CELERY_BROKER_URL = "(\w+)://', read("background"))

    assert broker in (importlib.metadata.metadata("celery").get_all("Provides-Extra") or [])
    assert f'"celery[{broker}]"' in recipe


def test_upgrade_brings_the_static_files_of_the_new_version(settings: Any, host: Any, tmp_path: Path) -> None:
    [upgrade] = [block for block in blocks("versions", "sh") if "--upgrade" in block]
    commands = re.findall(r"^python manage.py (\S+)(.*)$", upgrade, re.MULTILINE)
    manifest = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    settings.STATIC_ROOT, settings.DEBUG = tmp_path, False
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": manifest}}
    asha, ticket = Session(host.user("asha", *AGENT_WORK)), host.ticket()

    with pytest.raises(ValueError, match="Missing staticfiles manifest entry"):
        asha.change_form(ticket)
    for command, options in commands:
        if command == "collectstatic":
            call_command(command, *options.split(), verbosity=0)

    assert "Call customer" in asha.change_form(ticket).text


def test_one_schedule_runs_every_job_of_celery_beat() -> None:
    """A second ``CELERY_BEAT_SCHEDULE`` in the settings would end the jobs of the first without a word."""
    shown = [block for path in PAGES for block in blocks(path.stem, "python") if "CELERY_BEAT_SCHEDULE = " in block]
    settings: dict[str, Any] = {}
    for block in shown:
        exec(block, settings)

    entries = settings["CELERY_BEAT_SCHEDULE"].values()

    assert {entry["task"] for entry in entries} == {with_celery.run_job.name}
    assert [entry["args"] for entry in entries] == [["reconcile", {}], ["sync", {}], ["purge", {}]]


@pytest.mark.parametrize("path", ["README.md", "docs/tutorial.md", "docs/go-live.md"])
def test_time_zone_that_a_new_project_has_is_named(path: str, tmp_path: Path) -> None:
    """Call-backs are read in it, so agents elsewhere would call at other hours than they chose."""
    call_command("startproject", "crm", str(tmp_path))
    [zone] = re.findall(r"^TIME_ZONE = [\"'](.+)[\"']$", (tmp_path / "crm" / "settings.py").read_text(), re.MULTILINE)

    text = (ROOT / path).read_text("utf-8")

    assert "`TIME_ZONE" in text
    assert f'`"{zone}"`' in text
