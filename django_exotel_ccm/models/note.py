"""Notes: what agents wrote down about a call."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from django_exotel_ccm import conf
from django_exotel_ccm.models.call import CallRecord
from django_exotel_ccm.models.disposition import Disposition


class CallNote(models.Model):
    """What somebody wrote about a call, and how it went."""

    REDACTED: ClassVar = ("text",)
    """The columns that :meth:`redact` changes."""

    call = models.ForeignKey(
        CallRecord,
        models.CASCADE,
        related_name="notes",
        verbose_name=pgettext_lazy("telephony", "call"),
        help_text=_("The call it is about."),
    )
    author = models.ForeignKey(
        conf.user_model(),
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=pgettext_lazy("telephony", "author"),
        help_text=_("Who wrote it."),
    )
    author_label = models.CharField(
        _("author (name)"), max_length=200, blank=True, help_text=_("Their name when it was written.")
    )
    text = models.TextField(pgettext_lazy("telephony", "text"), blank=True, help_text=_("What was written."))
    disposition = models.ForeignKey(
        Disposition,
        models.PROTECT,
        null=True,
        related_name="notes",
        verbose_name=pgettext_lazy("telephony", "disposition"),
        help_text=_("How the call went, if that was chosen."),
    )
    request_key = models.CharField(
        _("request key"),
        max_length=64,
        null=True,
        help_text=_("A digest of what makes this press of Save the same press: a double click writes one note."),
    )
    created_at = models.DateTimeField(
        pgettext_lazy("telephony", "written"), db_index=True, help_text=_("When it was written.")
    )

    class Meta:
        verbose_name = pgettext_lazy("telephony", "note")
        verbose_name_plural = pgettext_lazy("telephony", "notes")
        # Not unique=True: for text, PostgreSQL would get a second index.
        constraints = [models.UniqueConstraint(fields=["request_key"], name="exotel_ccm_note_request_key")]

    def __str__(self) -> str:
        return f"{self.author_label} {self.pk}"

    def redact(self) -> None:
        """Remove the text, which may say anything about the customer. Saves nothing."""
        self.text = ""
