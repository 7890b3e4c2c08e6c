"""After ``exotel_erase``: later callbacks, announcements and calls, interrupted runs, and the admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse

from django_exotel_ccm import signals
from django_exotel_ccm.choices import AnnouncementState, EventReason, State
from django_exotel_ccm.management import progress
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from django_exotel_ccm.services import place_call, privacy
from django_exotel_ccm.services.announcements.dispatch import deliver_pending, retry_now
from tests.admin.pages import LEDGER, SEES_CALLS, SEES_NUMBERS, Session
from tests.factories import Calls, body_of, record_callback
from tests.management.conftest import CUSTOMER, Erase, assert_nothing_left, record
from tests.management.test_erase import ACCOUNT_URL, NAMES_CUSTOMER, RECORDING, Complete, Run, differs, stored


def test_later_callback_is_stored_without_the_customer(
    real_calls: Calls, run: Run, erase: Erase, receivers: Callable[..., None]
) -> None:
    received: list[str] = []
    for name in ("call_ended", "recording_ready"):
        receivers(getattr(signals, name), lambda name=name, **kwargs: received.append(name), dispatch_uid=name)
    call = real_calls.accepted(customer_number=CUSTOMER)
    erase()

    for _twice in range(2):
        body = body_of(**NAMES_CUSTOMER, total_talk_time=42, call_status="completed")
        assert real_calls.deliver(call, body).status_code == 200

    assert_nothing_left()
    assert CallEvent.objects.get(kind="callback").purged_at is not None
    after = record(call)
    assert (after["state"], after["outcome"], after["talk_time"]) == ("ended", "completed", 42)
    assert (after["customer_number"], after["recording_url"]) == ("", "")
    assert received == ["call_ended"]
    assert run("exotel_replay").status == 0


def test_repeated_callback_is_known_after_erasure(real_calls: Calls, erase: Erase) -> None:
    call = real_calls.accepted(customer_number=CUSTOMER)
    real_calls.deliver(call, body_of(**NAMES_CUSTOMER))
    erase()

    assert real_calls.deliver(call, body_of(**NAMES_CUSTOMER)).status_code == 200

    assert CallEvent.objects.filter(kind="callback").count() == 1
    assert_nothing_left()


def test_event_linked_later_is_redacted(real_calls: Calls, run: Run, erase: Erase) -> None:
    call = real_calls.accepted(customer_number=CUSTOMER)
    erase()
    raw = body_of(**NAMES_CUSTOMER, total_talk_time=42)
    stored(raw, reference=call.reference, event="terminal", reason=EventReason.UNKNOWN_CALL)

    run("exotel_replay", "--apply")

    assert_nothing_left()
    assert CallRecord.objects.get().talk_time == 42


def test_later_failure_of_a_receiver_is_masked(real_calls: Calls, erase: Erase, receivers: Callable[..., None]) -> None:
    def quote_the_ticket(**kwargs: Any) -> None:
        raise RuntimeError(f"{CUSTOMER} has not bought {RECORDING}")

    identity = "https://crm.example.com/receivers/20260211"
    receivers(signals.call_ended, quote_the_ticket, dispatch_uid=identity)
    call = real_calls.accepted(customer_number=CUSTOMER)
    erase()
    record_callback(call, "terminal", status="completed")

    announced = Announcement.objects.get(signal="call_ended")
    deliver_pending(retry_now(announced.pk))

    [delivery] = Announcement.objects.get(pk=announced.pk).receivers
    assert (delivery["receiver"], delivery["attempts"]) == (identity, 2)
    assert "has not bought https://recordings.exotel.com/[…]" in delivery["error"]
    assert_nothing_left()


def test_recording_not_announced_yet_stays_so(real_calls: Calls, erase: Erase) -> None:
    call = real_calls.accepted(customer_number=CUSTOMER)
    record_callback(call, "terminal", status="completed", recordings=(RECORDING,))
    Announcement.objects.filter(signal__in=["recording_ready", "call_ended"]).update(state=AnnouncementState.FAILED)

    erase()

    states = dict(Announcement.objects.values_list("signal", "state"))
    assert (states["recording_ready"], states["call_ended"]) == ("superseded", "failed")


@differs
def test_erased_customer_can_be_called_again(host: Any, exotel: Any, run: Run) -> None:
    exotel.speed = 500.0
    agent = host.agent()
    once = place_call(agent=agent, to=CUSTOMER, request_key="reminder 1")
    exotel.wait_until_quiet(timeout=20)
    run("exotel_erase", CUSTOMER, "--apply")

    again = place_call(agent=agent, to=CUSTOMER, request_key="reminder 1")
    new = place_call(agent=agent, to=CUSTOMER, request_key="reminder 2")

    assert again.pk == once.pk
    assert (new.pk != once.pk, new.state, new.customer_number) == (True, State.ACTIVE, CUSTOMER)
    assert len(exotel.book.calls) == 2


# The command and the admin.


def test_next_run_continues_after_an_interruption(
    real_calls: Calls, run: Run, erase: Erase, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [real_calls.accepted(f"sid{n}", customer_number=CUSTOMER) for n in range(3)]
    for call in calls:
        record_callback(call, "terminal", customer_number=CUSTOMER, recordings=(RECORDING,))
    stored(RECORDING.encode(), facts={"call_sid": "sid0", "recordings": [RECORDING]}, **ACCOUNT_URL)
    rebuild = privacy.rebuild

    def interrupted(call: CallRecord, *arguments: Any) -> Any:
        changed = rebuild(call, *arguments)
        if call.pk == calls[1].pk:
            raise KeyboardInterrupt
        return changed

    monkeypatch.setattr(privacy, "rebuild", interrupted)
    printed = run("exotel_erase", CUSTOMER, "--apply")
    monkeypatch.undo()

    assert (printed.status, "run it again to go on" in printed.err) == (130, True)
    assert [record(call)["customer_number"] for call in calls] == ["", CUSTOMER, CUSTOMER]
    assert [record(call)["recording_url"] for call in calls] == ["", RECORDING, RECORDING]
    assert erase() == "2 calls, 2 with a recording; 4 events of theirs; 1 other event."


def test_long_run_reports_progress(real_calls: Calls, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy, "BATCH", 1)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    for n in range(2):
        real_calls.accepted(f"sid{n}", customer_number=CUSTOMER)

    printed = run("exotel_erase", CUSTOMER)

    assert printed.err.splitlines()[0] == "So far: 1 call, 0 with a recording; 1 event of theirs; 0 other events."


@differs
def test_admin_says_that_the_customer_was_erased(host: Any, complete_call: Complete, run: Run) -> None:
    call = complete_call(ticket=host.ticket(phone=CUSTOMER))
    run("exotel_erase", CUSTOMER, "--apply")
    may = ("helpdesk.view_ticket", SEES_CALLS, SEES_NUMBERS, *LEDGER)
    session = Session(host.user("meera", *may, agent=None))

    listed = session.get(reverse("admin:exotel_ccm_callrecord_changelist"))
    page = session.get(reverse("admin:exotel_ccm_callrecord_change", args=[call.pk]))
    event = session.get(reverse("admin:exotel_ccm_callevent_change", args=[call.events.order_by("-pk")[0].pk]))

    assert "erased" in listed.html.partition("<tbody>")[2]
    assert "erased" in page.text
    assert "Talked for 42 s" in page.text
    assert "emptied on" in event.text
