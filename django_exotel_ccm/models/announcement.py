"""Announcements: which signals the host was sent, and what became of each receiver."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm.choices import AnnouncementState, SignalName
from django_exotel_ccm.models.call import CallRecord
from django_exotel_ccm.models.event import CallEvent


class Announcement(models.Model):
    """One signal about one call, marked in the transaction in which its receivers wrote."""

    call = models.ForeignKey(
        CallRecord,
        models.CASCADE,
        related_name="announcements",
        verbose_name=_("call"),
        help_text=_("The call it is about."),
    )
    event = models.ForeignKey(
        CallEvent,
        models.SET_NULL,
        null=True,
        related_name="announcements",
        verbose_name=_("event"),
        help_text=_("What brought the news."),
    )
    signal = models.CharField(_("signal"), max_length=20, choices=SignalName, help_text=_("What was announced."))
    key = models.CharField(
        _("key"), max_length=100, help_text=_("Makes the announcement unique for its call: it goes out once.")
    )
    state = models.CharField(
        _("state"),
        max_length=12,
        choices=AnnouncementState,
        default=AnnouncementState.DONE,
        db_index=True,
        help_text=_("Whether every receiver was told."),
    )
    changed = models.JSONField(_("changed"), default=list, help_text=_("The fields that changed, for call_updated."))
    receivers = models.JSONField(
        _("receivers"),
        default=list,
        help_text=_("Each receiver, whether it was told, and its error if it failed."),
    )
    next_try_at = models.DateTimeField(
        _("next try"), null=True, help_text=_("When those receivers are called that were not told yet.")
    )
    created_at = models.DateTimeField(_("announced"), help_text=_("When it was first announced."))

    class Meta:
        verbose_name = _("announcement")
        verbose_name_plural = _("announcements")
        constraints = [models.UniqueConstraint(fields=["call", "key"], name="exotel_ccm_announced_once")]

    def __str__(self) -> str:
        return f"{self.signal} {self.pk}"
