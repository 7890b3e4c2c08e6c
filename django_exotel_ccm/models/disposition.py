"""Dispositions: how a call went, in the words of the host's agents."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from django_exotel_ccm.choices import Means


class DispositionQuerySet(models.QuerySet["Disposition"]):
    """Which dispositions there are."""

    STARTERS: ClassVar = (
        ("reached", pgettext_lazy("telephony", "Reached"), Means.REACHED),
        ("call_later", _("Asked to be called later"), Means.REACHED),
        ("no_answer", _("No answer"), Means.NOT_REACHED),
        ("voicemail", pgettext_lazy("telephony", "Voicemail"), Means.NOT_REACHED),
        ("wrong_number", _("Wrong number"), Means.NOT_REACHED),
        ("do_not_call", _("Asked not to be called"), Means.DO_NOT_CALL),
    )
    """Code, label and meaning of the starter set."""

    def offered(self) -> DispositionQuerySet:
        """Return those that agents may choose, in their order."""
        return self.filter(is_active=True).order_by("position", "pk")

    def add_starter_set(self) -> int:
        """Add the starter set, in the active language, if there is no disposition yet; return how many were added."""
        if self.exists():
            return 0  # what an administrator has deleted or renamed stays so
        rows = [
            Disposition(code=code, label=str(label), means=means, position=10 * place)
            for place, (code, label, means) in enumerate(self.STARTERS, 1)
        ]
        return len(self.bulk_create(rows))


class Disposition(models.Model):
    """A way in which a call can have gone: one of the buttons after a call."""

    code = models.SlugField(
        pgettext_lazy("telephony", "code"),
        max_length=40,
        unique=True,
        help_text=_("A short name for programs, such as wrong_number."),
    )
    label = models.CharField(
        pgettext_lazy("telephony", "label"), max_length=60, help_text=_("What agents read on the button.")
    )
    means = models.CharField(
        pgettext_lazy("telephony", "means"),
        max_length=12,
        choices=Means,
        blank=True,
        help_text=_("What it says of the customer; blank if it says nothing."),
    )
    position = models.PositiveSmallIntegerField(
        pgettext_lazy("telephony", "position"),
        default=0,
        help_text=_("The buttons are sorted by it, the lowest first."),
    )
    is_active = models.BooleanField(
        pgettext_lazy("telephony", "offered"),
        default=True,
        help_text=_("Whether agents can choose it. Notes that have it keep it."),
    )

    objects = DispositionQuerySet.as_manager()

    class Meta:
        verbose_name = pgettext_lazy("telephony", "disposition")
        verbose_name_plural = pgettext_lazy("telephony", "dispositions")

    def __str__(self) -> str:
        return self.label
