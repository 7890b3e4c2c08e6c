"""Processes beside the site: the reconciler, the runner's workers, and caches that are not shared between processes."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache.backends.locmem import LocMemCache
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from django_exotel_ccm import background, conf
from django_exotel_ccm.descriptions import describe_time
from django_exotel_ccm.diagnosis.callback_base import find_processes
from django_exotel_ccm.diagnosis.finding import Finding, Run, no_time, ok
from django_exotel_ccm.services.due_work import MOST_COUNTED, OVERDUE_AFTER, count_due, reconciled_at

PING_WITHIN = 8.0  # seconds


def check_reconciler(run: Run) -> Iterator[Finding]:
    """Say when exotel_reconcile last ran, and whether work is overdue although it does."""
    since = timezone.now() - OVERDUE_AFTER
    last = reconciled_at()
    runs = last is not None and last >= since
    if runs:
        yield ok(name="reconciler", message=_("exotel_reconcile runs."))
    else:
        yield Finding(
            name="reconciler",
            message=_reconciled_at(last),
            why=_("A call whose report was lost goes on for ever, and a receiver that failed is not called again."),
            fix=_run_reconciler(),
        )
    overdue = count_due(since)
    if not overdue:
        yield ok(name="overdue_work", message=_("No work is overdue."))
        return
    enough = _(
        "In the admin click Exotel calls > Account usage. If nothing is paused there, write a larger "
        '"REQUESTS_PER_MINUTE" than %(now)s in EXOTEL_CCM, up to 150.'
    )
    yield Finding(
        name="overdue_work",
        message=_("Calls that have waited for more than 15 minutes to be checked: %(count)s.")
        % {"count": f"{MOST_COUNTED}+" if overdue >= MOST_COUNTED else overdue},
        why=_("Their ends, recordings and receivers come late."),
        fix=enough % {"now": conf.get_settings().requests_per_minute} if runs else _run_reconciler(),
    )


def _reconciled_at(last: datetime.datetime | None) -> str:
    if last is None:
        return _("exotel_reconcile never ran.")
    return _("exotel_reconcile last ran %(when)s.") % {"when": describe_time(last)}


def _run_reconciler() -> str:
    return _("Keep running: python manage.py exotel_reconcile --forever")


def check_worker(run: Run) -> Iterator[Finding]:
    """Ask the queue that ``RUNNER`` names whether a worker takes jobs."""
    runner = conf.get_settings().runner
    if runner == "inline":
        yield ok(name="worker", message=_("Receivers run in the site's own processes; no worker is needed."))
        return
    if "." in runner:
        yield ok(name="worker", message=_("Whether the queue of RUNNER has a worker cannot be seen from here."))
        return
    try:
        background.runner()
    except Exception:  # noqa: BLE001 - a system check says what is wrong with it
        return
    if run.is_over:
        yield no_time("worker")
        return
    try:
        answer = background.has_worker(run.seconds(PING_WITHIN))
    except Exception:  # noqa: BLE001 - each queue's library has errors of its own
        answer = False
    if answer is None:
        yield ok(name="worker", message=_("Whether the queue of RUNNER has a worker cannot be seen from here."))
        return
    if answer:
        yield ok(name="worker", message=_("A worker of %(runner)s takes jobs.") % {"runner": runner})
        return
    commands = {"celery": "celery -A PROJECT worker", "django_tasks": "python manage.py db_worker"}
    yield Finding(
        name="worker",
        message=_("No worker of %(runner)s answers.") % {"runner": runner},
        why=_("Receivers, such as those that update your tickets, wait until exotel_reconcile calls them."),
        fix=_("Keep running: %(command)s") % {"command": commands[runner]},
    )


def check_cache(run: Run) -> Iterator[Finding]:
    """Find what is kept in a cache that each process has for itself, where more than one process serves the site."""
    sessions = _is_local(conf.session_cache())
    api = _is_local(conf.api_cache()) and _has_api()
    if not sessions and not api:
        yield ok(name="cache", message=_("Nothing here needs a cache that processes share."))
        return
    processes = find_processes(run)
    if processes == 0:
        message = _(
            "The cache is in memory. Whether several processes serve the site is not known: no probe came back."
        )
        yield ok(name="cache", message=message)
        return
    if processes == 1:
        yield ok(name="cache", message=_("The cache is in the memory of the site's one process."))
        return
    if sessions:
        yield Finding(
            name="cache",
            message=_("Several processes serve the site, and each has sessions of its own in its memory."),
            why=_("Agents are logged out from one page to the next."),
            fix=_('In the settings write: SESSION_ENGINE = "django.contrib.sessions.backends.db"'),
        )
    if api:
        yield Finding(
            name="cache",
            message=_("Several processes serve the site, and each counts calls over the API in its own memory."),
            why=_("The limit of calls a minute holds in each of them, so one user may place several times as many."),
            fix=_("In the settings write: %(line)s, and type: python manage.py createcachetable")
            % {"line": _shared_cache()},
        )


def _shared_cache() -> str:
    """Return the line that makes the default cache one that processes share, and leaves other caches as they are."""
    entry = '{"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "django_cache"}'
    if list(caches) == [DEFAULT_CACHE_ALIAS]:
        return f'CACHES = {{"{DEFAULT_CACHE_ALIAS}": {entry}}}'
    return f'CACHES["{DEFAULT_CACHE_ALIAS}"] = {entry}'


def _has_api() -> bool:
    try:
        reverse("exotel_ccm:api-calls")
    except NoReverseMatch:
        return False
    return True


def _is_local(alias: str | None) -> bool:
    if alias is None:
        return False
    try:
        cache: Any = caches[alias]
    except Exception:  # noqa: BLE001 - a cache that cannot be made is the host's to find out
        return False
    return isinstance(cache, LocMemCache)
