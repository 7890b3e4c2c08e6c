"""Whether a worker takes jobs is asked, for a bounded time."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from tests.background.conftest import start_worker, wait_until
from tests.diagnosis.conftest import Doctor

WORKER = ("-m", "celery", "-A", "tests.background.celery_app", "worker", "--pool", "solo", "--loglevel", "INFO")
DB_WORKER = ("-m", "django", "db_worker", "--no-startup-delay", "--no-reload", "--interval", "0.1")


@pytest.fixture
def celery(doctor: Doctor, settings: Any) -> Iterator[Celery]:
    app = Celery("tests", set_as_current=True)
    app.conf.broker_pool_limit = 0  # no connection outlives the test
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RUNNER": "celery"}
    yield app
    app.close()


def test_broker_that_is_down(doctor: Doctor, celery: Celery) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    celery.conf.broker_url = celery.conf.broker_write_url = f"redis://:s3cr3t@127.0.0.1:{port}/0"
    began_at = time.monotonic()

    wrong = doctor.only()

    assert time.monotonic() - began_at < 12
    assert (wrong["name"], wrong["message"]) == ("worker", "No worker of celery answers.")
    assert wrong["fix"] == "Keep running: celery -A PROJECT worker"
    assert "s3cr3t" not in str(wrong)


@pytest.mark.redis
def test_celery_worker(doctor: Doctor, celery: Celery, redis_url: str) -> None:
    celery.conf.broker_url = celery.conf.broker_write_url = redis_url
    without = doctor.only()["message"]

    with start_worker(*WORKER, TEST_RUNNER="celery", TEST_BROKER=redis_url) as worker:
        wait_until(lambda: doctor.wrong() == [], worker)

    assert without == "No worker of celery answers."


@pytest.mark.parametrize(
    ("backend", "message"), [("immediate.Immediate", None), ("dummy.Dummy", "No worker of django_tasks answers.")]
)
def test_backends_of_django_tasks(
    backend: str, message: str | None, doctor: Doctor, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_exotel_ccm.background.with_django_tasks import tasks

    monkeypatch.setattr("django_exotel_ccm.diagnosis.workers.PING_WITHIN", 1.0)
    settings.TASKS = {"default": {"BACKEND": f"{tasks.__name__}.backends.{backend}Backend"}}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RUNNER": "django_tasks"}

    assert [text for _name, text in doctor.wrong()] == ([message] if message else [])


@pytest.mark.postgres_only("the tests' settings have django-tasks-db there")
def test_worker_of_django_tasks(doctor: Doctor, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RUNNER": "django_tasks"}
    without = doctor.only()

    with start_worker(*DB_WORKER, TEST_RUNNER="django_tasks") as worker:
        wait_until(lambda: doctor.wrong() == [], worker)

    assert without["message"] == "No worker of django_tasks answers."
    assert without["fix"] == "Keep running: python manage.py db_worker"
