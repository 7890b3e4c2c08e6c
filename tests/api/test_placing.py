"""POST calls/: what places a call, what does not, and the same call for the same key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.test import override_settings

from django_exotel_ccm.models import Agent, CallRecord, DoNotCall, ExoPhone
from tests.admin.pages import AGENT_WORK, BY_HAND, OTHER, SEES_NUMBERS, orders
from tests.api.conftest import Api

POLICIES = "django_exotel_ccm.policies"
ANY_NUMBER = "exotel_ccm.dial_any_number"


pytestmark = pytest.mark.usefixtures("two_agents")


def allow_everybody(user: Any, ticket: Any) -> bool:
    return True


def allow_nobody(user: Any, ticket: Any) -> bool:
    return False


def numbers_of_tickets(ticket: Any) -> Any:
    raise RuntimeError("the host's code fails")


def send_elsewhere(call: CallRecord) -> str:
    return "Ring 9000001009 instead."


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


def test_what_a_rule_says_has_no_number_that_one_may_not_see(asha: Api, ticket: Any, settings: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": [f"{__name__}.send_elsewhere"]}

    response = asha.post("calls/", body(ticket))

    assert (response.status_code, response.json()["code"]) == (409, "send_elsewhere")
    assert response.json()["advice"] == "Ring ••••••••09 instead."


def test_a_call_of_which_nobody_knows_whether_it_rings_is_202(asha: Api, host: Any, exotel: Any) -> None:
    ticket = host.ticket(phone="+919000001101")  # an internal error, and yet the phones ring

    answers = [asha.post("calls/", body(ticket), key="k") for _time in range(2)]

    assert [one.status_code for one in answers] == [202, 200]
    assert answers[0].json()["state"] == "unconfirmed"
    assert len(orders(exotel)) == 1


def test_a_rule_says_no(asha: Api, ticket: Any, settings: Any, exotel: Any) -> None:
    settings.EXOTEL_CCM = {**settings.EXOTEL_CCM, "POLICIES": ["django_exotel_ccm.policies.DoNotCall"]}

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


def test_can_call_raises_that_it_is_not_permitted(asha: Api, ticket: Any, entry: Callable[..., None]) -> None:
    def refuse(user: Any, ticket: Any) -> bool:
        raise PermissionDenied

    entry(can_call=refuse)

    response = asha.post("calls/", body(ticket))

    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")


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
