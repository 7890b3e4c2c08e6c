"""A host's transactions, middleware, login and REST framework settings change nothing for callbacks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections
from django.test import AsyncClient, Client

from django_exotel_ccm.choices import EventKind, State
from django_exotel_ccm.models import CallEvent
from tests.exotel.samples import V1_FIELDS, multipart
from tests.factories import Calls, body_of, raw_of, url_of
from tests.webhooks.test_bodies import BODIES, MULTIPART

ROOT = Path(__file__).parent.parent.parent
HERE = "tests.webhooks.host_urls"
FRAMEWORK = "tests.webhooks.host_framework"


def test_atomic_requests_are_ignored(settings: Any, real_calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ROOT_URLCONF = HERE
    call = real_calls.accepted()
    for alias in connections:
        monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", True)

    assert real_calls.client.get("/in-transaction/").json() == {"in_transaction": True}
    assert real_calls.deliver(call, body_of()).status_code == 200

    assert real_calls.reread(call).state == State.ENDED


def test_transaction_of_a_middleware_is_an_error(
    settings: Any, real_calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    settings.MIDDLEWARE = [f"{HERE}.in_a_transaction"]
    call = real_calls.accepted()
    real_calls.client = Client(raise_request_exception=False)

    response = real_calls.deliver(call, body_of())

    assert response.status_code == 500
    assert "durable" in caplog.text


def test_login_required_middleware(settings: Any, calls: Calls) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    settings.ROOT_URLCONF = HERE
    call = calls.accepted()

    assert calls.client.get("/in-transaction/").status_code == 302
    assert calls.deliver(call, body_of()).status_code == 200
    assert calls.client.post("/exotel/callbacks/forged/", b"{}", content_type="application/json").status_code == 403

    assert calls.reread(call).state == State.ENDED


@pytest.mark.parametrize("shape", ["v2", "v1 form"])  # Django itself can read multipart only once
@pytest.mark.parametrize("middleware", ["read_body", "read_post"])
def test_middleware_has_read_the_body(middleware: str, shape: str, settings: Any, calls: Calls) -> None:
    settings.MIDDLEWARE = [f"{HERE}.{middleware}"]
    call, (body, content_type) = calls.accepted(), BODIES[shape]

    response = calls.deliver(call, body, content_type=content_type)

    assert response.status_code == 200
    assert raw_of(CallEvent.objects.get(kind=EventKind.CALLBACK)) == body
    assert calls.reread(call).talk_time == 141


def test_multipart_read_by_middleware(settings: Any, calls: Calls) -> None:
    settings.MIDDLEWARE = [f"{HERE}.read_post"]
    call = calls.accepted()

    response = calls.deliver(call, multipart(V1_FIELDS), content_type=MULTIPART)

    assert response.status_code == 200
    assert b"Legs%5B0%5D%5BStatus%5D=completed" in raw_of(CallEvent.objects.get(kind=EventKind.CALLBACK))
    assert calls.reread(call).talk_time == 141


def test_body_consumed_by_middleware_is_refused(settings: Any, calls: Calls, caplog: pytest.LogCaptureFixture) -> None:
    settings.MIDDLEWARE = [f"{HERE}.read_post"]

    response = calls.deliver(calls.accepted(), b"--xYzBoundary--", content_type=MULTIPART)

    assert response.status_code == 400
    assert not CallEvent.objects.filter(kind=EventKind.CALLBACK).exists()
    assert "0 bytes of 15" in caplog.text


@pytest.mark.parametrize("shape", ["v2", "v1 multipart"])
def test_asgi(shape: str, calls: Calls) -> None:
    call, (body, content_type) = calls.accepted(), BODIES[shape]
    client = AsyncClient()

    def post(path: str, content: bytes) -> int:
        status: int = async_to_sync(client.post)(path, content, content_type=content_type).status_code
        return status

    assert post("/exotel/callbacks/forged/", body) == 403
    assert post(url_of(call), b"x" * 300_000) == 413
    assert post(url_of(call), body) == 200

    assert raw_of(CallEvent.objects.get(kind=EventKind.CALLBACK)) == body
    assert calls.reread(call).talk_time == 141


HOSTILE = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.BasicAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": [f"{FRAMEWORK}.XML"],
    "DEFAULT_THROTTLE_CLASSES": [f"{FRAMEWORK}.Never"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": f"{FRAMEWORK}.NothingSuits",
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.AcceptHeaderVersioning",
    "ALLOWED_VERSIONS": ["1"],
    "EXCEPTION_HANDLER": f"{FRAMEWORK}.always_200",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
    "FORMAT_SUFFIX_KWARG": "token",
    "URL_FORMAT_OVERRIDE": "format",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": None,
    "UNICODE_JSON": False,
    "COMPACT_JSON": False,
}
KINDER = {**HOSTILE, "DEFAULT_CONTENT_NEGOTIATION_CLASS": "rest_framework.negotiation.DefaultContentNegotiation"}
BARE = ["django.contrib.contenttypes", "django.contrib.auth", "django_exotel_ccm"]
HOSTS: dict[str, dict[str, Any]] = {
    "without REST framework installed": {"INSTALLED_APPS": BARE},
    "hostile REST framework": {"INSTALLED_APPS": [*BARE, "rest_framework"], "REST_FRAMEWORK": HOSTILE},
    "other REST framework": {
        "INSTALLED_APPS": [*BARE, "rest_framework"],
        "REST_FRAMEWORK": KINDER,
        "USE_TZ": False,
        "TIME_ZONE": "Asia/Kolkata",
        "APPEND_SLASH": False,
    },
    "atomic requests": {"INSTALLED_APPS": BARE, "ATOMIC": True},
}
PROGRAM = """
import json, sys
import django
from django.conf import settings
from django.core.management import call_command
settings.configure(**json.loads(sys.argv[1]))
django.setup()
call_command("migrate", verbosity=0)
from tests.webhooks.host_report import report
print(report())
"""


def report_of(tmp_path: Path, **options: Any) -> dict[str, Any]:
    """Run a host with these settings in a process of its own, and return its report."""
    atomic = options.pop("ATOMIC", False)
    database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(tmp_path / "host.sqlite3"),
        "ATOMIC_REQUESTS": atomic,
    }
    host = {
        "SECRET_KEY": "a host's",
        "ROOT_URLCONF": HERE,
        "ALLOWED_HOSTS": ["*"],
        "USE_TZ": True,
        "DATABASES": {"default": database},
        "LOGGING_CONFIG": None,
        **options,
    }
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-c", PROGRAM, json.dumps(host)]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    report: dict[str, Any] = json.loads(run.stdout)
    return report


@pytest.mark.parametrize("name", HOSTS)
def test_other_host_settings(name: str, tmp_path: Path) -> None:
    report = report_of(tmp_path, **HOSTS[name])

    control = report.pop("control")
    assert report == {
        "json": 200,
        "xml": 200,
        "multipart": 200,
        "version": 200,
        "forged": 403,
        "huge": 413,
        "get": 405,
        "account": 200,
        "answer": {"status": "stored"},
        "state": "ended",
        "ended_at": "2026-02-11 11:30:51" if HOSTS[name].get("USE_TZ") is False else "2026-02-11 06:00:51+00:00",
        "stored": 3,
        "in_transaction": name == "atomic requests",
    }
    # The host's own view obeys these settings, so they are in effect.
    assert control.startswith("<answer>{'error': ") is ("REST_FRAMEWORK" in HOSTS[name])
