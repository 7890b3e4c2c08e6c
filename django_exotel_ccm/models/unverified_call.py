"""Unverified calls: reported to an account's own URL, and not confirmed by Call Details yet."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm.models.call import CallRecord


class UnverifiedCall(models.Model):
    """One call SID that we did not place, as far as we know."""

    account = models.CharField(_("account"), max_length=50, help_text=_("The Exotel account, by its alias."))
    call_sid = models.CharField(_("call SID"), max_length=64, help_text=_("Exotel's name for the call."))
    heard_at = models.DateTimeField(_("heard"), help_text=_("When we first heard of it."))
    next_check_at = models.DateTimeField(
        _("next check"), null=True, db_index=True, help_text=_("When Exotel is to be asked about it.")
    )
    checks = models.PositiveSmallIntegerField(_("checks"), default=0, help_text=_("How often Exotel was asked."))
    gave_up_at = models.DateTimeField(_("given up"), null=True, help_text=_("When we stopped asking."))
    code = models.CharField(_("code"), max_length=40, blank=True, help_text=_("Why it is not a call of ours yet."))
    call = models.ForeignKey(
        CallRecord,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("call"),
        help_text=_("The call, once Call Details has confirmed it."),
    )

    class Meta:
        verbose_name = _("unverified call")
        verbose_name_plural = _("unverified calls")
        constraints = [models.UniqueConstraint(fields=["account", "call_sid"], name="exotel_ccm_unverified_sid")]

    def __str__(self) -> str:
        return self.call_sid
