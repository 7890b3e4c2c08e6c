"""The simulated Users API, devices and ExoPhones (docs/exotel.md 5, 6)."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from django_exotel_ccm.simulator import Simulator
from tests.simulator.conftest import ASHA, AUTH, Place
from tests.simulator.test_web_page import post_to_page

SOFTPHONE = "sip:asha4c1d77e2"


def get(exotel: Simulator, path: str, **query: Any) -> requests.Response:
    return requests.get(f"{exotel.url}{path}", params=query, auth=AUTH, timeout=5)


def users(exotel: Simulator, **query: Any) -> dict[str, Any]:
    answer = get(exotel, "/v2/accounts/simulated1/users", **query)
    assert answer.status_code == 200
    return answer.json()


def names(body: dict[str, Any]) -> list[str]:
    return [row["data"]["first_name"] for row in body["response"]]


def put_device(exotel: Simulator, user_id: str, device_id: object, body: object) -> tuple[int, Any]:
    url = f"{exotel.url}/v2/accounts/simulated1/users/{user_id}/devices/{device_id}"
    answer = requests.put(url, json=body, auth=AUTH, timeout=5)
    inner = answer.json()["response"]
    return answer.status_code, (inner["error_data"] or {}).get("code")


def test_users_are_listed_in_pages(exotel: Simulator) -> None:
    for number in range(60):
        exotel.add_agent(f"sip:agent{number}", name=f"Agent{number:02} Rao")

    first = users(exotel)
    assert first["metadata"] == {"total": 64, "count": 20, "offset": 0, "limit": 20}
    assert names(first)[:2] == ["Asha", "Vik"]
    assert "devices" not in first["response"][0]["data"]
    last = users(exotel, fields="devices,last_login", limit=500, offset=50)
    assert last["metadata"] == {"total": 64, "count": 14, "offset": 50, "limit": 50}
    assert last["response"][-1]["data"]["devices"][0]["contact_uri"] == "sip:agent59"
    assert last["response"][-1]["data"]["last_name"] == "Rao"
    assert names(users(exotel, offset=100)) == []


def test_users_are_filtered(exotel: Simulator) -> None:
    assert names(users(exotel, email="ASHA@example.com")) == ["Asha"]
    assert names(users(exotel, **{"devices.contact_uri": f"{ASHA},+919000000103"})) == ["Asha", "Ola"]
    assert names(users(exotel, email="nobody@example.com")) == []


def test_devices_show_their_state(exotel: Simulator) -> None:
    exotel.add_device(exotel.agent(ASHA), SOFTPHONE)
    exotel.agent("sip:vik4c1d77e2").device = "busy"

    rows = {row["data"]["first_name"]: row["data"]["devices"] for row in users(exotel, fields="devices")["response"]}

    shown = {
        name: [(one["type"], one["available"], one["verified"], one["status"]) for one in devices]
        for name, devices in rows.items()
    }
    assert shown == {
        "Asha": [("tel", True, True, "free"), ("sip", False, True, None)],
        "Vik": [("sip", True, True, "busy")],
        "Ola": [("tel", False, True, None)],
        "Uma": [("tel", False, False, None)],
    }


def test_one_user(exotel: Simulator) -> None:
    agent = exotel.agent(ASHA)
    answer = get(exotel, f"/v2/accounts/simulated1/users/{agent.user_id}", fields="devices").json()
    assert answer["response"]["data"]["devices"][0]["id"] == agent.devices[0].id
    missing = get(exotel, "/v2/accounts/simulated1/users/nobody")
    assert (missing.status_code, missing.json()["response"]["error_data"]["code"]) == (404, 10801)


def test_device_is_switched_by_put(exotel: Simulator, place: Place) -> None:
    agent = exotel.agent(ASHA)
    phone, softphone = agent.devices[0], exotel.add_device(agent, SOFTPHONE)
    unverified = exotel.add_device(agent, "+919000000199", "unverified")

    assert put_device(exotel, agent.user_id, softphone.id, {"available": True}) == (403, 10810)
    assert put_device(exotel, agent.user_id, phone.id, {"available": False}) == (200, None)
    assert place().json()["response"]["error_data"]["code"] == 1012
    assert put_device(exotel, agent.user_id, unverified.id, {"available": True}) == (409, 10809)
    assert put_device(exotel, agent.user_id, softphone.id, {"available": True}) == (200, None)
    assert (agent.device, agent.uri) == ("on", SOFTPHONE)
    assert place().json()["response"]["assigned_agent_details"]["contact_uri"] == SOFTPHONE
    assert put_device(exotel, agent.user_id, softphone.id, {"contact_uri": "+919000000198"}) == (403, 10817)
    assert put_device(exotel, agent.user_id, phone.id, {"contact_uri": "+919000000103"}) == (409, 10811)
    assert put_device(exotel, agent.user_id, phone.id, {"contact_uri": "+919000000198"}) == (200, None)
    assert (phone.contact_uri, phone.state) == ("+919000000198", "unverified")
    assert exotel.directory.find_agent(ASHA) is None


def test_put_that_cannot_be_done(exotel: Simulator) -> None:
    agent = exotel.agent(ASHA)
    device_id = agent.devices[0].id
    assert put_device(exotel, agent.user_id, 7, {"available": True}) == (404, 10801)
    assert put_device(exotel, "nobody", device_id, {"available": True}) == (404, 10801)
    for body in (None, [], {}, {"available": "true"}, {"state": "on"}):
        assert put_device(exotel, agent.user_id, device_id, body) == (400, 1007), body
    assert put_device(exotel, agent.user_id, device_id, {"contact_uri": "09000000101"}) == (400, 1401)
    exotel.options.devices_refuse_with = 10815
    assert put_device(exotel, agent.user_id, device_id, {"available": True}) == (403, 10815)
    assert exotel.faults() == {"devices_refused_10815": 1}


def test_exophones_are_listed_in_pages(exotel: Simulator) -> None:
    for number in range(55):
        exotel.add_exophone(f"+9180000008{number:02}", label=f"Line {number}")
    path = "/v2_beta/Accounts/simulated1/IncomingPhoneNumbers"

    first, second = get(exotel, path).json(), get(exotel, path, page=1).json()

    assert (first["page"], first["page_size"], len(first["incoming_phone_numbers"])) == (0, 50, 50)
    assert (second["page"], len(second["incoming_phone_numbers"])) == (1, 7)
    assert first["incoming_phone_numbers"][0]["friendly_name"] == "08000000700"
    assert first["incoming_phone_numbers"][2]["friendly_name"] == "Line 0"
    exotel.options.local_numbers = True
    exotel.options.exophones_fault = "repeated_page"
    again = get(exotel, path, page=1).json()
    assert again["incoming_phone_numbers"][0]["phone_number"] == "08000000700"


def test_directory_changes(exotel: Simulator) -> None:
    exotel.remove_agent(ASHA)
    exotel.remove_exophone("08000000700")
    assert names(users(exotel)) == ["Vik", "Ola", "Uma"]
    assert exotel.directory.exophones == ["+918000000701"]
    with pytest.raises(KeyError):
        exotel.remove_agent(ASHA)
    vik = exotel.agent("sip:vik4c1d77e2")
    with pytest.raises(ValueError, match="already an agent with"):
        exotel.add_device(vik, "+919000000103")
    with pytest.raises(ValueError, match="sip:vik4c1d77e2 is on"):
        exotel.add_device(vik, "+919000000198", "on")


@pytest.mark.parametrize("of", ["users", "exophones"])
def test_lists_can_be_refused(exotel: Simulator, of: str) -> None:
    path = "/v2/accounts/simulated1/users" if of == "users" else "/v2_beta/Accounts/simulated1/IncomingPhoneNumbers"
    for number in range(60):
        exotel.add_agent(f"sip:agent{number}")
        exotel.add_exophone(f"+9180000008{number:02}")
    exotel.options.set_text(f"{of}_refuse_with", "10724")
    exotel.options.retry_after = 3
    exotel.options.good_pages = 1

    assert get(exotel, path).status_code == 200
    refused = get(exotel, path, limit=50, offset=50, page=1)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3")
    assert ("RestException" in refused.json()) is (of == "exophones")
    wrong = requests.get(f"{exotel.url}{path}", auth=("sim-key", "wrong"), timeout=5)
    assert wrong.status_code == 401
    assert exotel.faults() == {f"{of}_refused_10724": 1}


def test_lists_can_go_wrong(exotel: Simulator) -> None:
    for fault, seen in {"empty": 0, "half_pages": 1, "wrong_total": 2, "row_error": 2, "repeated_page": 2}.items():
        exotel.options.set_text("users_fault", fault)
        body = users(exotel, limit=2, offset=2)
        assert len(body["response"]) == seen, fault
        assert body["metadata"]["total"] == {"empty": 0, "wrong_total": 11}.get(fault, 4)
        assert ("error_data" in body["response"][-1] and body["response"][-1]["data"] is None if seen else False) is (
            fault == "row_error"
        )
    exotel.options.users_fault = "bad_gateway"
    assert get(exotel, "/v2/accounts/simulated1/users").status_code == 502
    exotel.options.users_fault = "html"
    assert get(exotel, "/v2/accounts/simulated1/users").headers["Content-Type"] == "text/html"
    exotel.options.users_fault = "cut"
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        get(exotel, "/v2/accounts/simulated1/users")
    exotel.options.users_fault = "hang"
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{exotel.url}/v2/accounts/simulated1/users", auth=AUTH, timeout=0.2)


def test_book_has_the_query(exotel: Simulator) -> None:
    users(exotel, limit=5, offset=0)
    assert exotel.book.requests[-1].query == "limit=5&offset=0"


def test_page_has_a_switch_for_each_device(exotel: Simulator) -> None:
    agent = exotel.agent(ASHA)
    softphone = exotel.add_device(agent, SOFTPHONE)
    state = requests.get(f"{exotel.url}/page/state.json", timeout=5).json()
    assert [device["state"] for device in state["agents"][0]["devices"]] == ["on", "off"]
    assert state["device_states"] == ["on", "off", "unverified", "busy"]
    switch = {"user_id": agent.user_id, "device_id": str(softphone.id), "device": "on"}
    assert post_to_page(exotel, "device", switch).status_code == 200
    assert [device.state for device in agent.devices] == ["off", "on"]
    assert post_to_page(exotel, "device", {**switch, "device_id": "7"}).status_code == 400
