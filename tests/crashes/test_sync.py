"""exotel_sync killed at any step: each row is whole, and the next run comes to the same end."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from django_exotel_ccm.models import Agent, Device, ExoPhone
from django_exotel_ccm.services import sync_agents, sync_exophones
from django_exotel_ccm.simulator import Simulator
from tests.crashes.kill_steps import STEPS
from tests.subprocesses import child

AGENTS = 60  # two pages


def everything() -> dict[str, list[Any]]:
    """Return what a run stores, without keys and times."""
    return {
        "agents": sorted(Agent.objects.values_list("exotel_user_id", "name", "user__username", "is_active")),
        "devices": sorted(Device.objects.values_list("agent__exotel_user_id", "contact_uri", "is_on")),
        "exophones": sorted(ExoPhone.objects.values_list("number", "is_active")),
    }


@pytest.fixture
def changed(exotel_simulator: Simulator, transactional_db: None, django_user_model: Any) -> Simulator:
    """An Exotel with other people than those whom the last run has stored."""
    for agent in exotel_simulator.directory.agents:
        exotel_simulator.remove_agent(agent.user_id)
    exotel_simulator.add_agent("sip:left", name="Left")
    exotel_simulator.add_exophone("+918000000799")
    sync_agents("default")
    sync_exophones("default")
    exotel_simulator.remove_agent("sip:left")
    exotel_simulator.remove_exophone("+918000000799")
    for number in range(AGENTS):
        agent = exotel_simulator.add_agent(f"sip:agent{number}", name=f"P {number}", email=f"p{number}@example.com")
        exotel_simulator.add_device(agent, f"+9190000{number:05}")
    django_user_model.objects.create_user("p7", "p7@example.com")
    django_user_model.objects.create_user("p57", "p57@example.com")
    return exotel_simulator


@pytest.mark.parametrize("step", [step for step in STEPS if step.startswith("syncing")])
def test_killed_and_repeated(step: str, changed: Simulator) -> None:
    with child("-m", "tests.crashes.kill_steps", step, "sync") as process:
        text, _errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, text
    assert text.splitlines()[-1] == step

    new = Agent.objects.filter(name__startswith="P ")
    assert new.count() in {"page fetched": {0}, "agents inserted": {0}, "page committed": {50}}.get(step[9:], {AGENTS})
    assert Device.objects.filter(agent__in=new).count() == 2 * new.count()  # each agent came with all devices
    sync_agents("default")
    sync_exophones("default")

    found = everything()
    assert [row[1] for row in found["agents"] if not row[3]] == ["Left"]
    assert {row[2] for row in found["agents"]} == {None, "p7", "p57"}
    assert len(found["agents"]) == AGENTS + 1
    assert len(found["devices"]) == 2 * AGENTS + 1
    assert found["exophones"] == [("+918000000700", True), ("+918000000701", True), ("+918000000799", False)]
