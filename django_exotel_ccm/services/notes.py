"""What comes after a call: a note, and the promise to call back."""

from __future__ import annotations

import datetime
from functools import partial
from typing import Any

from django.db import connections, router, transaction
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _

from django_exotel_ccm import tickets
from django_exotel_ccm.exceptions import InvalidFollowUp, InvalidNote
from django_exotel_ccm.exotel.values import storable
from django_exotel_ccm.models import CallNote, CallRecord, Disposition, FollowUp
from django_exotel_ccm.services.announcements.announce import plan_note_announcement, send_announcements
from django_exotel_ccm.services.drafts import digest_of, label_of, link_ticket
from django_exotel_ccm.services.events import lock
from django_exotel_ccm.services.transactions import insert, open_transaction, run_durably, update

MAX_TEXT = 10_000
"""Characters of a note."""
LATEST = datetime.timedelta(days=3660)
"""How far ahead somebody can be called back."""


def add_note(
    call: CallRecord,
    *,
    author: Any,
    text: str = "",
    disposition: Disposition | None = None,
    follow_up_at: datetime.datetime | None = None,
    request_key: str | None = None,
) -> CallNote:
    """Write a note about ``call`` and announce it (``note_added``); return the note.

    ``author`` is a user, or None for a program. ``disposition`` says how the call went. ``follow_up_at``, a moment
    (aware where ``USE_TZ`` is on), makes a :class:`FollowUp` about the call's ticket for the author. NUL, lone
    surrogates and blanks around the text are dropped. The same ``request_key`` from the same author with the same text
    and disposition is the same press of Save: it writes one note, and the second returns the first.

    It is for trusted code: permissions are not asked. Inside a transaction it is committed with that; otherwise it is
    committed when this returns.

    Raises :class:`InvalidNote` if there is nothing to write, the text is too long, the disposition is not offered (any
    more) or the call's customer was erased; :class:`InvalidFollowUp` for a moment that is past, naive or too far away;
    ``TypeError`` for wrong types; ``CallRecord.DoesNotExist`` if the call is not in the database.
    """
    _check_types(text, disposition)
    text = _checked_text(text)
    if not (text or disposition or follow_up_at):
        raise InvalidNote(_("There is nothing to save yet. Choose how it went, or write a note."))
    if follow_up_at is not None:
        if author is None:
            raise InvalidFollowUp("add_note: a follow-up is the author's, so follow_up_at needs an author.")
        check_due(follow_up_at)
    note = CallNote(author=author, author_label=label_of(author), text=text, created_at=timezone.now())
    if request_key:
        said = "|".join([str(call.pk), str(note.author_id), disposition.code if disposition else "", request_key, text])
        note.request_key = digest_of(said)
    using = router.db_for_write(CallRecord)
    work = partial(_add_note, note, call, disposition, follow_up_at, using)
    if open_transaction() is not None and connections[using].in_atomic_block:
        with transaction.atomic(using=using):
            return work(deliver=True)
    # On the last attempt no receiver runs, because a receiver may be what breaks the transaction.
    return run_durably(partial(work, deliver=True), using=using, last_attempt=partial(work, deliver=False))


def schedule_follow_up(
    *, ticket: Model, due_at: datetime.datetime, assigned_to: Any, text: str = "", call: CallRecord | None = None
) -> FollowUp:
    """Note that the user ``assigned_to`` is to call about ``ticket`` at ``due_at``; return the follow-up.

    ``call`` is the call after which this was noted, if there was one. A later call about the ticket with a conversation
    settles it. It is for trusted code: permissions are not asked.

    Raises :class:`InvalidFollowUp` for a moment that is past, naive (where ``USE_TZ`` is on) or too far away;
    :class:`InvalidNote` if the text is too long or the call's customer was erased; ``ValueError`` if the ticket or the
    user is not saved; ``ImproperlyConfigured`` if the ticket's model is not in ``TICKETS``.
    """
    tickets.type_of(ticket)
    if ticket.pk is None or assigned_to is None or assigned_to.pk is None:
        raise ValueError("schedule_follow_up: save ticket and assigned_to first; they are not in the database yet.")
    check_due(due_at)
    if call is not None:
        _check_not_erased(call)
    follow_up = _new_follow_up(assigned_to, due_at, _checked_text(text), call)
    link_ticket(follow_up, ticket)
    follow_up.save(using=router.db_for_write(FollowUp))
    return follow_up


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


def _check_types(text: object, disposition: object) -> None:
    if not isinstance(text, str) or not isinstance(disposition, Disposition | None):
        raise TypeError("add_note: text is a str, and disposition a Disposition or None.")


def _checked_text(text: str) -> str:
    text = storable(text).replace("\r\n", "\n")
    if len(text) > MAX_TEXT:
        too_long = _("The note has %(count)d characters, and at most %(max)d can be saved. Make it shorter.")
        raise InvalidNote(too_long % {"count": len(text), "max": MAX_TEXT})
    return text


def _check_not_erased(call: CallRecord) -> None:
    if call.erased_at is not None:
        raise InvalidNote(_("The customer of this call was erased on request, so nothing more is written about it."))


def _add_note(
    note: CallNote,
    call: CallRecord,
    disposition: Disposition | None,
    follow_up_at: datetime.datetime | None,
    using: str,
    *,
    deliver: bool,
) -> CallNote:
    """Do the work of :func:`add_note` inside a transaction. The lock makes a second press wait for the first."""
    locked = lock(call.reference, using)
    if locked is None:
        raise CallRecord.DoesNotExist(f"There is no call {call.reference}.")
    if note.request_key:
        known = CallNote.objects.using(using).filter(request_key=note.request_key).first()
        if known is not None:
            return known
    _check_not_erased(locked)
    note.pk, note.call, note.disposition = None, locked, _offered(disposition, using)
    insert([note], using)
    if follow_up_at is not None:
        follow_up = _new_follow_up(note.author, follow_up_at, note.text, locked)
        for column in ("ticket_content_type_id", "ticket_object_id", "ticket_label"):
            setattr(follow_up, column, getattr(locked, column))
        insert([follow_up], using)
    plan = locked.announce_at, locked.next_check_at
    announcements = plan_note_announcement(locked, note, using=using, deliver=deliver)
    if plan != (locked.announce_at, locked.next_check_at):
        update(locked, ["announce_at", "next_check_at"], using)
    send_announcements(locked, None, announcements, using)
    return note


def _offered(disposition: Disposition | None, using: str) -> Disposition | None:
    """Return the disposition as it is now; an administrator may have switched it off since the page was loaded."""
    if disposition is None:
        return None
    now = Disposition.objects.using(using).filter(pk=disposition.pk, is_active=True).first()
    if now is None:
        raise InvalidNote(
            _('"%(disposition)s" is not offered any more. Choose again how it went.') % {"disposition": disposition}
        )
    return now


def _new_follow_up(user: Any, due_at: datetime.datetime, text: str, call: CallRecord | None) -> FollowUp:
    return FollowUp(
        assigned_to=user,
        assigned_to_label=label_of(user),
        due_at=due_at,
        text=text,
        call=call,
        created_at=timezone.now(),
    )
