"""What agents write about a call."""

from __future__ import annotations

import datetime
from contextlib import suppress
from functools import partial
from typing import Any

from django.db import router
from django.utils import timezone
from django.utils.translation import gettext as _

from django_exotel_ccm.choices import DoNotCallSource, Means
from django_exotel_ccm.exceptions import InvalidFollowUp, InvalidNote, InvalidNumber
from django_exotel_ccm.models import CallNote, CallRecord, Disposition
from django_exotel_ccm.services.announcements.announce import plan_note_announcement, send_announcements
from django_exotel_ccm.services.do_not_call import add_do_not_call
from django_exotel_ccm.services.drafts import digest_of, label_of
from django_exotel_ccm.services.events import lock
from django_exotel_ccm.services.follow_ups import check_due, new_follow_up
from django_exotel_ccm.services.note_checks import check_not_erased, checked_text
from django_exotel_ccm.services.transactions import insert, run_in_transaction, update


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
    (aware where ``USE_TZ`` is on), makes a :class:`FollowUp` about the call's ticket for the author. A disposition that
    means "no calls" puts the call's customer on the do-not-call list. NUL, lone
    surrogates and blanks around the text are dropped. The same ``request_key`` from the same author with the same text
    and disposition is the same press of Save: it writes one note, and the second returns the first.

    It is for trusted code: permissions are not asked. Inside a transaction it is committed with that; otherwise it is
    committed when this returns.

    Raises :class:`InvalidNote` if there is nothing to write, the text is too long, the disposition is not offered (any
    more) or the call's customer was erased; :class:`InvalidFollowUp` for a moment that is past, naive or too far away;
    ``TypeError`` for wrong types; ``CallRecord.DoesNotExist`` if the call is not in the database.
    """
    _check_types(text, disposition)
    text = checked_text(text)
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
    # On the last attempt no receiver runs, because a receiver may be what breaks the transaction.
    return run_in_transaction(partial(work, deliver=True), using=using, last_attempt=partial(work, deliver=False))


def _check_types(text: object, disposition: object) -> None:
    if not isinstance(text, str) or not isinstance(disposition, Disposition | None):
        raise TypeError("add_note: text is a str, and disposition a Disposition or None.")


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
    check_not_erased(locked)
    note.pk, note.call, note.disposition = None, locked, _offered(disposition, using)
    insert([note], using)
    if note.disposition is not None and note.disposition.means == Means.DO_NOT_CALL and locked.customer_number:
        reason = f"{note.disposition.label}, {timezone.now():%Y-%m-%d}"
        source = DoNotCallSource.DISPOSITION
        with suppress(InvalidNumber):  # what has become invalid since the call cannot be called any more
            add_do_not_call(locked.customer_number, source=source, reason=reason, created_by=note.author)
    if follow_up_at is not None:
        follow_up = new_follow_up(note.author, follow_up_at, note.text, locked)
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
