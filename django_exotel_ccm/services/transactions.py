"""Transactions whose commit is known, and a check that no transaction is open."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache, partial
from typing import Any, TypeVar

from django.db import IntegrityError, InterfaceError, OperationalError, connections, transaction
from django.db.models import Model
from django.db.models.signals import post_save, pre_save

from django_exotel_ccm.models import CallRecord

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
                _lock_database(using)
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


def run_in_transaction(work: Callable[[], T], *, using: str, last_attempt: Callable[[], T] | None = None) -> T:
    """Run ``work`` in the caller's transaction on database ``using``, or where there is none as :func:`run_durably`."""
    if open_transaction() is not None and connections[using].in_atomic_block:
        with transaction.atomic(using=using):
            return work()
    return run_durably(work, using=using, last_attempt=last_attempt)


def _lock_database(using: str) -> None:
    """Take the write lock of a database without row locks, before anything is read: SQLite cannot upgrade a read lock.

    SQLite takes it as soon as an UPDATE begins, also if no row matches.
    """
    connection = connections[using]
    if not connection.features.has_select_for_update:
        table = connection.ops.quote_name(CallRecord._meta.db_table)
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE {table} SET account = account WHERE 1 = 0")  # noqa: S608 - names


def insert(rows: Sequence[Model], using: str) -> None:
    """Insert unsaved rows of one model into database ``using`` with one statement, and set their keys.

    For each row, ``Model.save`` looks at all columns of the model and makes the SQL anew. For calls and events that
    takes several times as long as the database needs. Here the SQL is made once, and the signals are sent as usual.
    """
    connection, model = connections[using], type(rows[0])
    if not connection.features.can_return_columns_from_insert:  # SQLite before 3.35
        for row in rows:
            row.save(using=using, force_insert=True)
        return
    for row in rows:
        pre_save.send(model, instance=row, raw=False, using=using, update_fields=None)
    sql, fields = _insert_sql(model, len(rows), using)
    values = [_value(field, row, connection, is_new=True) for row in rows for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        keys = cursor.fetchall()
    for row, (key,) in zip(rows, keys, strict=True):
        row.pk, row._state.db, row._state.adding = key, using, False  # noqa: SLF001 - documented under "Model instances"
        post_save.send(model, instance=row, created=True, raw=False, using=using, update_fields=None)


def update(row: Model, names: Collection[str], using: str, *, only_if: str = "") -> bool:
    """Save the columns ``names`` of a row that is stored in database ``using``, as :func:`insert` does.

    ``only_if`` is an SQL condition on the stored row. Return False, and change nothing, if the row does not meet it.
    """
    connection, model, columns = connections[using], type(row), frozenset(names)
    pre_save.send(model, instance=row, raw=False, using=using, update_fields=columns)
    sql, fields = _update_sql(model, columns, using)
    condition = f" AND {only_if}" if only_if else ""
    values = [_value(field, row, connection, is_new=False) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(sql + condition, [*values, row.pk])
        is_saved: bool = cursor.rowcount > 0
    if is_saved:
        post_save.send(model, instance=row, created=False, raw=False, using=using, update_fields=columns)
    return is_saved


@lru_cache(maxsize=500)
def _insert_sql(model: type[Model], count: int, using: str) -> tuple[str, list[Any]]:
    quote, meta = connections[using].ops.quote_name, _meta(model)
    fields = [field for field in meta.concrete_fields if not field.primary_key]
    columns = ", ".join(quote(field.column) for field in fields)
    row = f"({', '.join(['%s'] * len(fields))})"
    rows, key = ", ".join([row] * count), quote(meta.pk.column)
    return f"INSERT INTO {quote(meta.db_table)} ({columns}) VALUES {rows} RETURNING {key}", fields  # noqa: S608 - names


@lru_cache(maxsize=500)
def _update_sql(model: type[Model], names: frozenset[str], using: str) -> tuple[str, list[Any]]:
    quote, meta = connections[using].ops.quote_name, _meta(model)
    fields = [meta.get_field(name) for name in sorted(names)]
    columns = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    return f"UPDATE {quote(meta.db_table)} SET {columns} WHERE {quote(meta.pk.column)} = %s", fields  # noqa: S608 - names


def _value(field: Any, row: Model, connection: Any, *, is_new: bool) -> Any:
    value = field.pre_save(row, is_new)
    return None if value is None else field.get_db_prep_save(value, connection)


def _meta(model: type[Model]) -> Any:
    return model._meta
