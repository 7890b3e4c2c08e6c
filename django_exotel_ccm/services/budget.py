"""Whether a request may be sent to Exotel: within the account's budget a minute, and not while it is paused."""

from __future__ import annotations

import datetime
import logging

from django_exotel_ccm import conf
from django_exotel_ccm.exotel.errors import (
    AccountNotFound,
    AuthenticationFailed,
    CallNotFound,
    ExotelError,
    Forbidden,
    NoUsableAnswer,
    OutcomeUnknown,
    PaymentRequired,
    TooManyRequests,
    Unreachable,
)
from django_exotel_ccm.models import AccountUsage

logger = logging.getLogger("django_exotel_ccm.services")

MINUTE = datetime.timedelta(minutes=1)
LONGEST_BACK_OFF = 15 * MINUTE
FAILURES_UNTIL_PAUSE = 3  # requests in a row without a usable answer
ABOUT_THE_ACCOUNT = (AccountNotFound, AuthenticationFailed, Forbidden, PaymentRequired, TooManyRequests)
NO_USABLE_ANSWER = (OutcomeUnknown, NoUsableAnswer, Unreachable)


class RateLimited(Exception):
    """No request may be sent for the account before ``until``: its budget is used up, or it is paused."""

    def __init__(self, until: datetime.datetime) -> None:
        super().__init__(until)
        self.until = until


def take_request(account: str, *, share: float = 1) -> None:
    """Count a request; raises :class:`RateLimited` when ``share`` of this minute's budget is used up.

    All requests of the account count. A share above 1 goes beyond the budget, but never into a pause.
    """
    budget = max(1, int(conf.get_settings().requests_per_minute * share))
    blocked_until = AccountUsage.objects.take_request(account, budget)
    if blocked_until is not None:
        raise RateLimited(blocked_until)


def pause_after(error: ExotelError, account: str) -> None:
    """Pause the account where the error calls for it; raises :class:`RateLimited` if it is about the account itself."""
    about_the_account = isinstance(error, ABOUT_THE_ACCOUNT)
    if isinstance(error, CallNotFound) or not (about_the_account or isinstance(error, NO_USABLE_ANSWER)):
        AccountUsage.objects.reset_failures(account)
        return
    failures = AccountUsage.objects.count_failure(account)
    if not about_the_account and failures < FAILURES_UNTIL_PAUSE:
        return
    pause = min(MINUTE * 2 ** min(failures - 1, 4), LONGEST_BACK_OFF)
    if error.retry_after is not None:
        pause = datetime.timedelta(seconds=error.retry_after)
    until = AccountUsage.objects.pause(account, pause)
    logger.warning("No requests for account %r until %s, after %d failures: %s.", account, until, failures, error)
    if about_the_account:
        raise RateLimited(until)
