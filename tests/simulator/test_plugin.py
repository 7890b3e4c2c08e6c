"""The fixture: no test of a host reaches a real account, whatever the machine has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
from django.test import override_settings

from django_exotel_ccm import accounts
from django_exotel_ccm.services import place_call
from django_exotel_ccm.simulator import Simulator

REAL = "exotel://zebra:walrus@mumbai/acme1"
PARTS = ("EXOTEL_API_KEY", "EXOTEL_API_TOKEN", "EXOTEL_ACCOUNT_SID", "EXOTEL_REGION", "EXOTEL_TO_KEY")


@pytest.fixture
def real_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own environment."""
    for name in ("SALES_EXOTEL_URL", "VAULT_URL"):
        monkeypatch.setenv(name, REAL)
    for name in PARTS:
        monkeypatch.setenv(name, "number")


def accounts_of(**sources: str) -> Any:
    return {"ACCOUNTS": sources, "CALLBACK_BASE_URL": "http://127.0.0.1:1"}


@pytest.mark.usefixtures("real_account")
def test_fixture_sets_the_environment(request: pytest.FixtureRequest) -> None:
    exotel = request.getfixturevalue("exotel_simulator")

    assert isinstance(exotel, Simulator)
    assert os.environ["EXOTEL_URL"] == exotel.account_url
    assert [name for name in PARTS if name in os.environ] == []
    assert requests.get(exotel.url, timeout=5).status_code == 200


@pytest.mark.usefixtures("real_account")
def test_every_account_leads_to_the_simulator(
    request: pytest.FixtureRequest, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPPORT_EXOTEL_URL", "$VAULT_URL")
    settings.EXOTEL_CCM = accounts_of(default="SALES_EXOTEL_URL", support="SUPPORT_EXOTEL_URL", unset="UNSET_URL")

    exotel = request.getfixturevalue("exotel_simulator")

    reached = {alias: account.ccm_url for alias, account in accounts.configured_accounts().items()}
    assert reached == dict.fromkeys(("default", "support", "unset"), exotel.url)
    assert "VAULT_URL" not in os.environ


@pytest.mark.usefixtures("real_account")
def test_call_of_an_own_account_rings_in_the_simulator(
    request: pytest.FixtureRequest, settings: Any, host: Any
) -> None:
    settings.EXOTEL_CCM = accounts_of(default="SALES_EXOTEL_URL")
    exotel = request.getfixturevalue("exotel_simulator")

    call = place_call(agent=host.agent(), to="+919000001001")

    assert list(exotel.book.calls) == [call.call_sid]


@pytest.mark.usefixtures("real_account")
def test_account_named_later_leads_there_too(exotel_simulator: Simulator) -> None:
    with override_settings(EXOTEL_CCM=accounts_of(default="SALES_EXOTEL_URL")):
        account = accounts.get_account()

    assert account.ccm_url == exotel_simulator.url


def test_account_that_the_test_sets_itself_stays(
    exotel_simulator: Simulator, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXOTEL_URL", "exotel://K:T@127.0.0.1:1/elsewhere?tls=off")

    settings.EXOTEL_CCM = accounts_of(default="EXOTEL_URL")

    assert accounts.get_account().sid == "elsewhere"


def test_real_account_in_the_settings_is_refused(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.EXOTEL_CCM = accounts_of(sales=REAL)

    with pytest.raises(pytest.UsageError, match=r'Write "ACCOUNTS": {"sales": "EXOTEL_URL"}') as raised:
        request.getfixturevalue("exotel_simulator")

    assert "walrus" not in str(raised.value)


def test_real_account_in_overridden_settings_is_refused(exotel_simulator: Simulator) -> None:
    with (
        pytest.raises(pytest.UsageError, match="would ring real phones"),
        override_settings(EXOTEL_CCM=accounts_of(default=REAL)),
    ):
        raise AssertionError("The settings must not come into force.")


@pytest.mark.parametrize("literal", ["exotel://K:T@127.0.0.1:1/own?tls=off", "exotel://not-readable"])
def test_harmless_account_in_the_settings_stays(request: pytest.FixtureRequest, settings: Any, literal: str) -> None:
    settings.EXOTEL_CCM = accounts_of(default=literal)

    assert isinstance(request.getfixturevalue("exotel_simulator"), Simulator)


WITHOUT_DJANGO = """
import os, sys

def test_it(exotel_simulator):
    assert os.environ["EXOTEL_URL"] == exotel_simulator.account_url
    assert "EXOTEL_TO_KEY" not in os.environ
    assert "django" not in sys.modules
"""


def test_run_without_django_needs_none(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(WITHOUT_DJANGO)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    # By name, as the package need not be installed here.
    plugins = ("-p", "django_exotel_ccm.pytest_plugin", "-p", "no:cacheprovider")
    environment = {
        **os.environ,
        "EXOTEL_TO_KEY": "number",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    program = [sys.executable, "-m", "pytest", "-q", *plugins, "test_it.py"]

    done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("room", ["pytest_plugin", "simulator"])
def test_loading_imports_nothing_of_django(room: str) -> None:
    program = f"import sys, django_exotel_ccm.{room}; print('django' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
