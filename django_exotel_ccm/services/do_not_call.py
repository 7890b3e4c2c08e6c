"""The do-not-call list: who is added to it."""

from __future__ import annotations

import datetime
from functools import partial
from typing import Any

from django.db import router
from django.utils import timezone

from django_exotel_ccm.choices import DoNotCallSource
from django_exotel_ccm.exotel.values import storable
from django_exotel_ccm.models import DoNotCall
from django_exotel_ccm.phone_numbers import PhoneNumber, parse_number
from django_exotel_ccm.services.transactions import run_in_transaction

REPLACED = ("source", "reason", "expires_at", "created_by_id", "created_at")
"""What an entry that lasts longer replaces in the one that is there."""


def add_do_not_call(
    number: PhoneNumber,
    *,
    source: DoNotCallSource,
    reason: str = "",
    expires_at: datetime.datetime | None = None,
    created_by: Any = None,
) -> DoNotCall:
    """Put ``number``, in any spelling, on the do-not-call list until ``expires_at``, None for ever; return its entry.

    A number that is on it stays at least as long as it was: the later expiry wins with its source, and the reason that
    was there is kept before its own. It is for trusted code: permissions are not asked. Inside a transaction it is
    committed with that; otherwise it is committed when this returns. Raises :class:`InvalidNumber`, which says what to
    type, for what is not one valid number.
    """
    using = router.db_for_write(DoNotCall)
    wanted = DoNotCall(
        number=parse_number(number),
        source=source,
        reason=storable(reason)[: DoNotCall.LONGEST_REASON],
        expires_at=expires_at,
        created_by=created_by,
        created_at=timezone.now(),
    )
    return run_in_transaction(partial(_add, wanted, using), using=using)


def _add(wanted: DoNotCall, using: str) -> DoNotCall:
    known = DoNotCall.objects.using(using).select_for_update().filter(number=wanted.number).first()
    if known is None:
        wanted.pk = None
        wanted.save(using=using, force_insert=True)
        return wanted
    if not known.is_in_force:
        replace_entry(known, wanted)
        known.save(using=using)
    elif lasts_longer(wanted, known):
        wanted.reason = _both(known.reason, wanted.reason)
        replace_entry(known, wanted)
        known.save(using=using)
    return known


def _both(old: str, new: str) -> str:
    """Return both reasons. The old one comes first, so that nothing can push it out."""
    if new in old:
        return old
    return (f"{old}; {new}" if old else new)[: DoNotCall.LONGEST_REASON]


def lasts_longer(one: DoNotCall, other: DoNotCall) -> bool:
    """Return whether the entry ``one`` expires after ``other``."""
    if other.expires_at is None:
        return False
    return one.expires_at is None or one.expires_at > other.expires_at


def replace_entry(known: DoNotCall, wanted: DoNotCall) -> None:
    """Have the entry ``known`` say what ``wanted`` says. Saves nothing."""
    for name in REPLACED:
        setattr(known, name, getattr(wanted, name))
