"""POST calls/: what places a call, what does not, and the same call for the same key."""

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

POLICIES = "django_exotel_ccm.policies"
ANY_NUMBER = "exotel_ccm.dial_any_number"


@pytest.fixture(autouse=True)
def exotel(exotel: Any) -> Any:
    """A simulated Exotel, which knows a second agent."""
    exotel.directory.add_agent("+919000000102", name="Ravi")
    return exotel


def allow_everybody(user: Any, ticket: Any) -> bool:
    return True


def allow_nobody(user: Any, ticket: Any) -> bool:
    return False


def numbers_of_tickets(ticket: Any) -> Any:
    raise RuntimeError("the host's code fails")


def send_elsewhere(call: CallRecord) -> str:
    return "Ring 9000001009 instead."


@pytest.fixture
def entry(settings: Any) -> Callable[..., None]:
    """Change the entry of the tickets in the settings."""

    def change(**options: Any) -> None:
        entries = settings.EXOTEL_CCM["TICKETS"]
        entries = {**entries, "helpdesk.Ticket": {**entries["helpdesk.Ticket"], **options}}
        settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "TICKETS": entries}

    return change


def body(ticket: Any, **more: Any) -> dict[str, Any]:
    return {"ticket": f"ticket_{ticket.pk}", **more}


def test_a_post_places_a_call(asha: Api, ticket: Any, exotel: Any) -> None:
    response = asha.post("calls/", body(ticket, recording=True, max_time_limit=600))

    assert response.status_code == 201
    call = CallRecord.objects.get()
    shown = response.json()
    assert (shown["reference"], shown["state"]) == (str(call.reference), call.state)
    assert shown["placed_by"] == asha.user.pk
    assert response["Location"] == f"http://testserver/exotel/api/calls/{call.reference}/"
    assert "9000001009" not in response.content.decode()
    [order] = orders(exotel)
    assert (order["to"]["number"], order["recording"], order["max_time_limit"]) == (BY_HAND, True, 600)


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


@pytest.mark.parametrize("field", ["exophone", "recording"])
def test_a_key_that_another_call_takes_meanwhile(
    api: Callable[..., Api], ticket: Any, host: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    """The second request is sent while the rules are asked about the first, which then finds its key taken."""
    asha = api("asha", *AGENT_WORK, "exotel_ccm.choose_exophone", agent="+919000000101")
    other = ExoPhone.objects.create(number="+918000000701").pk
    mine, others = {"exophone": (host.exophone.pk, other), "recording": (True, False)}[field]
    answers: list[Any] = []

    def send_once(call: CallRecord) -> None:
        if not answers:
            answers.append(None)
            answers.append(asha.post("calls/", body(ticket, **{field: others}), key="k"))

    monkeypatch.setattr(f"{__name__}.send_elsewhere", send_once)
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [f"{__name__}.send_elsewhere"]}

    first = asha.post("calls/", body(ticket, **{field: mine}), key="k")

    assert (answers[1].status_code, answers[1].json()["state"]) == (201, "active")
    assert (first.status_code, first.json()["code"]) == (409, "request_key_reused")
    assert CallRecord.objects.count() == 1


def give_another_number(ticket: Any, entry: Callable[..., None]) -> None:
    ticket.customer.phone = OTHER
    ticket.customer.save()


def forbid_calls(ticket: Any, entry: Callable[..., None]) -> None:
    entry(can_call=f"{__name__}.allow_nobody")


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


@pytest.mark.parametrize("more", [{"to": OTHER}, {"to": "no number"}, {"recording": True}, {"agent": 0}])
def test_a_key_for_another_call_about_the_same_ticket(
    api: Callable[..., Api], ticket: Any, more: dict[str, Any]
) -> None:
    seeing = api("meera", *AGENT_WORK, SEES_NUMBERS, agent="+919000000101")
    first = seeing.post("calls/", body(ticket, to=BY_HAND), key="k").json()
    assert seeing.post("calls/", body(ticket, to="090000 01009"), key="k").status_code == 200

    response = seeing.post("calls/", body(ticket, **more), key="k")

    assert (response.status_code, response.json()["code"]) == (409, "request_key_reused")
    assert response.json()["reference"] == first["reference"]


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


def test_what_a_rule_says_has_no_number_that_one_may_not_see(asha: Api, ticket: Any, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [f"{__name__}.send_elsewhere"]}

    response = asha.post("calls/", body(ticket))

    assert (response.status_code, response.json()["code"]) == (409, "send_elsewhere")
    assert response.json()["advice"] == "Ring ••••••••09 instead."


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


def test_a_call_of_which_nobody_knows_whether_it_rings_is_202(asha: Api, host: Any, exotel: Any) -> None:
    ticket = host.ticket(phone="+919000001101")  # an internal error, and yet the phones ring

    answers = [asha.post("calls/", body(ticket), key="k") for _time in range(2)]

    assert [one.status_code for one in answers] == [202, 200]
    assert answers[0].json()["state"] == "unconfirmed"
    assert len(orders(exotel)) == 1


def test_a_rule_says_no(asha: Api, ticket: Any, settings: Any, exotel: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": ["django_exotel_ccm.policies.DoNotCall"]}
    from django_exotel_ccm.models import DoNotCall

    DoNotCall.objects.create(number=BY_HAND)
    answers = [asha.post("calls/", body(ticket), key="k") for _time in range(2)]

    assert [one.status_code for one in answers] == [409, 409]
    call = CallRecord.objects.get()
    for one in answers:
        assert one.json()["code"] == "DoNotCall"
        assert one.json()["advice"]
        assert one.json()["reference"] == str(call.reference)
    assert orders(exotel) == []


def test_overriding_a_rule_needs_the_permission(
    asha: Api, api: Callable[..., Api], ticket: Any, settings: Any, exotel: Any
) -> None:
    from django_exotel_ccm.models import DoNotCall

    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": ["django_exotel_ccm.policies.DoNotCall"]}
    DoNotCall.objects.create(number=BY_HAND)
    meera = api("meera", *AGENT_WORK, "exotel_ccm.override_policy", agent="+919000000102")

    assert asha.post("calls/", body(ticket, override_reason="asked for it")).status_code == 403
    assert meera.post("calls/", body(ticket, override_reason=" ")).status_code == 409
    assert meera.post("calls/", body(ticket, override_reason="asked for it")).status_code == 201
    assert CallRecord.objects.get(state__in=["active", "ended"]).overridden_rules == "DoNotCall"


# Who may.


def test_a_ticket_that_one_may_not_see_does_not_exist(api: Callable[..., Api], ticket: Any) -> None:
    blind = api("vera", "exotel_ccm.place_call", agent="+919000000101")

    hidden, missing = (blind.post("calls/", {"ticket": name}) for name in (f"ticket_{ticket.pk}", "ticket_999999"))

    assert (hidden.status_code, hidden.json()) == (404, missing.json())
    assert hidden.json()["code"] == "not_found"


@pytest.mark.parametrize("name", ["lead_7", "ticket_", "ticket", "_", "user_1", "ticket_7x", "ticket_ 7", "ticket_1_0"])
def test_names_of_no_ticket(asha: Api, ticket: Any, name: str) -> None:
    assert asha.post("calls/", {"ticket": name}).status_code == 404


def test_can_call_says_no(asha: Api, ticket: Any, entry: Callable[..., None]) -> None:
    entry(can_call=allow_nobody)

    response = asha.post("calls/", body(ticket))

    assert (response.status_code, response.json()["code"]) == (403, "can_call")
    assert not CallRecord.objects.exists()


def test_can_call_alone_decides_outside_the_admin(
    api: Callable[..., Api], ticket: Any, entry: Callable[..., None]
) -> None:
    entry(can_call=allow_everybody)
    vera = api("vera", "exotel_ccm.place_call", agent="+919000000101")

    assert vera.post("calls/", body(ticket)).status_code == 201


def test_what_the_admin_hides_is_hidden_whatever_can_call_says(
    asha: Api, ticket: Any, entry: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.contrib import admin

    from tests.helpdesk.models import Ticket

    model_admin = admin.site.get_model_admin(Ticket)
    monkeypatch.setattr(model_admin, "get_queryset", lambda request: Ticket.objects.none())

    for rule in (allow_everybody, allow_nobody):
        entry(can_call=rule)
        assert asha.post("calls/", body(ticket)).status_code == 404


def test_the_agent_is_ones_own(asha: Api, api: Callable[..., Api], host: Any, ticket: Any) -> None:
    other = host.agent("Ravi", "+919000000102")
    chief = api("chief", *AGENT_WORK, "exotel_ccm.place_call_for_others")

    refused = asha.post("calls/", body(ticket, agent=other.pk))
    own = asha.post("calls/", body(ticket, agent=Agent.objects.get(user=asha.user).pk))

    assert (refused.status_code, refused.json()["code"]) == (403, "agent_not_yours")
    assert own.status_code == 201
    assert chief.post("calls/", body(ticket, agent=other.pk)).status_code == 201
    assert chief.post("calls/", body(ticket)).json()["code"] == "no_agent"


def test_several_agents_are_a_choice(asha: Api, ticket: Any, settings: Any) -> None:
    Agent.objects.create(user=asha.user, name="Asha elsewhere", account="other", contact_uri="+919000000103")

    response = asha.post("calls/", body(ticket))

    assert (response.status_code, list(response.json()["fields"])) == (400, ["agent"])


def test_the_exophone_is_chosen_with_the_permission(asha: Api, api: Callable[..., Api], host: Any, ticket: Any) -> None:
    other = ExoPhone.objects.create(number="+918000000701")
    gone = ExoPhone.objects.create(number="+918000000702", is_active=False)
    chooser = api("meera", *AGENT_WORK, "exotel_ccm.choose_exophone", agent="+919000000102")

    assert asha.post("calls/", body(ticket, exophone=other.pk)).status_code == 403
    assert chooser.post("calls/", body(ticket, exophone=gone.pk)).status_code == 400
    assert chooser.post("calls/", body(ticket, exophone=other.pk)).json()["exophone"] == other.pk


# Which number.


def test_numbers_of_strangers(asha: Api, api: Callable[..., Api], ticket: Any, exotel: Any) -> None:
    dialler = api("meera", *AGENT_WORK, ANY_NUMBER, agent="+919000000102")

    stranger, own = (asha.post("calls/", body(ticket, to=number)) for number in (OTHER, BY_HAND))

    assert stranger.status_code == 403
    assert (own.status_code, own.json()) == (403, stranger.json())  # or it would tell whose number it is
    assert orders(exotel) == []
    assert dialler.post("calls/", body(ticket, to=OTHER)).status_code == 201
    assert dialler.post("calls/", body(ticket, to="12")).json()["fields"]["to"]


def test_who_sees_numbers_names_one_of_the_tickets(api: Callable[..., Api], host: Any, exotel: Any) -> None:
    seeing = api("meera", *AGENT_WORK, SEES_NUMBERS, agent="+919000000101")
    ticket = host.ticket(phone=BY_HAND, other=OTHER)

    assert seeing.post("calls/", body(ticket, to="+919000001001")).status_code == 403
    assert seeing.post("calls/", body(ticket, to="090000 01010")).status_code == 201
    assert orders(exotel)[0]["to"]["number"] == OTHER


def test_who_does_not_see_numbers_chooses_one_of_several(asha: Api, host: Any, exotel: Any) -> None:
    ticket = host.ticket(phone=BY_HAND, other=OTHER)

    refused = asha.post("calls/", body(ticket))
    choice = refused.json()["numbers"][1]
    placed = asha.post("calls/", body(ticket, to=choice["to"]))

    assert (refused.status_code, refused.json()["code"]) == (409, "several_numbers")
    assert choice["number"] == "+••••••••••10"
    assert placed.status_code == 201
    assert orders(exotel)[0]["to"]["number"] == OTHER
    assert asha.post("calls/", body(ticket, to="0" * 32)).status_code == 400


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


def test_numbers_that_the_hosts_code_does_not_give(
    asha: Api, ticket: Any, entry: Callable[..., None], caplog: pytest.LogCaptureFixture, settings: Any
) -> None:
    entry(phone=None, numbers=numbers_of_tickets)

    response = asha.post("calls/", body(ticket))

    assert (response.status_code, response.json()["code"]) == (409, "numbers_unreadable")
    assert "the host's code fails" not in response.content.decode()


def test_what_stands_in_the_address_is_not_ignored(asha: Api, ticket: Any) -> None:
    response = asha.post("calls/?dry_run=1", body(ticket))

    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert "dry_run" in response.json()["advice"]
    assert not CallRecord.objects.exists()


# How often.


def test_a_program_that_has_gone_wild_is_throttled(asha: Api, ticket: Any) -> None:
    from rest_framework.settings import api_settings

    rates = {"DEFAULT_THROTTLE_RATES": {"exotel_ccm_place": "2/min"}}
    with override_settings(REST_FRAMEWORK=rates):
        assert api_settings.DEFAULT_THROTTLE_RATES["exotel_ccm_place"] == "2/min"
        answers = [asha.post("calls/", body(ticket), key=key) for key in ("a", "b", "c", "a")]
        wrong = asha.post("calls/", {})

    # The second may be refused, because the agent's phone rings for the first: it was asked for all the same.
    assert [answers[place].status_code for place in (0, 2, 3)] == [201, 429, 200]  # sent again, a key dials nothing
    assert answers[2].json()["code"] == "throttled"
    assert int(answers[2]["Retry-After"]) == answers[2].json()["seconds"] > 0
    assert wrong.status_code == 400


def test_not_configured(asha: Api, ticket: Any, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "CALLBACK_BASE_URL": ""}

    response = asha.post("calls/", body(ticket))

    assert (response.status_code, response.json()["code"]) == (409, "not_configured")


@pytest.mark.parametrize("atomic", [True])
def test_atomic_requests_do_not_wrap_the_call(asha: Api, ticket: Any, atomic: bool) -> None:
    from django.db import connection

    before = connection.settings_dict["ATOMIC_REQUESTS"]
    connection.settings_dict["ATOMIC_REQUESTS"] = atomic
    try:
        assert asha.post("calls/", body(ticket)).status_code == 201
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = before


def test_a_recording_that_the_entry_asks_for_cannot_be_switched_off(
    asha: Api, ticket: Any, exotel: Any, entry: Callable[..., None]
) -> None:
    entry(call={"recording": True, "max_time_limit": 600, "attempt_time_out": 20})

    refused = asha.post("calls/", body(ticket, recording=False))
    placed_one = asha.post("calls/", body(ticket, recording=True, max_time_limit=60))

    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["recording"])
    assert placed_one.status_code == 201
    [order] = orders(exotel)
    options = {name: order[name] for name in ("recording", "max_time_limit", "attempt_time_out")}
    assert options == {"recording": True, "max_time_limit": 60, "attempt_time_out": 20}


def test_a_call_is_not_recorded_where_nobody_asks_for_it(asha: Api, ticket: Any, exotel: Any) -> None:
    assert asha.post("calls/", body(ticket, recording=False)).status_code == 201
