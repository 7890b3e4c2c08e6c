"""Promises to call back: noted, kept, moved to another time, or handed on."""

from __future__ import annotations

import datetime
from functools import partial
from typing import Any

from django.db import router
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _

from django_exotel_ccm import tickets
from django_exotel_ccm.exceptions import InvalidFollowUp
from django_exotel_ccm.models import CallRecord, FollowUp
from django_exotel_ccm.models.ticket_link import ticket_columns
from django_exotel_ccm.services.drafts import label_of, link_ticket
from django_exotel_ccm.services.events import lock
from django_exotel_ccm.services.note_checks import check_not_erased, checked_text
from django_exotel_ccm.services.transactions import run_in_transaction

LATEST = datetime.timedelta(days=3660)
"""How far ahead somebody can be called back."""


def schedule_follow_up(
    *, ticket: Model, due_at: datetime.datetime, assigned_to: Any, text: str = "", call: CallRecord | None = None
) -> FollowUp:
    """Note that the user ``assigned_to`` is to call about ``ticket`` at ``due_at``; return the follow-up.

    ``call`` is the call after which this was noted, if there was one. A later call about the ticket with a conversation
    settles it. It is for trusted code: permissions are not asked.

    Raises :class:`InvalidFollowUp` for a moment that is past, naive (where ``USE_TZ`` is on) or too far away;
    :class:`InvalidNote` if the text is too long or the call's customer was erased; ``ValueError`` if the ticket or the
    user is not saved, or the call is about another ticket; ``CallRecord.DoesNotExist`` if the call is not in the
    database; ``ImproperlyConfigured`` if the ticket's model is not in ``TICKETS``.
    """
    tickets.type_of(ticket)
    if ticket.pk is None or assigned_to is None or assigned_to.pk is None:
        raise ValueError("schedule_follow_up: save ticket and assigned_to first; they are not in the database yet.")
    check_due(due_at)
    text = checked_text(text)
    using = router.db_for_write(CallRecord)
    return run_in_transaction(partial(_schedule, ticket, due_at, assigned_to, text, call, using), using=using)


def complete_follow_up(follow_up: FollowUp) -> bool:
    """Mark a follow-up as done, now and by no call; return False if it was done already.

    It is for trusted code: permissions are not asked.
    """
    return bool(FollowUp.objects.open().filter(pk=follow_up.pk).update(done_at=timezone.now()))


def reschedule_follow_up(follow_up: FollowUp, due_at: datetime.datetime) -> bool:
    """Have the customer called at ``due_at`` instead; return False if the follow-up is done already.

    It is for trusted code: permissions are not asked. Raises :class:`InvalidFollowUp` for a moment that is past, naive
    (where ``USE_TZ`` is on) or too far away.
    """
    check_due(due_at)
    return bool(FollowUp.objects.open().filter(pk=follow_up.pk).update(due_at=due_at))


def assign_follow_up(follow_up: FollowUp, user: Any) -> bool:
    """Have ``user`` call instead of whoever was to; return False if the follow-up is done already.

    It is for trusted code: permissions are not asked, nor whether ``user`` may see the ticket.
    """
    follow_up.assigned_to, follow_up.assigned_to_label = user, label_of(user)
    same = FollowUp.objects.open().filter(pk=follow_up.pk)
    return bool(same.update(assigned_to=user, assigned_to_label=follow_up.assigned_to_label))


def check_due(moment: datetime.datetime) -> None:
    """Raise :class:`InvalidFollowUp` if nobody can be called back at ``moment``."""
    if not isinstance(moment, datetime.datetime):
        raise TypeError("The moment of a follow-up is a datetime.")
    now = timezone.now()
    if timezone.is_aware(moment) != timezone.is_aware(now):
        raise InvalidFollowUp(
            "The moment of a follow-up has to be aware where USE_TZ is on, and naive where it is off."
        )
    if moment <= now:
        raise InvalidFollowUp(_("The time to call back is over already. Choose a later one."))
    if moment > now + LATEST:
        raise InvalidFollowUp(_("The time to call back is too far away. Choose an earlier one."))


def new_follow_up(user: Any, due_at: datetime.datetime, text: str, call: CallRecord | None) -> FollowUp:
    """Return an unsaved follow-up, about no ticket yet."""
    return FollowUp(
        assigned_to=user,
        assigned_to_label=label_of(user),
        due_at=due_at,
        text=text,
        call=call,
        created_at=timezone.now(),
    )


def _schedule(
    ticket: Model, due_at: datetime.datetime, assigned_to: Any, text: str, call: CallRecord | None, using: str
) -> FollowUp:
    """Do the work of :func:`schedule_follow_up`. The lock makes it wait while the call's customer is erased."""
    if call is not None:
        call = _locked(call, ticket, using)
    follow_up = new_follow_up(assigned_to, due_at, text, call)
    link_ticket(follow_up, ticket)
    follow_up.save(using=using, force_insert=True)
    return follow_up


def _locked(call: CallRecord, ticket: Model, using: str) -> CallRecord:
    locked = lock(call.reference, using)
    if locked is None:
        raise CallRecord.DoesNotExist(f"There is no call {call.reference}.")
    check_not_erased(locked)
    content_type, key = ticket_columns(ticket)
    if locked.ticket_object_id and (locked.ticket_content_type_id, locked.ticket_object_id) != (content_type.pk, key):
        raise ValueError("schedule_follow_up: the call is about another ticket.")
    return locked
