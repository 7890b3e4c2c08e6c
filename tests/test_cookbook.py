"""The recipes of docs/cookbook.md work."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

import tests.helpdesk.models
from django_exotel_ccm import conf, signals
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services import place_call
from tests.helpdesk.models import Lead, Ticket

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
