"""Hints: what an account's own URL tells is stored at once, and believed once Call Details have confirmed it."""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
from collections.abc import Callable, Collection

from django.db import router
from django.db.models import QuerySet
from django.utils import timezone

from django_exotel_ccm import accounts
from django_exotel_ccm.choices import EventReason, UnverifiedReason
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.models import AccountUsage, CallEvent, CallRecord, UnverifiedCall
from django_exotel_ccm.services.committing import commit
from django_exotel_ccm.services.reconciliation.call_details import RateLimited, canonical_of, is_askable
from django_exotel_ccm.services.reconciliation.external_records import build_external_record, possible_own_calls
from django_exotel_ccm.services.scheduling import BACK_OFF, GIVE_UP, is_lacking
from django_exotel_ccm.services.tracking import keep, lock_first

logger = logging.getLogger("django_exotel_ccm.services")

FIRST_ASKED = datetime.timedelta(minutes=2)  # by then Call Details know it, and our own answer is written down
CLAIM = datetime.timedelta(minutes=2)  # longer than a request's deadline
MINUTE = datetime.timedelta(minutes=1)
# Whoever knows an account's own URL can report any number of calls that never were.
MAX_OPEN = 5_000  # calls of an account that wait for a question
MAX_STORED = 5_000  # reports of an account's unknown calls, of one kind in one hour
UNKNOWN_TO_EXOTEL = frozenset({"10744", "http_404"})

Ask = Callable[[str, str], CallEvent]


# What is heard.


def record_account_event(event: CallEvent, *, canonical: bytes | None = None) -> CallEvent:
    """Keep ``event`` (unsaved, its ``account`` set), have its call asked about soon, and return it saved.

    It changes no call's facts. A call that we know is looked after in two minutes; of any other sid a hint is kept,
    one for each. In a flood of reports about unknown calls ``event`` is not stored and comes back without a key.
    ``canonical``, what is returned and what is raised are as in :func:`~.record_event`.
    """
    using = router.db_for_write(CallRecord)
    vouched = json.dumps([event.kind, event.authentication, event.account]).encode()
    event.fingerprint = hashlib.sha256(vouched + (bytes(event.raw) if canonical is None else canonical)).hexdigest()
    event.reason = event.reason or EventReason.UNVERIFIED
    return commit(lambda: _keep(event, using), using=using)


def _keep(event: CallEvent, using: str) -> CallEvent:
    sid = _askable(event.facts.get("call_sid", ""))
    call = lock_first(_named(event.account, sid, using))
    known = CallEvent.objects.using(using).filter(fingerprint=event.fingerprint).first()
    if known is not None:
        return known
    hint = _hint_of(event.account, sid, using) if sid and call is None else None
    event.pk, event.call = None, call
    if _is_erased(call, hint):
        event.redact()
    if call is not None or not _is_flooded(event, using):
        event.save(using=using, force_insert=True)
    soon = timezone.now() + FIRST_ASKED
    if call is not None:
        recording = bool(event.facts.get("recordings")) and not call.recording_url
        _ask_by(call, soon, using, recording=recording)
    elif hint is not None and hint.next_check_at is None and hint.code != UnverifiedReason.NOT_FOUND:
        _change(hint, using, next_check_at=soon, gave_up_at=None)
    elif hint is None and sid:
        # A rival's hint of the same call makes this fail, and the unit of work is run again.
        UnverifiedCall.objects.using(using).create(
            account=event.account, call_sid=sid, heard_at=event.received_at, next_check_at=soon
        )
        _drop_excess(event.account, using)
    return event


def _askable(sid: str) -> str:
    return sid if is_askable(sid) else ""


def _is_flooded(event: CallEvent, using: str) -> bool:
    """Return True if the account's URL has reported so much of unknown calls that no more is stored."""
    stored = CallEvent.objects.using(using).filter(
        reason=event.reason, received_at__gt=event.received_at - 60 * MINUTE, account=event.account, call=None
    )
    if not stored.order_by()[MAX_STORED - 1 : MAX_STORED].exists():
        return False
    _note_flood(event.account, using)
    return True


def _drop_excess(account: str, using: str) -> None:
    """Forget the calls that would be asked about last: those in the middle, since questions go on at both ends."""
    waiting = UnverifiedCall.objects.using(using).filter(account=account, next_check_at__isnull=False)
    excess = waiting.count() - MAX_OPEN
    if excess > 0:
        never_asked = waiting.filter(checks=0).order_by("pk").values_list("pk", flat=True)
        middle = never_asked.count() // 2
        waiting.filter(pk__in=list(never_asked[middle : middle + excess])).delete()
        _note_flood(account, using)


def _note_flood(account: str, using: str) -> None:
    """Write down that the account's URL was flooded, once a minute."""
    now = timezone.now()
    usages = AccountUsage.objects.using(using).filter(account=account)
    if usages.filter(flooded_at__gt=now - MINUTE).exists():
        return
    logger.warning("More calls are reported to the own callback URL of account %r than are kept.", account)
    if not usages.update(flooded_at=now):
        usages.create(account=account, flooded_at=now)


def _named(account: str, sid: str, using: str) -> QuerySet[CallRecord]:
    return CallRecord.objects.using(using).filter(account=account, call_sid=sid)


def _hint_of(account: str, sid: str, using: str) -> UnverifiedCall | None:
    return UnverifiedCall.objects.using(using).filter(account=account, call_sid=sid).first()


def _is_erased(call: CallRecord | None, hint: UnverifiedCall | None) -> bool:
    return (call is not None and call.erased_at is not None) or (
        hint is not None and hint.code == UnverifiedReason.ERASED
    )


def _ask_by(call: CallRecord, moment: datetime.datetime, using: str, *, recording: bool = False) -> None:
    """Have Exotel asked about a locked call at ``moment`` or before, if it can still tell anything.

    ``recording`` says that there is a recording of which we do not know: of a call placed elsewhere none is expected.
    """
    if (recording or is_lacking(call)) and (call.details_check_at is None or call.details_check_at > moment):
        call.details_check_at = moment
        call.update_next_check()
        call.save(using=using, update_fields=["details_check_at", "next_check_at"])


# What is due.


def next_due(now: datetime.datetime, *, newest: bool, without: Collection[str] = ()) -> UnverifiedCall | None:
    """Return the newest hint that is due at ``now``, or the one that is due longest; none of the accounts ``without``.

    Asked in turn, neither the calls before a flood of made-up ones nor those after it wait for all of the flood.
    """
    due = (
        UnverifiedCall.objects.using(router.db_for_write(UnverifiedCall))
        .filter(next_check_at__lte=now)
        .exclude(account__in=without)
    )
    return due.order_by(*(["-pk"] if newest else ["next_check_at", "pk"])).first()


def claim(hint: UnverifiedCall) -> bool:
    """Take a due hint for two minutes; False when somebody else was faster. A claim that is not fulfilled runs out."""
    due = UnverifiedCall.objects.using(router.db_for_write(UnverifiedCall)).filter(
        pk=hint.pk, next_check_at=hint.next_check_at
    )
    return bool(commit(lambda: due.update(next_check_at=timezone.now() + CLAIM), using=due.db))


# What becomes of it.


def verify(hint: UnverifiedCall, ask: Ask) -> bool:
    """Ask Exotel about a claimed hint and do what the answer allows; return whether a call came into the records.

    ``ask(account, call_sid)`` returns what Call Details say, unsaved, or raises :class:`~.RateLimited`: it is put off.
    A call that we know meanwhile takes the answer as its own; one that may be ours waits until ours has its sid.
    """
    using = router.db_for_write(CallRecord)
    if hint.account not in accounts.aliases():
        _give_up(hint, UnverifiedReason.NO_ACCOUNT, using)
        return False
    if commit(lambda: _hand_over(hint, using), using=using):
        return False
    try:
        event = ask(hint.account, hint.call_sid)
    except RateLimited as pause:
        _change(hint, using, next_check_at=pause.until)
        return False
    facts = CallFacts.from_json(event.facts)
    if facts.call_sid != hint.call_sid:
        _ask_again(hint, _code_of(event), using)
        return False
    call = build_external_record(hint, facts)
    return commit(lambda: _take_in(hint, call, event, using), using=using)


def _code_of(event: CallEvent) -> str:
    return UnverifiedReason.NOT_FOUND if event.code in UNKNOWN_TO_EXOTEL else event.code or "no_call_sid"


def _hand_over(hint: UnverifiedCall, using: str) -> bool:
    """Leave a call that we know meanwhile to its own plan, without a question; say whether there is one."""
    call = lock_first(_named(hint.account, hint.call_sid, using))
    if call is None:
        return False
    _ask_by(call, timezone.now(), using)
    _change(hint, using, call=call, next_check_at=None, gave_up_at=None, code="")
    return True


def _take_in(hint: UnverifiedCall, call: CallRecord, event: CallEvent, using: str) -> bool:
    """Apply Call Details to the call that has this sid, else to the drafted one; say whether that was added."""
    # The write first: two who settle one hint do so one after the other.
    if not _still_there(hint, using).update(checks=hint.checks):
        return False
    known = _named(hint.account, hint.call_sid, using).only("pk", "reference").first()
    if known is None:
        ours = possible_own_calls(hint, CallFacts.from_json(event.facts), using)
        if ours:
            over = all(one.gave_up_at is not None for one in ours)
            _ask_again(hint, UnverifiedReason.MAY_BE_OURS, using, over=over)
            return False
        call.pk = None
        # Unique with its account: a rival with this sid makes this fail, and the unit of work finds the rival's call.
        call.save(using=using, force_insert=True)
    told = known or call
    event.reference = told.reference
    keep(event, canonical_of(event), "", using)
    _change(hint, using, call=told, next_check_at=None, gave_up_at=None, code="")
    return known is None


def _ask_again(hint: UnverifiedCall, code: str, using: str, *, over: bool = False) -> None:
    """Plan the next question, ever later, and give up after a day, or at once when waiting is ``over``."""
    now, checks = timezone.now(), hint.checks + 1
    due = now + BACK_OFF[min(checks, len(BACK_OFF)) - 1]
    over = over or code == UnverifiedReason.NOT_FOUND
    # An Exotel that was away when a late reconciler came has said nothing against the call.
    heard = code in UnverifiedReason.values or checks > len(BACK_OFF)
    if over or (heard and due >= hint.heard_at + GIVE_UP):
        _give_up(hint, code, using, checks=checks)
    else:
        _change(hint, using, checks=checks, code=code, next_check_at=due)


def _give_up(hint: UnverifiedCall, code: str, using: str, **more: object) -> None:
    _change(hint, using, code=code, next_check_at=None, gave_up_at=timezone.now(), **more)


def _change(hint: UnverifiedCall, using: str, **fields: object) -> None:
    """Write the fields, unless somebody else has settled the hint since this claim ran out."""
    _still_there(hint, using).filter(call=None).update(**fields)


def _still_there(hint: UnverifiedCall, using: str) -> QuerySet[UnverifiedCall]:
    """Return the hint, unless its customer was erased since: then nothing may bring it back."""
    return UnverifiedCall.objects.using(using).filter(pk=hint.pk).exclude(code=UnverifiedReason.ERASED)
