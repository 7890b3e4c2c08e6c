"""Runs at the same time, and an administrator who saves meanwhile: nothing is doubled, nothing put back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from django_exotel_ccm.exotel.directory import ExotelUser
from django_exotel_ccm.models import Agent, CallRecord, Device, ExoPhone
from django_exotel_ccm.services import sync_agents, sync_exophones
from django_exotel_ccm.services.synchronisation import agents as module
from django_exotel_ccm.simulator import Simulator

pytestmark = pytest.mark.not_on_sqlite("SQLite lets one transaction write at a time")


def at_once(*works: Callable[[], object]) -> list[object]:
    """Do the works in threads of their own, all begun together; return their results."""
    barrier, results = threading.Barrier(len(works)), list[object]()

    def do(work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 - the test shows it
            results.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=do, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_runs_at_the_same_time(exotel: Simulator, person: Callable[..., Any]) -> None:
    for number in range(120):
        agent = exotel.add_agent(f"sip:agent{number}", name=f"P {number}", email=f"p{number}@example.com")
        exotel.add_device(agent, f"+9190000{number:05}")
        exotel.add_exophone(f"+9180000{number:05}")
    for number in range(0, 120, 10):
        person(f"p{number}")

    for _round in range(2):
        results = at_once(*[lambda: sync_agents("default"), lambda: sync_exophones("default")] * 3)

        assert [result for result in results if not getattr(result, "is_complete", False)] == []
        assert (Agent.objects.count(), Device.objects.count(), ExoPhone.objects.count()) == (120, 240, 120)
        assert Agent.objects.filter(user__isnull=False).count() == 12


def test_choice_that_is_saved_meanwhile_stays(
    exotel: Simulator, person: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run has fetched the page, and an administrator saves before it is stored."""
    asha, boss = person("asha"), person("boss")
    truth = exotel.add_agent("sip:asha", name="Asha", email="asha@example.com")
    sync_agents("default")
    truth.name = "Asha Rao"
    assert Agent.objects.get().user == asha

    def match(users: Sequence[ExotelUser]) -> Any:
        found = match_users(users)
        at_once(lambda: Agent.objects.update(user=boss))
        return found

    match_users = module.match_users
    monkeypatch.setattr(module, "match_users", match)
    sync_agents("default")

    assert (Agent.objects.get().user, Agent.objects.get().name) == (boss, "Asha Rao")


@pytest.mark.postgres_only("elsewhere a new row that refers to a locked one waits for its transaction")
def test_call_is_written_down_while_a_page_is_stored(exotel: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    exotel.add_agent("sip:asha", name="Asha")
    sync_agents("default")
    agent, written = Agent.objects.get(), list[object]()

    def write() -> object:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
        now = timezone.now()
        return CallRecord.objects.create(agent=agent, customer_number="+919000001001", created_at=now).pk

    def store(*given: Any, **options: Any) -> None:
        written.extend(at_once(write))
        store_devices(*given, **options)

    store_devices = module.store_devices
    monkeypatch.setattr(module, "store_devices", store)

    assert sync_agents("default").is_complete

    assert written == list(CallRecord.objects.values_list("pk", flat=True)) != []
