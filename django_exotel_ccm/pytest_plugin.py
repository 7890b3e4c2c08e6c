"""The pytest fixture `exotel_simulator`: a fake Exotel for a host's own tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django_exotel_ccm.simulator import Simulator

SPEED = 500.0  # a usual call, 51 simulated seconds, takes a tenth of a second
REAL_ACCOUNT = ("EXOTEL_API_KEY", "EXOTEL_API_TOKEN", "EXOTEL_ACCOUNT_SID", "EXOTEL_REGION")


@pytest.fixture
def exotel_simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A running simulator. EXOTEL_URL leads to it, and no other Exotel credentials are in the environment."""
    from django_exotel_ccm import simulator  # noqa: PLC0415 - a run that does not ask for it need not load it

    with simulator.running(speed=SPEED) as exotel:
        for name in REAL_ACCOUNT:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("EXOTEL_URL", exotel.account_url)
        yield exotel
