"""Who listened to which recording."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm import conf
from django_exotel_ccm.models.call import CallRecord


class Listening(models.Model):
    """One request for a call's recording, written before its first byte is sent."""

    call = models.ForeignKey(
        CallRecord,
        models.CASCADE,
        related_name="listenings",
        verbose_name=_("call"),
        help_text=_("The call whose recording it was."),
    )
    user = models.ForeignKey(
        conf.user_model(),
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("listener"),
        help_text=_("Who listened."),
    )
    user_label = models.CharField(_("listener (name)"), max_length=200, help_text=_("Their name at the time."))
    byte_range = models.CharField(
        _("range"), max_length=100, blank=True, help_text=_("The part that was asked for; blank for the whole.")
    )
    listened_at = models.DateTimeField(_("listened"), db_index=True, help_text=_("When it was asked for."))

    class Meta:
        verbose_name = _("listening")
        verbose_name_plural = _("listenings")

    def __str__(self) -> str:
        return f"{self.user_label}: {self.call_id}"
