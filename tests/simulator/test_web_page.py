"""The web page's own requests: what it shows and changes, and who may."""

from __future__ import annotations

import dataclasses
import re

import pytest
import requests
from requests.adapters import HTTPAdapter, Retry

from django_exotel_ccm import simulator
from django_exotel_ccm.simulator import SCENARIOS, SCRIPTS, Options, Simulator
from tests.simulator.conftest import AGENT_UNANSWERED, ASHA, BY_HAND, Place, sid_of


def token(exotel: Simulator) -> str:
    found = re.search(r'name="page-token" content="([^"]+)"', requests.get(exotel.url, timeout=5).text)
    assert found
    return found[1]


def post_to_page(exotel: Simulator, path: str, body: object) -> requests.Response:
    headers = {"X-Page-Token": token(exotel), "Origin": exotel.url}
    return requests.post(f"{exotel.url}/page/{path}", json=body, headers=headers, timeout=5)


def test_page_renders(exotel: Simulator) -> None:
    page = requests.get(exotel.url, timeout=5)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert "{{" not in page.text
    assert [one.number for one in SCRIPTS if one.number not in page.text] == []
    assert [one.name for one in SCENARIOS if f'data-name="{one.name}"' not in page.text] == []
    assert "<noscript>" in page.text
    for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript")):
        assert requests.get(f"{exotel.url}/page/{name}", timeout=5).headers["Content-Type"].startswith(kind)


def test_page_shows_and_answers_a_call(exotel: Simulator, place: Place) -> None:
    exotel.speed = 1.0
    sid = sid_of(place(BY_HAND))
    state = requests.get(f"{exotel.url}/page/state.json", timeout=5).json()
    assert state["calls"][0]["presses"] == [["agent", "answer"], ["agent", "decline"]]
    assert state["requests"][0]["path"] == "/v2/accounts/simulated1/calls"
    press = {"call_sid": sid, "leg": "agent", "action": "answer"}
    assert post_to_page(exotel, "press", press).status_code == 200
    assert exotel.book.calls[sid].phase == "customer_ringing"
    again = post_to_page(exotel, "press", press)
    assert (again.status_code, "customer_ringing" in again.json()["error"]) == (400, True)


def test_page_sets_clock_and_devices(exotel: Simulator) -> None:
    assert post_to_page(exotel, "speed", {"speed": "10"}).status_code == 200
    assert post_to_page(exotel, "options", {"by_hand": "True"}).status_code == 200
    assert (exotel.speed, exotel.options.by_hand) == (10, True)
    device = {"user_id": exotel.agent(ASHA).user_id, "device": "off"}
    assert post_to_page(exotel, "device", device).status_code == 200
    assert exotel.agent(ASHA).device == "off"
    for path, body in (
        ("speed", {"speed": "fast"}),
        ("speed", {"speed": "nan"}),
        ("options", 7),
        ("device", {"user_id": "nobody", "device": "on"}),
        ("device", {"user_id": ASHA, "device": "asleep"}),
        ("press", []),
        ("press", {"call_sid": "none", "leg": "agent", "action": "answer"}),
    ):
        assert post_to_page(exotel, path, body).status_code == 400


def test_every_option_is_on_the_page_with_its_text(exotel: Simulator) -> None:
    page = requests.get(exotel.url, timeout=5).text
    controls = re.findall(r'name="(\w+)" data-post="/page/options"', page)
    state = requests.get(f"{exotel.url}/page/state.json", timeout=5).json()
    assert sorted(controls) == sorted(state["options"]) == sorted(one.name for one in dataclasses.fields(Options))
    assert [name for name in controls if not re.search(rf'<p id="text-{name}">.{{10,}}?\.</p>', page)] == ["by_hand"]
    exotel.options.loss_rate = 0.5
    assert requests.get(f"{exotel.url}/page/state.json", timeout=5).json()["changed"] == ["loss_rate"]


def test_page_sets_options_and_scenarios(exotel: Simulator) -> None:
    assert post_to_page(exotel, "options", {"lost_events": "answered,terminal", "loss_rate": "0.25"}).status_code == 200
    assert (exotel.options.lost_events, exotel.options.loss_rate) == (frozenset({"answered", "terminal"}), 0.25)
    state = requests.get(f"{exotel.url}/page/state.json", timeout=5).json()
    assert (state["options"]["loss_rate"], state["scenario"]) == ("0.25", None)
    assert post_to_page(exotel, "scenario", {"name": "twice"}).status_code == 200
    assert vars(exotel.options) == vars(simulator.Options(duplicate_callbacks=True))
    assert requests.get(f"{exotel.url}/page/state.json", timeout=5).json()["scenario"] == "twice"
    for path, body, reason in (
        ("options", {"loss_rate": "2"}, "write a number from 0 to 1"),
        ("options", {"colour": "red"}, "There is no option 'colour'"),
        ("scenario", {"name": "rain"}, "There is no scenario 'rain'"),
    ):
        refused = post_to_page(exotel, path, body)
        assert (refused.status_code, reason in refused.json()["error"]) == (400, True)


def test_page_places_an_external_call(exotel: Simulator) -> None:
    body = {"customer_number": AGENT_UNANSWERED, "agent": ASHA, "recording": "on"}
    assert post_to_page(exotel, "external-call", body).status_code == 200
    assert [call.external for call in exotel.book.calls.values()] == [True]
    assert post_to_page(exotel, "external-call", {**body, "agent": "nobody"}).status_code == 400


def test_page_cuts_the_power(exotel: Simulator) -> None:
    for wrong in ({"seconds": -1, "deliveries": "kept"}, {"seconds": 1, "deliveries": "mislaid"}, {"seconds": "nan"}):
        assert post_to_page(exotel, "restart", wrong).status_code == 400
    assert post_to_page(exotel, "restart", {"seconds": "0.3", "deliveries": "lost"}).status_code == 200
    exotel.clock.wait_until(float("inf"), unless=lambda: "power_cut" in exotel.faults())
    with pytest.raises(requests.ConnectionError):
        requests.get(exotel.url, timeout=1)
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=Retry(10, backoff_factor=0.1)))
        assert session.get(exotel.url, timeout=5).status_code == 200


def test_only_the_page_itself_may_change_anything(exotel: Simulator) -> None:
    sent = {"X-Page-Token": token(exotel), "Origin": exotel.url}
    for headers in (
        {},
        {"Origin": exotel.url},
        {"X-Page-Token": sent["X-Page-Token"]},
        {**sent, "X-Page-Token": "wrong"},
        {**sent, "X-Page-Token": "é"},
        {**sent, "Origin": "http://evil.example"},
    ):
        encoded = {name: value.encode() for name, value in headers.items()}
        answer = requests.post(f"{exotel.url}/page/options", json={"by_hand": "True"}, headers=encoded, timeout=5)
        assert answer.status_code == 403, headers
    assert exotel.options.by_hand is False
