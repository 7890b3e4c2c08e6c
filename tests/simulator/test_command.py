"""The command: what it prints, what it refuses, and that Ctrl-C stops it."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys

import pytest
import requests
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import CommandError

from django_exotel_ccm import simulator
from django_exotel_ccm.management.commands import exotel_simulator as command


class FakeAccount:
    def __init__(self, is_loopback: bool) -> None:
        self.is_loopback = is_loopback


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """No account is configured."""
    monkeypatch.setattr(command, "configured_accounts", dict)


def run(monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[str, int]:
    """The command's output, and the status of a request sent while it serves."""
    out = io.StringIO()
    statuses = []

    def serve(self: command.Command) -> None:
        found = re.search(r"answers at (\S+)", out.getvalue())
        assert found
        statuses.append(requests.get(found[1], timeout=5).status_code)

    monkeypatch.setattr(command.Command, "_serve", serve)
    call_command("exotel_simulator", "--port=0", "--no-color", *options, stdout=out)
    return out.getvalue(), statuses[0]


def test_command_prints_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    out, status = run(monkeypatch, "--key=k", "--token=t", "--sid=acme1", "--speed=10")
    assert status == 200
    assert re.search(r"export EXOTEL_URL='exotel://k:t@127\.0\.0\.1:\d+/acme1\?tls=off'", out)
    assert """EXOTEL_CCM["CALLBACK_BASE_URL"] = "http://127.0.0.1:8000\"""" in out
    assert out.endswith("The simulator has stopped.\n")


def test_taken_port_names_the_line_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    with simulator.running() as other:
        port = int(other.url.rpartition(":")[2])
        words = rf"^Port {port} is in use, .*Type: python manage.py exotel_simulator --port (\d+)$"
        with pytest.raises(CommandError, match=words) as raised:
            run(monkeypatch, f"--port={port}")
        advised = re.search(words, str(raised.value))
        assert advised
        assert run(monkeypatch, f"--port={advised[1]}")[1] == 200


def test_real_account_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = {"default": FakeAccount(is_loopback=True)}
    monkeypatch.setattr(command, "configured_accounts", lambda: accounts)
    assert run(monkeypatch)[1] == 200
    accounts["sales"] = FakeAccount(is_loopback=False)
    with pytest.raises(CommandError, match=r"The account sales is a real one.*--beside-real-account"):
        run(monkeypatch)
    assert run(monkeypatch, "--beside-real-account")[1] == 200


def test_unreadable_account_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable() -> None:
        raise ImproperlyConfigured("EXOTEL_URL is not an Exotel URL.")

    monkeypatch.setattr(command, "configured_accounts", unreadable)
    with pytest.raises(CommandError, match=r"^EXOTEL_URL is not an Exotel URL\. To start .*--beside-real-account"):
        run(monkeypatch)


def test_options_are_set_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    running = []
    welcome = command.Command._welcome
    monkeypatch.setattr(
        command.Command, "_welcome", lambda self, exotel: (running.append(exotel), welcome(self, exotel))
    )
    run(monkeypatch, "--set=loss_rate=0.1", "--set", "lost_events=answered", "--set=by_hand=yes")
    options = running[0].options
    assert (options.loss_rate, options.lost_events, options.by_hand) == (0.1, frozenset({"answered"}), True)
    assert options.add_unknown is True


def test_what_cannot_be_set_or_served_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, words in (
        ("--set=loss_rate=2", "--set loss_rate=2: loss_rate=2.0: write a number from 0 to 1"),
        ("--set=loss_rate", "--set loss_rate: loss_rate='': write a number from 0 to 1"),
        ("--set=colour=red", "--set colour=red: There is no option 'colour'; there are by_hand, "),
        ("--set=by_hand=perhaps", "write True or False"),
        ("--host=0.0.0.0", "The simulator cannot start: "),
        ("--port=99999", "The simulator cannot start: "),
        ("--speed=0", "The simulator cannot start: "),
    ):
        with pytest.raises(CommandError, match=re.escape(words)):
            run(monkeypatch, given)


def test_ctrl_c_stops_the_command() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EXOTEL_")}
    arguments = [sys.executable, "-m", "django", "exotel_simulator", "--port=0", "--settings=tests.settings"]
    with subprocess.Popen(
        arguments, env={**environment, "PYTHONPATH": "."}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        assert "A fake Exotel answers at http://127.0.0.1:" in first
        while "Ctrl-C" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0, rest
    assert rest.endswith("The simulator has stopped.\n")
