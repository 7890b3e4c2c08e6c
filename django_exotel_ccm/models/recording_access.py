"""Who listened to which recording."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from django_exotel_ccm import conf
from django_exotel_ccm.models.call import CallRecord


class RecordingAccess(models.Model):
    """One listening: a user, a recording and a view of a page. The row is committed before the first byte is sent."""

    call = models.ForeignKey(
        CallRecord,
        models.CASCADE,
        related_name="recording_accesses",
        verbose_name=pgettext_lazy("telephony", "call"),
        help_text=_("The call whose recording it was."),
    )
    recording = models.CharField(
        pgettext_lazy("telephony", "recording"),
        max_length=16,
        help_text=_("Which recording of the call: its id, as in our address."),
    )
    user = models.ForeignKey(
        conf.user_model(),
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=pgettext_lazy("telephony", "listener"),
        help_text=_("Who listened."),
    )
    user_label = models.CharField(_("listener (name)"), max_length=200, help_text=_("Their name at the time."))
    listened_at = models.DateTimeField(
        pgettext_lazy("telephony", "listened"), db_index=True, help_text=_("When the recording was first requested.")
    )
    listening_key = models.CharField(
        _("listening key"),
        max_length=64,
        null=True,
        unique=True,
        help_text=_("A digest of user, recording and page view: later requests of the same listening find this row."),
    )

    class Meta:
        verbose_name = _("recording access")
        verbose_name_plural = _("recording accesses")

    def __str__(self) -> str:
        return f"{self.user_label}: {self.call_id}"
