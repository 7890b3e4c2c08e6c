"""Work outside of the host's own requests: its surroundings, and the jobs that a runner is given.

A job is a name and JSON arguments. No queue is trusted to remember one: each can be found again in the database.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any

from django_exotel_ccm import conf

logger = logging.getLogger("django_exotel_ccm.background")

_jobs: dict[str, Callable[..., object]] = {}


def work_context(call: Any) -> AbstractContextManager[Any]:
    """Return the host's ``WORK_CONTEXT`` for a call (a tenant, row-level security), else one that does nothing."""
    path = conf.get_settings().work_context
    if not path:
        return nullcontext()
    context: AbstractContextManager[Any] = conf.load(path)(call)
    return context


def register(name: str, function: Callable[..., object]) -> None:
    """Have ``function`` be the job called ``name``; its arguments are given by name."""
    _jobs[name] = function


def run_job(name: str, arguments: Mapping[str, Any]) -> None:
    """Do a job here and now; raises ``LookupError`` when there is none of this name."""
    if name not in _jobs:
        raise LookupError(f"There is no job {name!r}. Jobs: {', '.join(sorted(_jobs))}.")
    _jobs[name](**arguments)


def is_inline() -> bool:
    """Say whether jobs are done in the process that has them, while a request waits."""
    return conf.get_settings().runner == "inline"


def enqueue(name: str, **arguments: Any) -> bool:
    """Give a job to ``RUNNER``, which with "inline" does it at once; say whether it was taken.

    A runner that fails is logged without its own words, since a broker's URL holds a password.
    """
    try:
        runner()(name, arguments)
    except Exception as error:  # noqa: BLE001 - a host's broker fails in ways of its own
        logger.error("RUNNER took no job %r (%s): it is left to exotel_reconcile.", name, type(error).__name__)
        return False
    return True


def runner() -> Callable[[str, dict[str, Any]], object]:
    """Return what takes a job; raises ``ImportError`` where its library is missing, ``ImproperlyConfigured``."""
    name = conf.get_settings().runner
    if name == "inline":
        return run_job
    if "." in name:
        return conf.load(name)
    # Its library is imported only where it is wanted.
    send: Callable[[str, dict[str, Any]], object] = import_module(f"{__name__}.with_{name}").send
    return send
