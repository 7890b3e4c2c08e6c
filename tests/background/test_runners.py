"""RUNNER: a worker calls the receivers, and a lost job loses nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.db import OperationalError, connection
from django.utils import timezone

from django_exotel_ccm import background, signals
from django_exotel_ccm.choices import State
from django_exotel_ccm.models import Announcement, CallEvent, CallRecord
from tests.background.conftest import notes, state_of
from tests.subprocesses import python
from tests.webhooks.test_not_committed import failing

HERE = f"{__name__}.take"
SECRET = "redis://:s3cr3t-of-the-broker@127.0.0.1:6379/0"
taken: list[tuple[str, str]] = []


def take(name: str, arguments: dict[str, Any]) -> None:
    """A queue of the host's own."""
    assert not connection.in_atomic_block
    assert Announcement.objects.filter(state="pending").exists()  # committed, so a worker sees it
    taken.append((name, json.dumps(arguments)))


def at_once(name: str, arguments: dict[str, Any]) -> None:
    """A queue that runs a job at once, as Django's ImmediateBackend."""
    background.run_job(name, arguments)


def refuse(name: str, arguments: dict[str, Any]) -> None:
    """A queue that cannot be reached."""
    raise ConnectionError(f"cannot reach {SECRET}")


@pytest.fixture(autouse=True)
def queue() -> Iterator[None]:
    yield
    taken.clear()


def work() -> None:
    """Run the jobs in the queue, as a worker does."""
    for name, arguments in taken:
        background.run_job(name, json.loads(arguments))


def test_callback_is_answered_before_receivers_run(run_with: Any, accepted: CallRecord, hang_up: Any) -> None:
    run_with(HERE)

    assert hang_up(accepted) == 200
    before = (state_of(), notes())
    work()

    assert before == ("pending", [])
    assert taken == [("announce", json.dumps({"call": accepted.pk}))]
    assert (state_of(), notes()) == ("done", [f"ended in {os.getpid()}"])


def test_immediate_queue_runs_after_the_commit(run_with: Any, accepted: CallRecord, hang_up: Any) -> None:
    run_with(f"{__name__}.at_once")

    assert hang_up(accepted) == 200

    assert (state_of(), len(notes())) == ("done", 1)


def test_repeated_job_delivers_once(run_with: Any, accepted: CallRecord, hang_up: Any) -> None:
    run_with(HERE)
    hang_up(accepted)

    work()
    work()

    assert len(notes()) == 1


def test_lost_job_is_done_by_the_reconciler(run_with: Any, accepted: CallRecord, hang_up: Any) -> None:
    run_with(HERE)
    now = timezone.now()
    with time_machine.travel(now, tick=False) as clock:
        hang_up(accepted)
        accepted.refresh_from_db()
        due = accepted.announce_at
        background.run_job("reconcile", {})
        too_early = notes()
        clock.shift(60)
        background.run_job("reconcile", {})

    assert due == accepted.next_check_at
    assert (due - now).total_seconds() == 60  # until then a worker may do it
    assert too_early == []
    assert (state_of(), len(notes())) == ("done", 1)


def test_unreachable_queue_loses_no_callback(
    run_with: Any, accepted: CallRecord, hang_up: Any, caplog: pytest.LogCaptureFixture
) -> None:
    run_with(f"{__name__}.refuse")

    assert hang_up(accepted) == 200

    accepted.refresh_from_db()
    assert (accepted.state, state_of()) == (State.ENDED, "pending")
    assert accepted.announce_at is not None
    assert "RUNNER took no job 'announce' (ConnectionError): it is left to exotel_reconcile." in caplog.text
    assert "s3cr3t" not in caplog.text


def test_no_job_without_a_commit(run_with: Any, accepted: CallRecord, hang_up: Any) -> None:
    run_with(HERE)

    with failing(OperationalError("disk full"), 99):
        status = hang_up(accepted)

    assert (status, taken) == (503, [])
    assert CallEvent.objects.filter(kind="callback").count() == 0


def test_signal_without_receivers_is_done(run_with: Any, accepted: CallRecord, hang_up: Any) -> None:
    run_with(HERE)
    signals.call_ended.disconnect(dispatch_uid="listening.note_end")
    hang_up(accepted)

    work()

    assert (state_of(), Announcement.objects.get(signal="call_ended").receivers) == ("done", [])


def test_order_survives_a_change_of_runner(run_with: Any, accepted: CallRecord, hang_up: Any, receivers: Any) -> None:
    called: list[str] = []
    receivers(signals.call_accepted, lambda **_: called.append("accepted"), dispatch_uid="one")
    receivers(signals.call_ended, lambda **_: called.append("ended"), dispatch_uid="one")
    Announcement.objects.filter(signal="call_accepted").update(
        state="pending", receivers=[], next_try_at=timezone.now()
    )
    CallRecord.objects.update(announce_at=timezone.now())
    run_with("inline")

    hang_up(accepted)
    waiting = list(called)
    background.run_job("announce", {"call": accepted.pk})

    assert (waiting, called) == ([], ["accepted", "ended"])
    assert len(notes()) == 1


def test_celery_app_is_known_in_every_thread() -> None:
    """Servers answer requests in threads, in which Celery itself falls back to an app without the host's broker."""
    code = """
import threading
from celery import Celery
app = Celery("host", broker="memory://")
from django_exotel_ccm.background import with_celery
threading.Thread(target=lambda: print(with_celery.has_app(), with_celery.run_job.app.main)).start()
"""
    assert python("-c", code).strip() == "True host"


def test_unknown_job_is_an_error() -> None:
    with pytest.raises(LookupError, match=r"no job 'announcce'. Jobs: announce, ping, purge, reconcile"):
        background.run_job("announcce", {})


def test_inline_job_runs_at_once(run_with: Any, accepted: CallRecord, hang_up: Any) -> None:
    run_with(HERE)
    hang_up(accepted)
    run_with("inline")

    assert background.enqueue("announce", call=accepted.pk)

    assert (taken, len(notes())) == ([("announce", json.dumps({"call": accepted.pk}))], 1)


# Imports.


def printed(statements: str) -> str:
    """Return what the statements print in a process of their own."""
    return python("-c", statements, DJANGO_SETTINGS_MODULE="tests.settings").strip()


USE_CELERY = "from django.conf import settings; settings.EXOTEL_CCM['RUNNER'] = 'celery'\n"
SET_UP = "import django, sys; django.setup()\n"


@pytest.mark.parametrize(("configure", "imported"), [("", "False"), (USE_CELERY, "True")])
def test_celery_is_imported_only_if_configured(configure: str, imported: str) -> None:
    assert printed(f"{configure}{SET_UP}print('celery' in sys.modules)") == imported


def test_django_starts_without_a_configured_celery() -> None:
    assert printed(f"import sys; sys.modules['celery'] = None\n{USE_CELERY}{SET_UP}print('started')") == "started"


def test_celery_worker_has_the_task() -> None:
    statements = (
        "import tests.background.celery_app as host\nhost.app.loader.import_default_modules()\n"
        "print([name for name in host.app.tasks if 'exotel' in name])"
    )

    assert printed(f"{USE_CELERY}{SET_UP}{statements}") == "['exotel_ccm.run_job']"
