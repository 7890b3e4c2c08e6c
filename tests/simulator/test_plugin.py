from __future__ import annotations

import os
import subprocess
import sys

import pytest
import requests

from django_exotel_ccm.simulator import Simulator


@pytest.fixture
def real_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXOTEL_API_KEY", "a-real-key")


@pytest.mark.usefixtures("real_account")
def test_the_fixture_leads_the_environment_to_the_simulator(request: pytest.FixtureRequest) -> None:
    exotel = request.getfixturevalue("exotel_simulator")
    assert isinstance(exotel, Simulator)
    assert os.environ["EXOTEL_URL"] == exotel.account_url
    assert "EXOTEL_API_KEY" not in os.environ
    assert requests.get(exotel.url, timeout=5).status_code == 200


@pytest.mark.parametrize("room", ["pytest_plugin", "simulator"])
def test_loading_it_imports_nothing_of_django(room: str) -> None:
    program = f"import sys, django_exotel_ccm.{room}; print('django' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
