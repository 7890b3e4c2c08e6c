"""Hints for tests: told of a call, due now, and a Call Details that answers what it is given."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable
from typing import Any

from django.utils import timezone

from django_exotel_ccm.choices import Authentication, EventKind
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.exotel.values import Moment
from django_exotel_ccm.models import CallEvent, UnverifiedCall
from django_exotel_ccm.services.reconciliation.external_calls import claim, next_due, record_account_event, verify

SID = "5f0c2a9e7b1d4c68a3e2f9b0d4717b2c"
CUSTOMER = "+919000001001"
MINUTE = datetime.timedelta(minutes=1)


def hear(sid: str = SID, account: str = "default", **facts: Any) -> UnverifiedCall:
    """Hear of a call at the account's own URL; return the hint."""
    told = CallFacts(call_sid=sid, **{"event": "terminal", **facts}).as_json()
    record_account_event(
        CallEvent(
            kind=EventKind.CALLBACK,
            authentication=Authentication.ACCOUNT_URL,
            account=account,
            facts=told,
            raw=repr((sid, facts)).encode(),
            received_at=timezone.now(),
        )
    )
    return UnverifiedCall.objects.get(account=account, call_sid=sid)


def make_due(hint: UnverifiedCall, **fields: Any) -> UnverifiedCall:
    """Have a hint be due now."""
    UnverifiedCall.objects.filter(pk=hint.pk).update(next_check_at=timezone.now(), gave_up_at=None, **fields)
    hint.refresh_from_db()
    return hint


def at(moment: datetime.datetime, *, zoned: bool = True) -> Moment:
    """Return a moment as Exotel tells it."""
    return Moment(at=moment, zoned=zoned)


_requests = itertools.count()  # each answer has an id of its own


class Details:
    """Answers what Call Details would, and counts how often it was asked."""

    def __init__(self, code: str = "", meanwhile: Callable[[], Any] = lambda: None, **facts: Any) -> None:
        self.code = code
        self.facts = facts
        self.asked: list[tuple[str, str]] = []
        self._meanwhile = meanwhile

    def __call__(self, account: str, sid: str, **options: Any) -> CallEvent:
        self.asked.append((account, sid))
        self._meanwhile()
        told = {} if self.code else {"call_sid": sid, "state": "active", "customer_number": CUSTOMER, **self.facts}
        return CallEvent(
            kind=EventKind.DETAILS,
            authentication=Authentication.CREDENTIALS,
            facts=CallFacts(**told).as_json(),
            code=self.code,
            http_status=404 if self.code else 200,
            raw=f"request {next(_requests)}".encode(),
            received_at=timezone.now(),
        )


ENDED = {"state": "terminal", "status": "completed", "talk_time": 42, "total_duration": 50}


def settle(ask: Details) -> list[bool]:
    """Claim and settle every hint that is due, as the reconciler does."""
    now, settled = timezone.now(), []
    while hint := next_due(now, newest=False):
        assert claim(hint)
        settled.append(verify(hint, ask))
    return settled
