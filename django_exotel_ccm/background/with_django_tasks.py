"""Jobs as a task of Django's own Tasks API, or of its backport."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import django

from django_exotel_ccm import background

tasks = import_module("django.tasks" if django.VERSION >= (6, 0) else "django_tasks")


@tasks.task()
def run_job(name: str, arguments: dict[str, Any]) -> None:
    """Run a job in a worker."""
    background.run_job(name, arguments)


def send(name: str, arguments: dict[str, Any]) -> None:
    """Enqueue a job in the default backend of ``TASKS``. Raises what the backend raises."""
    run_job.enqueue(name, arguments)
