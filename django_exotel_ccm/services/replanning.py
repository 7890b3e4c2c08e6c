"""When a call is asked about next, once it was asked about or could not be: the claim's owner plans it anew."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from django.db import router
from django.utils import timezone

from django_exotel_ccm import accounts
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services import scheduling
from django_exotel_ccm.services.committing import commit
from django_exotel_ccm.services.tracking import PLANNED, lock


def plan_again(call: CallRecord, claimed: datetime.datetime | None) -> CallRecord:
    """Plan the next question about the call after one was asked, or give up; return the call as it is now.

    Nothing is planned when an event has changed the plan since it was ``claimed``.
    """

    def work(locked: CallRecord) -> None:
        locked.checks += 1
        locked.details_check_at = scheduling.next_ask(locked, timezone.now())
        if locked.details_check_at is None:
            _give_up(locked)

    return _replan(call, claimed, work)


def put_off(call: CallRecord, claimed: datetime.datetime | None, until: datetime.datetime) -> CallRecord:
    """Have the call asked about at ``until``, which is when its account may be asked; return it as it is now.

    Its time may be over by then. It is given up in sight, and asked about all the same: an account whose credentials
    are put right tells what became of its calls. Of an account that left the settings nobody can ask any more.
    """

    def work(locked: CallRecord) -> None:
        over = until >= scheduling.gives_up_at(locked)
        if over:
            _give_up(locked)
        if not over or locked.account in accounts.aliases():
            locked.details_check_at = until

    return _replan(call, claimed, work)


def _give_up(call: CallRecord) -> None:
    """Ask no more; in sight, if the end of the call is not known."""
    call.details_check_at = None
    if not call.is_over:
        call.gave_up_at = call.gave_up_at or timezone.now()


def _replan(call: CallRecord, claimed: datetime.datetime | None, change: Callable[[CallRecord], None]) -> CallRecord:
    using = router.db_for_write(CallRecord)

    def work() -> CallRecord:
        locked = lock(call.reference, using)
        if locked is None:  # deleted meanwhile
            return call
        if locked.details_check_at == claimed:
            change(locked)
            locked.update_next_check()
            locked.save(using=using, update_fields=PLANNED)
        return locked

    return commit(work, using=using)
