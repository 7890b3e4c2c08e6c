"""Recordings of a call: which there are, how one is fetched, and the record of who listened."""

from __future__ import annotations

import datetime
import hashlib
import logging
import re
import secrets
import time
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import router
from django.utils import timezone

from django_exotel_ccm import accounts, conf, lifecycle
from django_exotel_ccm.choices import NoRecording, RemovalKind, State
from django_exotel_ccm.exceptions import ExotelCCMError
from django_exotel_ccm.exotel import download
from django_exotel_ccm.exotel.download import CredentialsRefused, NotThere, RecordingStream
from django_exotel_ccm.exotel.ranges import ByteRange
from django_exotel_ccm.exotel.recordings import RecordingError, expiry_of, recording_id, recording_of
from django_exotel_ccm.models import CallRecord, RecordingAccess
from django_exotel_ccm.services.drafts import label_of
from django_exotel_ccm.services.scheduling import gives_up_at
from django_exotel_ccm.services.transactions import open_transaction, run_durably

logger = logging.getLogger("django_exotel_ccm.services")

LONGEST_LISTENING = 4 * 60 * 60  # seconds; the longest call that Exotel documents (docs/exotel.md 2.3)
_PAGE_VIEW = re.compile(r"([0-9a-f]{8,10})-[0-9a-f]{16}")


class RecordingUnavailable(ExotelCCMError):
    """There is nothing to listen to; ``reason`` is a :class:`NoRecording`, whose label says why to people."""

    def __init__(self, reason: NoRecording) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return str(self.reason.label)


def missing_reason(call: CallRecord) -> NoRecording | None:
    """Return why there is nothing to listen to as far as our records say; None when there is a recording to fetch."""
    spoken = call.state != State.REFUSED and call.talk_time != 0
    if call.erased_at is not None:
        return NoRecording.ERASED if spoken else NoRecording.NONE
    if call.recording_url:
        return None
    expected = call.recording_requested and spoken
    if expected and _is_purged(call):
        return NoRecording.PURGED
    return NoRecording.NOT_READY if expected and _may_still_come(call) else NoRecording.NONE


def _is_purged(call: CallRecord) -> bool:
    days = conf.get_settings().retention.get(RemovalKind.RECORDINGS)
    return days is not None and call.created_at < timezone.now() - datetime.timedelta(days=days)


def _may_still_come(call: CallRecord) -> bool:
    return timezone.now() < gives_up_at(call)


def recording_urls(call: CallRecord) -> dict[str, str]:
    """Return the URL of each recording of a call by the recording's id, in their order."""
    return {recording_id(key): url for key, url in lifecycle.recordings(call.facts or {}).items()}


def first_recording(call: CallRecord) -> str:
    """Return the id of the recording at the call's ``recording_url``, "" without one. For lists: it reads no facts."""
    return recording_id(recording_of(call.recording_url)) if call.recording_url else ""


def open_recording(call: CallRecord, recording: str, wanted: ByteRange | None) -> RecordingStream:
    """Return the recording with the id ``recording``, or the part ``wanted`` of it; the caller closes it.

    Raises :class:`RecordingUnavailable`; the cause is in the log, without the recording's address.
    """
    reason = missing_reason(call)
    url = recording_urls(call).get(recording) if reason is None else None
    if url is None:
        raise RecordingUnavailable(reason or NoRecording.NONE)
    alias = open_transaction()
    if alias is not None:
        logger.error(
            "The recording of call %s was not fetched inside a transaction on database %r: who listens is committed "
            "before anything is played. Have no middleware open a transaction round every request.",
            call.reference,
            alias,
        )
        raise RecordingUnavailable(NoRecording.FAILED)
    try:
        hosts = conf.get_settings().recording_hosts
        account = accounts.get_account(call.account)
        return download.open_recording(account, url, wanted, hosts, reference=str(call.reference))
    except NotThere as error:
        ready_later = _schedule_new_address(call, url) or _may_still_come(call)
        reason = NoRecording.NOT_READY if ready_later else NoRecording.GONE
        logger.info("The recording of call %s is not there: %s.", call.reference, error)
    except CredentialsRefused:
        reason = NoRecording.FAILED
        logger.error(
            "Exotel refused the key and token of account %r, so the recording of call %s cannot be fetched. "
            "Correct the credentials in the environment.",
            call.account,
            call.reference,
        )
    except (RecordingError, ImproperlyConfigured) as error:
        reason = NoRecording.FAILED
        logger.error("The recording of call %s was not fetched: %s.", call.reference, error)
    raise RecordingUnavailable(reason)


def _schedule_new_address(call: CallRecord, url: str) -> bool:
    """Plan a Call Details question if the signature of ``url`` has expired; return True if it has.

    Call Details then give a newly signed address, valid for 5 to 60 minutes (docs/exotel.md 10.3).
    """
    if not call.call_sid or not 0 < expiry_of(url) < time.time():
        return False
    calls = CallRecord.objects.using(router.db_for_write(CallRecord))
    now = timezone.now()
    calls.filter(pk=call.pk, details_check_at=None).update(details_check_at=now, next_check_at=now)
    return True


def new_page_view() -> str:
    """Return an id for one view of a page; the page's players send it, so that their requests are one listening."""
    return f"{int(time.time()):x}-{secrets.token_hex(8)}"


def record_access(call: CallRecord, recording: str, user: Any, page_view: str) -> None:
    """Record that ``user`` listens to a recording; when this returns, the row is committed.

    A player asks for a recording in several ranges. All requests by the same user for the same recording with the same
    ``page_view`` are one row, for :data:`LONGEST_LISTENING`; then the next row begins. Each request without a usable
    ``page_view`` is a row of its own.
    Raises a ``DatabaseError`` if nothing could be recorded, ``RuntimeError`` inside a transaction: then nothing may be
    played.
    """
    using = router.db_for_write(RecordingAccess)
    accesses = RecordingAccess.objects.using(using)
    key = _access_key(call, recording, user, page_view)

    def is_recorded() -> bool:
        return key is not None and accesses.filter(listening_key=key).exists()

    def record() -> None:
        if not is_recorded():
            accesses.create(
                call_id=call.pk,
                recording=recording,
                user_id=user.pk,
                user_label=label_of(user),
                listened_at=timezone.now(),
                listening_key=key,
            )

    # Most requests ask for one more range; on SQLite a transaction would make them wait for each other.
    if not is_recorded():
        run_durably(record, using=using)


def _access_key(call: CallRecord, recording: str, user: Any, page_view: str) -> str | None:
    match = _PAGE_VIEW.fullmatch(page_view)
    if match is None:
        return None
    # The time in the page's id only says where the periods begin: whatever it says, a period ends.
    period = (int(time.time()) - int(match[1], 16)) // LONGEST_LISTENING
    return hashlib.sha256(f"{user.pk}|{call.pk}|{recording}|{page_view}|{period}".encode()).hexdigest()
