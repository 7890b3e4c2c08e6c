"""Checks every call that is due: asks Exotel what was not reported, and calls receivers that failed. Never dials.

``CallRecord.next_check_at`` is the only queue. A process that moves it forward has claimed the call for two minutes; if
the process is killed, the call is due again after that.
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
from django.utils.translation import gettext as _

from django_exotel_ccm import accounts
from django_exotel_ccm.choices import Authentication, EventKind, State
from django_exotel_ccm.models import AccountUsage, CallEvent, CallRecord, UnverifiedCall
from django_exotel_ccm.services.announcements.dispatch import deliver_pending
from django_exotel_ccm.services.budget import RateLimited
from django_exotel_ccm.services.events import record_event
from django_exotel_ccm.services.reconciliation import external_calls
from django_exotel_ccm.services.reconciliation.call_details import (
    canonical_form,
    fetch_call_details,
    is_usable_sid,
)
from django_exotel_ccm.services.scheduling import CLAIM, postpone, schedule_next
from django_exotel_ccm.services.transactions import reset_connection, run_durably

logger = logging.getLogger("django_exotel_ccm.services")

BATCH = 100
HEARTBEAT = datetime.timedelta(minutes=1)
# Whoever knows an account's own URL can have requests sent, and calls placed here must not wait for them.
EXTERNAL_SHARE = 0.5  # of the requests per minute
EXTERNAL_TIME = datetime.timedelta(seconds=30)  # of a pass


@dataclass
class Report:
    """What one pass did."""

    calls: int = 0
    requests: int = 0
    unanswered: int = 0
    ended: int = 0
    unconfirmed: int = 0
    gave_up: int = 0
    delivered: int = 0
    failed: int = 0
    rate_limited: int = 0
    external: int = 0
    errors: int = 0

    def __bool__(self) -> bool:
        """Return True if anything was due."""
        return any(vars(self).values())

    def __str__(self) -> str:
        """Return the counts that are not zero, in words."""
        return ", ".join(f"{_COUNTED[name]}: {count}" for name, count in vars(self).items() if count)


_COUNTED = {
    "calls": "calls checked",
    "requests": "requests to Exotel",
    "unanswered": "of them without a usable answer",
    "ended": "found ended",
    "unconfirmed": "outcome unknown",
    "gave_up": "given up",
    "delivered": "receivers called",
    "failed": "receivers failed again",
    "rate_limited": "accounts at their limit",
    "external": "calls placed elsewhere added",
    "errors": "errors, see the log",
}


def _never() -> bool:
    return False


def _ignore(report: Report) -> None:
    pass


def reconcile(*, stopped: Callable[[], bool] = _never, progress: Callable[[Report], None] = _ignore) -> Report:
    """Check every call that is due, as far as the accounts' budgets allow, and return what was done.

    Any number of processes can do this at the same time: each call is claimed by one of them. ``stopped`` is called
    before each call, ``progress`` after it. A call whose account is limited stays due.
    """
    run = _Pass(stopped, progress)
    run.check_calls()
    run.check_external_calls()
    return run.report


def reconcile_forever(
    stop: threading.Event,
    *,
    every: float,
    done: Callable[[Report], None] = _ignore,
    progress: Callable[[Report], None] = _ignore,
) -> None:
    """Reconcile until ``stop`` is set, with pauses of ``every`` seconds; ``done`` gets the report of each pass.

    A pass that fails, because the database is away or of a bug, is logged, and the next one is tried.
    """
    while not stop.is_set():
        close_old_connections()
        try:
            done(reconcile(stopped=stop.is_set, progress=progress))
        except Exception:
            logger.exception("A pass of exotel_reconcile failed; the next one is in %.0f s.", every)
            reset_connection(router.db_for_write(CallRecord))
        stop.wait(every)


class _Pass:
    """One pass over what is due. An account at its limit is left out of the rest of it."""

    def __init__(self, stopped: Callable[[], bool], progress: Callable[[Report], None]) -> None:
        self.report = Report()
        self._stopped = stopped
        self._progress = progress
        self._limited: set[str] = set()
        self._using = router.db_for_write(CallRecord)
        self._save_heartbeat()

    def check_calls(self) -> None:
        """Claim and check each call that is due."""
        for call in self._due():
            if self._stopped():
                return
            now = timezone.now()
            details = _is_due(call.details_check_at, now) and call.account not in self._limited
            announcements = _is_due(call.announce_at, now)
            if (details or announcements) and self._claim(call, details=details, announcements=announcements):
                self._guard(call, partial(self._check, call, details=details, announcements=announcements))

    def check_external_calls(self) -> None:
        """Claim and verify the reported calls that are due, the oldest and the newest in turn."""
        now = timezone.now()
        for newest in cycle([False, True]):
            if self._stopped() or timezone.now() > now + EXTERNAL_TIME:
                return
            unverified = UnverifiedCall.objects.next_due(now, newest=newest, without=self._limited)
            if unverified is None:
                return
            if external_calls.claim(unverified):
                self._guard(unverified, partial(self._verify, unverified))

    def _guard(self, row: CallRecord | UnverifiedCall, work: Callable[[], None]) -> None:
        """Do the work for one row; log an error, so that it does not stop the others."""
        try:
            work()
        except Exception:
            logger.exception("Reconciling %r failed; it is tried again in %s.", row, CLAIM)
            self.report.errors += 1
        self._progress(self.report)
        if timezone.now() >= self._heartbeat + HEARTBEAT:  # a pass can be long
            self._save_heartbeat()

    def _save_heartbeat(self) -> None:
        self._heartbeat = timezone.now()
        for alias in accounts.aliases():
            AccountUsage.objects.save_moment(alias, reconciled_at=self._heartbeat)

    def _due(self) -> Iterator[CallRecord]:
        """Yield the calls that are due now, each once, the longest due first."""
        due = CallRecord.objects.using(self._using).filter(next_check_at__lte=timezone.now())
        due = due.order_by("next_check_at", "pk")
        rest = Q()
        while batch := list(due.filter(rest)[:BATCH]):
            at, key = batch[-1].next_check_at, batch[-1].pk  # read now, because a claim changes it
            rest = Q(next_check_at__gt=at) | Q(next_check_at=at, pk__gt=key)
            yield from batch

    def _claim(self, call: CallRecord, *, details: bool, announcements: bool) -> bool:
        """Put off what is due by the time of a claim; return False if another process was faster."""
        until = timezone.now() + CLAIM
        # A plan that was changed since it was read must not be overwritten: such a call stays due.
        seen = {name: getattr(call, name) for name in ("details_check_at", "announce_at", "next_check_at")}
        call.details_check_at = until if details else call.details_check_at
        call.announce_at = until if announcements else call.announce_at
        call.update_next_check()
        unchanged = CallRecord.objects.using(self._using).filter(pk=call.pk, **seen)
        claimed = {name: getattr(call, name) for name in seen}
        # Durably, because MariaDB can choose a single statement as the victim of a deadlock too.
        return bool(run_durably(partial(unchanged.update, **claimed), using=self._using))

    def _check(self, call: CallRecord, *, details: bool, announcements: bool) -> None:
        self.report.calls += 1
        if announcements:
            deliveries = deliver_pending(call.pk)
            self.report.delivered += deliveries.delivered
            self.report.failed += deliveries.failed
        if details:
            self._check_details(call)

    def _check_details(self, call: CallRecord) -> None:
        claimed, now = call.details_check_at, call
        if call.state == State.REQUESTED:
            now = _record(_no_response(call), call)
            self.report.unconfirmed += 1
        elif call.state == State.REFUSED and not call.events_stored:
            now = _record(_lost_refusal(call), call)
        elif call.call_sid and is_usable_sid(call.call_sid):
            try:
                details = self._fetch(call.account, call.call_sid, reference=str(call.reference))
            except RateLimited as limit:
                self._count(call, postpone(call, claimed, limit.until))
                return
            details.reference = call.reference
            now = _record(details, call)
        self._count(call, schedule_next(now, claimed))

    def _verify(self, unverified: UnverifiedCall) -> None:
        self.report.external += external_calls.verify(unverified, partial(self._fetch, share=EXTERNAL_SHARE))

    def _count(self, before: CallRecord, after: CallRecord) -> None:
        self.report.ended += before.state != State.ENDED == after.state
        self.report.gave_up += before.gave_up_at is None and after.gave_up_at is not None

    def _fetch(self, account: str, call_sid: str, *, reference: str = "", share: float = 1) -> CallEvent:
        """Fetch Call Details, and remember an account at its limit."""
        try:
            details = fetch_call_details(account, call_sid, reference=reference, share=share)
        except RateLimited:
            self._limited.add(account)
            self.report.rate_limited += 1
            raise
        self.report.requests += 1
        self.report.unanswered += bool(details.code)
        return details


def _is_due(moment: datetime.datetime | None, now: datetime.datetime) -> bool:
    """Return True if there is a moment and it has come."""
    return moment is not None and moment <= now


def _record(event: CallEvent, call: CallRecord) -> CallRecord:
    """Record an event of the call; return the call as the event has changed it."""
    stored = record_event(event, canonical=canonical_form(event))
    return event.call if stored is event and event.call is not None else call


def _lost_refusal(call: CallRecord) -> CallEvent:
    """Return the event that a rule refused the call: the process ended between the two commits of a refusal."""
    logger.warning("The process that refused call %s did not record why.", call.reference)
    return CallEvent(
        kind=EventKind.POLICY,
        authentication=Authentication.OURSELVES,
        reference=call.reference,
        verdict=State.REFUSED,
        code=call.refusal_code,
        advice=_("A rule said no. The process that asked it ended before it could write down why."),
        received_at=timezone.now(),
    )


def _no_response(call: CallRecord) -> CallEvent:
    """Return the event that no answer to our request was recorded: a phone may have rung."""
    logger.warning("The process that placed call %s did not record Exotel's answer.", call.reference)
    return CallEvent(
        kind=EventKind.NO_RESPONSE,
        authentication=Authentication.OURSELVES,
        reference=call.reference,
        verdict=State.UNCONFIRMED,
        received_at=timezone.now(),
    )
