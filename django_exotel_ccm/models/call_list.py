"""Call lists: tickets that an agent calls one after the other."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from django_exotel_ccm import conf
from django_exotel_ccm.choices import ItemState, Permission
from django_exotel_ccm.masking import mask
from django_exotel_ccm.models.call import CallRecord
from django_exotel_ccm.models.ticket_link import TicketLink, mask_key


class CallListQuerySet(models.QuerySet["CallList"]):
    """Which call lists there are."""

    def open_to(self, user: Any) -> CallListQuerySet:
        """Return those that ``user`` may work on: their own, and all with the permission to view call lists."""
        return self if Permission.VIEW_CALL_LIST.granted_to(user) else self.filter(owner_id=user.pk)


class CallList(models.Model):
    """A list of tickets, in the order in which they are called."""

    owner = models.ForeignKey(
        conf.user_model(),
        models.SET_NULL,
        null=True,
        db_index=False,  # the index of both columns begins with it
        related_name="exotel_call_lists",
        verbose_name=pgettext_lazy("telephony", "owner"),
        help_text=_("Who calls them."),
    )
    owner_label = models.CharField(
        _("owner (name)"), max_length=200, blank=True, help_text=_("Their name when the list was made.")
    )
    name = models.CharField(pgettext_lazy("telephony", "name"), max_length=200, help_text=_("What the list is called."))
    created_at = models.DateTimeField(pgettext_lazy("telephony", "made"), help_text=_("When the list was made."))

    objects = CallListQuerySet.as_manager()

    class Meta:
        verbose_name = _("call list")
        verbose_name_plural = _("call lists")
        indexes = [models.Index(fields=["owner", "created_at"], name="exotel_ccm_list_owner")]

    def __str__(self) -> str:
        return mask(self.name)  # stands in titles of pages for whoever may see lists, and people type numbers


class CallListItem(TicketLink):
    """One ticket on a call list."""

    REDACTED: ClassVar = ("ticket_object_id",)
    """The column that :meth:`redact` changes."""

    call_list = models.ForeignKey(
        CallList,
        models.CASCADE,
        db_index=False,  # the index of three columns begins with it
        related_name="items",
        verbose_name=_("call list"),
        help_text=_("The list that it is on."),
    )
    position = models.PositiveIntegerField(
        pgettext_lazy("telephony", "position"), help_text=_("The items are sorted by it, the lowest first.")
    )
    state = models.CharField(
        pgettext_lazy("telephony", "state"),
        max_length=8,
        choices=ItemState,
        default=ItemState.WAITING,
        help_text=_("How far it is."),
    )
    call = models.ForeignKey(
        CallRecord,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=pgettext_lazy("telephony", "call"),
        help_text=_("The call that was placed from the list."),
    )

    class Meta:
        verbose_name = _("ticket on a call list")
        verbose_name_plural = _("tickets on a call list")
        indexes = [
            models.Index(fields=["call_list", "state", "position"], name="exotel_ccm_list_next"),
            models.Index(fields=["ticket_content_type", "ticket_object_id"], name="exotel_ccm_list_ticket"),
        ]

    def __str__(self) -> str:
        return f"{self.call_list_id} {self.position}"

    def redact(self, number: str) -> None:
        """Mask the number (E.164) of a customer in the ticket's key. Saves nothing."""
        self.ticket_object_id = mask_key(self.ticket_object_id, number)
