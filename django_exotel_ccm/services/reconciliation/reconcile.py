"""Reconciling: whatever was not told, was told late or was cut off by a crash is found again in the database.

``CallRecord.next_check_at`` is the one queue. Whoever moves it forward has claimed the call; a claim that its owner
did not live to fulfil runs out. Nothing here ever dials.
"""

from __future__ import annotations

import datetime
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle

from django.db import close_old_connections, router
from django.db.models import Q
from django.utils import timezone

from django_exotel_ccm import accounts
from django_exotel_ccm.choices import Authentication, EventKind, State
from django_exotel_ccm.models import AccountUsage, CallEvent, CallRecord, UnverifiedCall
from django_exotel_ccm.services.announcements.dispatch import deliver_pending
from django_exotel_ccm.services.committing import commit, renew
from django_exotel_ccm.services.reconciliation import external_calls
from django_exotel_ccm.services.reconciliation.call_details import RateLimited, ask, canonical_of, is_askable
from django_exotel_ccm.services.replanning import plan_again, put_off
from django_exotel_ccm.services.tracking import record_event

logger = logging.getLogger("django_exotel_ccm.services")

CLAIM = datetime.timedelta(minutes=2)  # longer than a request's deadline
BATCH = 100
NEGLECTED = datetime.timedelta(minutes=15)
BEAT = datetime.timedelta(minutes=1)
# Anybody who knows an account's own URL can have questions asked, and calls placed from here must not wait for them.
OTHERS_SHARE = 0.5  # of the requests per minute
OTHERS_TIME = datetime.timedelta(seconds=30)  # of a pass


@dataclass
class Report:
    """What one pass did."""

    seen: int = 0
    asked: int = 0
    unanswered: int = 0
    ended: int = 0
    unconfirmed: int = 0
    gave_up: int = 0
    told: int = 0
    failed: int = 0
    put_off: int = 0
    confirmed: int = 0
    errors: int = 0

    def __bool__(self) -> bool:
        """Whether anything was due."""
        return any(vars(self).values())

    def __str__(self) -> str:
        """Return the counts that are not zero, in words."""
        return ", ".join(f"{_COUNTED[name]}: {count}" for name, count in vars(self).items() if count)


_COUNTED = {
    "seen": "calls looked after",
    "asked": "questions to Exotel",
    "unanswered": "of them without a usable answer",
    "ended": "found ended",
    "unconfirmed": "outcome unknown",
    "gave_up": "given up",
    "told": "receivers told",
    "failed": "receivers failed again",
    "put_off": "accounts that may not be asked now",
    "confirmed": "calls placed elsewhere found",
    "errors": "errors, see the log",
}


def _never() -> bool:
    return False


def _nobody(report: Report) -> None:
    """Take no notice of a pass's progress."""


def reconcile(*, stopped: Callable[[], bool] = _never, progress: Callable[[Report], None] = _nobody) -> Report:
    """Look once after every call that is due, as far as the accounts' budgets allow, and return what was done.

    Any number of processes may do so at once: each call is claimed by one of them. ``stopped`` is asked before each
    call, ``progress`` told after each. A call about which its account may not be asked now stays due.
    """
    run = _Pass(stopped, progress)
    run.calls()
    run.external_calls()
    return run.report


def forever(
    stop: threading.Event,
    *,
    every: float,
    done: Callable[[Report], None] = _nobody,
    progress: Callable[[Report], None] = _nobody,
) -> None:
    """Reconcile until ``stop`` is set, with pauses of ``every`` seconds; ``done`` is told what each pass did.

    A pass that fails (the database is away, a bug) is logged, and the next one is tried: nothing else would.
    """
    while not stop.is_set():
        close_old_connections()
        try:
            done(reconcile(stopped=stop.is_set, progress=progress))
        except Exception:
            logger.exception("A pass of reconciling failed; the next one is in %.0f s.", every)
            renew(router.db_for_write(CallRecord))
        stop.wait(every)


def is_neglected() -> bool:
    """Say whether calls have been due for 15 minutes while nobody reconciled."""
    late = timezone.now() - NEGLECTED
    due = any(model.objects.filter(next_check_at__lt=late).exists() for model in (CallRecord, UnverifiedCall))
    return due and not AccountUsage.objects.filter(reconciled_at__gte=late).exists()


def _beat() -> None:
    """Write down that somebody looks after the calls."""
    using, now = router.db_for_write(AccountUsage), timezone.now()
    usages = AccountUsage.objects.using(using)
    for alias in accounts.aliases():
        if not usages.filter(account=alias).update(reconciled_at=now):
            usages.get_or_create(account=alias, defaults={"reconciled_at": now})


class _Pass:
    """One pass over what is due. An account that may not be asked is left out of the rest of it."""

    def __init__(self, stopped: Callable[[], bool], progress: Callable[[Report], None]) -> None:
        self.report = Report()
        self._stopped = stopped
        self._progress = progress
        self._silent: set[str] = set()
        self._using = router.db_for_write(CallRecord)
        self._beaten = timezone.now()
        _beat()

    def calls(self) -> None:
        """Claim and look after each call that is due."""
        for call in self._due():
            if self._stopped():
                return
            now = timezone.now()
            asks = is_due(call.details_check_at, now) and call.account not in self._silent
            tells = is_due(call.announce_at, now)
            if (asks or tells) and self._claim(call, asks=asks, tells=tells):
                self._guarded(call, partial(self._look_after, call, asks=asks, tells=tells))

    def external_calls(self) -> None:
        """Claim and settle the hints that are due, the oldest and the newest in turn."""
        now = timezone.now()
        for newest in cycle([False, True]):
            if self._stopped() or timezone.now() > now + OTHERS_TIME:
                return
            hint = external_calls.next_due(now, newest=newest, without=self._silent)
            if hint is None:
                return
            if external_calls.claim(hint):
                self._guarded(hint, partial(self._confirm, hint))

    def _guarded(self, what: CallRecord | UnverifiedCall, work: Callable[[], None]) -> None:
        """Do the work for one row; an error in it is logged and does not keep the others waiting."""
        try:
            work()
        except Exception:
            logger.exception("Reconciling %r failed; it is tried again in %s.", what, CLAIM)
            self.report.errors += 1
        self._progress(self.report)
        if timezone.now() >= self._beaten + BEAT:  # a pass can be long
            self._beaten = timezone.now()
            _beat()

    def _due(self) -> Iterator[CallRecord]:
        """Yield the calls that are due now, each once, the longest due first."""
        due = CallRecord.objects.using(self._using).filter(next_check_at__lte=timezone.now())
        due = due.order_by("next_check_at", "pk")
        behind = Q()
        while batch := list(due.filter(behind)[:BATCH]):
            at, key = batch[-1].next_check_at, batch[-1].pk  # read now: a claim moves it
            behind = Q(next_check_at__gt=at) | Q(next_check_at=at, pk__gt=key)
            yield from batch

    def _claim(self, call: CallRecord, *, asks: bool, tells: bool) -> bool:
        """Move what is due behind the claim's end; False when somebody else was faster."""
        until = timezone.now() + CLAIM
        # Of a plan that was changed since it was read nothing may be overwritten: such a call stays due.
        seen = {name: getattr(call, name) for name in ("details_check_at", "announce_at", "next_check_at")}
        call.details_check_at = until if asks else call.details_check_at
        call.announce_at = until if tells else call.announce_at
        call.update_next_check()
        mine = CallRecord.objects.using(self._using).filter(pk=call.pk, **seen)
        moved = {name: getattr(call, name) for name in seen}
        # On MariaDB a statement on its own, too, may be chosen as the victim of a deadlock.
        return bool(commit(partial(mine.update, **moved), using=self._using))

    def _look_after(self, call: CallRecord, *, asks: bool, tells: bool) -> None:
        self.report.seen += 1
        if tells:
            delivered = deliver_pending(call.pk)
            self.report.told += delivered.delivered
            self.report.failed += delivered.failed
        if asks:
            self._settle(call)

    def _confirm(self, hint: UnverifiedCall) -> None:
        self.report.confirmed += external_calls.verify(hint, partial(self._ask, share=OTHERS_SHARE))

    def _settle(self, call: CallRecord) -> None:
        claimed = call.details_check_at
        if call.state == State.REQUESTED:
            record_event(_no_response(call))
            self.report.unconfirmed += 1
        elif call.call_sid and is_askable(call.call_sid):
            try:
                event = self._ask(call.account, call.call_sid)
            except RateLimited as pause:
                self._count(call, put_off(call, claimed, pause.until))
                return
            event.reference = call.reference
            record_event(event, canonical=canonical_of(event))
        self._count(call, plan_again(call, claimed))

    def _count(self, before: CallRecord, after: CallRecord) -> None:
        self.report.ended += before.state != State.ENDED == after.state
        self.report.gave_up += before.gave_up_at is None and after.gave_up_at is not None

    def _ask(self, account: str, call_sid: str, *, share: float = 1) -> CallEvent:
        """Ask Exotel, and remember when the account may not be asked any more."""
        try:
            event = ask(account, call_sid, share=share)
        except RateLimited:
            self._silent.add(account)
            self.report.put_off += 1
            raise
        self.report.asked += 1
        self.report.unanswered += bool(event.code)
        return event


def is_due(moment: datetime.datetime | None, now: datetime.datetime) -> bool:
    """Say whether a moment of the plan has come."""
    return moment is not None and moment <= now


def _no_response(call: CallRecord) -> CallEvent:
    """Return the news that nobody wrote down what Exotel answered: a phone may have rung."""
    logger.warning("The process that placed call %s did not write down Exotel's answer.", call.reference)
    return CallEvent(
        kind=EventKind.NO_RESPONSE,
        authentication=Authentication.OURSELVES,
        reference=call.reference,
        verdict=State.UNCONFIRMED,
        received_at=timezone.now(),
    )
