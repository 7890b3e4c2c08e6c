"""Which calls there are: about a ticket, placed by a user, in progress."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import models
from django.db.models import Case, F, Model, Q, When, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from django_exotel_ccm.choices import State
from django_exotel_ccm.models.ticket_link import LinkKey, about

if TYPE_CHECKING:
    from django_exotel_ccm.models.call import CallRecord

LONGEST_CALL = datetime.timedelta(hours=4)  # docs/exotel.md 2.3
LONGEST_SILENCE = datetime.timedelta(minutes=2)
"""How long a call counts as requested that nobody has told of."""
# How long a call keeps agent and customer busy whose end nobody reports.
UNANSWERED = datetime.timedelta(minutes=1)  # by Exotel: then the process is dead, or the agent is told to call again
RINGING = datetime.timedelta(minutes=5)
TALKING = datetime.timedelta(minutes=60)


def is_in_progress() -> Q:
    """Return the condition of :attr:`CallRecord.is_in_progress`."""
    states = [State.REQUESTED, State.UNCONFIRMED, State.ACTIVE]
    return Q(state__in=states, gave_up_at=None, created_at__gt=timezone.now() - LONGEST_CALL)


def busy_until(
    call: Any, *, ringing: datetime.timedelta = RINGING, talking: datetime.timedelta = TALKING
) -> datetime.datetime | None:
    """Return until when agent and customer of a call are taken to be on the phone; None if they are not any more.

    ``call`` is a call, or another object with its columns. ``ringing`` is how long it counts after its creation if no
    phone was picked up, ``talking`` if one was.
    """
    if call.gave_up_at is not None or call.state not in (State.REQUESTED, State.UNCONFIRMED, State.ACTIVE):
        return None
    counts = UNANSWERED
    if call.state == State.ACTIVE:
        counts = ringing if call.answered_at is None else talking
    until: datetime.datetime = call.created_at + counts
    return until if until > timezone.now() else None


def is_past(relation: str) -> Q:
    """Return the condition that the call of ``relation`` is in progress no more, as far as is known."""
    reached = timezone.now() - LONGEST_CALL
    return (
        Q(**{f"{relation}__state__in": [State.ENDED, State.REFUSED]})
        | Q(**{f"{relation}__gave_up_at__isnull": False})
        | Q(**{f"{relation}__created_at__lte": reached})
    )


def in_progress_of(user: Any) -> Q:
    """Return the condition that ``user`` placed a call that is in progress."""
    return is_in_progress() & Q(placed_by_id=user.pk)


class NewestCalls(NamedTuple):
    """The newest call about a ticket that the user has placed, and the newest that somebody else has."""

    own: CallRecord | None = None
    of_others: CallRecord | None = None


class CallRecordQuerySet(models.QuerySet["CallRecord"]):
    """Which calls there are."""

    def about(self, *tickets: Model) -> CallRecordQuerySet:
        """Return the calls about the tickets, which may be of several kinds."""
        return self.filter(about(*tickets))

    def newest_by(self, user: Any, tickets: Sequence[Model]) -> dict[LinkKey, CallRecord]:
        """Return the newest call that ``user`` placed about each of the tickets, by ``link_key(ticket)``."""
        return self.newest_and_in_progress(user, tickets)[0]

    def newest_and_in_progress(
        self, user: Any, tickets: Sequence[Model]
    ) -> tuple[dict[LinkKey, CallRecord], CallRecord | None]:
        """Return what :meth:`newest_by` returns, and the user's newest call in progress. Takes two statements."""
        about = self.about(*tickets).filter(placed_by_id=user.pk)
        by_ticket = about.order_by().values("ticket_content_type", "ticket_object_id")
        keys = [row["newest"] for row in by_ticket.annotate(newest=models.Max("pk"))]
        found = self.filter(Q(pk__in=keys) | in_progress_of(user)).select_related("agent").with_advice().newest_first()
        calls = list(found)
        newest = {call.link_key: call for call in calls if call.pk in keys}
        return newest, next((call for call in calls if call.is_in_progress), None)

    def newest_key_by(self, user: Any, ticket: Model) -> int:
        """Return the key of the newest call that ``user`` placed about the ticket; 0 for none.

        A press names it, so that a second press of the same page means the same call.
        """
        own = self.about(ticket).filter(placed_by_id=user.pk).order_by("-pk")
        return own.values_list("pk", flat=True).first() or 0

    def in_progress_of_others(self, user: Any, tickets: Sequence[Model]) -> CallRecordQuerySet:
        """Return the calls in progress about the tickets that ``user`` has not placed, the newest first."""
        return self.about(*tickets).filter(is_in_progress()).exclude(placed_by_id=user.pk).newest_first()

    def newest_since(self, user: Any, tickets: Sequence[Model], since: datetime.datetime) -> dict[LinkKey, NewestCalls]:
        """Return the newest calls since then about each ticket that has any, by ``link_key(ticket)``.

        Calls that were refused do not count. Takes one statement.
        """
        is_own = Case(When(placed_by_id=user.pk, then=True), default=False, output_field=models.BooleanField())
        by_ticket: list[Any] = [F("ticket_content_type"), F("ticket_object_id"), is_own]
        nth = Window(RowNumber(), partition_by=by_ticket, order_by=["-created_at", "-pk"])
        calls = self.about(*tickets).filter(created_at__gte=since).exclude(state=State.REFUSED).annotate(nth=nth)
        found: dict[LinkKey, NewestCalls] = {}
        for call in calls.filter(nth=1).select_related("agent").defer("facts").order_by():
            known = found.get(call.link_key, NewestCalls())
            is_own_call = call.placed_by_id == user.pk
            found[call.link_key] = known._replace(**{"own" if is_own_call else "of_others": call})
        return found

    def called_by_others(self, user: Any, tickets: Sequence[Model]) -> set[LinkKey]:
        """Return which of the tickets, by ``link_key(ticket)``, somebody else is calling now (:func:`busy_until`)."""
        calls = self.in_progress_of_others(user, tickets).order_by()
        columns = ("ticket_content_type", "ticket_object_id", "state", "created_at", "answered_at", "gave_up_at")
        return {call.link_key for call in calls.only(*columns) if busy_until(call) is not None}

    def with_advice(self) -> CallRecordQuerySet:
        """Return the calls, each with ``advice``: what the agent was told when it was refused, or None."""
        events: Any = self.model._meta.get_field("events").related_model
        refusals = events.objects.filter(call=models.OuterRef("pk"), verdict=State.REFUSED)
        advice = models.Subquery(refusals.order_by("-pk").values("advice")[:1])
        # Only then are the call's events read, which can be thousands.
        return self.annotate(advice=models.Case(models.When(state=State.REFUSED, then=advice)))

    def first_for_update(self) -> CallRecord | None:
        """Return the only call of the query, locked for this transaction (``run_durably``), or None."""
        # Not first(): it would sort one row by its key.
        return next(iter(self.select_for_update().order_by()), None)

    def newest_first(self) -> CallRecordQuerySet:
        """Return the calls, the newest first: one that was placed elsewhere is stored later than it was placed."""
        return self.order_by("-created_at", "-pk")
