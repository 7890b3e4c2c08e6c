"""How often each Exotel account is asked: one count for all processes, in the database that they share."""

from __future__ import annotations

import datetime

from django.db import models, router
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

MINUTE = datetime.timedelta(minutes=1)
LONGEST_PAUSE = datetime.timedelta(days=1)
MAX_FAILURES = 100  # a small column holds the count, and the pauses do not grow that long


class AccountUsageQuerySet(models.QuerySet["AccountUsage"]):
    """The limiter. Each change is one statement, so any number of processes can share it."""

    def of(self, account: str) -> AccountUsageQuerySet:
        """Return the account's row, or none."""
        return self.using(router.db_for_write(self.model)).filter(account=account)

    def take_request(self, account: str, budget: int) -> datetime.datetime | None:
        """Count a request if this minute has fewer than ``budget``; return None, or else when one may be sent."""
        for _attempt in range(2):  # between the two updates another process may begin the minute
            now = timezone.now()
            minute = now.replace(second=0, microsecond=0)
            latest = now + LONGEST_PAUSE + MINUTE
            rows = self.of(account).filter(_is_past_or_absurd("paused_until", now, latest))
            counted = rows.filter(minute=minute, requests_this_minute__lt=budget)
            if counted.update(requests_this_minute=F("requests_this_minute") + 1):
                return None
            old = rows.filter(_is_past_or_absurd("minute", minute - MINUTE, minute + MINUTE))
            if old.update(minute=minute, requests_this_minute=1):
                return None
            usage, _created = self.using(rows.db).get_or_create(account=account)
        paused = usage.paused_until
        return paused if paused and now < paused <= latest else minute + MINUTE

    def pause(self, account: str, pause: datetime.timedelta) -> datetime.datetime:
        """Send nothing more for a while, at most a day; return until when."""
        until = timezone.now() + min(pause, LONGEST_PAUSE)
        self.of(account).update(paused_until=until)
        return until

    def count_failure(self, account: str) -> int:
        """Count a request without a usable answer; return how many there were in a row."""
        self.of(account).filter(failures__lt=MAX_FAILURES).update(failures=F("failures") + 1)
        return self.of(account).values_list("failures", flat=True).get()

    def reset_failures(self, account: str) -> None:
        """Note that a request was answered."""
        self.of(account).exclude(failures=0).update(failures=0)

    def save_moment(self, account: str, **moment: datetime.datetime) -> None:
        """Save ``reconciled_at`` or ``flooded_at``; the row is created where there is none."""
        if not self.of(account).update(**moment):
            self.of(account).get_or_create(account=account, defaults=moment)


def _is_past_or_absurd(name: str, now: datetime.datetime, latest: datetime.datetime) -> Q:
    """Match a moment that is over. One after ``latest`` was written by a clock that was wrong, and counts as over."""
    return Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__lte": now}) | Q(**{f"{name}__gt": latest})


class AccountUsage(models.Model):
    """The requests of one account in this minute, and until when none is sent."""

    account = models.CharField(
        pgettext_lazy("telephony", "account"),
        max_length=50,
        unique=True,
        help_text=_("The Exotel account, by its alias."),
    )
    minute = models.DateTimeField(
        pgettext_lazy("telephony", "minute"), null=True, help_text=_("The minute that is counted.")
    )
    requests_this_minute = models.PositiveIntegerField(
        pgettext_lazy("telephony", "requests"), default=0, help_text=_("How many requests were sent in that minute.")
    )
    paused_until = models.DateTimeField(
        _("paused until"), null=True, help_text=_("Until then nothing is sent: Exotel said so, or was away.")
    )
    failures = models.PositiveSmallIntegerField(
        pgettext_lazy("telephony", "failures"),
        default=0,
        help_text=_("How many requests in a row had no usable answer."),
    )
    reconciled_at = models.DateTimeField(
        pgettext_lazy("telephony", "reconciled"),
        null=True,
        help_text=_("When exotel_reconcile last checked this account's calls."),
    )
    flooded_at = models.DateTimeField(
        pgettext_lazy("telephony", "flooded"),
        null=True,
        help_text=_("When its own callback URL last reported more than is stored."),
    )

    objects = AccountUsageQuerySet.as_manager()

    class Meta:
        verbose_name = _("account usage")
        verbose_name_plural = _("account usage")

    def __str__(self) -> str:
        return self.account
