"""exotel_sync as an operator runs it: what it prints, its exit status, and how it is stopped."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import time_machine
from django.db import transaction

from django_exotel_ccm import background
from django_exotel_ccm.exceptions import SyncedInsideTransaction
from django_exotel_ccm.management.commands import exotel_sync
from django_exotel_ccm.models import Agent, ExoPhone
from django_exotel_ccm.simulator import Simulator
from tests.management.conftest import Printed
from tests.services.synchronisation.test_budget import EARLY, Waits
from tests.subprocesses import child

Run = Callable[..., Printed]
ASHA = "+919000000101"


@pytest.fixture
def exotel(exotel_simulator: Simulator, transactional_db: None) -> Simulator:
    """A simulated Exotel with its usual four agents and two ExoPhones."""
    return exotel_simulator


def test_run_prints_a_summary(exotel: Simulator, run: Run) -> None:
    done = run("exotel_sync")

    assert done.lines == [
        "Of account default: 4 agents, 4 added, 0 as before (1 request).",
        "Of account default: 2 ExoPhones, 2 added, 0 as before (1 request).",
        "Note: No active ExoPhone is the default. Suggested: +918000000700. Choose it in the admin.",
    ]
    assert (done.status, done.err) == (0, "")
    assert run("exotel_sync").lines[0] == "Of account default: 4 agents, 4 as before (1 request)."
    assert run("exotel_sync", "--verbosity=0").out == ""


def test_dry_run_prints_the_difference(exotel: Simulator, run: Run, django_user_model: Any) -> None:
    django_user_model.objects.create_user("asha", "asha@example.com")

    done = run("exotel_sync", "--dry-run", "--agents")

    assert done.lines == [
        "Asha would be added: user asha",
        "Vik would be added: no user",
        "Ola would be added: no user",
        "Uma would be added: no user",
        "Would be, of account default: 4 agents, 4 added, 0 as before (1 request).",
    ]
    assert (done.status, Agent.objects.count()) == (0, 0)


def test_one_list_alone(exotel: Simulator, run: Run) -> None:
    assert len(run("exotel_sync", "--exophones", "-v2").lines) == 4
    assert (Agent.objects.count(), ExoPhone.objects.count()) == (0, 2)
    run("exotel_sync", "--agents")
    assert Agent.objects.count() == 4


def test_long_run_shows_progress(exotel: Simulator, run: Run, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_exotel_ccm.management.progress.EVERY", 0)
    monkeypatch.setattr(exotel_sync, "stop_on_signal", lambda: nullcontext(Waits()))
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "REQUESTS_PER_MINUTE": 1}
    for number in range(60):
        exotel.add_agent(f"sip:agent{number}")

    with time_machine.travel(EARLY, tick=True):
        lines = run("exotel_sync", "--agents").err.splitlines()

    assert lines[0] == "So far: 50 agents, 50 added, 0 as before (1 request)."
    assert lines[1].startswith("Waiting for the budget of account default, until ")
    assert lines[2] == "So far: 64 agents, 64 added, 0 as before (2 requests)."


def test_many_notes_are_shortened(exotel: Simulator, run: Run, django_user_model: Any) -> None:
    django_user_model.objects.create_user("asha", "asha@example.com")
    for number in range(25):
        exotel.add_agent(f"sip:agent{number}", email="asha@example.com")

    lines = run("exotel_sync", "--agents").lines

    assert len([line for line in lines if line.startswith("Note: sip:agent")]) == 20
    assert lines[-1] == "Note: and 5 more of this kind."


def test_job_for_a_queue(exotel: Simulator) -> None:
    background.run_job("sync", {})

    assert (Agent.objects.count(), ExoPhone.objects.count()) == (4, 2)


def test_job_logs_what_is_wrong_and_goes_on(
    exotel: Simulator, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    accounts = {"bad": "BAD_URL", "default": "EXOTEL_URL", "later": "LATER_URL", "sales": "SALES_URL"}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "ACCOUNTS": accounts}
    monkeypatch.setenv("BAD_URL", "exotel://nonsense")
    monkeypatch.delenv("LATER_URL")
    exotel.options.exophones_refuse_with = 1007

    background.run_job("sync", {})

    assert set(Agent.objects.values_list("account", flat=True)) == {"default", "sales"}
    logged = [one.getMessage() for one in caplog.records if one.name == "django_exotel_ccm.services"]
    assert [" ".join(text.split()[:4]) for text in logged] == [
        "sync_agents of account 'bad'",
        "sync_exophones of account 'bad'",
        "sync_exophones of account 'default'",
        "sync_exophones of account 'sales'",
    ]
    assert "is not complete: " in logged[-1]
    assert "Ask the developers to look at the log." in logged[-1]


def test_job_inside_a_transaction_is_refused(exotel: Simulator) -> None:
    with transaction.atomic(), pytest.raises(SyncedInsideTransaction):
        background.run_job("sync", {})


def test_incomplete_run_fails_and_says_what_to_do(exotel: Simulator, run: Run) -> None:
    run("exotel_sync")
    exotel.remove_agent(ASHA)
    exotel.options.users_refuse_with = 1010

    done = run("exotel_sync")

    assert done.status == 1
    assert "agents of account default: Authentication failed" in done.err
    assert "Ask your administrator to check them." in done.err
    assert done.err.endswith("Not complete: agents of account default. Nobody was deactivated there.")
    assert Agent.objects.filter(is_active=True).count() == 4


def test_accounts(exotel: Simulator, run: Run, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALES_URL", exotel.account_url)
    accounts = {"default": "EXOTEL_URL", "sales": "SALES_URL", "later": "LATER_URL"}
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "ACCOUNTS": accounts}
    monkeypatch.delenv("LATER_URL")

    assert len([line for line in run("exotel_sync").lines if line.startswith("Of")]) == 4
    assert set(Agent.objects.values_list("account", flat=True)) == {"default", "sales"}
    assert "Of account sales: 4 agents, 4 as before" in run("exotel_sync", "--account=sales").out
    for alias, reason in (("later", "LATER_URL"), ("nobody", "There is no Exotel account 'nobody'")):
        refused = run("exotel_sync", f"--account={alias}")
        assert (refused.status, reason in refused.err) == (1, True)


def test_without_an_account(run: Run, settings: Any, monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> None:
    monkeypatch.delenv("EXOTEL_URL", raising=False)

    done = run("exotel_sync")

    assert (done.status, "EXOTEL_API_KEY" in done.err) == (1, True)


def test_match_that_cannot_be_imported(exotel: Simulator, run: Run, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "AGENT_MATCH": "nowhere.match"}

    done = run("exotel_sync")

    assert (done.status, "'nowhere.match', which cannot be imported" in done.err) == (1, True)
    assert not Agent.objects.exists()


def test_wrong_pause(run: Run) -> None:
    assert "write --every=3600" in run("exotel_sync", "--every=0").err


def test_runs_for_ever_until_it_is_stopped(exotel: Simulator) -> None:
    with child("-m", "django", "exotel_sync", "--forever", "--every=0.2") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _line in range(2)]
        exotel.add_agent("sip:new", name="New")
        deadline = time.monotonic() + 20
        while not Agent.objects.filter(name="New").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0

    assert lines[0] == "Fetching from Exotel until Ctrl-C.\n"
    assert Agent.objects.filter(name="New").exists()


def test_stopped_run_has_a_status_of_its_own(exotel: Simulator) -> None:
    exotel.options.users_fault = "hang"
    with child("-m", "django", "exotel_sync") as process:
        deadline = time.monotonic() + 20
        while not exotel.faults() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        exotel.stop()
        assert process.wait(30) == 130
        assert process.stdout is not None
        assert "Stopped. Run it again to go on." in process.stdout.read()
