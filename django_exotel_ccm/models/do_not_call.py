"""Numbers that nobody calls: the customer asked for it, or Exotel refuses them."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from django_exotel_ccm import conf
from django_exotel_ccm.choices import DoNotCallSource
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.phone_numbers import parse_number


class DoNotCallQuerySet(models.QuerySet["DoNotCall"]):
    """Which entries there are."""

    def in_force(self) -> DoNotCallQuerySet:
        """Return the entries that have not expired."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()))


class DoNotCall(models.Model):
    """A customer's number that is not to be called."""

    LONGEST_REASON = 200

    number = models.CharField(
        pgettext_lazy("telephony", "number"),
        max_length=16,
        help_text=_("Any spelling; it is kept with its country code, for example +919876543210."),
    )
    reason = models.CharField(
        pgettext_lazy("telephony", "reason"),
        max_length=LONGEST_REASON,
        blank=True,
        help_text=_("For administrators: who asked for it, and when. Agents do not see it."),
    )
    source = models.CharField(
        pgettext_lazy("telephony", "source"),
        max_length=12,
        choices=DoNotCallSource,
        default=DoNotCallSource.TYPED,
        help_text=_("How the number came here."),
    )
    expires_at = models.DateTimeField(
        pgettext_lazy("telephony", "expires"),
        null=True,
        blank=True,
        db_index=True,
        help_text=_("From then on the number can be called again; empty: never."),
    )
    created_by = models.ForeignKey(
        conf.user_model(),
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("added by"),
        help_text=_("Who added the number; empty if a program did."),
    )
    created_at = models.DateTimeField(
        pgettext_lazy("telephony", "added"), db_index=True, default=timezone.now, help_text=_("When it was added.")
    )

    objects = DoNotCallQuerySet.as_manager()

    class Meta:
        verbose_name = _("do-not-call number")
        verbose_name_plural = _("do-not-call numbers")
        # Not unique=True: for text, PostgreSQL would get a second index.
        constraints = [models.UniqueConstraint(fields=["number"], name="exotel_ccm_do_not_call_number")]

    def __str__(self) -> str:
        # Kept in log entries, which users without the permission to see numbers may read.
        return f"•••{self.number[-2:]}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.pk}>"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the number as E.164: in another spelling, no call would be found to be of it.

        Raises :class:`InvalidNumber` for a new entry whose number cannot be read; it would keep nobody from calling.
        """
        try:
            self.number = parse_number(self.number)
        except InvalidNumber:
            if self._state.adding:
                raise
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Refuse a new entry whose number cannot be read."""
        if self._state.adding and self.number:  # a missing number is the field's own complaint
            try:
                self.number = parse_number(self.number)
            except InvalidNumber as error:
                raise ValidationError({"number": str(error)}) from None

    @property
    def is_in_force(self) -> bool:
        """Whether the number is not to be called now."""
        return self.expires_at is None or self.expires_at > timezone.now()
