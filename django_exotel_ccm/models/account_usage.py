"""How much each Exotel account is asked: one budget for all processes, kept where all of them look."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class AccountUsage(models.Model):
    """The requests of one account in this minute, and until when it wants silence."""

    account = models.CharField(
        _("account"), max_length=50, unique=True, help_text=_("The Exotel account, by its alias.")
    )
    minute = models.DateTimeField(_("minute"), null=True, help_text=_("The minute that is counted."))
    requests_this_minute = models.PositiveIntegerField(
        _("requests"), default=0, help_text=_("How many requests were sent in that minute.")
    )
    paused_until = models.DateTimeField(
        _("paused until"), null=True, help_text=_("Until then Exotel is not asked, because it said so or was away.")
    )
    failures = models.PositiveSmallIntegerField(
        _("failures"), default=0, help_text=_("Requests in a row that Exotel gave no usable answer to.")
    )
    reconciled_at = models.DateTimeField(
        _("reconciled"), null=True, help_text=_("When exotel_reconcile last looked after this account.")
    )
    flooded_at = models.DateTimeField(
        _("flooded"), null=True, help_text=_("When its own callback URL last reported more than is kept.")
    )

    class Meta:
        verbose_name = _("account usage")
        verbose_name_plural = _("account usage")

    def __str__(self) -> str:
        return self.account
