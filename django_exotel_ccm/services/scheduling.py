"""When Exotel is to be asked about a call: soon where something is missing, then ever less often, then no more."""

from __future__ import annotations

import datetime

from django.utils import timezone

from django_exotel_ccm import conf
from django_exotel_ccm.choices import Outcome, State
from django_exotel_ccm.lifecycle import Source
from django_exotel_ccm.models import CallRecord

MINUTE = datetime.timedelta(minutes=1)
FIRST_ASKED = 5 * MINUTE  # after placing: most calls have told of their end by then
AFTER_THE_END = 2 * MINUTE  # Call Details are stale right after it (docs/exotel.md 7.4)
BACK_OFF = tuple(MINUTE * minutes for minutes in (5, 10, 20, 40, 60))
GIVE_UP = datetime.timedelta(hours=24)  # the longest call has four
NEVER_CONFIRMED = datetime.timedelta(hours=6)  # that call, and the last try of its callback


def first_ask(call: CallRecord, now: datetime.datetime) -> datetime.datetime | None:
    """Return when Exotel is to be asked about a call whose state or sid is new; None when nothing is missing.

    Without a sid nothing can be asked: the moment is then the one at which waiting for a callback ends.
    """
    if call.state == State.REFUSED or not is_lacking(call):
        return None
    if not call.call_sid:
        return None if call.state == State.ENDED else call.created_at + NEVER_CONFIRMED
    if call.state == State.ENDED:
        return now + AFTER_THE_END
    return max(call.created_at + FIRST_ASKED, now)


def next_ask(call: CallRecord, now: datetime.datetime) -> datetime.datetime | None:
    """Return when Exotel is to be asked again, ``call.checks`` times after the last news; None to give up."""
    if call.state == State.REFUSED or not call.call_sid or not is_lacking(call):
        return None
    due = now + BACK_OFF[min(call.checks, len(BACK_OFF)) - 1]
    return due if due < gives_up_at(call) else None


def is_lacking(call: CallRecord) -> bool:
    """Say whether Call Details may still tell what no event has told."""
    if call.state != State.ENDED or lacks_recording(call):
        return True
    told = call.outcome != Outcome.UNKNOWN and call.talk_time is not None and not call.ended_at_approximate
    return not (told or (call.checks and _heard_from_details(call)))


def lacks_recording(call: CallRecord) -> bool:
    """Say whether a recording was asked for and is to be expected, but nobody has said where it is."""
    wanted = call.recording_requested and call.erased_at is None
    return wanted and call.state == State.ENDED and call.talk_time != 0 and not call.recording_url


def gives_up_at(call: CallRecord) -> datetime.datetime:
    """Return when asking about this call makes no sense any more."""
    if call.state == State.ENDED and call.ended_at is not None:
        # An end that was told wrongly may lie years ahead.
        seen = min(max(call.ended_at, call.created_at), call.created_at + GIVE_UP)
        return seen + datetime.timedelta(seconds=conf.get_settings().recording_retry_for)
    return call.created_at + GIVE_UP


def reschedule(call: CallRecord, *, moved: bool) -> None:
    """Plan anew after an event; ``moved`` says whether the call's state or sid changed by it."""
    if moved:
        call.checks, call.gave_up_at = 0, None
        call.details_check_at = first_ask(call, timezone.now())
    elif not is_lacking(call):
        call.details_check_at = None
    call.update_next_check()


def _heard_from_details(call: CallRecord) -> bool:
    status = call.facts.get("status")
    return bool(status) and status[1] == Source.DETAILS
