"""What a call does to its ticket. Each receiver is told once; its writes stand or fall with the call's own history."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver
from django.utils.translation import gettext as _

from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.signals import call_answered, call_ended
from helpdesk.models import Status, Ticket


@receiver(call_answered, sender=Ticket)
def show_that_the_phone_was_answered(call: CallRecord, ticket: Ticket | None, **kwargs: Any) -> None:
    """Show colleagues that somebody is on the phone about this ticket."""
    if ticket is not None:
        _move(ticket, Status.ON_THE_PHONE)


@receiver(call_ended, sender=Ticket)
def note_how_the_call_ended(call: CallRecord, ticket: Ticket | None, **kwargs: Any) -> None:
    """Write down how it went, and whether the customer has to be called again."""
    if ticket is None:
        return
    _move(ticket, Status.CALLED if call.is_conversation else Status.CALL_AGAIN)
    ticket.comments.create(author=call.placed_by, text=summary(call))


def summary(call: CallRecord) -> str:
    """Return one line about a call that has ended."""
    words = {"agent": call.agent_label, "outcome": call.get_outcome_display()}
    if not call.is_conversation:
        return _("Call by %(agent)s: %(outcome)s, no conversation.") % words
    minutes, seconds = divmod(call.talk_time or 0, 60)
    talk = {"minutes": minutes, "seconds": seconds}
    return _("Call by %(agent)s: %(outcome)s, %(minutes)d:%(seconds)02d minutes of talk.") % (words | talk)


def _move(ticket: Ticket, status: Status) -> None:
    if ticket.status == Status.SOLVED:
        return  # a colleague has settled it meanwhile
    ticket.status = status
    # Only what changes: the ticket may be open in somebody's form, or be written by another request.
    ticket.save(update_fields=["status", "updated_at"])
