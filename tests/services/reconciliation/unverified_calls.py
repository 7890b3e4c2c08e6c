"""Calls that an account's own URL reported, and Call Details as they may be fetched."""

from __future__ import annotations

import datetime
import itertools
import json
from collections.abc import Callable
from typing import Any

import requests
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm import callback_urls
from django_exotel_ccm.choices import Authentication, EventKind
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.exotel.values import Moment
from django_exotel_ccm.models import CallEvent, UnverifiedCall
from django_exotel_ccm.services.reconciliation.external_calls import claim, record_account_event, verify
from django_exotel_ccm.simulator import Simulator
from tests.conftest import AGENT, EXOPHONE

SID = "5f0c2a9e7b1d4c68a3e2f9b0d4717b2c"
CUSTOMER = "+919000001001"
MINUTE = datetime.timedelta(minutes=1)
HOUR = 60 * MINUTE
ENDED = {"state": "terminal", "status": "completed", "talk_time": 42, "total_duration": 50}


def report(sid: str = SID, account: str = "default", **facts: Any) -> UnverifiedCall:
    """Report a call to an account's own URL; return the unverified call."""
    event = CallEvent(
        kind=EventKind.CALLBACK,
        authentication=Authentication.ACCOUNT_URL,
        account=account,
        facts=CallFacts(call_sid=sid, **{"event": "terminal", **facts}).as_json(),
        raw=repr((sid, facts)).encode(),
        received_at=timezone.now(),
    )
    record_account_event(event)
    return UnverifiedCall.objects.get(account=account, call_sid=sid)


def post_report(sid: str, event: str = "terminal", **details: Any) -> None:
    """POST a report of a call to the default account's own URL."""
    body = {"event_details": {"event_type": event}, "call_details": {"call_sid": sid, **details}}
    url = reverse("exotel_ccm:account-callback", args=[callback_urls.sign_account("default")])
    assert Client().post(url, json.dumps(body), content_type="application/json").status_code == 200


def place_external_call(exotel: Simulator, to: str = CUSTOMER, **options: Any) -> str:
    """Place a call as another system with the same account does; return its sid."""
    response = requests.post(
        f"{exotel.url}/v2/accounts/{exotel.account.sid}/calls",
        json={"from": {"user_contact_uri": AGENT}, "to": {"number": to}, "virtual_number": EXOPHONE, **options},
        auth=(exotel.account.key, exotel.account.token),
        timeout=10,
    )
    sid: str = response.json()["response"]["call_sid"]
    return sid


def make_due(unverified: UnverifiedCall, **fields: Any) -> UnverifiedCall:
    """Change an unverified call to be due now."""
    UnverifiedCall.objects.filter(pk=unverified.pk).update(next_check_at=timezone.now(), gave_up_at=None, **fields)
    return reread(unverified)


def make_all_due() -> None:
    """Change every waiting unverified call to be due now."""
    UnverifiedCall.objects.exclude(next_check_at=None).update(next_check_at=timezone.now())


def reread(unverified: UnverifiedCall) -> UnverifiedCall:
    """Return the row as the database has it."""
    return UnverifiedCall.objects.get(pk=unverified.pk)


def minutes_until(moment: datetime.datetime | None) -> int | None:
    """Return in how many minutes a moment comes."""
    return None if moment is None else round((moment - timezone.now()) / MINUTE)


def at(moment: datetime.datetime, *, zoned: bool = True) -> Moment:
    """Return a moment as Exotel writes it."""
    return Moment(at=moment, zoned=zoned)


_request_ids = itertools.count()


class FakeDetails:
    """Returns Call Details with the given facts, or an error with ``code``; ``meanwhile`` runs during the request."""

    def __init__(self, code: str = "", meanwhile: Callable[[], Any] = lambda: None, **facts: Any) -> None:
        self.code = code
        self.facts = facts
        self.requests: list[tuple[str, str]] = []
        self._meanwhile = meanwhile

    def __call__(self, account: str, sid: str, **options: Any) -> CallEvent:
        self.requests.append((account, sid))
        self._meanwhile()
        facts = {} if self.code else {"call_sid": sid, "state": "active", "customer_number": CUSTOMER, **self.facts}
        return CallEvent(
            kind=EventKind.DETAILS,
            authentication=Authentication.CREDENTIALS,
            facts=CallFacts(**facts).as_json(),
            code=self.code,
            http_status=404 if self.code else 200,
            raw=f"request {next(_request_ids)}".encode(),
            received_at=timezone.now(),
        )


def verify_due(fetch: Callable[[str, str], CallEvent]) -> list[bool]:
    """Claim and verify every call that is due, as the reconciler does; return which were added to the records."""
    now, added = timezone.now(), []
    while unverified := UnverifiedCall.objects.next_due(now, newest=False):
        assert claim(unverified)
        added.append(verify(unverified, fetch))
    return added
