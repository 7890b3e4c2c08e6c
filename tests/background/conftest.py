"""A host whose receivers are called by a worker, and the workers' processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from subprocess import Popen
from typing import Any

import pytest
from django.test import Client

from django_exotel_ccm import signals
from django_exotel_ccm.models import Announcement, CallRecord
from tests.background.receiver_app import UID, note_end
from tests.factories import Calls, body_of
from tests.helpdesk.models import Ticket
from tests.subprocesses import child

TIMEOUT = 30.0  # seconds

Start = Callable[..., AbstractContextManager["Popen[str]"]]


@pytest.fixture
def run_with(settings: Any, receivers: Any) -> Callable[[str], None]:
    """Set ``RUNNER``, and connect the receiver in this process too, as every process of a host does."""
    receivers(signals.call_ended, note_end, dispatch_uid=UID)

    def use(runner: str) -> None:
        settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "RUNNER": runner}

    return use


@pytest.fixture
def accepted(host: Any, client: Client) -> CallRecord:
    """An accepted call about a ticket."""
    ticket = host.ticket()
    return Calls(client).accepted(ticket=ticket, custom_field=f"ticket_{ticket.pk}")


@pytest.fixture
def hang_up(client: Client) -> Callable[[CallRecord], int]:
    """Post the callback of a call's end, and return the HTTP status."""
    return lambda call: Calls(client).deliver(call, body_of()).status_code


def start_worker(*command: str, **environment: str) -> AbstractContextManager[Popen[str]]:
    """Start a worker's process on the test's database."""
    return child(*command, DJANGO_SETTINGS_MODULE="tests.background.worker_settings", **environment)


def wait_until(true: Callable[[], Any], process: Popen[str] | None = None) -> None:
    """Wait until ``true()`` is; if that does not happen, or the process ends, fail with what it printed."""
    deadline = time.monotonic() + TIMEOUT
    while not true():
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > deadline:
            printed = ""
            if process is not None and process.stdout is not None:
                process.kill()
                printed = process.stdout.read()
            pytest.fail(f"Not true in time. {printed}")
        time.sleep(0.05)


def state_of(signal: str = "call_ended") -> str:
    return Announcement.objects.get(signal=signal).state


def notes() -> list[str]:
    return Ticket.objects.get().notes.splitlines()
