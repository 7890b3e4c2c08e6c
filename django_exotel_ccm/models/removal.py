"""What was purged when its clock had run, and who is to be erased on request; nothing of what it was."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from django_exotel_ccm.choices import RemovalKind


class RemovalQuerySet(models.QuerySet["Removal"]):
    """Which rows there are."""

    def due_erasures(self) -> RemovalQuerySet:
        """Return the erasures that wait for the next purge, or were broken off; the oldest first."""
        return self.filter(kind=RemovalKind.CUSTOMER, ended_at=None).exclude(number="").order_by("pk")


class Removal(models.Model):
    """One purge that found something to remove, or one erasure: waiting, going on or done."""

    kind = models.CharField(
        pgettext_lazy("telephony", "what"), max_length=20, choices=RemovalKind, help_text=_("What was removed.")
    )
    number = models.CharField(
        pgettext_lazy("telephony", "number"),
        max_length=16,
        blank=True,
        help_text=_("Of the customer to erase, with country code; emptied as soon as they are erased."),
    )
    off_do_not_call = models.BooleanField(
        _("also from the do-not-call list"),
        default=False,
        help_text=_("Otherwise the number stays on the list, without a reason, so that nobody calls it."),
    )
    is_waiting = models.BooleanField(
        pgettext_lazy("telephony", "waits"), default=False, help_text=_("Whether the erasure has not begun.")
    )
    before = models.DateTimeField(
        _("older than"), null=True, help_text=_("What was older was removed; empty for a customer erased on request.")
    )
    removed = models.PositiveIntegerField(
        _("how many"), default=0, help_text=_("How many were removed; of a customer, the calls that were erased.")
    )
    started_at = models.DateTimeField(
        pgettext_lazy("telephony", "started"),
        db_index=True,
        help_text=_("When it began; of an erasure, when it was asked for."),
    )
    ended_at = models.DateTimeField(
        pgettext_lazy("telephony", "ended"),
        null=True,
        help_text=_("When it was done; empty while it goes on, and if it was broken off. Then the next one goes on."),
    )

    objects = RemovalQuerySet.as_manager()

    class Meta:
        verbose_name = _("purge or erasure")
        verbose_name_plural = _("purges and erasures")
        indexes = [models.Index(fields=["kind", "started_at"], name="exotel_ccm_removal_kind")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.removed}"
