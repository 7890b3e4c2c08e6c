"""What an agent does with a promise to call back: keep it, or move it."""

from __future__ import annotations

import datetime

from django.utils import timezone

from django_exotel_ccm.models import FollowUp
from django_exotel_ccm.services.notes import check_due


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
