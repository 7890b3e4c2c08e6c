"""RUNNER "celery", with a real Redis and a real worker."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services.announcements.dispatch import deliver_pending
from tests.background.conftest import notes, start_worker, state_of, wait_until

pytestmark = pytest.mark.redis
WORKER = ("-m", "celery", "-A", "tests.background.celery_app", "worker", "--pool", "solo", "--loglevel", "INFO")


@pytest.fixture
def use(run_with: Any) -> Iterator[Callable[[str], None]]:
    """Set the broker's URL, and Celery as ``RUNNER``."""
    app = Celery("tests", set_as_current=True)
    app.conf.broker_pool_limit = 0  # no connection outlives the test

    def _use(url: str) -> None:
        app.conf.broker_url = app.conf.broker_write_url = url
        run_with("celery")

    yield _use
    app.close()


def test_worker_delivers(use: Any, redis_url: str, accepted: CallRecord, hang_up: Any) -> None:
    use(redis_url)

    assert hang_up(accepted) == 200
    before = state_of(), notes()
    with start_worker(*WORKER, TEST_RUNNER="celery", TEST_BROKER=redis_url) as worker:
        wait_until(lambda: state_of() == "done", worker)

    assert before == ("pending", [])
    assert notes() == [f"ended in {worker.pid}"]


def test_killed_worker_loses_and_repeats_nothing(
    use: Any, redis_url: str, accepted: CallRecord, hang_up: Any, tmp_path: Path
) -> None:
    use(redis_url)
    inside = tmp_path / "inside"
    with start_worker(*WORKER, TEST_RUNNER="celery", TEST_BROKER=redis_url, TEST_INSIDE=str(inside)) as worker:
        hang_up(accepted)
        wait_until(inside.exists, worker)
        worker.send_signal(signal.SIGKILL)
        ended = worker.wait(20)
    assert (ended, state_of(), notes()) == (-signal.SIGKILL, "pending", [])

    # The database notices only after a moment that the worker is gone.
    wait_until(lambda: deliver_pending(accepted.pk).delivered)

    assert (state_of(), len(notes())) == ("done", 1)


def test_broker_that_is_down_delays_no_answer(
    use: Any, accepted: CallRecord, hang_up: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    use(f"redis://:s3cr3t@127.0.0.1:{port}/0")
    began = time.monotonic()

    status = hang_up(accepted)

    assert (status, state_of()) == (200, "pending")
    assert time.monotonic() - began < 5  # Exotel waits for 15 seconds
    assert "it is left to exotel_reconcile" in caplog.text
    assert "s3cr3t" not in caplog.text
