"""Runs every check. None of them stops the others, whatever it raises, and none runs inside a transaction of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db import DatabaseError, router

from django_exotel_ccm.diagnosis.account import check_accounts
from django_exotel_ccm.diagnosis.callback_base import check_callback_base
from django_exotel_ccm.diagnosis.database import check_database
from django_exotel_ccm.diagnosis.directory import check_directory
from django_exotel_ccm.diagnosis.finding import Finding, Run, failed, new_run
from django_exotel_ccm.diagnosis.people import check_agents, check_exophones, check_permissions
from django_exotel_ccm.diagnosis.retention import check_retention
from django_exotel_ccm.diagnosis.set_up import check_set_up
from django_exotel_ccm.diagnosis.static_files import check_static_files
from django_exotel_ccm.diagnosis.ticket_numbers import check_ticket_numbers
from django_exotel_ccm.diagnosis.workers import check_cache, check_reconciler, check_worker
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services.transactions import reset_connection

Check = Callable[[Run], Iterator[Finding]]

# check_database finds out whether the checks of what is stored can run.
CHECKS: tuple[Check, ...] = (
    check_set_up,
    check_static_files,
    check_database,
    check_accounts,
    check_callback_base,
    check_cache,
    check_worker,
)
STORED: tuple[Check, ...] = (
    check_agents,
    check_exophones,
    check_directory,
    check_permissions,
    check_ticket_numbers,
    check_reconciler,
    check_retention,
)


def diagnose() -> Iterator[Finding]:
    """Yield what is right and what is wrong, while it is found out: takes a minute at most, mostly a second."""
    run = new_run()
    for check in CHECKS:
        yield from _guarded(check, run)
    for check in STORED:
        if run.has_database:
            yield from _guarded(check, run)


def diagnose_settings() -> Iterator[Finding]:
    """Yield what can be said of the settings alone: sends no request and enqueues no job."""
    yield from _guarded(check_set_up, Run())


def _guarded(check: Check, run: Run) -> Iterator[Finding]:
    try:
        yield from check(run)
    except Exception as error:  # noqa: BLE001 - the other checks go on
        if isinstance(error, DatabaseError):
            reset_connection(router.db_for_write(CallRecord))
        yield failed(check.__name__.removeprefix("check_"), error)
