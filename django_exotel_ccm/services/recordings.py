"""Listening to a call's recording: fetching it with the account's credentials, and writing down who listened."""

from __future__ import annotations

import logging
import time
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import router
from django.utils import timezone

from django_exotel_ccm import accounts, conf
from django_exotel_ccm.choices import NoRecording, State
from django_exotel_ccm.exceptions import ExotelCCMError
from django_exotel_ccm.exotel import download
from django_exotel_ccm.exotel.download import CredentialsRefused, NotThere, RecordingStream
from django_exotel_ccm.exotel.ranges import ByteRange
from django_exotel_ccm.exotel.recordings import RecordingError, expiry_of
from django_exotel_ccm.models import CallRecord, Listening
from django_exotel_ccm.services.drafts import label_of
from django_exotel_ccm.services.scheduling import gives_up_at
from django_exotel_ccm.services.transactions import open_transaction, run_durably

logger = logging.getLogger("django_exotel_ccm.services")


class RecordingUnavailable(ExotelCCMError):
    """There is nothing to listen to; ``reason`` is a :class:`NoRecording`, whose label says why to people."""

    def __init__(self, reason: NoRecording) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return str(self.reason.label)


def lack_of(call: CallRecord) -> NoRecording | None:
    """Return why there is nothing to listen to as far as our records say; None when there is a recording to fetch."""
    spoken = call.state != State.REFUSED and call.talk_time != 0
    if call.erased_at is not None:
        return NoRecording.ERASED if spoken else NoRecording.NONE
    if call.recording_url:
        return None
    expected = call.recording_requested and spoken
    return NoRecording.NOT_READY if expected and _may_still_come(call) else NoRecording.NONE


def _may_still_come(call: CallRecord) -> bool:
    return timezone.now() < gives_up_at(call)


def open_recording(call: CallRecord, wanted: ByteRange | None) -> RecordingStream:
    """Return the recording of ``call``, or the part ``wanted`` of it, ready to be read; whoever asks closes it.

    Raises :class:`RecordingUnavailable`; what stands in the way is in the log, without the recording's address.
    """
    lacking = lack_of(call)
    if lacking is not None:
        raise RecordingUnavailable(lacking)
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
        return download.open_recording(accounts.get_account(call.account), call.recording_url, wanted, hosts)
    except NotThere as error:
        ready_later = _ask_for_a_fresh_address(call) or _may_still_come(call)
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


def _ask_for_a_fresh_address(call: CallRecord) -> bool:
    """Have Exotel asked again about a recording whose address was signed for a time that is over; say whether it is.

    What Call Details then tell is signed anew (for 5 to 60 minutes, docs/exotel.md 10.3).
    """
    if not call.call_sid or not 0 < expiry_of(call.recording_url) < time.time():
        return False
    calls = CallRecord.objects.using(router.db_for_write(CallRecord))
    now = timezone.now()
    calls.filter(pk=call.pk, details_check_at=None).update(details_check_at=now, next_check_at=now)
    return True


def write_listening(call: CallRecord, user: Any, wanted: ByteRange | None) -> Listening:
    """Write down that ``user`` listens to ``call``, and to which part; when this returns, it is committed.

    Raises a ``DatabaseError`` when it could not be, ``RuntimeError`` inside a transaction: then nothing may be played.
    """
    using = router.db_for_write(Listening)

    def write() -> Listening:
        return Listening.objects.using(using).create(
            call_id=call.pk,
            user_id=user.pk,
            user_label=label_of(user),
            byte_range="" if wanted is None else str(wanted),
            listened_at=timezone.now(),
        )

    return run_durably(write, using=using)
