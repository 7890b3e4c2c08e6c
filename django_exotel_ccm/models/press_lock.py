"""What presses wait for each other at, so that the rules see the calls that others have just placed."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class PressLock(models.Model):
    """One of the rows that presses lock. Which one is chosen by a hash, so none says whom it stands for."""

    SLOTS: ClassVar = 256

    slot = models.PositiveSmallIntegerField(
        pgettext_lazy("telephony", "slot"), primary_key=True, help_text=_("A number that agents and customers share.")
    )
    # A row that is changed is locked at every isolation level of every database.
    presses = models.PositiveBigIntegerField(
        pgettext_lazy("telephony", "presses"), default=0, help_text=_("How often it was locked.")
    )

    class Meta:
        verbose_name = _("lock of presses")
        verbose_name_plural = _("locks of presses")
        default_permissions = ()  # nobody reads or edits it

    def __str__(self) -> str:
        return str(self.slot)
