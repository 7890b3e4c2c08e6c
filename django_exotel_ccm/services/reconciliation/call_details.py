"""Call Details, within the account's budget: one count for all processes, kept in the database they share."""

from __future__ import annotations

import datetime
import json
import logging
import re

from django.core.exceptions import ImproperlyConfigured
from django.db import router
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from django_exotel_ccm import accounts, conf
from django_exotel_ccm.choices import Authentication, EventKind
from django_exotel_ccm.exotel.client import ExotelClient
from django_exotel_ccm.exotel.errors import (
    AccountNotFound,
    AuthenticationFailed,
    CallNotFound,
    ExotelError,
    Forbidden,
    OutcomeUnknown,
    PaymentRequired,
    TooManyRequests,
    Unreachable,
)
from django_exotel_ccm.models import AccountUsage, CallEvent

logger = logging.getLogger("django_exotel_ccm.services")

MINUTE = datetime.timedelta(minutes=1)
LONGEST_PAUSE = 15 * MINUTE  # of our own accord
LONGEST_HEEDED = datetime.timedelta(days=1)  # of what a Retry-After says
PATIENCE = 3  # requests in a row without a usable answer, after which the account is left alone for a while
MANY = 100  # failures in a row; more are not told apart, and a small column holds them
NOT_ABOUT_THE_CALL = (AccountNotFound, AuthenticationFailed, Forbidden, PaymentRequired, TooManyRequests)
NOBODY_THERE = (OutcomeUnknown, Unreachable)


class RateLimited(Exception):
    """The account may not be asked before ``until``: its budget is used up, or Exotel wants silence."""

    def __init__(self, until: datetime.datetime) -> None:
        super().__init__(until)
        self.until = until


def is_askable(call_sid: str | None) -> bool:
    """Return True if Exotel can be asked about this sid.

    Other characters could make Exotel's firewall refuse the request, and a refusal stops all questions for a while.
    """
    return bool(call_sid and re.fullmatch(r"[\w-]+", call_sid, re.ASCII))


def ask(account: str, call_sid: str, *, share: float = 1) -> CallEvent:
    """Return what Call Details say of a call, as an event that is not saved and names no call yet.

    An answer that is about this call and tells nothing (no such call, an unreadable page) is an event with a ``code``
    and without facts. Nothing is asked once ``share`` of this minute's budget is used up, by whatever questions.
    Raises :class:`RateLimited`, having asked nothing or having been told to wait.
    """
    _take(account, max(1, int(conf.get_settings().requests_per_minute * share)))
    event = CallEvent(kind=EventKind.DETAILS, authentication=Authentication.CREDENTIALS)
    try:
        answer = ExotelClient(accounts.get_account(account)).call_details(call_sid)
    except ImproperlyConfigured:
        logger.exception("Calls of account %r cannot be asked about.", account)
        raise RateLimited(_pause(account, LONGEST_PAUSE)) from None
    except ExotelError as error:
        _weigh(account, error)
        event.code, event.advice = error.code[:40], str(error.advice)
        event.http_status, event.request_id, event.raw = error.http_status, error.request_id, error.raw
    else:
        _usage(account).exclude(failures=0).update(failures=0)
        event.facts = answer.facts.as_json()
        event.http_status, event.request_id, event.raw = answer.http_status, answer.request_id, answer.raw
    event.received_at = timezone.now()
    return event


def canonical_of(event: CallEvent) -> bytes:
    """Return what makes two answers the same news: each has a request id of its own."""
    return json.dumps([event.facts, event.code], sort_keys=True).encode()


def _usage(account: str) -> QuerySet[AccountUsage]:
    return AccountUsage.objects.using(router.db_for_write(AccountUsage)).filter(account=account)


def _take(account: str, budget: int) -> None:
    """Take one request out of this minute's budget; raises :class:`RateLimited` when there is none left."""
    for _again in range(2):  # between the two updates a rival may have begun the minute
        now = timezone.now()
        minute = now.replace(second=0, microsecond=0)
        latest = now + LONGEST_HEEDED + MINUTE  # two hosts' clocks may differ a little
        rows = _usage(account).filter(_behind_or_beyond("paused_until", now, latest))
        if rows.filter(minute=minute, requests_this_minute__lt=budget).update(
            requests_this_minute=F("requests_this_minute") + 1
        ):
            return
        if rows.filter(_behind_or_beyond("minute", minute - MINUTE, minute + MINUTE)).update(
            minute=minute, requests_this_minute=1
        ):
            return
        usage, _created = AccountUsage.objects.using(rows.db).get_or_create(account=account)
    paused = usage.paused_until
    raise RateLimited(paused if paused and now < paused <= latest else minute + MINUTE)


def _behind_or_beyond(name: str, now: datetime.datetime, latest: datetime.datetime) -> Q:
    """Return what is over at ``now``; what lies after ``latest`` was written by a clock that has been put right."""
    return Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__lte": now}) | Q(**{f"{name}__gt": latest})


def _weigh(account: str, error: ExotelError) -> None:
    """Pause the account where an error says so; raises :class:`RateLimited` if it says nothing about the call."""
    if isinstance(error, CallNotFound) or not isinstance(error, NOT_ABOUT_THE_CALL + NOBODY_THERE):
        _usage(account).exclude(failures=0).update(failures=0)
        return
    _usage(account).filter(failures__lt=MANY).update(failures=F("failures") + 1)
    failures = _usage(account).values_list("failures", flat=True).get()
    pause = min(MINUTE * 2 ** min(failures - 1, 4), LONGEST_PAUSE)
    if error.retry_after is not None:
        pause = min(datetime.timedelta(seconds=error.retry_after), LONGEST_HEEDED)
    if isinstance(error, NOT_ABOUT_THE_CALL):
        logger.warning("Exotel wants account %r to wait: %s.", account, error)
        raise RateLimited(_pause(account, pause))
    if failures >= PATIENCE:
        logger.warning("Account %r is not asked for a while, after %d failures: %s.", account, failures, error)
        _pause(account, pause)


def _pause(account: str, pause: datetime.timedelta) -> datetime.datetime:
    until = timezone.now() + pause
    _usage(account).update(paused_until=until)
    return until
