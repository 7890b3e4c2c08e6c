"""INSERT and UPDATE as ``Model.save`` does them, with SQL that is made once.

For each row that it saves, Django looks at all columns of the model and makes the SQL anew. For calls and events that
takes several times as long as the database needs, so a callback and a press use these functions instead.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from django.db import connections
from django.db.models import Model
from django.db.models.signals import post_save, pre_save


def insert(rows: Sequence[Model], using: str) -> None:
    """Insert unsaved rows of one model into database ``using`` with one statement, and set their keys."""
    connection, model = connections[using], type(rows[0])
    if not connection.features.can_return_columns_from_insert:  # SQLite before 3.35
        for row in rows:
            row.save(using=using, force_insert=True)
        return
    for row in rows:
        pre_save.send(model, instance=row, raw=False, using=using, update_fields=None)
    sql, fields = _insert_sql(model, len(rows), using)
    values = [field.get_db_prep_save(field.pre_save(row, True), connection) for row in rows for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        keys = cursor.fetchall()
    for row, (key,) in zip(rows, keys, strict=True):
        row.pk, row._state.db, row._state.adding = key, using, False  # noqa: SLF001 - documented under "Model instances"
        post_save.send(model, instance=row, created=True, raw=False, using=using, update_fields=None)


def update(row: Model, names: Collection[str], using: str) -> None:
    """Save the columns ``names`` of a row that is stored in database ``using``."""
    connection, model, columns = connections[using], type(row), frozenset(names)
    pre_save.send(model, instance=row, raw=False, using=using, update_fields=columns)
    sql, fields = _update_sql(model, columns, using)
    values = [field.get_db_prep_save(field.pre_save(row, False), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(sql, [*values, row.pk])
    post_save.send(model, instance=row, created=False, raw=False, using=using, update_fields=columns)


@cache
def _insert_sql(model: type[Model], count: int, using: str) -> tuple[str, list[Any]]:
    quote, meta = connections[using].ops.quote_name, _meta(model)
    fields = [field for field in meta.concrete_fields if not field.primary_key]
    columns = ", ".join(quote(field.column) for field in fields)
    row = f"({', '.join(['%s'] * len(fields))})"
    rows, key = ", ".join([row] * count), quote(meta.pk.column)
    return f"INSERT INTO {quote(meta.db_table)} ({columns}) VALUES {rows} RETURNING {key}", fields  # noqa: S608 - names


@cache
def _update_sql(model: type[Model], names: frozenset[str], using: str) -> tuple[str, list[Any]]:
    quote, meta = connections[using].ops.quote_name, _meta(model)
    fields = [meta.get_field(name) for name in sorted(names)]
    columns = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    return f"UPDATE {quote(meta.db_table)} SET {columns} WHERE {quote(meta.pk.column)} = %s", fields  # noqa: S608 - names


def _meta(model: type[Model]) -> Any:
    return model._meta
