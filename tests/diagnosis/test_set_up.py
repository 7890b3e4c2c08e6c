"""Broken set-ups: each fault is found, none is made up, and once the advice is followed all is well."""

from __future__ import annotations

import datetime
import io
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import format_datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.checks.registry import registry
from django.core.management import call_command
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_exotel_ccm import simulator
from django_exotel_ccm.choices import State
from django_exotel_ccm.diagnosis.set_up import TEXTS
from django_exotel_ccm.exotel.account import REGIONS
from django_exotel_ccm.models import AccountUsage, Agent, CallRecord, DoNotCall, ExoPhone
from django_exotel_ccm.services import place_call
from django_exotel_ccm.services.groups import OF_AGENTS, create_groups
from django_exotel_ccm.simulator.api.directory import DirectoryApi
from django_exotel_ccm.simulator.refusals import RefusedError
from tests.diagnosis.conftest import NUMBER, Doctor
from tests.helpdesk.models import Customer, Ticket
from tests.servers.scripted_http import answering, http, serving

VIK = "sip:vik4c1d77e2"


def set_option(settings: Any, **options: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, **options}


class OnePass(threading.Event):
    """Stops a command that was typed with --forever after its first pass."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return True


class Place(NamedTuple):
    """Where a fault is made, and mended as the advice says."""

    settings: Any
    exotel: Any
    host: Any
    environment: pytest.MonkeyPatch

    def set(self, **options: Any) -> None:
        """Set keys of ``EXOTEL_CCM``; None leaves one out."""
        given = {**self.settings.EXOTEL_CCM, **options}
        self.settings.EXOTEL_CCM = {name: value for name, value in given.items() if value is not None}

    def type(self, advice: str) -> None:
        """Type the first command of an advice, word by word."""
        (words,) = re.findall(r"python manage\.py ((?:[a-z_]+)(?: --[a-z]+)*)", advice)[:1]

        @contextmanager
        def one_pass() -> Iterator[OnePass]:
            yield OnePass()

        for command in ("exotel_reconcile", "exotel_purge"):
            path = f"django_exotel_ccm.management.commands.{command}.stop_on_signal"
            self.environment.setattr(path, one_pass, raising=False)
        call_command(*words.split(), stdout=io.StringIO(), stderr=io.StringIO())

    def save(self, row: Model, **fields: Any) -> None:
        """Open the page of a row in the admin, change these fields, and click on Save; False takes a tick away."""
        client = Client()
        client.force_login(User.objects.get(username="root"))
        url = reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[row.pk])
        context = client.get(url).context
        form = context["adminform"].form
        typed = {name: form[name].value() for name in form.fields} | {
            "date_joined_0": "2026-01-01",
            "date_joined_1": "9:00",
        }
        for inline in context["inline_admin_formsets"]:
            management = inline.formset.management_form
            typed |= {management.add_prefix(name): management[name].value() for name in management.fields}
        typed |= fields
        answer = client.post(url, {name: value for name, value in typed.items() if value not in (None, False)})
        assert answer.status_code == 302, answer.context["errors"]


@pytest.fixture
def place(doctor: Doctor, settings: Any, exotel: Any, host: Any, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(settings, exotel, host, monkeypatch)


class Fault(NamedTuple):
    """What is broken, how the advice is followed, and what the doctor says."""

    make: Callable[[Place], object]
    mend: Callable[[Place, str], object]
    name: str
    message: str
    advice: str


def use_account(place: Place, **parts: str) -> None:
    url = place.exotel.account_url
    for old, new in parts.items():
        assert old in url
        url = url.replace(old, new)
    place.environment.setenv("EXOTEL_URL", url)


def use_parts(place: Place, **parts: str) -> None:
    """Write the account as the four variables that new installations have."""
    place.environment.delenv("EXOTEL_URL", raising=False)
    place.environment.setitem(REGIONS, "mumbai", (place.exotel.url, place.exotel.url))  # type: ignore[arg-type]
    known = {"API_KEY": "sim-key", "API_TOKEN": "sim-token", "ACCOUNT_SID": "simulated1", "REGION": "mumbai"}
    for name, value in (known | parts).items():
        place.environment.setenv(f"EXOTEL_{name}", value)


def two_exophones(place: Place) -> None:
    ExoPhone.objects.update(is_default=False)
    ExoPhone.objects.create(number="+918000000701")


def vanished_default(place: Place) -> None:
    place.exotel.directory.add_exophone("+918000000702")
    call_command("exotel_sync", exophones=True, stdout=io.StringIO(), stderr=io.StringIO())
    place.exotel.directory.remove_exophone("+918000000700")
    call_command("exotel_sync", exophones=True, stdout=io.StringIO(), stderr=io.StringIO())


def delete_exophone(place: Place, advice: str) -> None:
    place.type(advice)
    root = Client()
    root.force_login(User.objects.get(username="root"))
    root.post(f"/admin/exotel_ccm/exophone/{place.host.exophone.pk}/delete/", {"post": "yes"})
    place.save(ExoPhone.objects.get(number="+918000000701"), is_default=True)


def overdue(place: Place) -> None:
    place.set(REQUESTS_PER_MINUTE=1)
    hour_ago = timezone.now() - datetime.timedelta(hours=1)
    due = {"next_check_at": hour_ago, "details_check_at": hour_ago}
    CallRecord.objects.create(created_at=hour_ago, updated_at=hour_ago, state=State.ACTIVE, call_sid="f" * 32, **due)


def take_account_away(place: Place) -> None:
    """Let asha's account be closed, while a colleague still calls."""
    User.objects.filter(username="asha").update(is_active=False)
    place.exotel.add_agent("+919000000198")
    place.host.user("meera", *OF_AGENTS, agent="+919000000198")


def call_by_group(place: Place, *kept: str) -> None:
    """Let asha call as a member of "Call agents", which keeps these permissions alone; a colleague has them all."""
    create_groups()
    group = Group.objects.get(name="Call agents")
    group.user_set.add(place.host.asha)
    group.permissions.set(Permission.objects.filter(codename__in=kept))
    place.host.asha.user_permissions.clear()
    place.host.user("meera", *OF_AGENTS, agent=None)


def lose_group(place: Place) -> None:
    call_by_group(place)
    Group.objects.get(name="Call agents").delete()


def put_into_group(place: Place, advice: str) -> None:
    place.save(place.host.asha, groups=[Group.objects.get(name="Call agents").pk])


def take_listening(place: Place) -> None:
    call_by_group(place, "place_call", "add_callnote", "view_callrecord")
    User.objects.get(username="meera").delete()


def follow_permissions(place: Place, advice: str) -> None:
    place.type(advice)
    group = Group.objects.get(name="Call agents")
    rows = Permission.objects.filter(codename__in=[one.partition(".")[2] for one in OF_AGENTS])
    place.save(group, permissions=[row.pk for row in rows])
    put_into_group(place, advice)


def replace_exophone(place: Place, advice: str) -> None:
    place.type(advice)
    place.save(place.host.exophone, is_active=False, is_default=False)
    place.save(ExoPhone.objects.get(number="+918000000700"), is_default=True)


def call_by_softphone(place: Place, *phones: str) -> None:
    """Let Asha call by Vik's softphone, typed or by Exotel's id; these phones of Vik's are listed, no softphone is."""
    vik = place.exotel.agent(VIK)
    for phone in phones:
        place.exotel.directory.add_device(vik, phone, "unverified")
    user = DirectoryApi._user

    def hide(self: DirectoryApi, agent: Any, **given: Any) -> dict[str, Any]:
        shown = user(self, agent, **given)
        return shown | {"devices": [one for one in shown["devices"] if one["type"] != "sip"]}

    place.environment.setattr(DirectoryApi, "_user", hide)
    Agent.objects.update(contact_uri=None, exotel_user_id=vik.user_id)


def use_softphone(place: Place) -> None:
    call_by_softphone(place)
    Agent.objects.update(contact_uri=VIK, exotel_user_id=None)


def hide_devices(place: Place) -> None:
    user = DirectoryApi._user
    place.environment.setattr(DirectoryApi, "_user", lambda self, agent, **_: user(self, agent, with_devices=False))


FAULTS = {
    "a key that does not exist": Fault(
        lambda place: place.set(TICKET={}),
        lambda place, _: place.set(TICKET=None),
        "settings",
        "'TICKET'",
        "Known keys",
    ),
    "no base URL": Fault(
        lambda place: place.set(CALLBACK_BASE_URL=None),
        lambda place, _: place.set(CALLBACK_BASE_URL=place.host.url),
        "settings",
        "CALLBACK_BASE_URL",
        '"CALLBACK_BASE_URL": "https://crm.example.com"',
    ),
    "a policy that cannot be imported": Fault(
        lambda place: place.set(POLICIES=["crm.telephony.nothing"]),
        lambda place, _: place.set(POLICIES=["tests.diagnosis.host_code.nobody_is_refused"]),
        "policies",
        "crm.telephony.nothing",
        "dotted path",
    ),
    "a model that does not exist": Fault(
        lambda place: place.set(TICKETS={"helpdesk.Tickt": {"prefix": "ticket", "phone": "phone"}}),
        lambda place, _: place.set(TICKETS={"helpdesk.Ticket": {"prefix": "ticket", "phone": "customer.phone"}}),
        "tickets",
        "helpdesk.tickt",
        "Correct it in EXOTEL_CCM",
    ),
    "no credentials": Fault(
        lambda place: place.environment.delenv("EXOTEL_URL"),
        lambda place, _: use_account(place),
        "accounts",
        "no credentials",
        "EXOTEL_URL",
    ),
    "credentials that cannot be read": Fault(
        lambda place: place.environment.setenv("EXOTEL_URL", "exotel://key-and-token"),
        lambda place, _: use_account(place),
        "accounts",
        "EXOTEL_URL",
        "Write: EXOTEL_URL=exotel://KEY:TOKEN@mumbai/ACCOUNT_SID",
    ),
    "a wrong token": Fault(
        lambda place: use_account(place, **{"sim-token": "s1m-t0ken"}),
        lambda place, _: use_account(place),
        "key",
        "does not accept the API key",
        "to EXOTEL_URL in the environment: exotel://KEY:TOKEN@127.0.0.1",
    ),
    "a wrong token in a variable of its own": Fault(
        lambda place: use_parts(place, API_TOKEN="s1m-t0ken"),
        lambda place, _: use_parts(place),
        "key",
        "does not accept the API key",
        "to EXOTEL_API_KEY, EXOTEL_API_TOKEN and EXOTEL_ACCOUNT_SID",
    ),
    "a wrong account": Fault(
        lambda place: use_account(place, simulated1="acme9"),
        lambda place, _: use_account(place),
        "key",
        "account SID",
        "/ACCOUNT_SID",
    ),
    "no way to Exotel": Fault(
        lambda place: place.environment.setenv("EXOTEL_URL", "exotel://key-key:t@127.0.0.1:1/acme1?tls=off"),
        lambda place, _: use_account(place),  # nobody can open port 1 in a test: there is a way to this host
        "key",
        "no usable answer",
        "curl -sI http://127.0.0.1:1",
    ),
    "no balance": Fault(
        lambda place: place.exotel.options.set_text("balance", "0"),
        lambda place, _: place.exotel.options.set_text("balance", "500"),
        "balance",
        "0.00 INR",
        "Recharge",
    ),
    "a suspended account": Fault(
        lambda place: place.exotel.options.set_text("account_status", "suspended"),
        lambda place, _: place.exotel.options.set_text("account_status", "active"),
        "account",
        "suspended",
        "support",
    ),
    "agents whom somebody deactivated": Fault(
        lambda place: Agent.objects.update(is_active=False),
        lambda place, _: place.save(Agent.objects.get(), is_active=True),
        "agents",
        "no active agent",
        "Agents > Asha, and tick “active”.",
    ),
    "agents who had left Exotel": Fault(
        lambda place: Agent.objects.update(
            is_active=False, left_exotel_at=timezone.now(), synced_at=timezone.now(), exotel_user_id="sim-agent-1"
        ),
        lambda place, advice: place.type(advice),
        "agents",
        "no active agent",
        "exotel_sync --agents",
    ),
    "an agent without a phone": Fault(
        lambda place: Agent.objects.update(contact_uri=None),
        lambda place, _: place.save(Agent.objects.get(), contact_uri="+919000000101"),
        "agents",
        "have no phone that can be called: Asha",
        "Agents",
    ),
    "an agent whose phone is none": Fault(
        lambda place: Agent.objects.update(contact_uri="12345"),
        lambda place, _: place.save(Agent.objects.get(), contact_uri="+919000000101"),
        "agents",
        "have no phone that can be called: Asha",
        "enter a phone",
    ),
    "an agent without a user": Fault(
        lambda place: Agent.objects.update(user=None),
        lambda place, _: place.save(Agent.objects.get(), user=place.host.asha.pk),
        "agents",
        "No agent is linked to a user: Asha",
        "choose the user",
    ),
    "an agent without a user, of a known address": Fault(
        lambda place: Agent.objects.update(user=None),
        lambda place, advice: place.type(advice),
        "agents",
        "No agent is linked to a user: Asha",
        "Give users the e-mail addresses that the agents have in Exotel, and type",
    ),
    "an agent who may not call": Fault(
        lambda place: place.host.asha.user_permissions.remove(Permission.objects.get(codename="place_call")),
        lambda place, _: place.save(
            place.host.asha, user_permissions=list(Permission.objects.values_list("pk", flat=True))
        ),
        "agents",
        "may not place calls: Asha",
        "exotel_ccm.place_call",
    ),
    "an agent who is not in the group": Fault(
        lambda place: [call_by_group(place, "place_call"), place.host.asha.groups.clear()],
        put_into_group,
        "agents",
        "may not place calls: Asha",
        "add the group “Call agents” or exotel_ccm.place_call",
    ),
    "a group that somebody deleted": Fault(
        lose_group,
        lambda place, advice: place.type(advice),
        "agents",
        "may not place calls: Asha",
        "exotel_setup",
    ),
    "a group without permissions": Fault(
        call_by_group,
        lambda place, advice: place.type(advice),
        "agents",
        "may not place calls: Asha",
        "exotel_setup",
    ),
    "a group without permissions, beside an agent who may call": Fault(
        lambda place: [
            call_by_group(place),
            place.exotel.add_agent("+919000000198"),
            place.host.user("usha", *OF_AGENTS, agent="+919000000198"),
        ],
        lambda place, advice: [
            place.type(advice),
            place.save(place.host.asha, user_permissions=[Permission.objects.get(codename="place_call").pk]),
        ],
        "agents",
        "may not place calls: Asha",
        "click Users > the user in the admin, and add exotel_ccm.place_call",
    ),
    "an agent who cannot log in": Fault(
        take_account_away,
        lambda place, _: place.save(Agent.objects.get(name="Asha"), is_active=False),
        "agents",
        "cannot log in: Asha",
        "take the tick from “active”",
    ),
    "an agent who cannot log in and should": Fault(
        lambda place: User.objects.filter(username="asha").update(is_active=False),
        lambda place, _: place.save(place.host.asha, is_active=True),
        "agents",
        "cannot log in: Asha",
        "click Users > the user instead, and tick “active”",
    ),
    "permissions that only a superuser has": Fault(
        lambda place: place.host.asha.user_permissions.set(Permission.objects.filter(codename="place_call")),
        follow_permissions,
        "permissions",
        "exotel_ccm.view_callrecord, exotel_ccm.add_callnote, exotel_ccm.listen_recording",
        "exotel_setup",
    ),
    "a permission that the group lacks": Fault(
        take_listening,
        follow_permissions,
        "permissions",
        "Nobody but superusers has these permissions: exotel_ccm.listen_recording.",
        "add those of the permissions that it lacks",
    ),
    "ExoPhones that somebody deactivated": Fault(
        lambda place: ExoPhone.objects.update(is_active=False),
        lambda place, _: place.save(place.host.exophone, is_active=True),
        "exophones",
        "no active ExoPhone",
        "ExoPhones > +918000000700, and tick “active”.",
    ),
    "ExoPhones that had left Exotel": Fault(
        lambda place: ExoPhone.objects.update(is_active=False, left_exotel_at=timezone.now(), synced_at=timezone.now()),
        lambda place, advice: place.type(advice),
        "exophones",
        "no active ExoPhone",
        "exotel_sync --exophones",
    ),
    "an ExoPhone that is none": Fault(
        lambda place: ExoPhone.objects.update(number="12"),
        lambda place, _: place.save(place.host.exophone, number="+918000000700"),
        "exophones",
        "not one valid phone number",
        "correct its number",
    ),
    "two ExoPhones and no default": Fault(
        two_exophones,
        lambda place, _: place.save(ExoPhone.objects.get(number="+918000000701"), is_default=True),
        "exophones",
        "No active ExoPhone is the default",
        "tick “default”",
    ),
    "a default ExoPhone that vanished": Fault(
        vanished_default,
        lambda place, _: place.save(ExoPhone.objects.get(number="+918000000701"), is_default=True),
        "exophones",
        "No active ExoPhone is the default",
        "tick “default”",
    ),
    "numbers that cannot be read": Fault(
        lambda place: [place.set(NUMBER_REGION="SG"), Customer.objects.update(phone="90000 01001")],
        lambda place, _: Customer.objects.update(phone="+91 90000 01001"),
        "ticket_numbers",
        "Numbers that cannot be read: 1; that can: 0.",
        "Write numbers with their country code",
    ),
    "numbers of another region": Fault(
        lambda place: [place.set(NUMBER_REGION="SG"), Customer.objects.update(phone="90000 01001")],
        lambda place, _: place.set(NUMBER_REGION="IN"),
        "ticket_numbers",
        "Numbers that cannot be read: 1; that can: 0.",
        "set NUMBER_REGION",
    ),
    "tickets without numbers": Fault(
        lambda place: place.set(TICKETS={"helpdesk.Ticket": {"prefix": "ticket", "phone": "customer.other_phone"}}),
        lambda place, _: place.set(TICKETS={"helpdesk.Ticket": {"prefix": "ticket", "phone": "customer.phone"}}),
        "ticket_numbers",
        "None has a phone number",
        '"phone"',
    ),
    "a reconciler that stopped": Fault(
        lambda place: AccountUsage.objects.update(reconciled_at=timezone.now() - datetime.timedelta(hours=1)),
        lambda place, advice: place.type(advice),
        "reconciler",
        "last ran",
        "exotel_reconcile --forever",
    ),
    "a reconciler that never ran": Fault(
        lambda place: AccountUsage.objects.all().delete(),
        lambda place, advice: place.type(advice),
        "reconciler",
        "never ran",
        "exotel_reconcile --forever",
    ),
    "overdue work": Fault(
        overdue,
        lambda place, _: [place.set(REQUESTS_PER_MINUTE=150), call_command("exotel_reconcile", stdout=io.StringIO())],
        "overdue_work",
        "to be checked: 1.",
        "REQUESTS_PER_MINUTE",
    ),
    "a phone that is not verified": Fault(
        lambda place: setattr(place.exotel.agent("+919000000101"), "device", "unverified"),
        lambda place, _: setattr(place.exotel.agent("+919000000101"), "device", "on"),
        "devices",
        "Not verified: Asha.",
        "verify each agent's phone",
    ),
    "a phone that is not verified, of whom a softphone may ring": Fault(
        lambda place: call_by_softphone(place, "+919000000197"),
        lambda place, _: setattr(place.exotel.agent(VIK).devices[1], "state", "on"),
        "devices",
        "Phones of agents that are on: 0 of 1. Not verified: Asha.",
        "verify each agent's phone",
    ),
    "an agent who was removed and invited again": Fault(
        lambda place: Agent.objects.update(exotel_user_id="gone", synced_at=timezone.now()),
        lambda place, advice: place.type(advice),
        "agents",
        "does not know these agents: Asha",
        "exotel_sync --agents",
    ),
    "an agent whom Exotel does not know": Fault(
        lambda place: Agent.objects.update(contact_uri="+919000000199"),
        lambda place, advice: [place.exotel.add_agent("+919000000199"), place.type(advice)],
        "agents",
        "does not know these agents: Asha",
        "Add them as co-workers in the Exotel dashboard",
    ),
    "an ExoPhone that somebody typed": Fault(
        lambda place: ExoPhone.objects.update(number="+918000000799"),
        replace_exophone,
        "exophones",
        "does not have these ExoPhones: +918000000799.",
        "take the ticks from “active” and “default”, or delete it",
    ),
    "an ExoPhone that somebody typed, to delete": Fault(
        lambda place: ExoPhone.objects.update(number="+918000000799"),
        delete_exophone,
        "exophones",
        "does not have these ExoPhones: +918000000799.",
        "or delete it",
    ),
    "an ExoPhone that the account does not have any more": Fault(
        lambda place: [
            ExoPhone.objects.update(number="+918000000799", synced_at=timezone.now(), is_default=False),
            ExoPhone.objects.create(number="+918000000701", is_default=True),
        ],
        lambda place, advice: place.type(advice),
        "exophones",
        "does not have these ExoPhones: +918000000799.",
        "exotel_sync --exophones",
    ),
    "data that nobody purges": Fault(
        lambda place: [
            place.set(RETENTION={"do_not_call": 30}),
            DoNotCall.objects.create(number="+919000001009", expires_at=timezone.now() - datetime.timedelta(days=40)),
        ],
        lambda place, advice: place.type(advice),
        "retention",
        "Kept longer than RETENTION says: expired do-not-call numbers.",
        "exotel_purge --apply --forever",
    ),
    "a do-not-call list that no rule asks": Fault(
        lambda place: [place.set(POLICIES=[]), DoNotCall.objects.create(number="+919000001009")],
        lambda place, _: place.set(POLICIES=["django_exotel_ccm.policies.DoNotCall"]),
        "do_not_call",
        "Numbers are on the do-not-call list",
        'Add "django_exotel_ccm.policies.DoNotCall" to POLICIES.',
    ),
    "an unknown queue": Fault(
        lambda place: place.set(RUNNER="crm.queue.send"),
        lambda place, _: place.set(RUNNER="inline"),
        "runner",
        "crm.queue.send",
        "RUNNER",
    ),
}


@pytest.mark.books_differ(reason="calls are made up")
@pytest.mark.parametrize("fault", FAULTS)
def test_fault(fault: str, doctor: Doctor, place: Place, live_server: Any) -> None:
    make, mend, name, message, advice = FAULTS[fault]
    place.host.url = live_server.url
    assert doctor.wrong() == []

    make(place)
    wrong = [one for one in doctor.checks() if not one["ok"]]
    assert [one["name"] for one in wrong] in ([name], ["settings"])
    assert message in wrong[0]["message"]
    assert advice in wrong[0]["fix"]
    mend(place, wrong[0]["fix"])

    assert doctor.wrong() == []


def test_each_system_check_has_a_text_of_its_own() -> None:
    ours = {
        check.__name__
        for check in registry.get_checks(include_deployment_checks=True)
        if check.__module__.startswith("django_exotel_ccm.")
    }

    assert {f"check_{name}" for name in TEXTS} == ours - {"check_reconciling"}
    assert all(why for _right, why in TEXTS.values())


def test_phones_that_are_off_are_named(doctor: Doctor, exotel: Any) -> None:
    """People turn their phones off when they go home."""
    exotel.agent("+919000000101").device = "off"

    told = {one["name"]: one["message"] for one in doctor.checks()}

    assert told["devices"] == "Phones of agents that are on: 0 of 1. Off: Asha."
    assert doctor.wrong() == []


UNLISTED = "Exotel lists no phone of these agents, who may have softphones: Asha."
SILENT: dict[str, tuple[Callable[[Place], object], str]] = {
    "a softphone that somebody typed": (use_softphone, UNLISTED),
    "a co-worker with a softphone alone": (call_by_softphone, UNLISTED),
    "a list without devices": (hide_devices, UNLISTED),
    "a softphone beside a phone that is not verified": (
        lambda place: call_by_softphone(place, "+919000000197"),
        "Phones of agents that are on: 0 of 1. Not verified: Asha.",
    ),
}


@pytest.mark.parametrize("kind", SILENT)
def test_softphones_that_exotel_does_not_list_are_no_fault(kind: str, doctor: Doctor, place: Place) -> None:
    """Calls ring there all the same."""
    hide, message = SILENT[kind]
    hide(place)
    assert place_call(agent=Agent.objects.get(), to=NUMBER).state == State.ACTIVE

    found = doctor.checks()

    assert [one["message"] for one in found if one["name"] == "devices"] == [message]
    assert [one for one in found if not one["ok"]] == []


def test_more_co_workers_than_are_looked_at(doctor: Doctor, exotel: Any) -> None:
    for number in range(260):
        exotel.add_agent(f"+91910000{number:04}")
    asked = len(exotel.book.requests)

    told = {one["name"]: one["message"] for one in doctor.checks()}

    paths = [request.path for request in exotel.book.requests[asked:]]
    assert told["devices"] == "Whose phones are on was not looked at: there are more than 200 co-workers."
    assert sum("/users" in path for path in paths) == 1


def test_more_agents_than_are_looked_at(doctor: Doctor, exotel: Any, host: Any) -> None:
    exotel.add_agent("+919100009999")
    users = User.objects.bulk_create(User(username=f"user{number}") for number in range(60))
    group = Group.objects.create(name="callers")
    group.permissions.set(Permission.objects.filter(content_type__app_label="exotel_ccm"))
    group.user_set.set(users)
    Agent.objects.bulk_create(
        Agent(name=f"Agent {number}", contact_uri=f"+91910000{number:04}", user=user)
        for number, user in enumerate([*users, *[None] * 199])
    )

    checks = doctor.checks()

    told = [one["message"] for one in checks if one["name"] in ("agents", "devices")]
    assert told == [
        (
            "Active agents: 260, linked to users: 61. Phones were looked at for the first 200. "
            "Permissions were looked at for the first 50."
        ),
        "Whose phones are on was not looked at: there are more than 200 co-workers.",
    ]


def test_exophones_beyond_those_looked_at(doctor: Doctor, exotel: Any) -> None:
    for number in range(250):
        exotel.add_exophone(f"+9180010{number:05}")

    told = [one["message"] for one in doctor.checks() if one["name"] == "exophones"]

    assert told == [
        "Active ExoPhones: 1.",
        "Whether the account has our ExoPhones was not looked at: there are more than 200.",
    ]


@pytest.mark.parametrize("second", ["whole", "refused"])
def test_exophone_that_goes_between_two_pages_hides_no_other(
    doctor: Doctor, exotel: Any, monkeypatch: pytest.MonkeyPatch, second: str
) -> None:
    """The second page skips the fifty-first, which is ours, and nothing in Exotel's answers tells."""
    for number in range(60):
        exotel.add_exophone(f"+9180000009{number:02}")
    ours = exotel.directory.exophones[50]
    ExoPhone.objects.create(number=ours)
    fault = DirectoryApi._fault
    asked: list[int] = []

    def change(self: DirectoryApi, of: str, page: int, what: str) -> str:
        if of == "exophones":
            asked.append(page)
            if asked == [0, 1]:
                exotel.remove_exophone("+918000000701")
            elif len(asked) > 2 and second == "refused":
                raise RefusedError(1003)
        return fault(self, of, page, what)

    monkeypatch.setattr(DirectoryApi, "_fault", change)

    assert doctor.wrong() == []
    assert asked == ([0, 1, 0] if second == "refused" else [0, 1, 0, 1])


def test_users_of_agents_who_lack_a_permission_are_named(doctor: Doctor, host: Any) -> None:
    host.user("supervisor", *OF_AGENTS, agent=None)
    host.asha.user_permissions.remove(Permission.objects.get(codename="listen_recording"))

    told = {one["name"]: one["message"] for one in doctor.checks()}

    assert told["permissions"] == (
        "Somebody has each permission that calls need. "
        "exotel_ccm.listen_recording is not given to the users of these agents: Asha."
    )
    assert doctor.wrong() == []


def test_superuser_who_works_alone(doctor: Doctor, host: Any) -> None:
    host.asha.user_permissions.clear()
    host.asha.is_superuser = True
    host.asha.save()

    assert doctor.wrong() == []


def test_site_of_superusers(doctor: Doctor, host: Any) -> None:
    """Where nobody else logs in, the permissions are nobody's to lack."""
    host.asha.user_permissions.clear()
    User.objects.filter(username="asha").update(is_superuser=True)
    Agent.objects.update(user=None)

    assert [name for name, _text in doctor.wrong()] == ["agents"]


def test_key_of_the_other_region(doctor: Doctor, place: Place, exotel: Any) -> None:
    with simulator.running(account=simulator.Account(key="another-key", token="another-token")) as elsewhere:
        place.environment.setitem(REGIONS, "mumbai", (elsewhere.url, elsewhere.url))  # type: ignore[arg-type]
        place.environment.setitem(REGIONS, "singapore", (exotel.url, exotel.url))  # type: ignore[arg-type]
        account = "exotel://sim-key:sim-token@{}/simulated1"
        place.environment.setenv("EXOTEL_URL", account.format("mumbai"))

        wrong = doctor.only()

        assert wrong["message"] == "The API key and token belong to singapore, not to mumbai."
        assert wrong["fix"] == "In the environment write @singapore/ in EXOTEL_URL, and start again."
        place.environment.setenv("EXOTEL_URL", account.format("singapore"))
        assert doctor.wrong() == []

        use_parts(place)
        place.environment.setitem(REGIONS, "mumbai", (elsewhere.url, elsewhere.url))  # type: ignore[arg-type]
        assert doctor.only()["fix"] == "In the environment write EXOTEL_REGION=singapore, and start again."
        use_parts(place, REGION="singapore")
        assert doctor.wrong() == []


def test_web_page_is_no_answer_of_exotel(doctor: Doctor, place: Place) -> None:
    with serving(answering(http(404, b"<h1>Not Found</h1>"))) as server:
        place.environment.setenv("EXOTEL_URL", f"exotel://some-key:some-token@127.0.0.1:{server.port}/acme1?tls=off")

        wrong = doctor.only()

    assert wrong["message"] == f"Exotel gave no usable answer from http://127.0.0.1:{server.port}: http_404."


@pytest.mark.parametrize("code", [1100, 10724])
def test_exotel_that_is_busy(code: int, doctor: Doctor, exotel: Any) -> None:
    """Too many requests are no fault of the set-up; an error of Exotel is told."""
    exotel.options.details_fault = {1100: "bad_gateway", 10724: "too_many"}[code]

    assert [name for name, _text in doctor.wrong()] == {1100: ["key"], 10724: []}[code]


@pytest.mark.parametrize("fault", ["forbidden", "not_found", "unauthorised", "too_many", "error", "html"])
def test_account_that_tells_nothing_is_no_fault(fault: str, doctor: Doctor, exotel: Any) -> None:
    exotel.options.account_fault = exotel.options.balance_fault = fault

    told = {one["name"]: one["message"] for one in doctor.checks()}

    assert doctor.wrong() == []
    assert (told["account"], told["balance"]) == (
        "Exotel does not tell the state of the account.",
        "Exotel does not tell the balance.",
    )


def test_local_exophones_are_of_the_country_that_exotel_names(doctor: Doctor, exotel: Any, settings: Any) -> None:
    exotel.options.local_numbers = True
    set_option(settings, NUMBER_REGION="SG")

    assert [one["ok"] for one in doctor.checks() if one["name"] == "exophones"] == [True]


def test_postpaid_account_needs_no_balance(doctor: Doctor, exotel: Any) -> None:
    exotel.options.balance, exotel.options.billing = -1200, "Postpaid"

    assert doctor.wrong() == []


@pytest.mark.parametrize("fault", ["empty", "half_pages", "repeated_page", "wrong_total", "row_error", "html"])
def test_doubtful_list_of_users_is_no_fault(fault: str, doctor: Doctor, exotel: Any) -> None:
    exotel.options.users_fault = fault

    assert doctor.wrong() == []


@pytest.mark.parametrize("hours", [-3, 3])
def test_clock_that_is_wrong(hours: int, doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=hours), usegmt=True)
    with monkeypatch.context() as patch:
        patch.setattr("http.server.BaseHTTPRequestHandler.date_time_string", lambda *args: theirs)
        wrong = doctor.only()

    assert (wrong["name"], "180 minutes" in wrong["message"]) == ("clock", True)
    assert wrong["fix"].endswith("timedatectl set-ntp true")


def test_code_of_the_host_that_raises(doctor: Doctor, settings: Any) -> None:
    tickets = settings.EXOTEL_CCM["TICKETS"]
    raising = {"prefix": "ticket", "numbers": "tests.diagnosis.host_code.raise_with_number"}
    set_option(settings, TICKETS={"helpdesk.Ticket": raising})

    wrong = doctor.only()

    assert wrong["message"].startswith(
        "helpdesk.Ticket: reading a ticket's numbers raises RuntimeError, at host_code.py:"
    )
    set_option(settings, TICKETS=tickets)
    assert doctor.wrong() == []


def test_tickets_are_read_in_their_work_context(doctor: Doctor, settings: Any) -> None:
    numbers = {"prefix": "ticket", "numbers": "tests.diagnosis.host_code.numbers_of_tenant"}
    context = "tests.diagnosis.host_code.TenantOf"
    set_option(settings, TICKETS={"helpdesk.Ticket": numbers}, WORK_CONTEXT=context)

    assert doctor.wrong() == []


@pytest.mark.sqlite_only(reason="a table is renamed, which other databases follow in their own ways")
def test_tickets_without_a_table(doctor: Doctor, settings: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE helpdesk_lead RENAME TO helpdesk_elsewhere")
        try:
            wrong = doctor.only()
            set_option(settings, WORK_CONTEXT="tests.diagnosis.host_code.TenantOf")
            of_tenants = doctor.wrong()
        finally:
            cursor.execute("ALTER TABLE helpdesk_elsewhere RENAME TO helpdesk_lead")

    assert wrong["message"] == "helpdesk.Lead: its rows cannot be read from here."
    assert wrong["fix"] == "Type: python manage.py migrate"
    assert of_tenants == []
    assert doctor.wrong() == []


def test_account_that_cannot_be_read_hides_no_other(doctor: Doctor, place: Place) -> None:
    place.set(ACCOUNTS={"default": "EXOTEL_URL", "sales": "EXOTEL_SALES"})
    place.environment.setenv("EXOTEL_SALES", "exotel://nonsense")

    checks = doctor.checks()

    assert [one["name"] for one in checks if not one["ok"]] == ["accounts"]
    assert "key" in {one["name"] for one in checks}


def test_private_address_is_not_public(doctor: Doctor, place: Place) -> None:
    place.environment.setenv("EXOTEL_URL", "exotel://some-key:some-token@127.0.0.1.example.invalid/acme1")
    place.set(CALLBACK_BASE_URL="https://user:s3cret@crm.internal")

    wrong = {one["name"]: one for one in doctor.checks() if not one["ok"]}

    assert "https://crm.internal" in wrong["callbacks"]["message"]
    assert "s3cret" not in str(wrong)
    assert "callback_address" not in wrong


def test_exotel_is_not_asked_beyond_the_budget(doctor: Doctor, settings: Any) -> None:
    set_option(settings, REQUESTS_PER_MINUTE=1)
    AccountUsage.objects.take_request("default", 1)

    told = {one["name"]: one["message"] for one in doctor.checks()}

    assert doctor.wrong() == []
    assert "not asked" in told["key"]
    assert "balance" not in told


@pytest.mark.parametrize(("backend", "found"), [("LogsInOnly", ["permissions"]), ("GrantsItself", [])])
def test_backends_of_the_host(backend: str, found: list[str], doctor: Doctor, settings: Any) -> None:
    User.objects.get(username="asha").user_permissions.set(Permission.objects.filter(codename="place_call"))
    settings.AUTHENTICATION_BACKENDS = [
        "django.contrib.auth.backends.ModelBackend",
        f"tests.diagnosis.host_code.{backend}",
    ]

    assert [name for name, _text in doctor.wrong()] == found


def test_wrong_key_is_found_while_the_account_is_paused_for_it(doctor: Doctor, place: Place) -> None:
    AccountUsage.objects.pause("default", datetime.timedelta(minutes=15))
    use_account(place, **{"sim-token": "s1m-t0ken"})

    assert [name for name, _text in doctor.wrong()] == ["key"]
    use_account(place)
    assert doctor.wrong() == []


def test_migrations_that_are_not_applied(doctor: Doctor) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM django_migrations WHERE app = 'exotel_ccm'")
        names = [name for (name,) in cursor.fetchall()]
        cursor.execute("UPDATE django_migrations SET app = 'elsewhere' WHERE app = 'exotel_ccm'")
        try:
            wrong = doctor.only()
        finally:
            cursor.execute("UPDATE django_migrations SET app = 'exotel_ccm' WHERE app = 'elsewhere'")

    assert names
    assert (wrong["name"], wrong["fix"]) == ("migrations", "Type: python manage.py migrate")
    assert doctor.wrong() == []


@pytest.fixture
def several_processes(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let every probe be answered by another process."""
    pids = iter(range(1, 1000))
    return lambda: monkeypatch.setattr("os.getpid", lambda: next(pids))


def test_static_files_that_were_not_collected(doctor: Doctor, settings: Any, tmp_path: Path) -> None:
    manifest = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = settings.STORAGES | {"staticfiles": {"BACKEND": manifest}}

    wrong = doctor.only()
    call_command("collectstatic", interactive=False, verbosity=0)

    assert wrong["name"] == "static_files"
    assert "python manage.py collectstatic" in wrong["fix"]
    assert doctor.wrong() == []


def test_several_processes_with_sessions_in_memory(
    doctor: Doctor, settings: Any, several_processes: Callable[[], None]
) -> None:
    settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"exotel_ccm_place": None}}  # nothing is counted
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    one_process = doctor.wrong()
    several_processes()

    wrong = doctor.only()

    assert one_process == []
    assert (wrong["name"], "sessions" in wrong["message"]) == ("cache", True)
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    assert 'SESSION_ENGINE = "django.contrib.sessions.backends.db"' in wrong["fix"]
    assert doctor.wrong() == []


LOCAL = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


@pytest.mark.parametrize("own", [{"default": LOCAL}, {"default": LOCAL, "pages": LOCAL}])
def test_several_processes_that_count_calls_over_the_api(
    doctor: Doctor, settings: Any, several_processes: Callable[[], None], own: dict[str, Any]
) -> None:
    """As Django is set up at first. The advice leaves the other caches of the site as they are."""
    settings.CACHES = dict(own)
    one_process = doctor.wrong()
    several_processes()

    wrong = doctor.only()

    assert one_process == []
    assert (wrong["name"], "API" in wrong["message"]) == ("cache", True)
    line, command = re.findall(r"write: (CACHES.+\}), and type: python manage\.py (\w+)$", wrong["fix"])[0]
    written = {"CACHES": dict(own)}
    exec(line, written)
    settings.CACHES = written["CACHES"]
    call_command(command)
    try:
        assert doctor.wrong() == []
        assert list(settings.CACHES) == list(own)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE django_cache")


@pytest.mark.parametrize("unused", ["no REST framework", "no limit", "no API"])
def test_cache_of_an_api_that_nobody_uses(
    doctor: Doctor, settings: Any, several_processes: Callable[[], None], unused: str
) -> None:
    several_processes()
    if unused == "no REST framework":
        settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != "rest_framework"]
    elif unused == "no limit":
        settings.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": {"exotel_ccm_place": None}}
    else:
        settings.ROOT_URLCONF = "tests.diagnosis.callbacks_only"

    assert "Nothing here needs a cache that processes share." in [one["message"] for one in doctor.checks()]


def test_processes_that_nobody_answered_for_are_not_known(doctor: Doctor, settings: Any, place: Place) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    place.set(CALLBACK_BASE_URL="http://127.0.0.1:1")

    told = {one["name"]: one["message"] for one in doctor.checks()}

    assert told["cache"].endswith("is not known: no probe came back.")


def test_statements_do_not_grow_with_tickets(doctor: Doctor, django_assert_max_num_queries: Any) -> None:
    customer = Customer.objects.create(name="Ravi", phone="+919000001001")
    Ticket.objects.bulk_create(Ticket(subject=str(number), customer=customer) for number in range(60))

    with django_assert_max_num_queries(45):
        assert doctor.wrong() == []
