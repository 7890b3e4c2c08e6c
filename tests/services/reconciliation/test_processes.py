"""Reconcilers as processes: several at once, stopped by signals, killed; and what the command prints."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from django_exotel_ccm.choices import State
from django_exotel_ccm.models import CallEvent, CallRecord
from django_exotel_ccm.services.reconciliation import reconcile as reconcile_module
from django_exotel_ccm.services.reconciliation.reconcile import Report, reconcile_forever
from django_exotel_ccm.services.scheduling import CLAIM
from django_exotel_ccm.simulator import Simulator
from tests.services.reconciliation.due_calls import make_due, requested_sids
from tests.subprocesses import child

COMMAND = ("-m", "django", "exotel_reconcile")

Silent = Callable[[int], list[CallRecord]]


def states() -> set[str]:
    return set(CallRecord.objects.values_list("state", flat=True))


def test_two_reconcilers_check_each_call_once(silent: Silent, exotel: Simulator) -> None:
    calls = silent(30)

    with contextlib.ExitStack() as children:
        processes = [children.enter_context(child(*COMMAND)) for _number in range(2)]
        texts = [process.communicate(timeout=60)[0] for process in processes]

    assert [process.returncode for process in processes] == [0, 0], texts
    assert Counter(requested_sids(exotel)) == {call.call_sid: 1 for call in calls}
    assert states() == {State.ENDED}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_after_the_call_in_hand(number: signal.Signals, silent: Silent, exotel: Simulator) -> None:
    calls = silent(3)

    with child(*COMMAND, "--forever", "--every=0.1") as process:
        exotel.clock.wait_until(float("inf"), unless=lambda: len(requested_sids(exotel)) == len(calls))
        process.send_signal(number)
        text, _errors = process.communicate(timeout=20)

    assert process.returncode == 0, text
    assert "calls checked: 3, requests to Exotel: 3, found ended: 3" in text
    assert states() == {State.ENDED}


INTERRUPTED = """
import os, signal
import django
django.setup()
from django_exotel_ccm.management.stopping import stop_on_signal
with stop_on_signal() as stop:
    with stop._cond:
        os.kill(os.getpid(), signal.SIGTERM)
    print("stopped" if stop.wait(10) else "went on")
"""


def test_signal_at_the_start_of_the_pause_stops() -> None:
    with child("-c", INTERRUPTED) as process:
        text, _errors = process.communicate(timeout=20)

    assert text == "stopped\n"


def test_claim_of_a_killed_reconciler_runs_out(silent: Silent, exotel: Simulator) -> None:
    (call,) = silent(1)
    exotel.options.details_fault = "hang"

    with child(*COMMAND) as process:
        exotel.clock.wait_until(float("inf"), unless=lambda: len(requested_sids(exotel)) == 1)
        process.kill()
        assert process.wait(20) == -signal.SIGKILL
    call.refresh_from_db()
    assert call.state == State.ACTIVE
    assert timezone.now() < call.next_check_at < timezone.now() + CLAIM

    exotel.options.details_fault = "none"
    make_due()  # the claim runs out
    call_command("exotel_reconcile", verbosity=0)

    call.refresh_from_db()
    assert (call.state, call.outcome) == (State.ENDED, "completed")


def test_command_prints_its_report(silent: Silent, exotel: Simulator) -> None:
    silent(2)

    def run() -> str:
        out = io.StringIO()
        call_command("exotel_reconcile", stdout=out)
        return out.getvalue().partition(" ")[2].strip()

    assert run() == "calls checked: 2, requests to Exotel: 2, found ended: 2."
    assert run() == "Nothing is due."
    silent(1)
    exotel.options.details_fault = "bad_gateway"
    assert run() == "calls checked: 1, requests to Exotel: 1, of them without a usable answer: 1."


@pytest.mark.parametrize("every", ["0", "nan", "inf"])
def test_command_refuses_other_pauses(db: None, every: str) -> None:
    with pytest.raises(CommandError, match="--every=10"):
        call_command("exotel_reconcile", "--forever", f"--every={every}")


def test_failed_pass_is_not_the_last(
    silent: Silent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    silent(1)
    away = iter([OperationalError("server closed the connection")] * 2)
    stop, real = threading.Event(), reconcile_module.reconcile

    def reconcile(**options: Any) -> Report:
        for error in away:
            raise error
        return real(**options)

    monkeypatch.setattr(reconcile_module, "reconcile", reconcile)
    reconcile_forever(stop, every=0.01, done=lambda report: stop.set())

    assert states() == {State.ENDED}
    assert caplog.text.count("A pass of exotel_reconcile failed; the next one is in 0 s.") == 2


def test_error_in_one_call_does_not_stop_the_others(
    silent: Silent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _first, second, _third = silent(3)
    real = reconcile_module.record_event

    def record(event: CallEvent, **options: Any) -> CallEvent:
        if event.reference == second.reference:
            raise RuntimeError("a bug of ours")
        return real(event, **options)

    monkeypatch.setattr(reconcile_module, "record_event", record)
    report = reconcile_module.reconcile()

    assert (report.calls, report.ended, report.errors) == (3, 2, 1)
    second.refresh_from_db()
    assert second.state == State.ACTIVE
    assert second.next_check_at is not None
    assert "a bug of ours" in caplog.text
