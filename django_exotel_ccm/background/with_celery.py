"""Jobs as a task of the host's Celery app."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

from celery import current_app, shared_task

from django_exotel_ccm import background


@shared_task(name="exotel_ccm.run_job", ignore_result=True)
def run_job(name: str, arguments: dict[str, Any]) -> None:
    """Run a job in a worker."""
    background.run_job(name, arguments)


def send(name: str, arguments: dict[str, Any]) -> None:
    """Send a job to the broker. Raises what the broker's client raises, after one retry."""
    # An idle connection may be closed, so try twice; more retries would keep Exotel waiting.
    run_job.apply_async((name, arguments), retry_policy={"max_retries": 1, "interval_start": 0})


def has_app() -> bool:
    """Return True if the host has made a Celery app in this process; Celery's default app uses another broker."""
    return bool(current_app.set_as_current)


def has_worker(seconds: float) -> bool:
    """Return True if a worker answers that knows the task, within so many seconds."""
    if current_app.conf.task_always_eager:
        return True
    inspect = current_app.control.inspect(timeout=seconds * 0.8)
    answers: list[dict[str, list[str]]] = []

    def ask() -> None:
        with suppress(Exception):  # a broker's client may raise anything
            answers.append(inspect.registered() or {})

    # The client may try again and again. Then its thread is left alone.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return any(task.partition(" ")[0] == run_job.name for one in answers for known in one.values() for task in known)


if has_app():
    # Celery knows its current app by thread, and servers answer in threads of their own. This is the main one.
    current_app.set_default()
