"""When Call Details are fetched for a call: soon if something is missing, then less and less often, then no more."""

from __future__ import annotations

import datetime
from collections.abc import Callable

from django.db import router
from django.utils import timezone

from django_exotel_ccm import accounts, conf, lifecycle
from django_exotel_ccm.choices import Outcome, State
from django_exotel_ccm.lifecycle import Source
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services.transactions import run_durably

MINUTE = datetime.timedelta(minutes=1)
FIRST_CHECK = 5 * MINUTE  # after placing; most calls have reported their end by then
AFTER_THE_END = 2 * MINUTE  # Call Details are stale right after it (docs/exotel.md 7.4)
BACK_OFF = tuple(MINUTE * minutes for minutes in (5, 10, 20, 40, 60))
GIVE_UP = datetime.timedelta(hours=24)  # the longest call takes four
NEVER_CONFIRMED = datetime.timedelta(hours=6)  # the longest call, and the last try of its callback
CLAIM = 2 * MINUTE  # longer than a request's deadline

COLUMNS = ("details_check_at", "announce_at", "next_check_at", "checks", "gave_up_at")
"""The columns that this module changes."""


# What is missing.


def is_incomplete(call: CallRecord) -> bool:
    """Return True if Call Details could supply a missing fact, or must confirm one."""
    if call.state != State.ENDED or lacks_recording(call) or needs_verification(call):
        return True
    complete = call.outcome != Outcome.UNKNOWN and call.talk_time is not None and not call.ended_at_approximate
    return not (complete or (call.checks and _has_final_details(call)))


def needs_verification(call: CallRecord) -> bool:
    """Return True if only settled Call Details can tell what is true: reports differ, or too many came."""
    return lifecycle.needs_verification(call.facts) or (
        call.events_not_stored > 0 and call.is_flooded and not lifecycle.is_settled(call.facts)
    )


def lacks_recording(call: CallRecord) -> bool:
    """Return True if the call should have a recording, and nobody has reported its address."""
    wanted = call.recording_requested and call.erased_at is None
    return wanted and call.state == State.ENDED and call.talk_time != 0 and not call.recording_url


def _has_final_details(call: CallRecord) -> bool:
    status = call.facts.get("status")
    return bool(status) and status[1] >= Source.DETAILS


def gives_up_at(call: CallRecord) -> datetime.datetime:
    """Return when Call Details are not fetched any more, whatever is missing."""
    if call.state == State.ENDED and call.ended_at is not None:
        # A wrong end may lie years ahead.
        ended_at = min(max(call.ended_at, call.created_at), call.created_at + GIVE_UP)
        return ended_at + datetime.timedelta(seconds=conf.get_settings().recording_retry_for)
    return call.created_at + GIVE_UP


# When it is fetched. These change a call, and save nothing.


def reschedule(call: CallRecord, *, moved: bool) -> None:
    """Plan the first check after an event; ``moved`` tells whether the event changed the call's state or sid."""
    if moved:
        call.checks, call.gave_up_at = 0, None
        call.details_check_at = _first_check(call, timezone.now())
    elif not is_incomplete(call):
        call.details_check_at = None
    elif call.details_check_at is None and needs_verification(call):
        call.checks, call.details_check_at = 0, _first_check(call, timezone.now())
    call.update_next_check()


def _first_check(call: CallRecord, now: datetime.datetime) -> datetime.datetime | None:
    if call.state == State.REFUSED or not is_incomplete(call):
        return None
    if not call.call_sid:
        # Call Details need a sid. This is when waiting for a callback ends.
        return None if call.state == State.ENDED else call.created_at + NEVER_CONFIRMED
    if call.state == State.ENDED:
        return now + AFTER_THE_END
    return max(call.created_at + FIRST_CHECK, now)


def _next_check(call: CallRecord, now: datetime.datetime) -> datetime.datetime | None:
    """Return when to check again after ``call.checks`` checks; None to give up."""
    if call.state == State.REFUSED or not call.call_sid or not is_incomplete(call):
        return None
    due = now + BACK_OFF[min(call.checks, len(BACK_OFF)) - 1]
    if needs_verification(call):
        # The end may be wrong, so the call may go on; or the report came late, and Exotel was away just then.
        is_too_late = due >= call.created_at + GIVE_UP and call.checks > len(BACK_OFF)
    else:
        is_too_late = due >= gives_up_at(call)
    return None if is_too_late else due


# The same, saved.


def check_by(call: CallRecord, moment: datetime.datetime, using: str, *, even_if_complete: bool = False) -> None:
    """Have a locked call checked at ``moment`` or before, if anything is missing or ``even_if_complete``."""
    if not (even_if_complete or is_incomplete(call)):
        return
    if call.details_check_at is None or call.details_check_at > moment:
        call.details_check_at = moment
        call.update_next_check()
        call.save(using=using, update_fields=["details_check_at", "next_check_at"])


def schedule_next(call: CallRecord, claimed: datetime.datetime | None) -> CallRecord:
    """Plan the next check after one was made, or give up; return the call as it is now.

    Changes nothing if an event has changed the plan since it was ``claimed``.
    """

    def change(locked: CallRecord) -> None:
        locked.checks += 1
        locked.details_check_at = _next_check(locked, timezone.now())
        if locked.details_check_at is None:
            _give_up(locked)

    return _change_plan(call, claimed, change)


def postpone(call: CallRecord, claimed: datetime.datetime | None, until: datetime.datetime) -> CallRecord:
    """Put off a check that could not be made to ``until``, when the account is not limited any more.

    If the call's time is over by then, it is shown as given up, and is checked all the same: credentials that are
    corrected after days still tell what became of its calls. An account that left the settings is not asked any more.
    """

    def change(locked: CallRecord) -> None:
        is_over = until >= gives_up_at(locked)
        if is_over:
            _give_up(locked)
        if not is_over or locked.account in accounts.aliases():
            locked.details_check_at = until

    return _change_plan(call, claimed, change)


def _give_up(call: CallRecord) -> None:
    """Check no more, and show that if the call's end is not known."""
    call.details_check_at = None
    if not call.is_over:
        call.gave_up_at = call.gave_up_at or timezone.now()


def _change_plan(
    call: CallRecord, claimed: datetime.datetime | None, change: Callable[[CallRecord], None]
) -> CallRecord:
    using = router.db_for_write(CallRecord)

    if call.details_check_at != claimed:
        return call

    def work() -> CallRecord:
        locked = CallRecord.objects.using(using).filter(pk=call.pk).first_for_update()
        if locked is None:  # deleted meanwhile
            return call
        if locked.details_check_at == claimed:
            change(locked)
            locked.update_next_check()
            locked.save(using=using, update_fields=COLUMNS)
        return locked

    return run_durably(work, using=using)
