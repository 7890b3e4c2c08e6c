"""The jobs that a ``RUNNER`` is given."""

from __future__ import annotations

import logging
from contextlib import suppress

from django.db import router

from django_exotel_ccm import accounts, background, conf
from django_exotel_ccm.exceptions import SyncedInsideTransaction
from django_exotel_ccm.models import Agent
from django_exotel_ccm.services.announcements.dispatch import deliver_pending
from django_exotel_ccm.services.privacy import erase_due
from django_exotel_ccm.services.retention import purge_due
from django_exotel_ccm.services.synchronisation.agents import sync_agents
from django_exotel_ccm.services.synchronisation.exophones import sync_exophones
from django_exotel_ccm.services.transactions import reset_connection

logger = logging.getLogger("django_exotel_ccm.services")


def register_all() -> None:
    """Register every job."""
    background.register("announce", announce)
    background.register("reconcile", reconcile)
    background.register("sync", sync)
    background.register("purge", purge)
    background.register("ping", ping)
    if conf.get_settings().runner == "celery":
        # A Celery worker must know the task before the first job comes. The checks report a missing library.
        with suppress(ImportError):
            background.runner()


def announce(call: int) -> None:
    """Call the receivers with a pending delivery about the call with this primary key."""
    deliver_pending(call)


def reconcile() -> None:
    """Do one pass of ``exotel_reconcile``."""
    # Imported here, because it speaks HTTP and most processes never run it.
    from django_exotel_ccm.services.reconciliation import reconcile as module  # noqa: PLC0415

    module.reconcile()


def sync() -> None:
    """Do one run of ``exotel_sync`` over every account that has credentials; what is wrong is logged."""
    missing = accounts.missing_accounts()
    for account in [alias for alias in accounts.aliases() if alias not in missing]:
        for run in (sync_agents, sync_exophones):
            try:
                report = run(account)
            except SyncedInsideTransaction:
                raise
            except Exception:
                logger.exception("%s of account %r failed.", run.__name__, account)
                reset_connection(router.db_for_write(Agent))  # the next one may succeed
                continue
            for problem in report.problems:
                logger.warning("%s of account %r is not complete: %s", run.__name__, account, problem)


def purge() -> None:
    """Remove what the clocks of ``RETENTION`` say is due, and carry out the erasures that wait."""
    purge_due()
    erase_due()


def ping() -> None:
    """Do nothing: the doctor sees that a worker took the job."""
