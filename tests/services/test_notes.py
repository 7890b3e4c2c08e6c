"""Notes about calls: what is kept, what is refused, and that receivers hear of each once."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from django_exotel_ccm import background, signals
from django_exotel_ccm.choices import AnnouncementState
from django_exotel_ccm.exceptions import ExotelCCMError, InvalidFollowUp, InvalidNote
from django_exotel_ccm.models import Announcement, CallNote, CallRecord, Disposition, FollowUp
from django_exotel_ccm.services import add_note
from django_exotel_ccm.services.announcements.dispatch import deliver_pending, retry_now
from django_exotel_ccm.services.reconciliation.reconcile import reconcile
from tests.factories import Calls
from tests.helpdesk.models import Ticket

Connect = Callable[..., None]
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def asha(transactional_db: None) -> User:
    return User.objects.create_user("asha")


@pytest.fixture
def call(real_calls: Calls) -> CallRecord:
    ticket = Ticket.objects.create(subject="Fan")
    return real_calls.requested(ticket=ticket, ticket_label="Fan", state="ended")


@pytest.fixture
def reached(transactional_db: None) -> Disposition:
    return Disposition.objects.create(code="reached", label="Reached", means="reached")


@pytest.fixture
def received(receivers: Connect) -> list[dict[str, Any]]:
    """The arguments of each ``note_added``."""
    made: list[dict[str, Any]] = []
    receivers(signals.note_added, lambda **kwargs: made.append(kwargs), dispatch_uid="received")
    return made


def test_note_is_kept_with_its_author(call: CallRecord, asha: User, reached: Disposition) -> None:
    note = add_note(call, author=asha, text=" Sends the\r\naddress. ", disposition=reached)

    stored = call.notes.get()
    assert stored == note
    assert (stored.author, stored.author_label, stored.disposition) == (asha, "asha", reached)
    assert stored.text == "Sends the\naddress."
    asha.delete()
    stored.refresh_from_db()
    assert (stored.author, stored.author_label) == (None, "asha")


def test_note_is_kept_though_the_number_is_not_valid_any_more(call: CallRecord, asha: User) -> None:
    asked = Disposition.objects.create(code="asked", label="Asked not to be called", means="do_not_call")
    CallRecord.objects.update(customer_number="+911234")

    add_note(call, author=asha, disposition=asked)

    assert call.notes.get().disposition == asked


def test_receivers_hear_of_each_note_once(call: CallRecord, asha: User, received: list[dict[str, Any]]) -> None:
    notes = [add_note(call, author=asha, text=text) for text in ("one", "other")]
    deliver_pending(call.pk)
    reconcile()

    assert [arguments["note"] for arguments in received] == notes
    first = received[0]
    assert (first["call"], first["ticket"], first["sender"]) == (call, Ticket.objects.get(), Ticket)
    assert (first["event"], first["note"].text) == (None, "one")
    assert set(Announcement.objects.values_list("key", "state")) == {
        (f"note:{note.pk}", AnnouncementState.DONE) for note in notes
    }


def test_failed_receiver_is_called_again(call: CallRecord, asha: User, receivers: Connect) -> None:
    broken, called = [True], []

    def receive(note: CallNote, ticket: Ticket, **kwargs: Any) -> None:
        ticket.notes += note.text
        ticket.save(update_fields=["notes"])
        called.append(note.text)
        if broken:
            raise LookupError("the mail server is gone")

    receivers(signals.note_added, receive, sender=Ticket)
    add_note(call, author=asha, text="Angry.")
    call.refresh_from_db()
    assert call.next_check_at is not None
    assert Ticket.objects.get().notes == ""
    broken.clear()
    retry_now(Announcement.objects.get().pk)
    reconcile()

    assert called == ["Angry.", "Angry."]
    assert Ticket.objects.get().notes == "Angry."


jobs: list[tuple[str, dict[str, Any]]] = []


def take_job(name: str, arguments: dict[str, Any]) -> None:
    """A runner that keeps its jobs."""
    jobs.append((name, arguments))


def test_worker_delivers(call: CallRecord, asha: User, received: list[Any], settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RUNNER": f"{__name__}.take_job"}
    jobs.clear()
    add_note(call, author=asha, text="one")
    call.refresh_from_db()
    assert received == []
    assert call.announce_at is not None  # a lost job is found by exotel_reconcile

    for name, arguments in jobs:
        background.run_job(name, arguments)

    assert [arguments["note"].text for arguments in received] == ["one"]


def test_receiver_of_the_end_may_write_a_note(
    real_calls: Calls, receivers: Connect, received: list[dict[str, Any]]
) -> None:
    receivers(signals.call_ended, lambda call, **kwargs: add_note(call, author=None, text="Missed."))
    call = real_calls.accepted()

    real_calls.deliver(call, '{"event_details": {"event_type": "terminal"}, "call_details": {}}')

    assert [(note.text, note.author_label) for note in CallNote.objects.all()] == [("Missed.", "")]
    assert [arguments["note"].text for arguments in received] == ["Missed."]


def test_note_is_undone_with_the_hosts_transaction(call: CallRecord, asha: User) -> None:
    with transaction.atomic():
        add_note(call, author=asha, text="one")
        transaction.set_rollback(True)

    assert (CallNote.objects.count(), Announcement.objects.count()) == (0, 0)


# Once.


def test_same_press_writes_one_note(call: CallRecord, asha: User, received: list[Any]) -> None:
    ravi = User.objects.create_user("ravi")
    due = timezone.now() + HOUR
    first = add_note(call, author=asha, text="one", follow_up_at=due, request_key="a")

    assert add_note(call, author=asha, text="one", follow_up_at=due + HOUR, request_key="a") == first
    assert FollowUp.objects.count() == len(received) == 1
    others = [
        add_note(call, author=asha, text="one, and more", request_key="a"),
        add_note(call, author=asha, text="one", request_key="b"),
        add_note(call, author=ravi, text="one", request_key="a"),
        add_note(call, author=asha, text="one"),
        add_note(call, author=asha, text="one"),
    ]
    assert len({first, *others}) == len(received) == 6


# What is refused.


def refused(call: CallRecord, **arguments: Any) -> str:
    """Return what is said of a note that is not written."""
    with pytest.raises((InvalidNote, InvalidFollowUp)) as raised:
        add_note(call, **arguments)
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, ExotelCCMError)
    assert (CallNote.objects.count(), FollowUp.objects.count(), Announcement.objects.count()) == (0, 0, 0)
    return str(raised.value)


@pytest.mark.parametrize("text", ["", " \r\n\t ", "\0", "\ud800"])
def test_empty_note(text: str, call: CallRecord, asha: User) -> None:
    assert "nothing to save" in refused(call, author=asha, text=text)


def test_long_note(call: CallRecord, asha: User) -> None:
    assert "1000000 characters, and at most 10000" in refused(call, author=asha, text="x" * 1_000_000)
    assert add_note(call, author=asha, text="x" * 10_000).text == "x" * 10_000


def test_what_no_database_keeps_is_dropped(call: CallRecord, asha: User) -> None:
    add_note(call, author=asha, text="<b>so\0\ud800</b> \U0001f4de नमस्ते")

    assert call.notes.get().text == "<b>so</b> \U0001f4de नमस्ते"


def test_disposition_that_was_switched_off(call: CallRecord, asha: User, reached: Disposition) -> None:
    Disposition.objects.update(is_active=False)
    assert '"Reached" is not offered any more' in refused(call, author=asha, text="one", disposition=reached)
    Disposition.objects.all().delete()
    assert "not offered any more" in refused(call, author=asha, text="one", disposition=reached)


def test_erased_customer(call: CallRecord, asha: User) -> None:
    CallRecord.objects.update(erased_at=timezone.now())

    assert "erased on request" in refused(call, author=asha, text="one")


@pytest.mark.parametrize(
    ("ahead", "said"), [(-HOUR, "over already"), (HOUR * 24 * 4000, "too far away")], ids=["past", "far"]
)
def test_moment_of_a_follow_up(ahead: datetime.timedelta, said: str, call: CallRecord, asha: User) -> None:
    assert said in refused(call, author=asha, text="one", follow_up_at=timezone.now() + ahead)


def test_naive_moment(call: CallRecord, asha: User) -> None:
    naive = datetime.datetime.now() + HOUR  # noqa: DTZ005 - that is the mistake
    assert "has to be aware" in refused(call, author=asha, text="one", follow_up_at=naive)


def test_follow_up_of_nobody(call: CallRecord) -> None:
    assert "needs an author" in refused(call, author=None, text="one", follow_up_at=timezone.now() + HOUR)


@pytest.mark.parametrize("arguments", [{"text": None}, {"disposition": "reached"}, {"follow_up_at": "tomorrow"}])
def test_wrong_types(arguments: dict[str, Any], call: CallRecord, asha: User) -> None:
    with pytest.raises(TypeError):
        add_note(call, author=asha, **{"text": "one", **arguments})


def test_call_that_is_gone(call: CallRecord, asha: User) -> None:
    CallRecord.objects.all().delete()

    with pytest.raises(CallRecord.DoesNotExist):
        add_note(call, author=asha, text="one")


# Dispositions.


@pytest.mark.django_db
def test_starter_set_is_added_once() -> None:
    assert Disposition.objects.add_starter_set() == 6
    labels = [one.label for one in Disposition.objects.offered()]
    assert labels[:3] == ["Reached", "Asked to be called later", "No answer"]
    Disposition.objects.filter(code="voicemail").delete()

    assert Disposition.objects.add_starter_set() == 0
    assert not Disposition.objects.filter(code="voicemail").exists()


@pytest.mark.django_db
def test_offered_dispositions_are_sorted() -> None:
    for code, position, is_active in [("c", 2, True), ("a", 3, True), ("b", 2, True), ("d", 1, False)]:
        Disposition.objects.create(code=code, label=code, position=position, is_active=is_active)

    assert [one.code for one in Disposition.objects.offered()] == ["c", "b", "a"]
