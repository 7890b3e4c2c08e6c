"""System checks: each message has its cause, and a correct host has none."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import django
import pytest
from django.contrib.contenttypes.fields import GenericRelation
from django.core import checks
from django.core.management import call_command
from django.db import models
from django.test.utils import isolate_apps

from django_exotel_ccm import signals, tickets
from django_exotel_ccm.checks import check_runner
from django_exotel_ccm.models import CallRecord
from tests.exotel.leaks import KEY, TOKEN, leaks_in
from tests.helpdesk.models import Customer, Ticket

BASE = {"CALLBACK_BASE_URL": "https://crm.example.com"}
PHONE = {"prefix": "ticket", "phone": "customer.phone"}
HERE = "tests.test_checks"


@pytest.fixture(autouse=True)
def account(db: None, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setenv("EXOTEL_URL", "exotel://K:T@mumbai/acme1")
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, **BASE}


def ours() -> dict[str, checks.CheckMessage]:
    found = [message for message in checks.run_checks() if (message.id or "").startswith("exotel_ccm.")]
    assert len({message.id for message in found}) == len(found)
    return {(message.id or "").removeprefix("exotel_ccm."): message for message in found}


def callable_of_a_host(*args: Any) -> None:
    return None


def test_correct_host_has_no_message() -> None:
    output = io.StringIO()

    call_command("check", fail_level="WARNING", stdout=output, stderr=output)

    assert output.getvalue() == "System check identified no issues (0 silenced).\n"


@pytest.mark.parametrize(
    ("number", "keys"),
    [
        ("E001", {"ACOUNTS": {}}),
        ("E002", {"ACCOUNTS": "EXOTEL_URL"}),
        ("E003", {"CALLBACK_BASE_URL": "http://crm.example.com"}),
        ("E004", {"TICKETS": {"helpdesk.Ticket": None}}),
        ("E005", {"NUMBER_REGION": "India"}),
        ("E006", {"POLICIES": ["crm.nowhere.rule"]}),
        ("E006", {"WORK_CONTEXT": "crm.nowhere.context"}),
        ("E006", {"CALLBACK_BASE_URL": "crm.nowhere.base_url"}),
        ("E006", {"TICKETS": {"helpdesk.Ticket": {"prefix": "t", "numbers": "crm.nowhere.numbers"}}}),
        ("E006", {"TICKETS": {"helpdesk.Ticket": {**PHONE, "can_call": "crm.nowhere.can_call"}}}),
        ("W001", {"CALLBACK_BASE_URL": None}),
        ("W002", {"ACCOUNTS": {"default": "EXOTEL_URL", "sales": "SALES_URL"}}),
        ("W003", {"ACCOUNTS": {"default": "exotel://K:T@mumbai/acme1"}}),
        ("E008", {"TICKETS": {"helpdesk.Ticket": {**PHONE, "prefix": "Ticket"}}}),
        ("E008", {"TICKETS": {"helpdesk.Ticket": {"prefix": "ticket"}}}),
        ("E008", {"TICKETS": {"helpdesk.Ticket": {**PHONE, "numbers": f"{HERE}.callable_of_a_host"}}}),
        ("E008", {"TICKETS": {"helpdesk.Ticket": {**PHONE, "phone_path": "x"}}}),
        ("E008", {"TICKETS": {"helpdesk.Tickets": PHONE}}),
        ("E008", {"TICKETS": {"helpdesk.Ticket": {**PHONE, "phone": 5}}}),
        ("E008", {"TICKETS": {"helpdesk.Ticket": {**PHONE, "call": {"recording": "yes"}}}}),
        ("E008", {"TICKETS": {"helpdesk.Ticket": {**PHONE, "call": {"record": True}}}}),
        ("E008", {"TICKETS": {"helpdesk.Ticket": PHONE, "helpdesk.Lead": {**PHONE, "phone": "name"}}}),
        ("E010", {"TICKETS": {"helpdesk.Ticket": {**PHONE, "phone": "custmer.phone"}}}),
        ("E010", {"TICKETS": {"helpdesk.Ticket": {**PHONE, "phone": ["customer.phone", "customer.fone"]}}}),
        ("E010", {"TICKETS": {"helpdesk.UrgentTicket": {**PHONE, "phone": "ticket_ptr.customer.fone"}}}),
        ("E010", {"TICKETS": {"helpdesk.Lead": {**PHONE, "phone": "leadphone"}}}),
        ("W004", {"TICKETS": {"helpdesk.LoudTicket": PHONE}}),
        ("E015", {"RUNNER": "threads"}),
        ("E015", {"RUNNER": "crm.nowhere.enqueue"}),
    ],
)
def test_each_mistake_has_its_message(settings: Any, number: str, keys: dict[str, Any]) -> None:
    settings.EXOTEL_CCM = {**BASE, **keys}

    found = ours()

    assert list(found) == [number]
    level = checks.ERROR if number.startswith("E") else checks.WARNING
    assert found[number].level == level
    assert found[number].hint or number == "E008"  # whose messages contain the advice


@pytest.mark.parametrize(
    ("account", "base", "number"),
    [
        ("exotel://K:T@127.0.0.1:8900/acme1?tls=off", "https://crm.example.com", "W011"),
        ("exotel://K:T@127.0.0.1:8900/acme1?tls=off", "http://127.0.0.1:8000", None),
        ("exotel://K:T@127.0.0.1:8900/acme1?tls=off", f"{HERE}.callable_of_a_host", None),
        ("exotel://K:T@mumbai/acme1", "http://localhost:8000", "W012"),
    ],
)
def test_account_must_reach_callback_base_url(
    settings: Any, monkeypatch: pytest.MonkeyPatch, account: str, base: str, number: str | None
) -> None:
    monkeypatch.setenv("EXOTEL_URL", account)
    settings.EXOTEL_CCM = {"CALLBACK_BASE_URL": base}

    found = ours()

    assert set(found) == ({number} if number else set())
    assert not number or base in found[number].msg


def test_usable_settings_have_no_message(settings: Any) -> None:
    path = f"{HERE}.callable_of_a_host"
    settings.EXOTEL_CCM = {
        "CALLBACK_BASE_URL": path,
        "ACCOUNTS": {"default": "EXOTEL_URL"},
        "AGENT_FOR_USER": path,
        "POLICIES": [path],
        "WORK_CONTEXT": path,
        "TICKETS": {
            "helpdesk.Ticket": {**PHONE, "can_call": path},
            "helpdesk.Lead": {"prefix": "lead", "numbers": callable_of_a_host},
        },
    }

    assert ours() == {}


@pytest.mark.parametrize(
    "path",
    [
        "customer.phone.as_e164",  # an attribute of the value, which only the value knows
        "urgentticket.customer.phone",
        "customer.get_phone.number",
        "customer_id",
        "owner.get_full_name",
        "customer.ticket_set.first",
        "pk",
    ],
)
def test_usable_phone_paths(settings: Any, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(Customer, "get_phone", property(lambda customer: None), raising=False)
    settings.EXOTEL_CCM = {**BASE, "TICKETS": {"helpdesk.Ticket": {**PHONE, "phone": path}}}

    assert ours() == {}


def test_model_with_getattr(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Customer, "__getattr__", lambda customer, name: None, raising=False)
    settings.EXOTEL_CCM = {**BASE, "TICKETS": {"helpdesk.Ticket": {**PHONE, "phone": "customer.fone"}}}

    assert ours() == {}


def test_wrong_path_names_model_and_attribute(settings: Any) -> None:
    settings.EXOTEL_CCM = {**BASE, "TICKETS": {"helpdesk.Ticket": {**PHONE, "phone": "customer.fone"}}}

    assert "'customer.fone' of helpdesk.Ticket leads nowhere: helpdesk.Customer has no 'fone'" in ours()["E010"].msg


def test_no_account_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXOTEL_URL")

    found = ours()

    assert list(found) == ["W002"]
    assert "EXOTEL_API_KEY, EXOTEL_API_TOKEN, EXOTEL_ACCOUNT_SID, EXOTEL_REGION" in (found["W002"].hint or "")


def test_unreadable_account_is_named_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXOTEL_URL", f"exotel://{KEY}:{TOKEN}@mumbai/acme1")

    found = ours()

    assert list(found) == ["E007"]
    assert "Write: EXOTEL_URL=exotel://KEY:TOKEN@mumbai/ACCOUNT_SID" in found["E007"].msg
    assert leaks_in(str(found["E007"])) == []


def test_urls_not_included(settings: Any) -> None:
    settings.ROOT_URLCONF = "django.contrib.auth.urls"

    found = [message for message in checks.run_checks(tags=["urls"]) if message.id == "exotel_ccm.E011"]

    assert [message.hint for message in found] == [
        'Write path("exotel/", include("django_exotel_ccm.urls")) in the project\'s urls.py.'
    ]


@isolate_apps("tests.helpdesk")
def test_composite_key(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Order(models.Model):  # noqa: DJ008
        pk = models.CompositePrimaryKey("shop", "number")
        shop = models.IntegerField()
        number = models.IntegerField()
        phone = models.CharField(max_length=20)

        class Meta:
            app_label = "helpdesk"

    monkeypatch.setattr(tickets, "apps", Order._meta.apps)
    settings.EXOTEL_CCM = {**BASE, "TICKETS": {"helpdesk.Order": {"prefix": "order", "phone": "phone"}}}

    found = ours()

    assert set(found) == {"E009", "W004"}
    assert "composite primary key" in found["E009"].msg


@pytest.mark.parametrize(("prefix", "fits"), [("order", True), ("orders", False)])
@pytest.mark.parametrize("label", ["helpdesk.Order", "helpdesk.UrgentOrder"])
@isolate_apps("tests.helpdesk")
def test_key_must_fit_behind_its_prefix(
    settings: Any, monkeypatch: pytest.MonkeyPatch, label: str, prefix: str, fits: bool
) -> None:
    class Order(models.Model):  # noqa: DJ008
        code = models.CharField(max_length=122, primary_key=True)
        phone = models.CharField(max_length=20)

        class Meta:
            app_label = "helpdesk"

    class UrgentOrder(Order):  # noqa: DJ008
        class Meta:
            app_label = "helpdesk"

    monkeypatch.setattr(tickets, "apps", Order._meta.apps)
    settings.EXOTEL_CCM = {**BASE, "TICKETS": {label: {"prefix": prefix, "phone": "phone"}}}

    found = ours()

    assert set(found) == ({"W004"} if fits else {"E012", "W004"})
    if not fits:
        assert "may have 122 characters, but custom_field has room for 121 behind 'orders_'" in found["E012"].msg


# Announcements and their runner.


class Desk:
    """A host's class with a receiver of its own."""

    def on_end(self, **kwargs: Any) -> None:
        """Do nothing."""


@pytest.mark.parametrize("others", [Ticket, None])
def test_two_receivers_with_one_name(receivers: Any, others: Any) -> None:
    for sender in (Ticket, others):
        receivers(signals.call_ended, Desk().on_end, sender=sender)

    found = ours()

    assert list(found) == ["E014"]
    assert f"Several receivers of call_ended are called '{HERE}.Desk.on_end'" in found["E014"].msg
    assert "dispatch_uid=" in (found["E014"].hint or "")


def test_same_name_for_other_sender_or_signal(receivers: Any) -> None:
    for signal in (signals.call_ended, signals.call_answered):
        for sender in (Ticket, Customer):
            receivers(signal, Desk().on_end, sender=sender)
    for uid in ("one", "other"):
        receivers(signals.call_ended, Desk().on_end, sender=Ticket, dispatch_uid=uid)

    assert ours() == {}


@pytest.mark.parametrize(
    ("runner", "library", "extra"), [("celery", "celery", "celery"), ("django_tasks", "django.tasks", "tasks")]
)
def test_missing_library_of_a_runner(
    settings: Any, monkeypatch: pytest.MonkeyPatch, runner: str, library: str, extra: str
) -> None:
    if runner == "django_tasks" and django.VERSION < (6, 0):
        library = "django_tasks"
    monkeypatch.delitem(sys.modules, f"django_exotel_ccm.background.with_{runner}", raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    settings.EXOTEL_CCM = {**BASE, "RUNNER": runner}

    [found] = check_runner()  # Django's own checks need Django's own tasks

    assert (found.id, found.level) == ("exotel_ccm.E015", checks.ERROR)
    assert f"RUNNER '{runner}' cannot be used: {library} is not installed." in found.msg
    assert found.hint == f'Type: pip install "django-exotel-ccm[{extra}]"'


@pytest.mark.parametrize("set_up", [True, False])
def test_celery_needs_an_app_in_this_process(settings: Any, monkeypatch: pytest.MonkeyPatch, set_up: bool) -> None:
    from django_exotel_ccm.background import with_celery

    monkeypatch.setattr(with_celery, "has_app", lambda: set_up)
    settings.EXOTEL_CCM = {**BASE, "RUNNER": "celery"}

    found = ours()

    assert list(found) == ([] if set_up else ["E015"])
    assert set_up or "from .celery import app as celery_app" in (found["E015"].hint or "")


def test_celerys_default_app_is_no_app() -> None:
    program = "import celery; from django_exotel_ccm.background.with_celery import has_app; print(has_app())"
    made = program.replace("celery;", "celery; app = celery.Celery('crm');", 1)

    printed = [
        subprocess.run([sys.executable, "-c", one], capture_output=True, text=True, check=True, timeout=60).stdout
        for one in (program, made)
    ]

    assert printed == ["False\n", "True\n"]


class TicketsElsewhere:
    """A router of a host with a database for its tickets."""

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "tickets" if model._meta.app_label == "helpdesk" else None


def test_tickets_in_another_database(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [f"{HERE}.TicketsElsewhere"]
    settings.EXOTEL_CCM = {**BASE, "TICKETS": {"helpdesk.Ticket": PHONE}}

    found = ours()

    assert list(found) == ["W006"]
    assert "helpdesk.Ticket is written to the database 'tickets' and calls to 'default'" in found["W006"].msg


def test_relation_that_deletes_calls() -> None:
    field = GenericRelation(CallRecord, "ticket_object_id", "ticket_content_type")
    field.contribute_to_class(Ticket, "old_calls")
    try:
        found = ours()
    finally:
        Ticket._meta.private_fields.remove(field)
        Ticket._meta._expire_cache()
        del Ticket.old_calls

    assert set(found) == {"W010"}
    assert found["W010"].msg.startswith("Deleting a helpdesk.Ticket deletes its calls, because its 'old_calls'")
    assert "old_calls = CallRelation()" in (found["W010"].hint or "")
