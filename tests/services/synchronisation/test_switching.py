"""An agent's device is turned on and off in Exotel, never two at once, and back where it was when that fails."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone

from django_exotel_ccm.exceptions import CallRefused, DeviceNotSwitched, SyncedInsideTransaction
from django_exotel_ccm.models import AccountUsage, Agent, Device
from django_exotel_ccm.services import place_call, refresh_devices, switch_device, sync_agents
from django_exotel_ccm.services.budget import RateLimited
from django_exotel_ccm.services.reconciliation.call_details import fetch_call_details
from django_exotel_ccm.simulator import Simulator
from django_exotel_ccm.simulator.api.directory import DirectoryApi
from django_exotel_ccm.simulator.refusals import RefusedError

PHONE, SOFTPHONE = "+919000000101", "sip:asha4c1d77e2"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def asha(exotel_simulator: Simulator, transactional_db: None) -> Agent:
    """An agent with a phone that is on and a softphone that is off."""
    exotel_simulator.directory.add_device(exotel_simulator.agent(PHONE), SOFTPHONE)
    sync_agents("default")
    return Agent.objects.get(name="Asha")


def device(uri: str) -> Device:
    return Device.objects.get(contact_uri=uri)


def states() -> dict[str, bool]:
    return dict(Device.objects.filter(agent__name="Asha").values_list("contact_uri", "is_on"))


def in_exotel(exotel: Simulator) -> dict[str, bool]:
    return {one.contact_uri: one.is_on for one in exotel.agent(PHONE).devices}


def puts(exotel: Simulator) -> list[Any]:
    return [seen for seen in exotel.book.requests if seen.method == "PUT"]


def answer_changes(exotel: Simulator, monkeypatch: pytest.MonkeyPatch, *codes: int | None) -> None:
    """Let Exotel refuse the next changes of devices with these codes; None: as usual. With 1004 it makes the change."""
    left, set_available = list(codes), exotel.directory.set_available

    def change(agent: Any, changed: Any, *, on: bool) -> None:
        code = left.pop(0) if left else None
        if code in (None, 1004):
            set_available(agent, changed, on=on)
        if code is not None:
            raise RefusedError(code)

    monkeypatch.setattr(exotel.directory, "set_available", change)


def test_softphone_is_turned_on_and_the_phone_off(exotel_simulator: Simulator, asha: Agent) -> None:
    switched = switch_device(device(SOFTPHONE), on=True)

    assert switched.is_on
    assert states() == in_exotel(exotel_simulator) == {PHONE: False, SOFTPHONE: True}


def test_only_phone_is_turned_off_and_on(exotel_simulator: Simulator, asha: Agent) -> None:
    assert not switch_device(device(PHONE), on=False).is_on
    assert in_exotel(exotel_simulator) == {PHONE: False, SOFTPHONE: False}

    assert switch_device(device(PHONE), on=True).is_on
    assert states() == in_exotel(exotel_simulator) == {PHONE: True, SOFTPHONE: False}


def test_what_is_so_already_sends_nothing(exotel_simulator: Simulator, asha: Agent) -> None:
    assert switch_device(device(PHONE), on=True).is_on

    assert puts(exotel_simulator) == []


def test_phone_that_was_turned_on_elsewhere_is_seen(exotel_simulator: Simulator, asha: Agent) -> None:
    Device.objects.update(is_on=False, seen_at=timezone.now() - timezone.timedelta(hours=3))

    found = refresh_devices(asha)

    assert {one.contact_uri: one.is_on for one in found} == in_exotel(exotel_simulator)
    assert all(timezone.now() - one.seen_at < timezone.timedelta(minutes=1) for one in found)


def test_second_refusal_puts_the_first_phone_back(exotel_simulator: Simulator, asha: Agent) -> None:
    Device.objects.filter(contact_uri=SOFTPHONE).update(is_verified=True)
    exotel_simulator.agent(PHONE).devices[1].state = "unverified"

    with pytest.raises(DeviceNotSwitched, match="not verified in Exotel") as refused:
        switch_device(device(SOFTPHONE), on=True)

    assert refused.value.code == "10809"
    assert states() == in_exotel(exotel_simulator) == {PHONE: True, SOFTPHONE: False}
    assert not device(SOFTPHONE).is_verified


def test_phone_in_a_call_is_left_alone(exotel_simulator: Simulator, asha: Agent) -> None:
    exotel_simulator.agent(PHONE).device = "busy"

    with pytest.raises(DeviceNotSwitched, match="in a call") as refused:
        switch_device(device(PHONE), on=False)

    assert (refused.value.code, puts(exotel_simulator)) == ("device_busy", [])


def test_other_phone_in_a_call_is_left_alone(exotel_simulator: Simulator, asha: Agent) -> None:
    exotel_simulator.agent(PHONE).device = "busy"

    with pytest.raises(DeviceNotSwitched, match=r"\+919000000101 is in a call\. Finish"):
        switch_device(device(SOFTPHONE), on=True)

    assert puts(exotel_simulator) == []


@pytest.mark.parametrize("used", range(5))
def test_budget_that_ends_in_the_middle_leaves_no_phone_off(
    exotel_simulator: Simulator, asha: Agent, settings: Any, used: int
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "REQUESTS_PER_MINUTE": 4}
    AccountUsage.objects.update(requests_this_minute=used)

    with suppress(DeviceNotSwitched):
        switch_device(device(SOFTPHONE), on=True)

    assert states() == in_exotel(exotel_simulator) == {PHONE: used > 2, SOFTPHONE: used <= 2}


def test_change_whose_answer_is_lost_is_put_back(
    exotel_simulator: Simulator, asha: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_changes(exotel_simulator, monkeypatch, 1004)

    with pytest.raises(DeviceNotSwitched, match="gave no usable answer"):
        switch_device(device(SOFTPHONE), on=True)

    assert states() == in_exotel(exotel_simulator) == {PHONE: True, SOFTPHONE: False}
    assert len(puts(exotel_simulator)) == 2


def test_refused_first_change_is_not_put_back(
    exotel_simulator: Simulator, asha: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_changes(exotel_simulator, monkeypatch, 1007)

    with pytest.raises(DeviceNotSwitched):
        switch_device(device(SOFTPHONE), on=True)

    assert len(puts(exotel_simulator)) == 1
    assert states() == {PHONE: True, SOFTPHONE: False}


def test_phone_that_cannot_be_put_back_does_not_keep_the_others_off(
    exotel_simulator: Simulator, asha: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exotel shows two phones on, which should not be."""
    other = exotel_simulator.directory.add_device(exotel_simulator.agent(PHONE), "+919000000188")
    other.state = "on"
    sync_agents("default")
    answer_changes(exotel_simulator, monkeypatch, None, None, 10809, 1007)

    with pytest.raises(DeviceNotSwitched, match="not verified"):
        switch_device(device(SOFTPHONE), on=True)

    expected = {PHONE: False, SOFTPHONE: False, "+919000000188": True}
    assert states() == in_exotel(exotel_simulator) == expected


def test_nothing_is_sent_into_a_pause_and_the_agent_is_told(
    exotel_simulator: Simulator, asha: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_changes(exotel_simulator, monkeypatch, None, 10724)

    with pytest.raises(DeviceNotSwitched, match="too often") as refused:
        switch_device(device(SOFTPHONE), on=True)

    assert "No phone is on now, so Exotel refuses calls: turn one on again" in refused.value.advice
    assert exotel_simulator.book.requests[-1].method == "PUT"
    assert len(puts(exotel_simulator)) == 2
    assert states() == in_exotel(exotel_simulator) == {PHONE: False, SOFTPHONE: False}


def test_phone_is_on_although_exotel_does_not_show_it_again(
    exotel_simulator: Simulator, asha: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, asked = DirectoryApi._user, list[str]()

    def answer(self: Any, agent: Any, **given: Any) -> Any:
        asked.append(agent.name)
        if len(asked) > 1:
            raise RefusedError(1004)
        return user(self, agent, **given)

    monkeypatch.setattr(DirectoryApi, "_user", answer)

    assert switch_device(device(SOFTPHONE), on=True).is_on

    assert asked == ["Asha", "Asha"]
    assert states() == in_exotel(exotel_simulator) == {PHONE: False, SOFTPHONE: True}


@pytest.mark.parametrize(("code", "is_paused"), [(1003, False), (1010, True), (10724, True)])
def test_key_without_the_right_to_users_pauses_nothing(
    exotel_simulator: Simulator, asha: Agent, host: Any, code: int, is_paused: bool
) -> None:
    call = place_call(agent=asha, to="+919000001001")
    exotel_simulator.options.users_refuse_with = code
    for _again in range(4):
        with pytest.raises(DeviceNotSwitched):
            refresh_devices(asha)

    if is_paused:
        with pytest.raises(RateLimited):
            fetch_call_details("default", call.call_sid)
    else:
        assert fetch_call_details("default", call.call_sid).http_status == 200


def test_devices_leave_a_share_of_the_budget_for_calls(
    exotel_simulator: Simulator, asha: Agent, host: Any, settings: Any
) -> None:
    call = place_call(agent=asha, to="+919000001001")
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "REQUESTS_PER_MINUTE": 8}
    with time_machine.travel(timezone.now().replace(second=5) + timezone.timedelta(minutes=1), tick=True):
        for _again in range(6):
            refresh_devices(asha)
        with pytest.raises(DeviceNotSwitched, match="asked too often"):
            refresh_devices(asha)

        assert fetch_call_details("default", call.call_sid).http_status == 200


def test_phone_that_is_gone(exotel_simulator: Simulator, asha: Agent) -> None:
    softphone = device(SOFTPHONE)
    del exotel_simulator.agent(PHONE).devices[1]

    with pytest.raises(DeviceNotSwitched, match="does not have this phone any more"):
        switch_device(softphone, on=True)

    assert states() == {PHONE: True}


@pytest.mark.parametrize(("code", "text"), [(1010, "Ask your administrator"), (10801, "not"), (1004, "Exotel")])
def test_refusals_are_explained(exotel_simulator: Simulator, asha: Agent, code: int, text: str) -> None:
    exotel_simulator.options.users_refuse_with = code

    with pytest.raises(DeviceNotSwitched, match=text) as refused:
        switch_device(device(PHONE), on=False)

    assert refused.value.advice
    assert states() == {PHONE: True, SOFTPHONE: False}


def test_budget_is_the_accounts(exotel_simulator: Simulator, asha: Agent, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "REQUESTS_PER_MINUTE": 1}
    AccountUsage.objects.update(requests_this_minute=5)

    with pytest.raises(DeviceNotSwitched, match=r"asked too often\. Try again at"):
        switch_device(device(PHONE), on=False)


def test_agent_who_was_typed_by_hand(exotel_simulator: Simulator) -> None:
    typed = Agent.objects.create(name="Ola", contact_uri="+919000000103")

    with pytest.raises(DeviceNotSwitched, match="administrator can fetch the agents"):
        refresh_devices(typed)


def test_not_inside_a_transaction(exotel_simulator: Simulator, asha: Agent) -> None:
    with transaction.atomic(), pytest.raises(SyncedInsideTransaction):
        switch_device(device(PHONE), on=False)


@pytest.mark.parametrize(
    ("state", "changed"),
    [("off", {"is_on": False}), ("unverified", {"is_verified": False}), ("busy", {"status": "busy"})],
)
def test_refused_call_tells_of_the_phone(
    exotel_simulator: Simulator, asha: Agent, host: Any, state: Any, changed: dict[str, Any]
) -> None:
    exotel_simulator.agent(PHONE).device = state

    with pytest.raises(CallRefused):
        place_call(agent=asha, to="+919000001001")

    assert {name: getattr(device(PHONE), name) for name in changed} == changed
    assert states()[SOFTPHONE] is False


CHECKED = [("off", "1012"), ("unverified", "10705"), ("busy", "10706")]


@pytest.mark.parametrize(("state", "code"), CHECKED)
def test_device_is_checked_before_the_call(
    exotel_simulator: Simulator, asha: Agent, host: Any, settings: Any, state: Any, code: str
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CHECK_DEVICE_FIRST": True}
    exotel_simulator.agent(PHONE).device = state
    if state == "unverified":
        exotel_simulator.agent(PHONE).devices[1].state = state

    with pytest.raises(CallRefused) as refused:
        place_call(agent=asha, to="+919000001001")

    assert refused.value.code == refused.value.call.refusal_code == code
    assert [seen for seen in exotel_simulator.book.requests if seen.method == "POST"] == []


def test_call_is_sent_where_exotel_lists_no_softphone_of_the_agent(
    exotel_simulator: Simulator, asha: Agent, host: Any, settings: Any
) -> None:
    """One that it does not list may be on, so that Exotel has to decide. It lists some of other agents."""
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CHECK_DEVICE_FIRST": True}
    exotel_simulator.agent(PHONE).devices.pop(1)
    exotel_simulator.agent(PHONE).device = "off"
    exotel_simulator.directory.add_device(exotel_simulator.agent("+919000000103"), "sip:ola4c1d77e2")
    sync_agents("default")
    assert Device.objects.filter(kind="sip").exists()

    with pytest.raises(CallRefused):
        place_call(agent=asha, to="+919000001001")

    assert len([seen for seen in exotel_simulator.book.requests if seen.method == "POST"]) == 1


@pytest.mark.parametrize("fault", ["answers with an error", "budget is used up", "typed by hand"])
def test_call_is_sent_if_exotel_does_not_say(
    exotel_simulator: Simulator, asha: Agent, host: Any, settings: Any, fault: str
) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CHECK_DEVICE_FIRST": True}
    agent = asha
    if fault == "answers with an error":
        exotel_simulator.options.users_refuse_with = 1004
    elif fault == "budget is used up":
        settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "REQUESTS_PER_MINUTE": 1}
        AccountUsage.objects.update(requests_this_minute=5)
    else:
        exotel_simulator.add_agent("+919000000109")
        agent = Agent.objects.create(name="Ravi", contact_uri="+919000000109")

    assert place_call(agent=agent, to="+919000001001").state == "active"


def test_device_that_can_ring_is_called(exotel_simulator: Simulator, asha: Agent, host: Any, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CHECK_DEVICE_FIRST": True}

    first = place_call(agent=asha, to="+919000001001", request_key="press")

    # The second click finds the phone busy, and is the same call all the same.
    assert place_call(agent=asha, to="+919000001001", request_key="press") == first
    assert first.state == "active"
