"""Announcements: which signals the host was sent, and the delivery to each receiver."""

from __future__ import annotations

from typing import Any, TypedDict

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from django_exotel_ccm.choices import AnnouncementState, SignalName
from django_exotel_ccm.models.call import CallRecord
from django_exotel_ccm.models.event import CallEvent


class Delivery(TypedDict):
    """The delivery of an announcement to one receiver. ``error`` and ``traceback`` are those of its last failure."""

    receiver: str
    delivered: bool
    error: str
    traceback: str
    attempts: int
    abandoned: bool


class Announcement(models.Model):
    """One signal about one call. The row commits together with what its receivers wrote."""

    call = models.ForeignKey(
        CallRecord,
        models.CASCADE,
        db_index=False,  # the unique index of call and key begins with it
        related_name="announcements",
        verbose_name=pgettext_lazy("telephony", "call"),
        help_text=_("The call it is about."),
    )
    event = models.ForeignKey(
        CallEvent,
        models.SET_NULL,
        null=True,
        related_name="announcements",
        verbose_name=pgettext_lazy("telephony", "event"),
        help_text=_("The event that caused it."),
    )
    signal = models.CharField(
        pgettext_lazy("telephony", "signal"),
        max_length=20,
        choices=SignalName,
        help_text=_("The signal that was sent."),
    )
    key = models.CharField(
        pgettext_lazy("telephony", "key"),
        max_length=100,
        help_text=_("Unique for each call, so that nothing is announced twice."),
    )
    state = models.CharField(
        pgettext_lazy("telephony", "state"),
        max_length=12,
        choices=AnnouncementState,
        default=AnnouncementState.DONE,
        help_text=_("Whether it was delivered to every receiver."),
    )
    changed = models.JSONField(
        pgettext_lazy("telephony", "changed"), default=list, help_text=_("The fields that changed, for call_updated.")
    )
    # A row per receiver would cost a callback one more INSERT.
    receivers: models.JSONField[Any, list[Delivery]] = models.JSONField(
        pgettext_lazy("telephony", "receivers"),
        default=list,
        help_text=_("The delivery to each receiver, with its error if it failed."),
    )
    next_try_at = models.DateTimeField(
        _("next try"), null=True, help_text=_("When the pending deliveries are tried next.")
    )
    created_at = models.DateTimeField(
        pgettext_lazy("telephony", "announced"), help_text=_("When the change was recorded.")
    )

    class Meta:
        verbose_name = pgettext_lazy("telephony", "announcement")
        verbose_name_plural = pgettext_lazy("telephony", "announcements")
        constraints = [models.UniqueConstraint(fields=["call", "key"], name="exotel_ccm_announced_once")]
        # Not db_index=True: for text, PostgreSQL would get a second index.
        indexes = [models.Index(fields=["state"], name="exotel_ccm_announced_state")]

    def __str__(self) -> str:
        return f"{self.signal} {self.pk}"
