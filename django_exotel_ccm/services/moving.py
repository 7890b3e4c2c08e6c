"""Calls change their ticket, with all that belongs to them: for hosts that merge tickets, or make a deal of a lead."""

from __future__ import annotations

from typing import Any

from django.db import router, transaction
from django.db.models import Case, F, Model, Value, When
from django.utils import timezone

from django_exotel_ccm import tickets
from django_exotel_ccm.choices import ItemState
from django_exotel_ccm.models import CallListItem, CallRecord, FollowUp
from django_exotel_ccm.models.ticket_link import about, ticket_columns
from django_exotel_ccm.services.drafts import label_of


def move_calls(from_ticket: Model, to_ticket: Model) -> int:
    """Make the calls about ``from_ticket`` calls about ``to_ticket``; return how many there were.

    Their notes, the ticket's follow-ups and its places on call lists come along; on a list that has both, the two
    become one place. The two may be of different models.
    A conversation about the one settles what was noted about the other before it. Callbacks that arrive later find the
    new ticket. ``custom_field`` stays as it was sent to Exotel. Call it in the transaction that merges the tickets,
    before ``from_ticket`` is deleted.

    Raises ``ValueError`` if ``from_ticket`` has no primary key or ``to_ticket`` is not saved yet, and
    ``ImproperlyConfigured`` if the model of ``to_ticket`` is not in ``TICKETS``.
    """
    if from_ticket.pk is None:
        raise ValueError("move_calls: move the calls before from_ticket is deleted; now it has no primary key.")
    if to_ticket.pk is None or to_ticket._state.adding:  # noqa: SLF001 - Django documents it
        raise ValueError("move_calls: save to_ticket first; it is not in the database yet.")
    tickets.type_of(to_ticket)
    content_type, key = ticket_columns(to_ticket)
    # An erased call does not learn the customer's name again.
    label = Case(When(erased_at=None, then=Value(label_of(to_ticket))), default=F("ticket_label"))
    link: dict[str, Any] = {"ticket_content_type": content_type, "ticket_object_id": key}
    using = router.db_for_write(CallRecord)
    calls = CallRecord.objects.using(using).about(from_ticket)
    follow_ups = FollowUp.objects.using(using).about(from_ticket)
    # Neither does an erased follow-up: it has no label.
    label_unless_erased = Case(When(ticket_label="", then=Value("")), default=Value(label_of(to_ticket)))
    with transaction.atomic(using=using):
        moved = calls.update(**link, ticket_label=label, updated_at=timezone.now())
        # Locked, so that a call whose talk time is being recorded now settles nothing, or is seen here.
        now_its = CallRecord.objects.using(using).about(to_ticket).select_for_update().order_by("created_at", "pk")
        conversations = list(now_its.values_list("created_at", "pk", "talk_time"))
        follow_ups.update(**link, ticket_label=label_unless_erased)
        FollowUp.objects.using(using).settle_moved(to_ticket, conversations)
        _move_places(from_ticket, to_ticket, link, using)
    return moved


def _move_places(from_ticket: Model, to_ticket: Model, link: dict[str, Any], using: str) -> None:
    """Move the places on call lists. A list that has both keeps that of ``to_ticket``, at which it goes on."""
    items = CallListItem.objects.using(using).select_for_update().order_by("pk")
    moving = {item.call_list_id: item for item in items.filter(about(from_ticket))}
    if not moving:
        return
    for kept in items.filter(about(to_ticket), call_list__in=moving.keys()):
        other = moving[kept.call_list_id]
        if other.pk != kept.pk:  # a ticket can be merged into itself
            further = max(kept, other, key=_how_far)
            kept.state, kept.call_id = further.state, further.call_id
            kept.save(using=using, update_fields=["state", "call"])
            other.delete(using=using)
    CallListItem.objects.using(using).filter(about(from_ticket)).update(**link)


def _how_far(item: CallListItem) -> tuple[bool, int, bool]:
    """Return how much is known of the customer: the newest call counts; who still waits was not skipped as a whole."""
    return item.state == ItemState.CALLED, item.call_id or 0, item.state == ItemState.WAITING
