"""Calls placed elsewhere: reports to an account's own URL are stored, and Call Details make a record of the call."""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import router
from django.db.models import QuerySet
from django.utils import timezone

from django_exotel_ccm import accounts
from django_exotel_ccm.choices import EventReason, UnverifiedReason
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.models import AccountUsage, CallEvent, CallRecord, UnverifiedCall
from django_exotel_ccm.models.call_queryset import CallRecordQuerySet
from django_exotel_ccm.services.budget import RateLimited
from django_exotel_ccm.services.events import fingerprint_of, store
from django_exotel_ccm.services.reconciliation.call_details import canonical_form, is_usable_sid
from django_exotel_ccm.services.reconciliation.external_records import build_external_record, possible_own_calls
from django_exotel_ccm.services.scheduling import AFTER_THE_END, BACK_OFF, CLAIM, GIVE_UP, check_by
from django_exotel_ccm.services.transactions import run_durably

logger = logging.getLogger("django_exotel_ccm.services")

MINUTE = datetime.timedelta(minutes=1)
HOUR = 60 * MINUTE
# How many reports of each ``reason`` are stored. Whoever knows an account's URL can send any number.
MAX_STORED = 5_000  # about unknown calls of one account, in an hour
MAX_STORED_OF_A_CALL = 1_000
NOT_FOUND_CODES = frozenset({"10744", "http_404"})

FetchDetails = Callable[[str, str], CallEvent]


# What is reported.


def record_account_event(event: CallEvent, *, canonical: bytes | None = None) -> CallEvent:
    """Store ``event`` (unsaved, with its ``account``), have its call checked in two minutes, and return it.

    It changes no facts. An unknown call is an unverified one. In a flood of reports the event is not stored, and
    returned without a primary key. ``canonical`` and exceptions are those of :func:`~.record_event`.
    """
    using = router.db_for_write(CallRecord)
    origin = json.dumps([event.kind, event.authentication, event.account]).encode()
    event.fingerprint = hashlib.sha256(origin + (bytes(event.raw) if canonical is None else canonical)).hexdigest()
    event.reason = event.reason or EventReason.UNVERIFIED
    return run_durably(partial(_store, event, using), using=using)


def _store(event: CallEvent, using: str) -> CallEvent:
    sid = event.parsed.call_sid or ""
    event.call = _calls_with(event.account, sid, using).first_for_update()
    known = CallEvent.objects.using(using).filter(fingerprint=event.fingerprint).first()
    if known is not None:
        return known
    if event.call is not None:
        _store_known(event, event.call, using)
    else:
        _store_unknown(event, sid, using)
    return event


def _store_known(event: CallEvent, call: CallRecord, using: str) -> None:
    if call.erased_at is not None:
        event.redact()
    if _save_unless_flooded(event, using):
        has_news = bool(event.parsed.recordings) and not call.recording_url
        check_by(call, timezone.now() + AFTER_THE_END, using, even_if_complete=has_news)


def _store_unknown(event: CallEvent, sid: str, using: str) -> None:
    unverified = UnverifiedCall.objects.using(using).filter(account=event.account, call_sid=sid).first()
    if unverified is not None and unverified.code == UnverifiedReason.ERASED:
        event.redact()
    _save_unless_flooded(event, using)
    if is_usable_sid(sid):
        _plan_check(unverified, event, sid, using)


def _calls_with(account: str, sid: str, using: str) -> CallRecordQuerySet:
    return CallRecord.objects.using(using).filter(account=account, call_sid=sid)


def _save_unless_flooded(event: CallEvent, using: str) -> bool:
    """Save the report; return False if so many are stored that this one is not."""
    reports = CallEvent.objects.using(using).filter(reason=event.reason, account=event.account, call=event.call)
    if event.call is None:
        reports = reports.filter(received_at__gt=event.received_at - HOUR)
    limit = MAX_STORED if event.call is None else MAX_STORED_OF_A_CALL
    if reports.order_by()[limit - 1 : limit].exists():
        _note_flood(event.account)
        return False
    event.pk = None
    event.save(using=using, force_insert=True)
    return True


def _plan_check(unverified: UnverifiedCall | None, event: CallEvent, sid: str, using: str) -> None:
    """Have the reported call checked, again if it was given up; but not one that Exotel does not know."""
    # By then Call Details know the call, and the answer to our own request is stored.
    soon = timezone.now() + AFTER_THE_END
    if unverified is None:
        # If another process has stored this sid meanwhile, this fails, and the transaction is run again.
        UnverifiedCall.objects.using(using).create(
            account=event.account, call_sid=sid, reported_at=event.received_at, next_check_at=soon
        )
        if UnverifiedCall.objects.using(using).drop_excess(event.account):
            _note_flood(event.account)
    elif unverified.next_check_at is None and unverified.code != UnverifiedReason.NOT_FOUND:
        _update(unverified, using, next_check_at=soon, gave_up_at=None)


def _note_flood(account: str) -> None:
    """Save when an account's URL was flooded, once a minute."""
    now = timezone.now()
    if not AccountUsage.objects.of(account).filter(flooded_at__gt=now - MINUTE).exists():
        logger.warning("The own callback URL of account %r reports more than is stored.", account)
        AccountUsage.objects.save_moment(account, flooded_at=now)


# How it is verified.


def claim(unverified: UnverifiedCall) -> bool:
    """Claim a due call for two minutes; return False if another process was faster."""
    due = UnverifiedCall.objects.using(router.db_for_write(UnverifiedCall)).filter(
        pk=unverified.pk, next_check_at=unverified.next_check_at
    )
    return bool(run_durably(lambda: due.update(next_check_at=timezone.now() + CLAIM), using=due.db))


def verify(unverified: UnverifiedCall, fetch: FetchDetails) -> bool:
    """Verify a claimed call with Call Details; return True if it was added to the records.

    ``fetch(account, call_sid)`` returns them as an unsaved event, or raises :class:`~.RateLimited`: the check is then
    postponed. If the call is in the records meanwhile, the answer is an event of that call. If it may be a call placed
    here whose sid is not known yet, the check is repeated until that is known.
    """
    using = router.db_for_write(CallRecord)
    if unverified.account not in accounts.aliases():
        _give_up(unverified, UnverifiedReason.NO_ACCOUNT, using)
        return False
    if run_durably(partial(_link, unverified, using), using=using):
        return False
    try:
        details = fetch(unverified.account, unverified.call_sid)
    except RateLimited as limit:
        _update(unverified, using, next_check_at=limit.until)
        return False
    facts = CallFacts.from_json(details.facts)
    if facts.call_sid == unverified.call_sid:
        record = build_external_record(unverified, facts)
        return run_durably(partial(_store_details, unverified, record, details, using), using=using)
    if details.code in NOT_FOUND_CODES:
        _give_up(unverified, UnverifiedReason.NOT_FOUND, using, checks=unverified.checks + 1)
    else:
        _check_again(unverified, details.code or "no_call_sid", using)
    return False


def _link(unverified: UnverifiedCall, using: str) -> bool:
    """Return True if the call is in the records meanwhile: it is then checked as one of those."""
    call = _calls_with(unverified.account, unverified.call_sid, using).first_for_update()
    if call is None:
        return False
    check_by(call, timezone.now(), using)
    _update(unverified, using, call=call, next_check_at=None, gave_up_at=None, code="")
    return True


def _store_details(unverified: UnverifiedCall, record: CallRecord, details: CallEvent, using: str) -> bool:
    """Store Call Details for the call that has this sid, else for ``record``; return True if that was added."""
    # The write comes first, so two processes that verify the same call do so one after the other.
    if not _not_erased(unverified, using).update(checks=unverified.checks):
        return False
    known = _calls_with(unverified.account, unverified.call_sid, using).only("pk", "reference").first()
    if known is None:
        own = possible_own_calls(unverified, CallFacts.from_json(details.facts), using)
        if own:
            hopeless = all(call.gave_up_at is not None for call in own)
            _check_again(unverified, UnverifiedReason.MAY_BE_OURS, using, hopeless=hopeless)
            return False
        record.pk = None
        # If another call has this sid meanwhile, this fails, and the transaction is run again and finds that call.
        record.save(using=using, force_insert=True)
    call = known or record
    details.reference = call.reference
    details.fingerprint = fingerprint_of(details, canonical_form(details))
    store(details, "", using)
    _update(unverified, using, call=call, next_check_at=None, gave_up_at=None, code="")
    return known is None


def _check_again(unverified: UnverifiedCall, code: str, using: str, *, hopeless: bool = False) -> None:
    """Plan the next check, less and less often; give up after a day, or at once if ``hopeless``."""
    now, checks = timezone.now(), unverified.checks + 1
    due = now + BACK_OFF[min(checks, len(BACK_OFF)) - 1]
    # If Exotel was away when the reconciler ran for the first time in days, that says nothing about the call.
    is_tried_enough = code == UnverifiedReason.MAY_BE_OURS or checks > len(BACK_OFF)
    if hopeless or (is_tried_enough and due >= unverified.reported_at + GIVE_UP):
        _give_up(unverified, code, using, checks=checks)
    else:
        _update(unverified, using, checks=checks, code=code, next_check_at=due)


def _give_up(unverified: UnverifiedCall, code: str, using: str, **fields: Any) -> None:
    _update(unverified, using, code=code, next_check_at=None, gave_up_at=timezone.now(), **fields)


def _update(unverified: UnverifiedCall, using: str, **fields: Any) -> None:
    """Save the fields, unless the call was verified or erased meanwhile."""
    _not_erased(unverified, using).filter(call=None).update(**fields)


def _not_erased(unverified: UnverifiedCall, using: str) -> QuerySet[UnverifiedCall]:
    return UnverifiedCall.objects.using(using).filter(pk=unverified.pk).exclude(code=UnverifiedReason.ERASED)
