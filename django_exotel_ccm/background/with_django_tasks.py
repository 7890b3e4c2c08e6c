"""Jobs as a task of Django's own Tasks API, or of its backport."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

import django

from django_exotel_ccm import background

POLL = 0.1  # seconds

tasks = import_module("django.tasks" if django.VERSION >= (6, 0) else "django_tasks")


@tasks.task()
def run_job(name: str, arguments: dict[str, Any]) -> None:
    """Run a job in a worker."""
    background.run_job(name, arguments)


def send(name: str, arguments: dict[str, Any]) -> None:
    """Enqueue a job in the default backend of ``TASKS``. Raises what the backend raises."""
    run_job.enqueue(name, arguments)


def has_worker(seconds: float) -> bool:
    """Return True if a worker finishes a job that does nothing; True as well if the backend keeps no results."""
    result = run_job.enqueue("ping", {})
    if not run_job.get_backend().supports_get_result:
        return True
    ends_at = time.monotonic() + seconds
    while not result.is_finished and time.monotonic() < ends_at:
        time.sleep(POLL)
        result.refresh()
    return bool(result.is_finished)
