"""Transactions whose commit is known, and a check that no transaction is open."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.db import IntegrityError, InterfaceError, OperationalError, connections, transaction

logger = logging.getLogger("django_exotel_ccm.services")

T = TypeVar("T")
MAX_ATTEMPTS = 3
HOOK_FAILED = "A hook that the host registered with transaction.on_commit failed; write robust=True there."


class NotCommitted(OperationalError):
    """The database did not commit the work, three times."""


def open_transaction() -> str | None:
    """Return the alias of a database on which a transaction is open; None when there is none.

    The transactions in which Django's ``TestCase`` wraps a test do not count: they are never committed.
    """
    for connection in connections.all(initialized_only=True):
        if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
            return connection.alias
        # Without autocommit the host ends its transactions by hand, so one can always be open.
        by_hand = connection.connection is not None and not connection.autocommit
        if by_hand and not connection.in_atomic_block:
            return connection.alias
    return None


def exempt_from_atomic_requests(view: Callable[..., Any]) -> Callable[..., Any]:
    """Exempt a view from ATOMIC_REQUESTS of every database: what it commits must be committed when it answers."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


def reset_connection(using: str) -> None:
    """Close the connection to database ``using`` if it is broken; the next query opens another."""
    # Inside the transaction of a test, Django would take every connection for a broken one.
    if not connections[using].in_atomic_block:
        connections[using].close_if_unusable_or_obsolete()


def run_durably(work: Callable[[], T], *, using: str, last_attempt: Callable[[], T] | None = None) -> T:
    """Run ``work`` in one durable transaction on database ``using``, and return its result once it is committed.

    Deadlocks, lock timeouts, lost connections, races for a unique key and transactions that the database dropped in
    silence (MariaDB does, after a deadlock) are run again, three times in all. The third time ``last_attempt`` runs
    instead, if it is given. Raises :class:`NotCommitted`, or the last database error.
    """
    for attempt in range(1, MAX_ATTEMPTS + 1):
        is_last = attempt == MAX_ATTEMPTS
        committed: list[bool] = []
        try:
            with transaction.atomic(using=using, durable=True):
                transaction.on_commit(partial(committed.append, True), using=using, robust=True)
                result = last_attempt() if is_last and last_attempt else work()
        except (OperationalError, InterfaceError, IntegrityError) as error:
            if committed:
                logger.exception(HOOK_FAILED)
                return result
            if is_last:
                raise
            logger.warning("A unit of work is run again: %s.", type(error).__name__)
            reset_connection(using)
            time.sleep(random.uniform(0.01, 0.1))  # noqa: S311 - rivals must not meet again; it guards no secret
            continue
        except Exception:
            if not committed:
                raise
            # The work is committed, whatever a hook of the host does afterwards.
            logger.exception(HOOK_FAILED)
        if committed or connections[using].in_atomic_block:
            return result
    raise NotCommitted("The database dropped the transaction without an error.")
