"""Calls that were reported to an account's own URL: unverified until Call Details confirm them."""

from __future__ import annotations

import datetime
from collections.abc import Collection

from django.db import models, router
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from django_exotel_ccm.models.call import CallRecord


class UnverifiedCallQuerySet(models.QuerySet["UnverifiedCall"]):
    """Which calls wait to be verified."""

    MAX_WAITING = 5_000
    """Calls of one account. Whoever knows the account's URL can report any number of calls that never were."""

    def next_due(self, now: datetime.datetime, *, newest: bool, without: Collection[str] = ()) -> UnverifiedCall | None:
        """Return the newest call that is due at ``now``, or the one that is due longest; of no account in ``without``.

        The caller takes them in turn. So genuine calls before and after a flood need not wait until it is verified.
        """
        due = self.using(router.db_for_write(self.model)).filter(next_check_at__lte=now).exclude(account__in=without)
        return due.order_by(*(["-pk"] if newest else ["next_check_at", "pk"])).first()

    def drop_excess(self, account: str) -> int:
        """Delete waiting calls beyond the bound, and return how many: those that would be verified last.

        These are in the middle, because :meth:`next_due` takes from both ends.
        """
        waiting = self.filter(account=account, next_check_at__isnull=False)
        excess = waiting.count() - self.MAX_WAITING
        if excess <= 0:
            return 0
        never_checked = waiting.filter(checks=0).order_by("pk").values_list("pk", flat=True)
        middle = never_checked.count() // 2
        deleted, _by_model = waiting.filter(pk__in=list(never_checked[middle : middle + excess])).delete()
        return deleted


class UnverifiedCall(models.Model):
    """A reported call SID that is not in the records."""

    account = models.CharField(
        pgettext_lazy("telephony", "account"), max_length=50, help_text=_("The Exotel account, by its alias.")
    )
    call_sid = models.CharField(_("call SID"), max_length=64, help_text=_("Exotel's name for the call."))
    reported_at = models.DateTimeField(
        pgettext_lazy("telephony", "reported"), help_text=_("When it was first reported.")
    )
    next_check_at = models.DateTimeField(
        _("next check"), null=True, db_index=True, help_text=_("When Call Details are fetched.")
    )
    checks = models.PositiveSmallIntegerField(
        pgettext_lazy("telephony", "checks"), default=0, help_text=_("How often Call Details were fetched.")
    )
    gave_up_at = models.DateTimeField(_("given up"), null=True, help_text=_("When checking was given up."))
    code = models.CharField(
        pgettext_lazy("telephony", "code"), max_length=40, blank=True, help_text=_("Why it is not in the records.")
    )
    call = models.ForeignKey(
        CallRecord,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=pgettext_lazy("telephony", "call"),
        help_text=_("The call in the records, once it is verified."),
    )

    objects = UnverifiedCallQuerySet.as_manager()

    class Meta:
        verbose_name = _("unverified call")
        verbose_name_plural = _("unverified calls")
        constraints = [models.UniqueConstraint(fields=["account", "call_sid"], name="exotel_ccm_unverified_sid")]

    def __str__(self) -> str:
        return self.call_sid
