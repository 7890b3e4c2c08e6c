"""Presses of one agent, or to one customer, wait for each other: each sees the calls that the others have placed."""

from __future__ import annotations

import hashlib
from functools import partial

from django.db import connections
from django.db.models import F

from django_exotel_ccm.models import CallRecord, PressLock
from django_exotel_ccm.services.transactions import run_durably


class LockMissing(Exception):
    """The rows that presses lock are not there yet; :func:`create_locks` makes them."""


def lock_presses(call: CallRecord, using: str) -> None:
    """Wait until no other press of the call's agent, or to its customer, has a transaction open on ``using``.

    It comes first in the transaction: what is read after it has been committed before, at every isolation level
    (MariaDB's REPEATABLE READ takes its snapshot at the first read, and PostgreSQL's fails here and is run again).
    The rows are locked in the order of their keys, so two presses cannot wait for each other. Raises
    :class:`LockMissing`. On SQLite the transaction has locked the whole database already.
    """
    if not connections[using].features.has_select_for_update:
        return
    locks = PressLock.objects.using(using)
    for slot in sorted({_slot(f"agent {call.agent_id}"), _slot(f"customer {call.customer_number}")}):
        if not locks.filter(slot=slot).update(presses=F("presses") + 1):
            raise LockMissing


def create_locks(using: str) -> None:
    """Make the rows that are missing. Not a migration's work: a host that empties its tables would lose them."""
    run_durably(partial(_create, using), using=using)


def _create(using: str) -> None:
    locks = PressLock.objects.using(using)
    known = set(locks.values_list("slot", flat=True))
    locks.bulk_create([PressLock(slot=slot) for slot in range(PressLock.SLOTS) if slot not in known])


def _slot(name: str) -> int:
    """Return a number that says nothing of what is locked."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % PressLock.SLOTS
