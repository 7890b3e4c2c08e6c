"""Work outside of the host's own requests: the jobs that ``RUNNER`` gets.

A job is a name and JSON arguments. A queue may lose it, because ``exotel_reconcile`` finds the work in the database.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from django_exotel_ccm import conf

logger = logging.getLogger("django_exotel_ccm.background")

_jobs: dict[str, Callable[..., object]] = {}


def register(name: str, function: Callable[..., object]) -> None:
    """Register ``function``, which takes keyword arguments, as the job called ``name``."""
    _jobs[name] = function


def run_job(name: str, arguments: Mapping[str, Any]) -> None:
    """Run a job in this process. Raises ``LookupError`` if there is none of this name."""
    if name not in _jobs:
        raise LookupError(f"There is no job {name!r}. Jobs: {', '.join(sorted(_jobs))}.")
    _jobs[name](**arguments)


def enqueue(name: str, **arguments: Any) -> bool:
    """Pass a job to ``RUNNER``, which runs it at once if it is "inline"; return True if the runner took it.

    An error of the runner is logged without its message, because a broker's URL has a password.
    """
    try:
        runner()(name, arguments)
    except Exception as error:  # noqa: BLE001 - the host's broker may raise anything
        logger.error("RUNNER took no job %r (%s): it is left to exotel_reconcile.", name, type(error).__name__)
        return False
    return True


def runner() -> Callable[[str, dict[str, Any]], object]:
    """Return the callable that takes a job. Raises ``ImportError`` or ``ImproperlyConfigured``."""
    name = conf.get_settings().runner
    if name == "inline":
        return run_job
    if "." in name:
        return conf.load(name)
    # Import the queue's library only if it is configured.
    send: Callable[[str, dict[str, Any]], object] = import_module(f"{__name__}.with_{name}").send
    return send


def has_worker(seconds: float) -> bool | None:
    """Return whether a worker takes a job within so many seconds; None if the queue does not tell.

    Of "celery" and "django_tasks" only.

    Raises what the queue's library raises.
    """
    module = import_module(f"{__name__}.with_{conf.get_settings().runner}")
    answer: bool | None = module.has_worker(seconds)
    return answer
