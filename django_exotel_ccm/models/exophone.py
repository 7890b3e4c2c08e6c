"""ExoPhones: the numbers that customers see."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from django_exotel_ccm import conf
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.phone_numbers import parse_number


class ExoPhoneQuerySet(models.QuerySet["ExoPhone"]):
    """Which ExoPhones there are."""

    def default_of(self, account: str) -> ExoPhone | None:
        """Return the account's default ExoPhone; else its only active one; else None."""
        # Each press looks it up, and Django would need several times as long to make this SQL.
        sql = "SELECT * FROM exotel_ccm_exophone WHERE account = %s AND is_active ORDER BY is_default DESC, id LIMIT 2"
        phones = list(self.raw(sql, [account]))
        return phones[0] if phones and (phones[0].is_default or len(phones) == 1) else None

    def usual(self) -> ExoPhoneQuerySet:
        """Return what :meth:`default_of` returns, of all accounts."""
        others = ExoPhone.objects.filter(account=models.OuterRef("account"), is_active=True)
        is_only = ~models.Exists(others.exclude(pk=models.OuterRef("pk")))
        return self.filter(models.Q(is_default=True) | is_only, is_active=True)


class ExoPhone(models.Model):
    """A virtual number of the Exotel account, shown to customers as caller id."""

    number = models.CharField(
        pgettext_lazy("telephony", "number"),
        max_length=16,
        help_text=_("With its country code, for example +918000000700."),
    )
    account = models.CharField(
        pgettext_lazy("telephony", "account"),
        max_length=50,
        default=conf.DEFAULT_ALIAS,
        help_text=_("The Exotel account, by its alias in the settings."),
    )
    label = models.CharField(
        pgettext_lazy("telephony", "label"), max_length=100, blank=True, help_text=_("What this number is for.")
    )
    groups = models.ManyToManyField(
        "auth.Group",
        blank=True,
        related_name="exotel_exophones",
        verbose_name=pgettext_lazy("telephony", "groups"),
        help_text=_("Agents of these groups call from it, unless they have an ExoPhone of their own."),
    )
    is_default = models.BooleanField(
        pgettext_lazy("telephony", "default"),
        default=False,
        help_text=_("Used for agents who have no ExoPhone of their own; one per account."),
    )
    is_active = models.BooleanField(
        pgettext_lazy("telephony", "active"), default=True, help_text=_("Only active ExoPhones are used.")
    )
    synced_at = models.DateTimeField(
        _("last seen in Exotel"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("When exotel_sync last found the number in Exotel; empty if it never did."),
    )
    left_exotel_at = models.DateTimeField(
        _("left Exotel"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("When exotel_sync did not find the number in Exotel any more, and deactivated it."),
    )
    # MariaDB has no conditional unique constraints: a stored column that is NULL for all but the default serves.
    default_for = models.GeneratedField(
        expression=models.Case(models.When(is_default=True, then=models.F("account")), default=None),
        output_field=models.CharField(max_length=50, null=True),
        db_persist=True,
        max_length=50,  # what MySQL's check asks of the field itself
        unique=True,
        verbose_name=_("default for"),
        help_text=_("The account whose default this is."),
    )

    objects = ExoPhoneQuerySet.as_manager()

    class Meta:
        verbose_name = _("ExoPhone")
        verbose_name_plural = _("ExoPhones")
        constraints = [models.UniqueConstraint(fields=["account", "number"], name="exotel_ccm_exophone_number")]

    def __str__(self) -> str:
        return f"{self.number} ({self.label})" if self.label else self.number

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the number as E.164, and a default in place of one that is not active.

        A number that cannot be read is saved as it is; calls from it are then refused.
        """
        with suppress(InvalidNumber):
            self.number = parse_number(self.number)
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        names = kwargs.get("update_fields")
        with transaction.atomic(using=using, savepoint=False):
            if self.is_default and (names is None or "is_default" in names):
                self._other_defaults(using).filter(is_active=False).update(is_default=False)
            super().save(*args, **kwargs)

    def _other_defaults(self, using: str | None = None) -> ExoPhoneQuerySet:
        others = ExoPhone.objects.using(using).filter(account=self.account, is_default=True)
        return others.exclude(pk=self.pk)

    def clean(self) -> None:
        """Refuse what is no number, and a second default; saving takes the place of one that is not active."""
        try:
            # A missing number is the field's own complaint.
            self.number = parse_number(self.number) if self.number else ""
        except InvalidNumber as error:
            raise ValidationError({"number": str(error)}) from None
        if self.is_default and self._other_defaults().filter(is_active=True).exists():
            raise ValidationError(
                {"is_default": _("The account has a default ExoPhone already. Take it back there first.")}
            )

    def validate_unique(self, exclude: Collection[str] | None = None) -> None:
        """Leave out the stored column, which has no value before it is saved; ``clean`` has looked already."""
        super().validate_unique(exclude={*(exclude or ()), "default_for"})
