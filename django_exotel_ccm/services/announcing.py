"""Announcements: the host is told of each change of a call once, each receiver on its own."""

from __future__ import annotations

import datetime
import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from django.db import transaction
from django.utils import timezone

from django_exotel_ccm import background
from django_exotel_ccm.choices import AnnouncementState, SignalName, State
from django_exotel_ccm.lifecycle import PHASES, Registers
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services.committing import is_last_try
from django_exotel_ccm.services.fates import Ahead, failed, fates_of, new_fate, sum_up
from django_exotel_ccm.services.receivers import SLOW, Caller

logger = logging.getLogger("django_exotel_ccm.services")

GRACE = datetime.timedelta(minutes=1)  # a worker is faster than exotel_reconcile, unless it is lost


@dataclass(slots=True)
class _News:
    """One announcement to make: its signal, the key that makes it unique, and whether it comes too late."""

    signal: SignalName
    key: str
    changed: list[str] = field(default_factory=list)
    superseded: bool = False


def announce(
    call: CallRecord,
    event: CallEvent | None,
    *,
    before: Registers,
    changed: list[str],
    using: str,
    rebuilt: bool = False,
) -> None:
    """Send the signals for what changed in ``call.facts`` since ``before``, and keep what became of each receiver.

    Runs inside the transaction that changes the call, which is locked and saved. ``event`` is what brought the news,
    None in a replay; ``changed`` names the changed columns. When the call was ``rebuilt`` from its ledger, and for one
    of which strangers told too, what was announced earlier is looked up and not announced again. With a ``RUNNER`` the
    receivers are called by a worker instead, after the commit; and by ``exotel_reconcile`` when this is the last try to
    commit, which no receiver may spoil.
    """
    news = list(_news(before, call.facts, changed))
    if news and (rebuilt or "strangers" in call.facts):
        told = set(call.announcements.using(using).values_list("key", flat=True))
        news = [one for one in _corrected(news, told, call.facts, changed) if one.key not in told]
    if not news:
        return
    rows = [_row(call, event, one) for one in news]
    if not background.is_inline():
        _leave(rows, timezone.now() + GRACE)
        transaction.on_commit(partial(background.enqueue, "announce", call=call.pk), using=using, robust=True)
    elif is_last_try():
        _leave(rows, timezone.now())
    else:
        _tell(rows, call, event, using)
    _plan(call, rows, using)
    Announcement.objects.using(using).bulk_create(rows)


def _news(before: Registers, after: Registers, changed: list[str]) -> Iterator[_News]:
    was, now = _phase(before), _phase(after)
    accepted, refused, ended = (PHASES.index(state) for state in (State.ACTIVE, State.REFUSED, State.ENDED))
    if was < accepted <= now:
        yield _News(SignalName.CALL_ACCEPTED, "accepted")
    if was < refused == now:
        yield _News(SignalName.CALL_REFUSED, "refused")
    if "answered_seen" in after and "answered_seen" not in before:
        yield _News(SignalName.CALL_ANSWERED, "answered", superseded=now == ended)
    if was < ended == now:
        yield _News(SignalName.CALL_ENDED, "ended")
    for recording in sorted(set(after.get("recordings") or {}) - set(before.get("recordings") or {})):
        yield _News(SignalName.RECORDING_READY, f"recording:{_digest(recording)}")
    if was == ended:
        yield from _update(after, changed)


def _update(after: Registers, changed: list[str]) -> Iterator[_News]:
    later = [name for name in changed if name != "recording_url"]
    if later:
        yield _News(SignalName.CALL_UPDATED, f"updated:{_digest(json.dumps(after, sort_keys=True))}", changed=later)


def _corrected(news: list[_News], told: set[str], after: Registers, changed: list[str]) -> Iterator[_News]:
    """Yield the news of a call whose end may have been announced before it came true: by a stranger, or by mistake."""
    for one in news:
        if one.key == "ended" and one.key in told and "strangers" in after:
            yield from _update(after, changed)
        else:
            one.superseded |= one.key == "answered" and "ended" in told
            yield one


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _phase(facts: Registers) -> int:
    return int((facts.get("phase") or [0])[0])


def _row(call: CallRecord, event: CallEvent | None, news: _News) -> Announcement:
    return Announcement(
        call=call,
        event=event,
        signal=news.signal,
        key=news.key,
        state=AnnouncementState.SUPERSEDED if news.superseded else AnnouncementState.PENDING,
        changed=news.changed,
        created_at=timezone.now(),
    )


def _pending(rows: list[Announcement]) -> Iterator[Announcement]:
    return (row for row in rows if row.state == AnnouncementState.PENDING)


def _leave(rows: list[Announcement], until: datetime.datetime) -> None:
    """Leave the rows to whoever tells them first, at ``until`` at the latest."""
    for row in _pending(rows):
        row.next_try_at = until


def _tell(rows: list[Announcement], call: CallRecord, event: CallEvent | None, using: str) -> None:
    """Call every receiver that need not wait for news of earlier announcements."""
    caller = Caller(call, event, using)
    ahead = Ahead()
    if call.announce_at is not None:
        earlier = Announcement.objects.using(using).filter(call=call, next_try_at__isnull=False)
        if call.state == State.ENDED:
            # The end supersedes it, so nobody waits for it.
            earlier = earlier.exclude(signal=SignalName.CALL_ANSWERED)
        ahead = Ahead(earlier.order_by("pk"), until=call.announce_at)
    for row in _pending(rows):
        for identity, receiver in caller.receivers(row).items():
            fate = new_fate(identity)
            fates_of(row).append(fate)
            if ahead.until(fate) is not None:
                continue
            seconds = caller.tell(row, fate, receiver)
            if seconds > SLOW:
                logger.warning(
                    "Receiver %s of %s took %.1f s, and Exotel waits. Write "
                    '"RUNNER": "django_tasks" or "celery" in EXOTEL_CCM, and a worker calls it.',
                    identity,
                    row.signal,
                    seconds,
                )
            if not fate["told"]:
                failed(row, fate, timezone.now())
        sum_up(row, ahead, timezone.now())
        ahead.add(row)


def _plan(call: CallRecord, rows: list[Announcement], using: str) -> None:
    """Have the call looked after when the first of these rows is due."""
    due = [row.next_try_at for row in rows if row.next_try_at is not None]
    if not due:
        return
    call.announce_at = min([*due, call.announce_at] if call.announce_at is not None else due)
    call.plan()
    call.save(using=using, update_fields=["announce_at", "next_check_at"])
