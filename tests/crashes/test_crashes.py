"""A process killed at any step: no call is dialled twice, no acknowledged event is lost, each signal is sent once."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests
from django.conf import settings
from django.test import Client
from django.urls import reverse

from django_exotel_ccm.choices import AnnouncementState, State
from django_exotel_ccm.models import Agent, Announcement, CallEvent, CallRecord, RecordingAccess
from django_exotel_ccm.services import place_call
from django_exotel_ccm.services.reconciliation.reconcile import reconcile
from django_exotel_ccm.services.recordings import recording_urls
from django_exotel_ccm.simulator import Simulator
from tests.crashes import ticket_receivers
from tests.crashes.kill_steps import NOWHERE, STEPS
from tests.helpdesk.models import Ticket
from tests.services.reconciliation.due_calls import end_calls, make_due
from tests.subprocesses import child

pytestmark = pytest.mark.postgres_only("what is lost when a process dies is a matter of the server's transactions")

WHOLE = ["call_accepted", "call_answered", "call_ended", "recording_ready"]


def steps_of(what: str) -> list[str]:
    return [step for step in STEPS if step.startswith(what)]


@pytest.fixture(autouse=True)
def connected_receivers() -> Iterator[None]:
    ticket_receivers.listen()
    yield
    ticket_receivers.silence()


@pytest.fixture
def agent(host: Any) -> Agent:
    agent: Agent = host.agent()
    return agent


@pytest.fixture
def ticket(host: Any) -> Ticket:
    ticket: Ticket = host.ticket()
    return ticket


def killed_at(step: str, *command: str) -> None:
    """Run a process that kills itself at the step, and assert that it did."""
    with child("-m", "tests.crashes.kill_steps", step, *command) as process:
        text, _errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, text
    assert text.splitlines()[-1] == step


def posts(exotel: Simulator) -> list[Any]:
    return [one for one in exotel.book.requests if one.method == "POST" and one.path.endswith("/calls")]


def place_again(agent: Agent, ticket: Ticket) -> CallRecord:
    """Place the same call with the same request_key, as an agent who saw no answer."""
    return place_call(agent=agent, ticket=ticket, recording=True, request_key="request 1")


@pytest.mark.parametrize("step", steps_of("placing"))
@pytest.mark.books_differ("an answer was lost with its process")
def test_killed_while_placing(step: str, agent: Agent, ticket: Ticket, exotel: Simulator) -> None:
    before_the_record = step in {"placing: drafted", "placing: record inserted"}
    before_the_request = before_the_record or step in {"placing: record committed", "placing: connected"}

    killed_at(step, "place", str(agent.pk), str(ticket.pk))
    exotel.clock.wait_until(exotel.clock.moment() + 1)  # a request under way arrives
    end_calls(exotel)
    make_due()
    reconcile()

    assert len(posts(exotel)) == (0 if before_the_request else 1)
    if before_the_record:
        assert not CallRecord.objects.exists()
        assert ticket_receivers.of(ticket) == []
        return
    call = place_again(agent, ticket)
    assert CallRecord.objects.count() == 1
    assert len(posts(exotel)) == (0 if before_the_request else 1)
    assert call.state == (State.UNCONFIRMED if before_the_request else State.ENDED)
    assert sorted(ticket_receivers.of(ticket)) == ([] if before_the_request else WHOLE)


@pytest.fixture
def port(settings: Any, exotel: Simulator) -> int:
    """A port for the host's own server, which gets the callbacks."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CALLBACK_BASE_URL": f"http://127.0.0.1:{port}"}
    return port


@pytest.fixture
def serve(port: int) -> Iterator[Callable[[str], Any]]:
    """Start the host's server, which kills itself at a step."""
    with ExitStack() as stack:

        def serve(step: str) -> Any:
            process = stack.enter_context(child("-m", "tests.crashes.kill_steps", step, "serve", str(port)))
            assert process.stdout is not None
            assert process.stdout.readline() == "serving\n"
            return process

        yield serve


@pytest.mark.parametrize("step", steps_of("callback"))
def test_killed_during_a_callback(
    step: str, agent: Agent, ticket: Ticket, exotel: Simulator, serve: Callable[[str], Any]
) -> None:
    first = serve(step)
    call = place_call(agent=agent, ticket=ticket, recording=True)
    text, _errors = first.communicate(timeout=60)
    assert first.returncode == -signal.SIGKILL
    assert text.splitlines()[-1] == step

    # A new process is slow on a busy machine, and a callback is tried three times only.
    exotel.speed = 1.0
    serve(NOWHERE)
    end_calls(exotel)
    make_due()
    reconcile()

    call.refresh_from_db()
    assert (call.state, call.outcome, call.talk_time) == (State.ENDED, "completed", 42)
    # An answer that is delivered again after the end is superseded.
    late = Announcement.objects.filter(state=AnnouncementState.SUPERSEDED).values_list("signal", flat=True)
    assert sorted([*ticket_receivers.of(ticket), *late]) == WHOLE
    assert set(late) <= {"call_answered"}
    assert len(posts(exotel)) == 1
    stored = set(CallEvent.objects.filter(kind="callback").values_list("event", flat=True))
    assert {one.event for one in exotel.book.deliveries if one.succeeded} <= stored


@pytest.mark.parametrize("step", steps_of("reconciling"))
def test_killed_while_reconciling(step: str, agent: Agent, ticket: Ticket, exotel: Simulator) -> None:
    exotel.options.lost_events = frozenset({"answered", "terminal"})
    call = place_call(agent=agent, ticket=ticket, recording=True)
    end_calls(exotel)
    make_due()

    killed_at(step, "reconcile")
    make_due()  # what the killed process had claimed is due again
    reconcile()

    call.refresh_from_db()
    assert (call.state, call.outcome, call.talk_time, call.next_check_at) == (State.ENDED, "completed", 42, None)
    assert sorted(ticket_receivers.of(ticket)) == ["call_accepted", "call_ended", "recording_ready"]
    assert len(posts(exotel)) == 1


@pytest.mark.parametrize("step", steps_of("delivering"))
def test_killed_while_retrying_a_delivery(step: str, agent: Agent, ticket: Ticket, exotel: Simulator) -> None:
    ticket_receivers.broken.update({"call_ended", "recording_ready"})
    call = place_call(agent=agent, ticket=ticket, recording=True)
    end_calls(exotel)
    assert ticket_receivers.of(ticket) == ["call_accepted", "call_answered"]
    ticket_receivers.broken.clear()  # the bug is fixed
    make_due()

    killed_at(step, "reconcile")
    make_due()
    reconcile()

    assert ticket_receivers.of(ticket) == WHOLE
    assert set(Announcement.objects.values_list("state", flat=True)) == {AnnouncementState.DONE}
    call.refresh_from_db()
    assert (call.announce_at, call.next_check_at) == (None, None)


@pytest.mark.parametrize("step", steps_of("download"))
def test_killed_while_playing_a_recording(
    step: str, host: Any, ticket: Ticket, exotel: Simulator, client: Client, serve: Callable[[str], Any]
) -> None:
    user = host.user("ravi", agent=None, is_superuser=True)
    client.force_login(user)
    first = serve(step)
    call = place_call(agent=host.agent(), ticket=ticket, recording=True)
    end_calls(exotel)
    call.refresh_from_db()
    [recording] = recording_urls(call)
    site = settings.EXOTEL_CCM["CALLBACK_BASE_URL"]
    url = f"{site}{reverse('exotel_ccm:recording', args=[call.reference, recording])}?exotel_adapter=admin"
    cookies = {settings.SESSION_COOKIE_NAME: client.cookies[settings.SESSION_COOKIE_NAME].value}

    with pytest.raises(requests.RequestException):
        requests.get(url, cookies=cookies, timeout=20)
    assert first.wait(20) == -signal.SIGKILL
    assert first.stdout.read().splitlines()[-1] == step
    accesses = RecordingAccess.objects.count()
    serve(NOWHERE)
    response = requests.get(url, cookies=cookies, timeout=20)

    # An access row is committed before the first byte, and the recording can be played again.
    assert accesses == (0 if step == "download: recording opened" else 1)
    assert (response.status_code, response.content[:4]) == (200, b"RIFF")
    assert RecordingAccess.objects.count() == accesses + 1
    assert sorted(ticket_receivers.of(ticket)) == WHOLE


def test_every_step_is_tested() -> None:
    """Each step of STEPS is used by one of the tests above, or in test_sync.py."""
    tested = ("placing", "callback", "delivering", "download", "reconciling", "syncing")
    killed = [step for what in tested for step in steps_of(what)]
    assert sorted(killed) == sorted(STEPS)
