"""Follow-ups: customers who are to be called back."""

from __future__ import annotations

import datetime
from bisect import bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, ClassVar

from django.db import models
from django.db.models import Model, Q
from django.utils.formats import date_format, time_format
from django.utils.translation import gettext, pgettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm import conf
from django_exotel_ccm.local_time import to_local
from django_exotel_ccm.models.call import CallRecord
from django_exotel_ccm.models.ticket_link import TicketLink, about, mask_key


class FollowUpQuerySet(models.QuerySet["FollowUp"]):
    """Which follow-ups there are, and which calls settle them."""

    def open(self) -> FollowUpQuerySet:
        """Return those that nobody has done."""
        return self.filter(done_at=None)

    def due(self, now: datetime.datetime) -> FollowUpQuerySet:
        """Return the open ones whose moment has come, the most overdue first."""
        return self.open().filter(due_at__lte=now).order_by("due_at", "pk")

    def of_user(self, user: Any) -> FollowUpQuerySet:
        """Return those of a user."""
        return self.filter(assigned_to_id=user.pk)

    def about(self, *tickets: Model) -> FollowUpQuerySet:
        """Return those about the tickets, which may be of several kinds."""
        return self.filter(about(*tickets))

    def settle(self, call: CallRecord) -> int:
        """Settle what ``call``, a conversation, has settled: what was noted about its ticket before it was placed.

        The first such conversation counts, in whatever order they become known. Return how many it settled.
        """
        earlier = self.filter(
            ticket_content_type_id=call.ticket_content_type_id,
            ticket_object_id=call.ticket_object_id,
            created_at__lt=call.created_at,
        )
        later_call = Q(done_by__isnull=False, done_at__gt=call.created_at)
        return earlier.filter(Q(done_at=None) | later_call).update(done_at=call.created_at, done_by=call)

    def settle_moved(self, ticket: Model, calls: Sequence[tuple[datetime.datetime, Any, int | None]]) -> None:
        """Settle what is about ``ticket`` by its ``calls``, to which those about another have come.

        ``calls`` are placed, key and talk time of all of them, the oldest first. What somebody marked as done stays.
        """
        conversations = [(placed, key) for placed, key, talk_time in calls if talk_time]
        for follow_up in self.about(ticket).filter(Q(done_at=None) | Q(done_by__isnull=False)):
            first = bisect_right(conversations, follow_up.created_at, key=itemgetter(0))
            if first < len(conversations) and follow_up.done_by_id != conversations[first][1]:
                follow_up.done_at, follow_up.done_by_id = conversations[first]
                follow_up.save(using=self.db, update_fields=["done_at", "done_by"])

    def reopen(self, call: CallRecord) -> None:
        """Undo :meth:`settle`: it is known by now that the two did not talk. The next conversation counts, if any."""
        for follow_up in self.filter(done_by=call):
            conversations = CallRecord.objects.using(self.db).filter(
                ticket_content_type_id=follow_up.ticket_content_type_id,
                ticket_object_id=follow_up.ticket_object_id,
                created_at__gt=follow_up.created_at,
                talk_time__gt=0,
            )
            settled_by = conversations.exclude(pk=call.pk).order_by("created_at", "pk").first()
            follow_up.done_by = settled_by
            follow_up.done_at = settled_by.created_at if settled_by is not None else None
            follow_up.save(using=self.db, update_fields=["done_by", "done_at"])


class FollowUp(TicketLink):
    """A promise to call about a ticket at some moment."""

    REDACTED: ClassVar = ("text", "ticket_label", "ticket_object_id")
    """The columns that :meth:`redact` changes."""

    ticket_label = models.CharField(
        pgettext_lazy("telephony", "ticket"),
        max_length=200,
        blank=True,
        help_text=_("What the ticket was called when this was noted."),
    )
    call = models.ForeignKey(
        CallRecord,
        models.SET_NULL,
        null=True,
        related_name="follow_ups",
        verbose_name=pgettext_lazy("telephony", "call"),
        help_text=_("The call after which it was noted, if there was one."),
    )
    assigned_to = models.ForeignKey(
        conf.user_model(),
        models.SET_NULL,
        null=True,
        db_index=False,  # the index of three columns begins with it
        related_name="exotel_follow_ups",
        verbose_name=_("who calls back"),
        help_text=_("Who is to call."),
    )
    assigned_to_label = models.CharField(
        _("who calls back (name)"), max_length=200, blank=True, help_text=_("Their name when this was noted.")
    )
    due_at = models.DateTimeField(_("call back at"), help_text=_("When the customer is to be called."))
    text = models.TextField(pgettext_lazy("telephony", "text"), blank=True, help_text=_("What to talk about."))
    done_at = models.DateTimeField(
        pgettext_lazy("telephony", "done"),
        null=True,
        help_text=_("When the call that settled it was placed, or somebody marked it as done."),
    )
    done_by = models.ForeignKey(
        CallRecord,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("settled by"),
        help_text=_("The call that reached the customer; empty if somebody marked it as done."),
    )
    created_at = models.DateTimeField(pgettext_lazy("telephony", "noted"), help_text=_("When it was noted."))

    objects = FollowUpQuerySet.as_manager()

    class Meta:
        verbose_name = pgettext_lazy("telephony", "call-back")
        verbose_name_plural = pgettext_lazy("telephony", "call-backs")
        indexes = [
            models.Index(fields=["assigned_to", "done_at", "due_at"], name="exotel_ccm_follow_up_user"),
            models.Index(fields=["ticket_content_type", "ticket_object_id"], name="exotel_ccm_follow_up_ticket"),
            models.Index(fields=["done_at", "due_at"], name="exotel_ccm_follow_up_due"),
            models.Index(fields=["due_at"], name="exotel_ccm_follow_up_time"),
        ]

    def __str__(self) -> str:
        # Shown to who may not see the ticket, and kept in log entries: with the whole date.
        words = {"who": self.assigned_to_label or pgettext("telephony", "nobody"), "date": "", "time": ""}
        if self.due_at is not None:
            due = to_local(self.due_at)
            words |= {"date": date_format(due, "DATE_FORMAT"), "time": time_format(due, "H:i")}
        return gettext("Call-back of %(who)s, %(date)s, %(time)s") % words

    def redact(self, number: str) -> None:
        """Remove what may name the customer with ``number`` (E.164). Saves nothing."""
        self.text, self.ticket_label = "", ""
        self.ticket_object_id = mask_key(self.ticket_object_id, number)
