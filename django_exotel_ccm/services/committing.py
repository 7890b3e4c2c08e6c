"""Transactions that are known to be committed, and the proof that none is open."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from django.db import IntegrityError, OperationalError, connections, transaction

logger = logging.getLogger("django_exotel_ccm.services")

T = TypeVar("T")
TRIES = 3


class NotCommitted(OperationalError):
    """The database did not keep the work, and said nothing or refused three times."""


def open_transaction() -> str | None:
    """Return the alias of a database on which a transaction is open; None when there is none.

    The transactions in which Django's ``TestCase`` wraps a test do not count: they are never committed.
    """
    for connection in connections.all(initialized_only=True):
        if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
            return connection.alias
    return None


def commit(work: Callable[[], T], *, using: str) -> T:
    """Run ``work`` in one durable transaction on database ``using`` and return its result once it is committed.

    Deadlocks, lock timeouts, races for a unique key and transactions that the database dropped in silence (MariaDB
    does, after a deadlock) are run again, three times in all. Raises :class:`NotCommitted`, or the last database error.
    """
    for left in reversed(range(TRIES)):
        committed: list[bool] = []
        try:
            with transaction.atomic(using=using, durable=True):
                transaction.on_commit(partial(committed.append, True), using=using, robust=True)
                result = work()
        except (OperationalError, IntegrityError) as error:
            if not left:
                raise
            logger.warning("A unit of work is run again: %s.", type(error).__name__)
            connections[using].close_if_unusable_or_obsolete()
            time.sleep(random.uniform(0.01, 0.1))  # noqa: S311 - spreads rivals, guards nothing
            continue
        if committed or connections[using].in_atomic_block:
            return result
    raise NotCommitted("The database dropped the transaction without saying so.")
