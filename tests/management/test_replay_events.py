"""``exotel_replay`` links events that came before their call, and ignores calls that change meanwhile."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from django_exotel_ccm.choices import EventReason
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services import replay as replay_module
from tests.factories import SID, Calls, body_of, record_callback
from tests.management.conftest import record
from tests.management.test_replay import Run

# Events from before their call was known.


def restore_call(real_calls: Calls, *bodies: tuple[str, bytes]) -> CallRecord:
    """Deliver bodies to a call that is not in the database, then save the call and return it."""
    call = CallRecord(reference=uuid.uuid4(), account="default", created_at=timezone.now())
    for event, body in bodies:
        assert real_calls.deliver(call, body, event).status_code == 200
    assert set(CallEvent.objects.values_list("reason", "call")) == {("unknown_call", None)}
    call.save()
    return call


def test_events_of_an_unknown_call_are_linked(real_calls: Calls, run: Run, received: list[Any]) -> None:
    call = restore_call(real_calls, ("answered", body_of("answered")), ("terminal", body_of(call_status="busy")))
    events = list(CallEvent.objects.order_by("pk"))

    dry = run("exotel_replay")

    assert dry.status == 1
    assert f"{call.reference}  event {events[1].pk}: unknown_call -> applied" in dry.lines
    assert f'{call.reference}  outcome: "" -> "busy"' in dry.lines
    assert {event.call_id for event in CallEvent.objects.all()} == {None}

    applied = run("exotel_replay", "--apply")

    assert applied.lines[:-1] == dry.lines[:-1]
    found = CallRecord.objects.get()
    assert (found.state, found.outcome, found.call_sid) == ("ended", "busy", SID)
    assert set(CallEvent.objects.values_list("reason", "call")) == {("", call.pk)}
    assert sorted(name for name, _event in received) == ["call_accepted", "call_ended"]
    assert run("exotel_replay").status == 0


def test_unreadable_event_of_an_unknown_call(real_calls: Calls, run: Run) -> None:
    restore_call(real_calls, ("terminal", b"<html>"))

    assert "unknown_call -> unreadable" in run("exotel_replay").out
    run("exotel_replay", "--apply")

    assert CallRecord.objects.get().state == "active"
    assert CallEvent.objects.get().reason == EventReason.UNREADABLE
    assert run("exotel_replay").status == 0


def test_event_with_foreign_sid_is_linked_not_applied(real_calls: Calls, run: Run) -> None:
    call = restore_call(real_calls, ("terminal", body_of(sid="foreign")))
    real_calls.answer(call, "active", {"call_sid": SID})

    assert "unknown_call -> another_call" in run("exotel_replay").out
    run("exotel_replay", "--apply")

    assert CallRecord.objects.get().state == "active"
    assert CallEvent.objects.get(kind="callback").reason == EventReason.ANOTHER_CALL
    assert run("exotel_replay").status == 0


def test_event_of_no_call_is_unchanged(real_calls: Calls, run: Run) -> None:
    foreign = CallRecord(reference=uuid.uuid4(), account="default")
    real_calls.deliver(foreign, body_of())
    real_calls.accepted()

    assert run("exotel_replay", "--apply").lines == ["1 call compared with its events: none differs."]
    assert CallEvent.objects.get(call=None).reason == EventReason.UNKNOWN_CALL


def test_edited_reason_is_rebuilt(real_calls: Calls, run: Run) -> None:
    call = real_calls.accepted()
    real_calls.deliver(call, body_of())
    whole = record(call)
    CallEvent.objects.filter(kind="callback").update(reason=EventReason.ANOTHER_CALL)
    key = CallEvent.objects.get(kind="callback").pk

    assert run("exotel_replay").lines[:-1] == [f"{call.reference}  event {key}: another_call -> applied"]
    run("exotel_replay", "--apply")

    assert CallEvent.objects.get(pk=key).reason == ""
    assert record(call) == whole


# While calls are written.


def test_call_written_meanwhile_is_not_reported(real_calls: Calls, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    call = real_calls.accepted()
    replay_facts = replay_module.replay_facts

    def written_meanwhile(*arguments: Any, **options: Any) -> Any:
        if not CallEvent.objects.filter(kind="callback").exists():
            record_callback(call, "terminal", status="completed", talk_time=42)
        return replay_facts(*arguments, **options)

    monkeypatch.setattr(replay_module, "replay_facts", written_meanwhile)

    printed = run("exotel_replay")

    assert printed.lines == ["1 call compared with its events: none differs."]
    assert CallRecord.objects.get().state == "ended"


def test_call_deleted_meanwhile_is_not_reported(real_calls: Calls, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real_calls.accepted()
    CallRecord.objects.update(facts={})
    monkeypatch.setattr(replay_module, "lock", lambda reference, using: None)

    assert run("exotel_replay").lines == ["1 call compared with its events: none differs."]


@pytest.mark.parametrize("options", [[], ["--apply"]])
def test_interrupted_run_leaves_every_call_whole(
    options: list[str], real_calls: Calls, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [real_calls.accepted(f"sid{n}") for n in range(3)]
    whole = [record(call) for call in calls]
    CallRecord.objects.update(facts={}, state="requested")
    damaged = [record(call) for call in calls]
    left = iter([None, KeyboardInterrupt])
    differences = replay_module._differences

    def break_off(replayed: Any, unlinked: Any) -> Any:
        yield from differences(replayed, unlinked)
        if connection.in_atomic_block and (stop := next(left)):
            raise stop

    monkeypatch.setattr(replay_module, "_differences", break_off)
    printed = run("exotel_replay", *options)
    monkeypatch.undo()

    assert printed.status == 130
    assert "run it again to go on" in printed.err
    assert [record(call) for call in calls] == [(whole if options else damaged)[0], *damaged[1:]]
    run("exotel_replay", "--apply")
    assert [record(call) for call in calls] == whole
