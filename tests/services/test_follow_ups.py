"""Follow-ups: who is called back when, and which call settles it, in whatever order calls become known."""

from __future__ import annotations

import datetime
import itertools
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone

from django_exotel_ccm.choices import EventKind
from django_exotel_ccm.exceptions import InvalidFollowUp, InvalidNote
from django_exotel_ccm.exotel.calls import CallFacts
from django_exotel_ccm.exotel.values import Moment
from django_exotel_ccm.models import CallEvent, CallRecord, FollowUp
from django_exotel_ccm.services import add_note, complete_follow_up, move_calls, record_event, schedule_follow_up
from django_exotel_ccm.services.replay import replay
from tests.factories import Calls, record_callback
from tests.helpdesk.models import Customer, Lead, Ticket

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def asha(transactional_db: None) -> User:
    return User.objects.create_user("asha")


@pytest.fixture
def ticket(transactional_db: None) -> Ticket:
    return Ticket.objects.create(subject="Fan")


@pytest.fixture
def follow_up(asha: User, ticket: Ticket) -> FollowUp:
    return schedule_follow_up(ticket=ticket, due_at=timezone.now() + HOUR, assigned_to=asha, text="After lunch")


def call_about(ticket: Any, *, after: datetime.timedelta = HOUR, **fields: Any) -> CallRecord:
    """Return a call that is placed so long after now."""
    return Calls(None).requested(ticket=ticket, created_at=timezone.now() + after, **fields)  # type: ignore[arg-type]


def ended(call: CallRecord, talk_time: int | None) -> CallEvent:
    return record_callback(call, "terminal", status="completed", talk_time=talk_time)


def settled_by(follow_up: FollowUp) -> CallRecord | None:
    follow_up.refresh_from_db()
    assert (follow_up.done_at is None) == (follow_up.done_by is None)
    return follow_up.done_by


def test_scheduled_follow_up(follow_up: FollowUp, asha: User, ticket: Ticket) -> None:
    stored = FollowUp.objects.of_user(asha).get()

    assert (stored.ticket, stored.ticket_label, stored.assigned_to_label) == (ticket, "Fan", "asha")
    assert (stored.text, stored.call, stored.done_at) == ("After lunch", None, None)
    assert FollowUp.objects.about(ticket).open().get() == stored
    assert not FollowUp.objects.due(timezone.now()).exists()
    assert list(FollowUp.objects.due(timezone.now() + 2 * HOUR)) == [stored]


def test_note_schedules_for_its_author(asha: User, ticket: Ticket) -> None:
    call = call_about(ticket, after=-HOUR, ticket_label="Fan")
    due_at = timezone.now() + HOUR

    add_note(call, author=asha, text="After lunch", follow_up_at=due_at)

    stored = FollowUp.objects.get()
    assert (stored.ticket, stored.ticket_label, stored.call, stored.text) == (ticket, "Fan", call, "After lunch")
    assert (stored.assigned_to, stored.due_at) == (asha, due_at)


def test_refused_follow_ups(asha: User, ticket: Ticket) -> None:
    later = timezone.now() + HOUR
    erased, stale = call_about(ticket, erased_at=timezone.now()), call_about(ticket)
    CallRecord.objects.filter(pk=stale.pk).update(erased_at=timezone.now())  # since it was loaded
    of_another = call_about(Lead.objects.create(name="Meera"))
    wrong: list[tuple[type[Exception], dict[str, Any]]] = [
        (InvalidFollowUp, {"due_at": timezone.now() - HOUR}),
        (InvalidNote, {"text": "x" * 1_000_000}),
        (InvalidNote, {"call": erased}),
        (InvalidNote, {"call": stale}),
        (ValueError, {"call": of_another}),
        (CallRecord.DoesNotExist, {"call": CallRecord(ticket=ticket)}),
        (ValueError, {"ticket": Ticket()}),
        (ValueError, {"assigned_to": None}),
        (ImproperlyConfigured, {"ticket": Customer.objects.create()}),
    ]
    for error, arguments in wrong:
        with pytest.raises(error):
            schedule_follow_up(**{"ticket": ticket, "due_at": later, "assigned_to": asha, **arguments})
    assert not FollowUp.objects.exists()


def test_call_after_which_it_was_noted(asha: User, ticket: Ticket) -> None:
    about_it = call_about(ticket)
    about_none = Calls(None).requested()  # type: ignore[arg-type]
    for call in (about_it, about_none):
        with transaction.atomic():
            noted = schedule_follow_up(ticket=ticket, due_at=timezone.now() + HOUR, assigned_to=asha, call=call)
        assert FollowUp.objects.get(pk=noted.pk).call == call


# What settles them.


def test_conversation_settles(follow_up: FollowUp, ticket: Ticket) -> None:
    call = call_about(ticket)
    record_callback(call, "answered")
    assert settled_by(follow_up) is None

    ended(call, 42)

    assert settled_by(follow_up) == call
    assert follow_up.done_at == call.created_at


def test_other_calls_do_not_settle(follow_up: FollowUp, ticket: Ticket) -> None:
    ended(call_about(ticket), 0)
    ended(call_about(ticket), None)
    ended(call_about(ticket, after=-HOUR), 42)  # placed before the follow-up was noted
    ended(call_about(Lead.objects.create(name="Meera")), 42)
    ended(Calls(None).requested(created_at=timezone.now() + HOUR), 42)  # type: ignore[arg-type]

    assert settled_by(follow_up) is None


def test_call_does_not_settle_the_follow_up_noted_after_it(asha: User, ticket: Ticket) -> None:
    call = call_about(ticket, after=-HOUR)
    add_note(call, author=asha, follow_up_at=timezone.now() + HOUR)
    ended(call, 42)

    assert settled_by(FollowUp.objects.get()) is None


def test_what_was_marked_as_done_stays_so(follow_up: FollowUp, ticket: Ticket) -> None:
    done_at = timezone.now() + 2 * HOUR
    FollowUp.objects.update(done_at=done_at)
    ended(call_about(ticket), 42)

    follow_up.refresh_from_db()
    assert (follow_up.done_at, follow_up.done_by) == (done_at, None)


def settled_details(call: CallRecord, talk_time: int) -> None:
    """Record Call Details from long after the end, which are believed before callbacks."""
    ended_at = Moment(timezone.now() - HOUR, zoned=True)
    event = CallEvent(
        kind=EventKind.DETAILS,
        authentication="credentials",
        reference=call.reference,
        received_at=timezone.now(),
        raw=b"details",
    )
    event.parsed = CallFacts(status="completed", talk_time=talk_time, ended_at=ended_at)
    record_event(event)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_every_order_settles_the_same(order: tuple[int, ...], follow_up: FollowUp, ticket: Ticket) -> None:
    denied, first, later = (call_about(ticket, after=hours * HOUR) for hours in (1, 2, 3))
    news = [
        lambda: ended(denied, 42),
        lambda: settled_details(denied, 0),  # Call Details say that nobody talked
        lambda: ended(first, 7),
        lambda: ended(later, 9),
    ]
    for number in order:
        news[number]()
        news[number]()

    denied.refresh_from_db()
    assert denied.talk_time == 0
    assert settled_by(follow_up) == first
    assert follow_up.done_at == first.created_at


def test_replay_settles_again(follow_up: FollowUp, ticket: Ticket) -> None:
    call = call_about(ticket)
    ended(call, 42)
    FollowUp.objects.update(done_at=None, done_by=None)
    CallRecord.objects.update(talk_time=None, facts={})  # as a restored backup has it

    assert any(differences for _looked, differences in replay(CallRecord.objects.all(), apply=True))
    assert settled_by(follow_up) == call


def test_follow_up_is_reopened(follow_up: FollowUp, ticket: Ticket) -> None:
    call = call_about(ticket)
    ended(call, 42)
    settled_details(call, 0)

    assert settled_by(follow_up) is None


# Moving.


def test_conversation_settles_what_moves_to_its_ticket(follow_up: FollowUp, ticket: Ticket, asha: User) -> None:
    lead = Lead.objects.create(name="Meera")
    ended(call_about(lead, after=-HOUR), 42)
    first, second = call_about(lead, after=HOUR), call_about(lead, after=2 * HOUR)
    for call in (second, first):
        ended(call, 42)

    move_calls(ticket, lead)

    assert settled_by(follow_up) == first
    assert follow_up.done_at == first.created_at


def test_moved_conversation_settles_what_its_new_ticket_has(follow_up: FollowUp, ticket: Ticket) -> None:
    lead = Lead.objects.create(name="Meera")
    later, first = call_about(ticket, after=2 * HOUR), call_about(lead)
    for call in (later, first):
        ended(call, 42)
    assert settled_by(follow_up) == later

    move_calls(lead, ticket)

    assert settled_by(follow_up) == first  # the first one counts, as if all had been about one ticket


def test_moving_settles_nothing_else(follow_up: FollowUp, ticket: Ticket, asha: User) -> None:
    lead = Lead.objects.create(name="Meera")
    ended(call_about(lead, after=-HOUR), 42)
    ended(call_about(lead), 0)
    by_hand = schedule_follow_up(ticket=lead, due_at=timezone.now() + HOUR, assigned_to=asha)
    complete_follow_up(by_hand)
    ended(call_about(lead, after=2 * HOUR), None)

    move_calls(ticket, lead)

    assert settled_by(follow_up) is None
    by_hand.refresh_from_db()
    assert by_hand.done_by is None


def test_follow_ups_and_notes_move_with_the_calls(asha: User, ticket: Ticket) -> None:
    lead = Lead.objects.create(name="Meera")
    call = call_about(ticket, after=-HOUR, ticket_label="Fan")
    add_note(call, author=asha, text="one", follow_up_at=timezone.now() + HOUR)

    move_calls(ticket, lead)

    moved = FollowUp.objects.get()
    assert (moved.ticket, moved.ticket_label) == (lead, "Meera")
    assert [note.text for one in CallRecord.objects.about(lead) for note in one.notes.all()] == ["one"]
    late = call_about(lead)
    ended(late, 42)
    assert settled_by(moved) == late
