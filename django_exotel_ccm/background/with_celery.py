"""Jobs as a task of the host's Celery app."""

from __future__ import annotations

from typing import Any

from celery import current_app, shared_task

from django_exotel_ccm import background


@shared_task(name="exotel_ccm.run_job", ignore_result=True)
def run_job(name: str, arguments: dict[str, Any]) -> None:
    """Do a job in a worker."""
    background.run_job(name, arguments)


def send(name: str, arguments: dict[str, Any]) -> None:
    """Give a job to the broker; raises what the broker's client raises, after one more try at most."""
    # A connection that was idle may be gone; more patience than that would keep Exotel waiting.
    run_job.apply_async((name, arguments), retry_policy={"max_retries": 1, "interval_start": 0})


def has_app() -> bool:
    """Say whether the host has made a Celery app in this process; Celery's stand-in speaks to a broker of its own."""
    return bool(current_app.set_as_current)
