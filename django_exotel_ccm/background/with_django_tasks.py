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


def has_worker(seconds: float) -> bool | None:
    """Return whether a worker finishes a job that does nothing; None if the backend keeps no results."""
    backend = run_job.get_backend()
    if backend.__class__.__name__ == "DummyBackend":
        return False  # it runs nothing
    result = run_job.enqueue("ping", {})
    ends_at = time.monotonic() + seconds
    while not result.is_finished and time.monotonic() < ends_at:
        if not backend.supports_get_result:
            return None
        time.sleep(POLL)
        result.refresh()
    return bool(result.is_finished)
