"""What each room imports, tested in processes of their own; and that no test reaches a network."""

from __future__ import annotations

import json
import socket
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from pytest_socket import SocketConnectBlockedError

from tests.run import ROOT, Suite
from tests.subprocesses import python

NOWHERE = ("192.0.2.1", 9)  # TEST-NET-1: never routed


def modules_after(statement: str) -> set[str]:
    return set(json.loads(python("-c", f"{statement}\nimport json, sys; print(json.dumps(sorted(sys.modules)))")))


def test_exotel_and_lifecycle_need_no_settings() -> None:
    rooms = [
        "lifecycle",
        *(f"exotel.{path.stem}" for path in (ROOT / "django_exotel_ccm" / "exotel").glob("[a-z]*.py")),
    ]
    imports = "\n".join(f"import django_exotel_ccm.{room}" for room in rooms)

    work = "from django_exotel_ccm import lifecycle; lifecycle.project(lifecycle.join({}, {}))"
    answer = python("-c", f"{imports}\n{work}\nfrom django.conf import settings; print(settings.configured)")

    assert len(rooms) > 5
    assert answer.strip() == "False"


def test_simulator_and_exotel_import_no_models() -> None:
    modules = modules_after("import django_exotel_ccm.simulator, django_exotel_ccm.exotel.client")

    assert "django_exotel_ccm.exotel.client" in modules
    assert not {name for name in modules if name.startswith(("django.db.backends", "django_exotel_ccm.models"))}
    assert "django_exotel_ccm.conf" not in modules


def test_pytest_plugin_does_not_import_django() -> None:
    (plugin,) = entry_points(group="pytest11", name="exotel_simulator")

    modules = modules_after(f"import {plugin.value}")

    assert plugin.value in modules
    assert not {name for name in modules if name.partition(".")[0] in {"django", "rest_framework", "requests"}}


def test_host_without_optional_apps(tmp_path: Path) -> None:
    report = json.loads(python("-m", "tests.bare_host", str(tmp_path)).splitlines()[-1])

    assert report == {
        "brought along": [],
        "state": "ended",
        "talk_time": 42,
        "deliveries": [["answered", 200], ["terminal", 200]],
    }


def test_suite_removes_exotel_variables() -> None:
    planted = {"EXOTEL_URL": "exotel://k:t@mumbai/real", "EXOTEL_API_KEY": "real", "EXOTEL_X": "real"}
    statement = "import os, tests.conftest; print([name for name in os.environ if name.startswith('EXOTEL')])"

    answer = python("-c", statement, **planted)

    assert answer.strip() == "[]"


def test_runner_removes_exotel_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EXOTEL_API_TOKEN", "real")
    monkeypatch.setenv("POSTGRES_HOST", "db.example.com")
    monkeypatch.setenv("MYSQL_SOCKET", "/run/mysqld/mysqld.sock")
    monkeypatch.setenv("LANG", "C.UTF-8")

    environment = Suite(tmp_path, [])._environment()

    assert environment["LANG"] == "C.UTF-8"
    assert not {name for name in environment if name.startswith(("EXOTEL", "POSTGRES", "MYSQL"))}


def test_sockets_to_other_hosts_are_refused() -> None:
    # The guard warns as it is raised, and warnings are errors: either is a refusal of its own.
    refusals = (SocketConnectBlockedError, UserWarning)
    with socket.socket() as outside, pytest.raises(refusals, match=r"A test tried to use .*192\.0\.2\.1"):
        outside.connect(NOWHERE)


def test_sockets_to_loopback_are_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), 5) as inside:
        assert inside.getpeername() == server.getsockname()
