"""RUNNER "django_tasks", with django-tasks-db's own worker in a process of its own."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services.announcements.dispatch import deliver_pending
from tests.background.conftest import notes, start_worker, state_of, wait_until

pytestmark = pytest.mark.postgres_only("the tests' settings have django-tasks-db there")
WORKER = ("-m", "django", "db_worker", "--no-startup-delay", "--no-reload", "--interval", "0.1")


@pytest.fixture
def statuses() -> Callable[[], list[str]]:
    """The status of each job in the queue."""
    from django_tasks_db.models import DBTaskResult

    return lambda: list(DBTaskResult.objects.values_list("status", flat=True))


def test_worker_delivers(run_with: Any, accepted: CallRecord, hang_up: Any, statuses: Any) -> None:
    run_with("django_tasks")

    assert hang_up(accepted) == 200
    before = state_of(), statuses(), notes()
    with start_worker(*WORKER, "--batch", TEST_RUNNER="django_tasks") as worker:
        wait_until(lambda: state_of() == "done", worker)
        ended = worker.wait(20)

    assert before == ("pending", ["READY"], [])
    assert (ended, notes(), statuses()) == (0, [f"ended in {worker.pid}"], ["SUCCESSFUL"])


def test_killed_worker_loses_and_repeats_nothing(
    run_with: Any, accepted: CallRecord, hang_up: Any, statuses: Any, tmp_path: Path
) -> None:
    run_with("django_tasks")
    hang_up(accepted)
    inside = tmp_path / "inside"
    with start_worker(*WORKER, TEST_RUNNER="django_tasks", TEST_INSIDE=str(inside)) as worker:
        wait_until(inside.exists, worker)
        worker.send_signal(signal.SIGKILL)
        ended = worker.wait(20)
    assert (ended, state_of(), notes()) == (-signal.SIGKILL, "pending", [])
    assert statuses() == ["RUNNING"]  # for good: the queue does not know

    # The database notices only after a moment that the worker is gone.
    wait_until(lambda: deliver_pending(accepted.pk).delivered)

    assert (state_of(), len(notes())) == ("done", 1)
    accepted.refresh_from_db()
    assert accepted.announce_at is None
    assert not connection.in_atomic_block
