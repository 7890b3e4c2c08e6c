"""exotel_setup in the first hour: what it makes, what it leaves alone, and what it says is left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission

from django_exotel_ccm.management.commands import exotel_setup
from django_exotel_ccm.models import AccountUsage, Agent, Disposition, ExoPhone
from django_exotel_ccm.simulator import Simulator
from tests.management.conftest import Printed

Run = Callable[..., Printed]
AGENTS = ["add_callnote", "listen_recording", "place_call", "view_callrecord"]
SUPERVISORS = ["add_callnote", "listen_recording", "place_call", "view_all_calls", "view_callrecord"]
SUPERVISORS += ["view_customer_number", "view_reports"]

SETTINGS = """
INSTALLED_APPS += ["django_exotel_ccm", "crm"]
EXOTEL_CCM = {"CALLBACK_BASE_URL": "http://127.0.0.1:1"}
"""
TICKETS = 'EXOTEL_CCM["TICKETS"] = {"crm.Ticket": {"prefix": "ticket", "phone": "customer.phone"}}\n'
URLS = """
from django.urls import include
urlpatterns += [path("exotel/", include("django_exotel_ccm.urls"))]
"""
MODELS = """
from django.db import models


class Customer(models.Model):
    phone = models.CharField(max_length=20)


class Ticket(models.Model):
    subject = models.CharField(max_length=100)
    customer = models.ForeignKey(Customer, models.CASCADE)
"""
ADMIN = """
from django.contrib import admin
from crm.models import Ticket

admin.site.register(Ticket)
"""
PRESS = """
import re
from crm.models import Customer, Ticket
from django.contrib.auth.models import User
from django.test import Client
from django_exotel_ccm.models import CallRecord

ticket = Ticket.objects.create(subject="Fan", customer=Customer.objects.create(phone="+919000001001"))
client = Client(headers={"host": "localhost"})
client.force_login(User.objects.get(username="asha"))
page = client.get(f"/admin/crm/ticket/{ticket.pk}/change/").content.decode()
client.post(re.search(r'data-exotel-place="([^"]+)"', page)[1].replace("&amp;", "&"))
print("state:", CallRecord.objects.get().state)
"""


@pytest.fixture
def exotel(exotel_simulator: Simulator, transactional_db: None) -> Simulator:
    """A simulated Exotel with its usual four agents and two ExoPhones."""
    return exotel_simulator


def permissions_of(name: str) -> list[str]:
    return sorted(Group.objects.get(name=name).permissions.values_list("codename", flat=True))


def test_first_run_makes_all_that_is_missing(exotel: Simulator, run: Run, django_user_model: Any) -> None:
    asha = django_user_model.objects.create_user("asha", "Asha@Example.com", is_staff=True)

    done = run("exotel_setup")

    assert done.status == 0
    assert done.lines[:7] == [
        "Tables: there already.",
        "Groups: Call agents and Call supervisors: created.",
        f"Dispositions: {Disposition.objects.count()} to choose from after a call.",
        "Of account default: 4 agents, 4 added, 0 as before (1 request).",
        "Of account default: 2 ExoPhones, 2 added, 0 as before (1 request).",
        "Default ExoPhone: +918000000700. You can choose another one in the admin.",
        'Agents: added to the group "Call agents", so that they may call: asha.',
    ]
    assert permissions_of("Call agents") == AGENTS
    assert permissions_of("Call supervisors") == SUPERVISORS
    assert ExoPhone.objects.get(is_default=True).number == "+918000000700"
    assert Agent.objects.get(user=asha).name == "Asha"
    assert django_user_model.objects.get(pk=asha.pk).has_perm("exotel_ccm.place_call")


def test_second_run_leaves_alone_what_somebody_changed(exotel: Simulator, run: Run, django_user_model: Any) -> None:
    asha = django_user_model.objects.create_user("asha", "asha@example.com")
    vik = django_user_model.objects.create_user("vik", "vik@example.com")
    run("exotel_setup")
    vik.user_permissions.add(Permission.objects.get(codename="place_call"))
    agents = Group.objects.get(name="Call agents")
    agents.permissions.clear()
    agents.user_set.clear()
    Disposition.objects.exclude(code="reached").delete()
    ExoPhone.objects.filter(is_default=True).update(is_default=False)
    ExoPhone.objects.filter(number="+918000000701").update(is_default=True)
    Group.objects.get(name="Call supervisors").delete()

    done = run("exotel_setup")

    assert "Groups: Call supervisors: created." in done.lines
    assert "Dispositions: there already." in done.lines
    assert "Of account default: 4 agents, 4 as before (1 request)." in done.lines
    assert not agents.permissions.exists()
    assert not agents.user_set.exists()
    assert not django_user_model.objects.get(pk=asha.pk).has_perm("exotel_ccm.place_call")
    assert ExoPhone.objects.get(is_default=True).number == "+918000000701"
    assert Disposition.objects.count() == 1
    assert "Agents whose users may not place calls: Asha." in done.out


def test_default_that_vanished_is_replaced(exotel: Simulator, run: Run) -> None:
    run("exotel_setup")
    exotel.directory.remove_exophone("+918000000700")

    done = run("exotel_setup")

    assert "Default ExoPhone: +918000000701." in done.lines
    assert "Choose it in the admin" not in done.out
    assert ExoPhone.objects.get(is_default=True).number == "+918000000701"
    assert "Default ExoPhone" not in run("exotel_setup").out


def test_users_made_after_the_first_run_may_call_after_the_second(
    exotel: Simulator, run: Run, django_user_model: Any
) -> None:
    django_user_model.objects.create_user("vik", "vik@example.com")
    run("exotel_setup")
    asha = django_user_model.objects.create_user("asha", "asha@example.com")

    done = run("exotel_setup")

    assert 'Agents: added to the group "Call agents", so that they may call: asha.' in done.lines
    assert django_user_model.objects.get(pk=asha.pk).has_perm("exotel_ccm.place_call")

    asha.groups.clear()
    run("exotel_setup")
    assert not django_user_model.objects.get(pk=asha.pk).has_perm("exotel_ccm.place_call")


def refused(exotel: Simulator, run: Run) -> None:
    """Run it with a key that Exotel refuses, mend the key, and type what the run says is left."""
    exotel.options.users_refuse_with = 1010
    assert "python manage.py exotel_sync --agents" in run("exotel_setup").out
    exotel.options.users_refuse_with = None
    AccountUsage.objects.update(paused_until=None)
    run("exotel_sync", "--agents")


def killed(exotel: Simulator, run: Run) -> None:
    """Run it until agents and ExoPhones are there."""

    def kill(command: exotel_setup.Command) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exotel_setup.Command, "_choose_default_exophones", kill)
        with pytest.raises(KeyboardInterrupt):
            run("exotel_setup")


@pytest.mark.parametrize("is_superuser", [False, True])
@pytest.mark.parametrize("break_off", [refused, killed])
def test_run_that_came_to_no_end_is_finished_by_the_next(
    exotel: Simulator, run: Run, django_user_model: Any, break_off: Callable[..., None], is_superuser: bool
) -> None:
    """A superuser among the agents, who could call all along, changes nothing for the others."""
    asha = django_user_model.objects.create_user("asha", "asha@example.com")
    django_user_model.objects.create_user("vik", "vik@example.com", is_superuser=is_superuser)
    break_off(exotel, run)
    assert not django_user_model.objects.get(pk=asha.pk).has_perm("exotel_ccm.place_call")

    done = run("exotel_setup")

    names = "asha" if is_superuser else "asha, vik"
    assert f'Agents: added to the group "Call agents", so that they may call: {names}.' in done.lines
    assert django_user_model.objects.get(pk=asha.pk).has_perm("exotel_ccm.place_call")
    assert "may not place calls" not in done.out


def test_group_without_permissions_is_completed_where_no_agent_may_call(
    exotel: Simulator, run: Run, django_user_model: Any
) -> None:
    users = [django_user_model.objects.create_user(name, f"{name}@example.com") for name in ("asha", "vik")]
    agents = Group.objects.create(name="Call agents")
    run("exotel_sync", "--agents")
    agents.user_set.add(users[1])

    done = run("exotel_setup")

    assert 'Groups: no agent could call, so "Call agents" has its permissions again.' in done.lines
    assert permissions_of("Call agents") == AGENTS
    assert list(agents.user_set.all()) == users[1:]  # now an agent may call, so whoever is not in it was taken out
    assert "exotel_ccm.listen_recording" not in done.out


def test_permissions_are_not_given_back_to_a_group_that_may_call(
    exotel: Simulator, run: Run, django_user_model: Any
) -> None:
    asha = django_user_model.objects.create_user("asha", "asha@example.com")
    run("exotel_setup")
    agents = Group.objects.get(name="Call agents")
    agents.permissions.remove(Permission.objects.get(codename="listen_recording"))
    agents.user_set.clear()

    run("exotel_setup")

    assert list(agents.user_set.all()) == [asha]
    assert "listen_recording" not in permissions_of("Call agents")


def test_nobody_is_put_into_a_group_that_was_deleted_where_agents_may_call(
    exotel: Simulator, run: Run, django_user_model: Any
) -> None:
    """The team has a group of its own, and asha is not in it."""
    for name in ("asha", "vik"):
        django_user_model.objects.create_user(name, f"{name}@example.com")
    run("exotel_setup")
    Group.objects.get(name="Call agents").delete()
    own = Group.objects.create(name="Support")
    own.permissions.add(Permission.objects.get(codename="place_call"))
    own.user_set.add(django_user_model.objects.get(username="vik"))

    run("exotel_setup")

    assert not Group.objects.get(name="Call agents").user_set.exists()


def test_phones_that_are_all_off_are_left_to_do(exotel: Simulator, run: Run, django_user_model: Any) -> None:
    django_user_model.objects.create_user("asha", "asha@example.com", is_staff=True)
    left = "All phones of your agents are off in Exotel"
    assert left not in run("exotel_setup").out
    assert Agent.objects.get(name="Asha").devices.get().is_on

    exotel.agent("+919000000101").device = "off"
    printed = run("exotel_setup").out

    assert left in printed
    assert "Turn one on: the agent does so on “My phone”" in printed


def test_users_who_cannot_log_in_are_left_out(exotel: Simulator, run: Run, django_user_model: Any) -> None:
    django_user_model.objects.create_user("asha", "asha@example.com", is_active=False)

    run("exotel_setup")

    assert not Group.objects.get(name="Call agents").user_set.exists()


def test_account_that_does_not_answer_stops_only_its_own_step(exotel: Simulator, run: Run) -> None:
    exotel.options.users_refuse_with = 1010

    done = run("exotel_setup")

    assert done.status == 0
    assert "Authentication failed" in done.err
    assert ExoPhone.objects.count() == 2
    assert Group.objects.count() == 2
    assert "There is no active agent." in done.out


def test_without_an_account(exotel: Simulator, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXOTEL_URL")

    done = run("exotel_setup")

    assert done.status == 0
    assert Group.objects.count() == 2
    assert "Agents and ExoPhones: No Exotel account is configured. Set EXOTEL_API_KEY" in done.out
    assert "The Exotel account 'default' has no credentials, so it can place no call." in done.out


def test_new_project_from_an_empty_database_to_a_call(exotel_simulator: Simulator, tmp_path: Path) -> None:
    """A project as Django starts it: the command, what it says is left, the command again, and a press."""
    manage = new_project(tmp_path, exotel_simulator)

    first = manage("exotel_setup")

    assert "Tables: made." in first
    assert "Nobody can log in yet.\n   Type: python manage.py createsuperuser" in first
    assert '"TICKETS": {"crm.Ticket": {"prefix": "ticket", "phone": "customer.phone"}' in first

    manage("createsuperuser", "--noinput", "--username=asha", "--email=asha@example.com")
    with (tmp_path / "site_1/settings.py").open("a") as settings:
        settings.write(TICKETS)
    second = manage("exotel_setup")

    assert "Nobody can log in" not in second
    assert "No model is a ticket" not in second
    assert manage("shell", "-v0", "-c", PRESS).endswith("state: active\n")
    assert len([seen for seen in exotel_simulator.book.requests if seen.method == "POST"]) == 1


def new_project(folder: Path, exotel: Simulator) -> Callable[..., str]:
    """Start a project with tickets in the admin; return what runs its commands."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "PYTHONPATH") if name in os.environ}
    root = Path(__file__).resolve().parents[2]
    environment = kept | {"NO_PROXY": "127.0.0.1", "EXOTEL_URL": exotel.account_url, "PYTHONPATH": str(root)}
    environment["DJANGO_SUPERUSER_PASSWORD"] = "pw"

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    python("-m", "django", "startproject", "site_1", ".")
    python("manage.py", "startapp", "crm")
    (folder / "crm/models.py").write_text(MODELS)
    (folder / "crm/admin.py").write_text(ADMIN)
    for name, text in {"settings.py": SETTINGS, "urls.py": URLS}.items():
        with (folder / "site_1" / name).open("a") as file:
            file.write(text)
    python("manage.py", "makemigrations", "crm")
    return lambda *words: python("manage.py", *words)
