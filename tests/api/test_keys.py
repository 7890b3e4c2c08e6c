"""One Idempotency-Key, one call: whatever has changed meanwhile, and told to nobody who may not know it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from django_exotel_ccm.models import Agent, CallRecord, DoNotCall, ExoPhone
from django_exotel_ccm.services import move_calls
from django_exotel_ccm.services.privacy import erase
from tests.admin.pages import AGENT_WORK, BY_HAND, OTHER, SEES_NUMBERS, orders
from tests.api.conftest import Api
from tests.api.test_placing import POLICIES, allow_nobody, body, numbers_of_tickets

pytestmark = pytest.mark.usefixtures("two_agents")


def allow(call: CallRecord) -> None:
    """A rule that has nothing against any call."""


def test_the_same_key_places_one_call(asha: Api, api: Callable[..., Api], ticket: Any, exotel: Any) -> None:
    ravi = api("ravi", *AGENT_WORK, agent="+919000000102")

    answers = [asha.post("calls/", body(ticket), key="press 1") for _time in range(3)]
    others = ravi.post("calls/", body(ticket), key="press 1")

    assert [one.status_code for one in answers] == [201, 200, 200]
    assert len({one.json()["reference"] for one in answers}) == 1
    assert others.status_code == 201
    assert len(orders(exotel)) == 2


def test_a_key_for_something_else(asha: Api, host: Any, ticket: Any) -> None:
    first = asha.post("calls/", body(ticket), key="k").json()

    response = asha.post("calls/", body(host.ticket(phone=OTHER)), key="k")

    assert response.status_code == 409
    assert response.json()["code"] == "request_key_reused"
    assert response.json()["reference"] == first["reference"]
    assert CallRecord.objects.count() == 1


def test_a_key_for_another_exophone(api: Callable[..., Api], ticket: Any, host: Any) -> None:
    asha = api("asha", *AGENT_WORK, "exotel_ccm.choose_exophone", agent="+919000000101")
    other = ExoPhone.objects.create(number="+918000000701")
    asha.post("calls/", body(ticket), key="k")

    assert asha.post("calls/", body(ticket, exophone=other.pk), key="k").json()["code"] == "request_key_reused"
    assert asha.post("calls/", body(ticket, exophone=host.exophone.pk), key="k").status_code == 200


@pytest.mark.parametrize("field", ["exophone", "recording", "max_time_limit"])
def test_a_key_that_another_call_takes_meanwhile(
    api: Callable[..., Api], ticket: Any, host: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    """The second request is sent while the rules are asked about the first, which then finds its key taken."""
    asha = api("asha", *AGENT_WORK, "exotel_ccm.choose_exophone", agent="+919000000101")
    other = ExoPhone.objects.create(number="+918000000701").pk
    mine, others = {
        "exophone": (host.exophone.pk, other),
        "recording": (True, False),
        "max_time_limit": (600, 60),
    }[field]
    answers: list[Any] = []

    def send_once(call: CallRecord) -> None:
        if not answers:
            answers.append(None)
            answers.append(asha.post("calls/", body(ticket, **{field: others}), key="k"))

    monkeypatch.setattr(f"{__name__}.allow", send_once)
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [f"{__name__}.allow"]}

    first = asha.post("calls/", body(ticket, **{field: mine}), key="k")

    assert (answers[1].status_code, answers[1].json()["state"]) == (201, "active")
    assert (first.status_code, first.json()["code"]) == (409, "request_key_reused")
    assert CallRecord.objects.count() == 1


def give_another_number(ticket: Any, entry: Callable[..., None]) -> None:
    ticket.customer.phone = OTHER
    ticket.customer.save()


def forbid_calls(ticket: Any, entry: Callable[..., None]) -> None:
    entry(can_call=allow_nobody)


def switch_the_agent_off(ticket: Any, entry: Callable[..., None]) -> None:
    Agent.objects.update(is_active=False)


def delete_the_ticket(ticket: Any, entry: Callable[..., None]) -> None:
    ticket.delete()


@pytest.mark.parametrize("change", [give_another_number, forbid_calls, switch_the_agent_off, delete_the_ticket])
def test_the_same_key_is_the_same_call_whatever_has_changed(
    asha: Api, ticket: Any, exotel: Any, entry: Callable[..., None], change: Callable[..., None]
) -> None:
    """Else the sender of a request whose answer was lost would ring the customer once more."""
    wanted = body(ticket)
    first = asha.post("calls/", wanted, key="k").json()
    change(ticket, entry)

    again = asha.post("calls/", wanted, key="k")

    assert (again.status_code, again.json()["reference"]) == (200, first["reference"])
    assert len(orders(exotel)) == 1


def test_the_same_key_is_refused_again_with_the_same_reason(asha: Api, host: Any, ticket: Any) -> None:
    DoNotCall.objects.create(number=BY_HAND)
    with override_settings(EXOTEL_CCM={**settings.EXOTEL_CCM, "POLICIES": [f"{POLICIES}.DoNotCall"]}):
        answers = [asha.post("calls/", body(ticket), key="k") for _time in range(2)]

    assert [one.status_code for one in answers] == [409, 409]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["code"] == "DoNotCall"
    assert CallRecord.objects.count() == 1


OPTIONS = {
    "recording": True,
    "recording_channels": "dual",
    "wait_audio_url": "https://crm.example.com/wait.wav",
    "max_time_limit": 600,
    "attempt_time_out": 30,
}
OTHER_OPTIONS = {
    "recording": False,
    "recording_channels": "single",
    "wait_audio_url": "https://crm.example.com/other.wav",
    "max_time_limit": 601,
    "attempt_time_out": 31,
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_key_for_another_option(asha: Api, ticket: Any, exotel: Any, name: str) -> None:
    named = body(ticket, **{name: OPTIONS[name]})
    first = asha.post("calls/", named, key="k").json()

    other = asha.post("calls/", body(ticket, **{name: OTHER_OPTIONS[name]}), key="k")
    same, without = (asha.post("calls/", wanted, key="k") for wanted in (named, body(ticket)))

    assert (other.status_code, other.json()["code"]) == (409, "request_key_reused")
    assert other.json()["reference"] == first["reference"]
    assert [same.status_code, without.status_code] == [200, 200]
    assert len(orders(exotel)) == 1


@pytest.mark.parametrize("name", OPTIONS)
def test_a_key_for_an_option_that_the_first_request_had_not(asha: Api, ticket: Any, name: str) -> None:
    asha.post("calls/", body(ticket), key="k")

    other = asha.post("calls/", body(ticket, **{name: OPTIONS[name]}), key="k")

    assert (other.status_code, other.json()["code"]) == (409, "request_key_reused")


def test_an_option_of_the_settings_that_has_changed_since(
    asha: Api, ticket: Any, exotel: Any, entry: Callable[..., None]
) -> None:
    """A retry after a deployment would else be told that its own key is another's."""
    entry(call={"max_time_limit": 600})
    asha.post("calls/", body(ticket, attempt_time_out=30), key="k")
    entry(call={"max_time_limit": 60})

    again = asha.post("calls/", body(ticket, attempt_time_out=30), key="k")

    assert again.status_code == 200
    assert len(orders(exotel)) == 1


@pytest.mark.books_differ(reason="the number is erased")
def test_a_key_for_another_option_when_its_customer_was_erased(asha: Api, ticket: Any) -> None:
    wanted = body(ticket, max_time_limit=600)
    asha.post("calls/", wanted, key="k")
    list(erase(BY_HAND, apply=True))

    same, other = (asha.post("calls/", one, key="k") for one in (wanted, {**wanted, "max_time_limit": 60}))

    assert (same.status_code, other.status_code) == (200, 409)


OTHER_REQUESTS = [
    {"to": OTHER},
    {"to": "no number"},
    {"recording": True},
    {"agent": 0},
    {"override_reason": "They asked for it"},
]


@pytest.mark.parametrize("more", OTHER_REQUESTS)
def test_a_key_for_another_call_about_the_same_ticket(
    api: Callable[..., Api], ticket: Any, more: dict[str, Any]
) -> None:
    seeing = api("meera", *AGENT_WORK, SEES_NUMBERS, agent="+919000000101")
    first = seeing.post("calls/", body(ticket, to=BY_HAND), key="k").json()
    assert seeing.post("calls/", body(ticket, to="090000 01009"), key="k").status_code == 200

    response = seeing.post("calls/", body(ticket, **more), key="k")

    assert (response.status_code, response.json()["code"]) == (409, "request_key_reused")
    assert response.json()["reference"] == first["reference"]


def test_a_number_that_was_chosen_takes_a_new_key(asha: Api, host: Any, exotel: Any) -> None:
    ticket = host.ticket(phone=BY_HAND, other=OTHER)
    refused = asha.post("calls/", body(ticket), key="k").json()
    wanted = body(ticket, to=refused["numbers"][0]["to"])

    same_key, new_key = (asha.post("calls/", wanted, key=key) for key in ("k", "k 2"))

    assert (same_key.status_code, same_key.json()["code"]) == (409, "request_key_reused")
    assert same_key.json()["reference"] == refused["reference"]
    assert "with a new key" in same_key.json()["advice"]
    assert "placed" not in same_key.json()["advice"]
    assert new_key.status_code == 201
    assert asha.post("calls/", body(ticket), key="k").json() == refused


def test_a_reason_to_call_anyway_takes_a_new_key(api: Callable[..., Api], ticket: Any, exotel: Any) -> None:
    chief = api("chief", *AGENT_WORK, "exotel_ccm.override_policy", agent="+919000000101")
    DoNotCall.objects.create(number=BY_HAND)
    with override_settings(EXOTEL_CCM={**settings.EXOTEL_CCM, "POLICIES": [f"{POLICIES}.DoNotCall"]}):
        refused = chief.post("calls/", body(ticket), key="k")
        wanted = body(ticket, override_reason=" They asked for it")
        same_key, *new_keys = (chief.post("calls/", wanted, key=key) for key in ("k", "k 2", "k 2"))
        without = chief.post("calls/", body(ticket, override_reason=""), key="k 2")

    assert (refused.status_code, refused.json()["code"]) == (409, "DoNotCall")
    assert (same_key.status_code, same_key.json()["code"]) == (409, "request_key_reused")
    assert [one.status_code for one in new_keys] == [201, 200]
    assert (without.status_code, without.json()["code"]) == (409, "request_key_reused")
    assert len(orders(exotel)) == 1


def test_a_key_that_is_refused_for_another_request_meanwhile(
    api: Callable[..., Api], ticket: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chief = api("chief", *AGENT_WORK, "exotel_ccm.override_policy", agent="+919000000101")
    answers: list[Any] = []

    def send_once(call: CallRecord) -> str | None:
        if answers:
            return "Not now."
        answers.append(None)
        answers.append(chief.post("calls/", body(ticket), key="k"))
        return None

    monkeypatch.setattr(f"{__name__}.allow", send_once)
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [f"{__name__}.allow"]}

    first = chief.post("calls/", body(ticket, override_reason="They asked for it"), key="k")

    assert (answers[1].status_code, answers[1].json()["code"]) == (409, "allow")
    assert (first.status_code, first.json()["code"]) == (409, "request_key_reused")


def test_a_key_tells_no_number(asha: Api, ticket: Any, exotel: Any) -> None:
    """Else who does not see the number of their call could try all that there are."""
    asha.post("calls/", body(ticket), key="k")

    right, wrong = (asha.post("calls/", body(ticket, to=number), key="k") for number in (BY_HAND, OTHER))

    assert (right.status_code, right.json()) == (403, wrong.json())


def test_a_key_does_not_tell_where_a_call_was_moved(asha: Api, host: Any, ticket: Any) -> None:
    asha.user.last_name = "north"
    asha.user.save()
    ticket.team = "north"
    ticket.save()
    secret, other = host.ticket("Secret matter"), host.ticket()
    asha.post("calls/", body(ticket), key="k")
    move_calls(ticket, secret)

    moved_to, elsewhere = (asha.post("calls/", body(one), key="k") for one in (secret, other))

    assert (moved_to.status_code, moved_to.json()) == (409, elsewhere.json())
    assert asha.post("calls/", body(ticket), key="k").status_code == 200


@pytest.mark.books_differ(reason="the number is erased")
def test_a_named_number_is_the_same_call_when_its_customer_was_erased(
    api: Callable[..., Api], ticket: Any, exotel: Any
) -> None:
    seeing = api("meera", *AGENT_WORK, SEES_NUMBERS, agent="+919000000101")
    seeing.post("calls/", body(ticket, to=BY_HAND), key="k")
    list(erase(BY_HAND, apply=True))

    assert seeing.post("calls/", body(ticket, to=BY_HAND), key="k").status_code == 200
    assert len(orders(exotel)) == 1


@pytest.mark.parametrize("becomes", ["moved", "deleted"])
def test_a_chosen_number_is_the_same_call_when_its_ticket_is_gone(
    asha: Api, host: Any, exotel: Any, becomes: str
) -> None:
    ticket = host.ticket(phone=BY_HAND, other=OTHER)
    first, second = (one["to"] for one in asha.post("calls/", body(ticket)).json()["numbers"])
    wanted = body(ticket, to=first)
    assert asha.post("calls/", wanted, key="k").status_code == 201

    if becomes == "moved":
        move_calls(ticket, host.ticket())
        assert asha.post("calls/", body(ticket, to=second), key="k").json()["code"] == "request_key_reused"
    else:
        ticket.delete()

    assert asha.post("calls/", wanted, key="k").status_code == 200
    assert len(orders(exotel)) == 1


@pytest.mark.parametrize("key", ["", " ", "k" * 256, "schlüssel"])
def test_keys_that_are_none(asha: Api, ticket: Any, key: str) -> None:
    response = asha.post("calls/", body(ticket), key=key)

    assert (response.status_code, response.json()["code"]) == (400, "invalid_idempotency_key")
    assert not CallRecord.objects.exists()


def break_the_numbers(ticket: Any, entry: Callable[..., None]) -> None:
    entry(phone=None, numbers=numbers_of_tickets)


@pytest.mark.parametrize("change", [delete_the_ticket, break_the_numbers])
def test_a_choice_that_is_sent_again_when_there_is_none_any_more(
    asha: Api, host: Any, entry: Callable[..., None], change: Callable[..., None]
) -> None:
    ticket = host.ticket(phone=BY_HAND, other=OTHER)
    wanted = body(ticket)
    first = asha.post("calls/", wanted, key="k")
    change(ticket, entry)

    again = asha.post("calls/", wanted, key="k")

    assert (first.status_code, again.status_code) == (409, 409)
    assert again.json() == {**first.json(), "numbers": []}
