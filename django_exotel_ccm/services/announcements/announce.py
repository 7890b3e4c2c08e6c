"""Announces each change of a call once, and calls every receiver on its own."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterator
from functools import partial

from django.db import transaction
from django.utils import timezone

from django_exotel_ccm import background, conf
from django_exotel_ccm.choices import AnnouncementState, SignalName, State
from django_exotel_ccm.exotel.recordings import recording_id
from django_exotel_ccm.lifecycle import PHASES, Registers
from django_exotel_ccm.models import Announcement, CallEvent, CallNote, CallRecord
from django_exotel_ccm.services.announcements.deliveries import NOTE_KEY, deliver_now
from django_exotel_ccm.services.transactions import insert

WORKER_GRACE = datetime.timedelta(minutes=1)  # the job of a queue is faster, unless it is lost

_ACCEPTED, _REFUSED, _ENDED = (PHASES.index(state) for state in (State.ACTIVE, State.REFUSED, State.ENDED))


def plan_announcements(
    call: CallRecord,
    *,
    before: Registers,
    changed: list[str],
    using: str,
    rebuilt: bool,
    deliver: bool,
) -> list[Announcement]:
    """Return an unsaved announcement for each signal that a change of ``call.facts`` causes, in order.

    Runs inside the transaction that changes the call, before the call is saved. ``before`` are the facts before the
    change, ``changed`` the names of the changed columns. If the call is ``rebuilt`` from its events, or was earlier,
    what was announced before is looked up and left out.

    With a ``RUNNER`` a worker calls the receivers after the commit, and without ``deliver`` ``exotel_reconcile`` does:
    then ``call.announce_at`` is set. Else :func:`send_announcements` calls them.
    """
    rows = list(_changes(before, call.facts, changed))
    if rows and (rebuilt or call.was_rebuilt):
        sent = set(call.announcements.using(using).values_list("key", flat=True))
        rows = list(_not_sent(rows, sent, call, changed))
    _plan(call, rows, using, deliver=deliver)
    return rows


def plan_note_announcement(call: CallRecord, note: CallNote, *, using: str, deliver: bool) -> list[Announcement]:
    """Return the unsaved announcement of a saved note, in a list; otherwise as :func:`plan_announcements`."""
    rows = [_row(SignalName.NOTE_ADDED, f"{NOTE_KEY}{note.pk}")]
    _plan(call, rows, using, deliver=deliver)
    return rows


def _plan(call: CallRecord, rows: list[Announcement], using: str, *, deliver: bool) -> None:
    """Leave the rows to a worker or to ``exotel_reconcile`` where :func:`send_announcements` shall not deliver them."""
    for row in rows:
        row.call, row.created_at = call, timezone.now()
    pending = _pending(rows)
    if pending and conf.get_settings().runner != "inline":
        _postpone(call, pending, timezone.now() + WORKER_GRACE)
        transaction.on_commit(partial(background.enqueue, "announce", call=call.pk), using=using, robust=True)
    elif not deliver:
        _postpone(call, pending, timezone.now())


def send_announcements(call: CallRecord, event: CallEvent | None, rows: list[Announcement], using: str) -> None:
    """Call the receivers of what :func:`plan_announcements` has returned, and save it. The call is saved already.

    ``event`` caused the change, and is saved; None in a replay, and for a note.
    """
    if not rows:
        return
    for row in rows:
        row.event = event
    pending = [row for row in _pending(rows) if row.next_try_at is None]
    if pending:
        deliver_now(pending, call, event, using)
        if _update_plan(call, pending):
            call.save(using=using, update_fields=["announce_at", "next_check_at"])
    insert(rows, using)


def _changes(before: Registers, after: Registers, changed: list[str]) -> Iterator[Announcement]:
    was, now = _phase(before), _phase(after)
    if was < _ACCEPTED <= now:
        yield _row(SignalName.CALL_ACCEPTED, "accepted")
    if was < _REFUSED == now:
        yield _row(SignalName.CALL_REFUSED, "refused")
    if "answered_seen" in after and "answered_seen" not in before:
        row = _row(SignalName.CALL_ANSWERED, "answered")
        if now == _ENDED:
            row.state = AnnouncementState.SUPERSEDED
        yield row
    if was < _ENDED == now:
        yield _row(SignalName.CALL_ENDED, "ended")
    for recording in sorted((after.get("recordings") or {}).keys() - (before.get("recordings") or {}).keys()):
        yield _row(SignalName.RECORDING_READY, f"recording:{recording_id(recording)}")
    if was == _ENDED:
        yield from _update(after, changed)


def _update(after: Registers, changed: list[str]) -> Iterator[Announcement]:
    later = [name for name in changed if name != "recording_url"]
    if later:
        yield _row(SignalName.CALL_UPDATED, f"updated:{_digest(json.dumps(after, sort_keys=True))}", later)


def _row(signal: SignalName, key: str, changed: list[str] | None = None) -> Announcement:
    return Announcement(signal=signal, key=key, state=AnnouncementState.PENDING, changed=changed or [])


def _not_sent(rows: list[Announcement], sent: set[str], call: CallRecord, changed: list[str]) -> Iterator[Announcement]:
    """Yield the rows whose key was not sent before.

    If facts were taken back, the call may have been announced as ended too early. Its true end is then an update.
    """
    for row in rows:
        if row.key not in sent:
            if row.key == "answered" and "ended" in sent:
                row.state = AnnouncementState.SUPERSEDED
            yield row
        elif row.key == "ended" and call.was_rebuilt:
            yield from (update for update in _update(call.facts, changed) if update.key not in sent)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _phase(facts: Registers) -> int:
    return int((facts.get("phase") or [0])[0])


def _pending(rows: list[Announcement]) -> list[Announcement]:
    return [row for row in rows if row.state == AnnouncementState.PENDING]


def _postpone(call: CallRecord, rows: list[Announcement], until: datetime.datetime) -> None:
    """Leave the rows to a worker, and to ``exotel_reconcile`` from ``until`` on."""
    for row in rows:
        row.next_try_at = until
    _update_plan(call, rows)


def _update_plan(call: CallRecord, rows: list[Announcement]) -> bool:
    """Plan ``exotel_reconcile`` for when the first of the rows is due. Return False if none ever is. Save nothing."""
    due = [row.next_try_at for row in rows if row.next_try_at is not None]
    if due:
        call.announce_at = min([*due, call.announce_at] if call.announce_at is not None else due)
        call.update_next_check()
    return bool(due)
