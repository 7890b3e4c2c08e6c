"""The recipes of docs/cookbook.md work."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.utils import timezone

import tests.helpdesk.models
from django_exotel_ccm import conf, signals
from django_exotel_ccm.models import Announcement, CallRecord
from django_exotel_ccm.services import add_note, place_call
from django_exotel_ccm.services.announcements.dispatch import retry_now
from django_exotel_ccm.services.reconciliation.reconcile import reconcile
from tests.factories import record_callback
from tests.helpdesk.models import Customer, Lead, Ticket
from tests.servers.scripted_http import Script, Server, Visit, http, serving

PAGE = (Path(__file__).parent.parent / "docs" / "cookbook.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def helpdesk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the recipes import the helpdesk of a host."""
    monkeypatch.setitem(sys.modules, "helpdesk", tests.helpdesk)
    monkeypatch.setitem(sys.modules, "helpdesk.models", tests.helpdesk.models)


def recipe(name: str) -> SimpleNamespace:
    """Run the code block that is the file ``name``, and return what it defines."""
    [code] = [block for block in BLOCKS if block.startswith(f"# {name}\n")]
    names: dict[str, Any] = {"__name__": name.removesuffix(".py").replace("/", ".")}
    exec(compile(code, name, "exec"), names)
    return SimpleNamespace(**names)


@pytest.fixture
def outcomes() -> Iterator[Any]:
    uid = "helpdesk.status_by_outcome"
    yield recipe("helpdesk/outcomes.py")
    for signal in (signals.call_ended, signals.call_updated):
        assert signal.disconnect(sender=Ticket, dispatch_uid=uid)


def test_status_by_outcome(host: Any, exotel: Any, outcomes: Any) -> None:
    agent = host.agent()
    talks, rings_out, busy, closed = (
        host.ticket(phone=phone) for phone in ("+919000001001", "+919000001002", "+919000001008", "+919000001001")
    )
    Ticket.objects.filter(pk=closed.pk).update(status="closed")

    for ticket in (talks, rings_out, busy, closed):
        place_call(agent=agent, ticket=ticket)
        exotel.wait_until_quiet(timeout=20)

    found = dict(Ticket.objects.values_list("pk", "status"))
    assert [found[one.pk] for one in (talks, rings_out, busy)] == ["spoken", "call again", "call again"]
    assert found[closed.pk] == "closed"


def test_roles_have_permissions() -> None:
    backend = recipe("crm/backends.py").RoleBackend()

    def may(permission: str, **user: Any) -> bool:
        return bool(backend.has_perm(SimpleNamespace(**{"is_active": True, **user}), permission))

    assert may("exotel_ccm.place_call", role="agent")
    assert not may("exotel_ccm.listen_recording", role="agent")
    assert may("exotel_ccm.listen_recording", role="supervisor")
    assert not may("exotel_ccm.place_call", role="agent", is_active=False)
    assert not may("exotel_ccm.place_call")


@pytest.mark.django_db
def test_give_phone(django_user_model: Any) -> None:
    give_phone = recipe("crm/agents.py").give_phone
    user = django_user_model.objects.create_user("asha")

    give_phone(user, "90000 00101")
    agent = give_phone(user, "90000 00102")

    assert user.exotel_agents.get() == agent
    assert agent.contact_uri == "+919000000102"
    with pytest.raises(ValidationError, match="not one valid phone number"):
        give_phone(user, "98XXXXXX10")


@pytest.mark.django_db
def test_support_site(django_user_model: Any) -> None:
    site = recipe("crm/sites.py").support
    user = django_user_model.objects.create_user("asha", is_staff=True)
    request: Any = SimpleNamespace(user=user)

    assert site.is_registered(CallRecord)
    assert not site.has_permission(request)
    user.groups.create(name="Support")
    assert site.has_permission(request)


def test_domain_of_account(settings: Any) -> None:
    [settings_of_domains] = [block for block in BLOCKS if "crm.domains.base_url" in block]
    names: dict[str, Any] = {}
    exec(settings_of_domains, names)
    settings.EXOTEL_CCM = names["EXOTEL_CCM"]

    base_url = recipe("crm/domains.py").base_url

    assert conf.get_settings().problems == ()
    assert {base_url(CallRecord(account=alias)) for alias in conf.get_settings().accounts} == {
        "https://crm.example.com",
        "https://sales.example.com",
    }


def call_about(ticket: Any, **fields: Any) -> CallRecord:
    return CallRecord.objects.create(account="default", created_at=timezone.now(), ticket=ticket, **fields)


@pytest.mark.django_db
def test_merge() -> None:
    ticket, lead = Ticket.objects.create(), Lead.objects.create(name="Meera")
    call = call_about(lead)

    recipe("helpdesk/merging.py").merge(lead, ticket)

    assert list(CallRecord.objects.about(ticket)) == [call]
    assert not Lead.objects.exists()


@pytest.mark.django_db
def test_reached_since() -> None:
    reached, missed = Ticket.objects.create(), Ticket.objects.create()
    began = timezone.now()
    call_about(reached, talk_time=42)
    call_about(missed, talk_time=0)
    call_about(Lead.objects.create(), talk_time=42)

    assert list(recipe("helpdesk/reached.py").reached_since(began)) == [reached]


Serve = Callable[..., Server]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Run the other system: ``serve("CRM_URL", 503, 201)`` answers so one after the other, at the address there."""
    with contextlib.ExitStack() as stack:

        def start(variable: str, *statuses: int) -> Server:
            server = stack.enter_context(serving(*map(answer, statuses)))
            monkeypatch.setenv(variable, f"http://127.0.0.1:{server.port}/services/secret")
            return server

        yield start


def answer(status: int) -> Script:
    def script(visit: Visit) -> None:
        if visit.read_request():
            visit.sock.sendall(http(status, b"ok", "Connection: close"))

    return script


def head_of(request: bytes) -> dict[str, str]:
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


@pytest.fixture
def slack() -> Iterator[Any]:
    yield recipe("helpdesk/slack.py")
    assert signals.call_ended.disconnect(sender=Ticket, dispatch_uid="helpdesk.slack")


@pytest.fixture
def ended(transactional_db: None) -> Callable[..., CallRecord]:
    """End a call about a ticket whose subject has the customer's number."""

    def end(**facts: Any) -> CallRecord:
        customer = Customer.objects.create(name="Ravi", phone="+919000001001")
        ticket = Ticket.objects.create(subject="Call +919000001001 <!channel>", customer=customer)
        call = call_about(
            ticket, agent_label="Asha", customer_number=customer.phone, customer_label="Ravi", ticket_label=str(ticket)
        )
        record_callback(call, "terminal", **facts)
        return call

    return end


def test_slack(ended: Callable[..., CallRecord], slack: Any, serve: Serve) -> None:
    server = serve("SLACK_WEBHOOK_URL", 200)

    call = ended(status="completed", talk_time=42)
    record_callback(call, "terminal", status="completed", talk_time=42)

    assert server.bodies == [{"text": f"Ticket {call.ticket_object_id}: talked for 42 s (Asha)"}]


@pytest.mark.parametrize("status", [None, 500])
def test_slack_that_is_down(
    ended: Callable[..., CallRecord], slack: Any, serve: Serve, status: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The call is on record, nothing fails, and the log does not have the secret address."""
    server = serve("SLACK_WEBHOOK_URL", status or 200)
    if status is None:
        server.stop()

    call = ended(status="completed", talk_time=42)

    call.refresh_from_db()
    assert (call.state, call.talk_time) == ("ended", 42)
    assert set(Announcement.objects.values_list("state", flat=True)) == {"done"}
    [line] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line.startswith("Slack did not take the line: ")
    assert "secret" not in caplog.text


@pytest.fixture
def activities(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("CRM_TOKEN", "crm-token")
    yield recipe("crm/activities.py")
    assert signals.call_ended.disconnect(dispatch_uid="crm.call")
    assert signals.note_added.disconnect(dispatch_uid="crm.note")


def test_activity_in_a_crm(ended: Callable[..., CallRecord], activities: Any, serve: Serve) -> None:
    """One that fails is sent again under the same key."""
    server = serve("CRM_URL", 503, 201)

    call = ended(status="completed", talk_time=42)
    [failed] = Announcement.objects.filter(state="failed")
    assert (failed.signal, len(server.requests)) == ("call_ended", 1)
    retry_now(failed.pk)
    reconcile()
    note = add_note(call, author=None, text="Sends the address.")

    assert not Announcement.objects.exclude(state="done").exists()
    heads = [head_of(request) for request in server.requests]
    assert [head["idempotency-key"] for head in heads] == [
        f"call-{call.reference}",
        f"call-{call.reference}",
        f"note-{call.reference}-{note.pk}",
    ]
    assert {head["authorization"] for head in heads} == {"Bearer crm-token"}
    about = {"ticket": str(call.ticket_object_id), "placed_at": call.created_at.isoformat()}
    assert server.bodies[1:] == [
        about | {"type": "call", "outcome": "completed", "seconds": 42},
        about | {"type": "note", "text": "Sends the address."},
    ]


def export(since: datetime.datetime, *, batch: int = 10_000) -> list[dict[str, Any]]:
    command = recipe("helpdesk/management/commands/export_calls.py").Command()
    command.handle.__globals__["BATCH"] = batch
    written = io.StringIO()
    call_command(command, since.isoformat(), stdout=written)
    return [json.loads(line) for line in written.getvalue().splitlines()]


@pytest.mark.django_db
@pytest.mark.parametrize("uses_time_zones", [True, False])
@pytest.mark.parametrize("batch", [1, 2, 3, 10_000])
def test_export(settings: Any, batch: int, uses_time_zones: bool) -> None:
    """Each call comes once, the oldest change first, also when many changed in one moment."""
    settings.USE_TZ = uses_time_zones
    now = timezone.now()
    calls = [call_about(Ticket.objects.create(), customer_number="+919000001001") for _number in range(7)]
    for call, minutes in zip(calls, (60, 40, 30, 30, 30, 20, 10), strict=True):
        moved = now - datetime.timedelta(minutes=minutes)
        CallRecord.objects.filter(pk=call.pk).update(updated_at=moved, talk_time=minutes)

    since = now - datetime.timedelta(minutes=44)
    lines = export(since if uses_time_zones else timezone.make_aware(since), batch=batch)

    assert [line["reference"] for line in lines] == [str(call.reference) for call in calls[1:]]
    assert [line["talk_time"] for line in lines] == [40, 30, 30, 30, 20, 10]
    assert lines[0]["ticket_object_id"] == str(calls[1].ticket_object_id)
    assert "9000001001" not in json.dumps(lines)


@pytest.mark.django_db
@pytest.mark.parametrize("uses_time_zones", [True, False])
def test_export_goes_on_where_it_was_interrupted(settings: Any, uses_time_zones: bool) -> None:
    settings.USE_TZ = uses_time_zones
    now = timezone.now()
    calls = [call_about(Ticket.objects.create()) for _number in range(6)]
    for minutes, call in zip(range(60, 0, -10), calls, strict=True):
        CallRecord.objects.filter(pk=call.pk).update(updated_at=now - datetime.timedelta(minutes=minutes))
    first = export(now - datetime.timedelta(days=1))[:3]

    rest = export(datetime.datetime.fromisoformat(first[-1]["updated_at"]))

    assert [line["pk"] for line in first + rest] == [call.pk for call in (*calls[:3], *calls[2:])]
