"""Transactions that are known to be committed, and the proof that none is open."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

from django.db import IntegrityError, InterfaceError, OperationalError, connections, transaction

logger = logging.getLogger("django_exotel_ccm.services")

T = TypeVar("T")
TRIES = 3
_last_try: ContextVar[bool] = ContextVar("last_try", default=False)
AFTER_COMMIT = "What the host put off with transaction.on_commit failed; write robust=True there."


class NotCommitted(OperationalError):
    """The database did not keep the work, and said nothing or refused three times."""


def open_transaction() -> str | None:
    """Return the alias of a database on which a transaction is open; None when there is none.

    The transactions in which Django's ``TestCase`` wraps a test do not count: they are never committed.
    """
    for connection in connections.all(initialized_only=True):
        if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
            return connection.alias
        # Without autocommit, the host ends its transactions by hand: one may always be open.
        by_hand = connection.connection is not None and not connection.autocommit
        if by_hand and not connection.in_atomic_block:
            return connection.alias
    return None


def outside_transactions(view: Callable[..., Any]) -> Callable[..., Any]:
    """Exempt a view from ATOMIC_REQUESTS of every database: what it commits must be committed when it answers."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


def renew(using: str) -> None:
    """Give up the connection to database ``using`` if it is broken; the next query opens another."""
    # Inside the transaction of a test, Django would take the connection for a broken one.
    if not connections[using].in_atomic_block:
        connections[using].close_if_unusable_or_obsolete()


def is_last_try() -> bool:
    """Say whether :func:`commit` runs this work for the last time; what may have broken it is better left out."""
    return _last_try.get()


def commit(work: Callable[[], T], *, using: str) -> T:
    """Run ``work`` in one durable transaction on database ``using`` and return its result once it is committed.

    Deadlocks, lock timeouts, lost connections, races for a unique key and transactions that the database dropped in
    silence (MariaDB does, after a deadlock) are run again, three times in all. Raises :class:`NotCommitted`, or the
    last database error.
    """
    for left in reversed(range(TRIES)):
        committed: list[bool] = []
        try:
            with transaction.atomic(using=using, durable=True):
                transaction.on_commit(partial(committed.append, True), using=using, robust=True)
                result = _run(work, last=not left)
        except (OperationalError, InterfaceError, IntegrityError) as error:
            if committed:
                logger.exception(AFTER_COMMIT)
                return result
            if not left:
                raise
            logger.warning("A unit of work is run again: %s.", type(error).__name__)
            renew(using)
            time.sleep(random.uniform(0.01, 0.1))  # noqa: S311 - spreads rivals, guards nothing
            continue
        except Exception:
            if not committed:
                raise
            # What the host does after the commit is its own affair: the work is kept.
            logger.exception(AFTER_COMMIT)
        if committed or connections[using].in_atomic_block:
            return result
    raise NotCommitted("The database dropped the transaction without saying so.")


def _run(work: Callable[[], T], *, last: bool) -> T:
    _last_try.set(last)
    try:
        return work()
    finally:
        _last_try.set(False)
