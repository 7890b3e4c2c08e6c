"""What the API refuses, with Exotel's codes (docs/exotel.md 2.8)."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from django_exotel_ccm.simulator import Simulator
from tests.simulator.conftest import ASHA, AUTH, BY_HAND, Place, get_details, sid_of


def code(answer: requests.Response) -> tuple[int, int]:
    body = answer.json()
    assert body["http_code"] == answer.status_code
    assert body["response"]["status"] == "failure"
    assert body["response"]["data"] is None
    assert len(body["request_id"]) == 32
    return answer.status_code, body["response"]["error_data"]["code"]


def test_wrong_or_unreadable_credentials_are_1010(exotel: Simulator) -> None:
    url = f"{exotel.url}/v2/accounts/simulated1/calls"
    for auth in (None, ("sim-key", "wrong"), ("wrong", "sim-token")):
        assert code(requests.post(url, json={}, auth=auth, timeout=5)) == (401, 1010)
    for header in ("Bearer abc", "Basic !!!", "Basic", "basic c2ltLWtleQ=="):
        assert code(requests.post(url, headers={"Authorization": header}, timeout=5)) == (401, 1010), header
    url = f"{exotel.url}/v2/accounts/somebody/calls"
    assert code(requests.post(url, json={}, auth=AUTH, timeout=5)) == (404, 1017)


def test_agents_that_cannot_be_called(place: Place) -> None:
    for agent, expected in {
        "+919000000199": (404, 10731),
        "sip:nobody": (404, 10731),
        "+919000000103": (409, 1012),
        "+919000000104": (409, 10705),
    }.items():
        assert code(place(from_={"user_contact_uri": agent})) == expected, agent


def test_device_can_be_changed(exotel: Simulator, place: Place) -> None:
    exotel.agent(ASHA).device = "busy"
    assert code(place()) == (409, 10706)
    exotel.agent(ASHA).device = "off"
    assert code(place()) == (409, 1012)
    exotel.agent(ASHA).device = "on"
    assert place().status_code == 200
    with pytest.raises(ValueError, match="on, off, unverified, busy"):
        exotel.agent(ASHA).device = "asleep"  # type: ignore[assignment]


def test_agent_in_a_call_is_busy_until_it_ends(exotel: Simulator, place: Place) -> None:
    exotel.speed = 1.0
    sid = sid_of(place(BY_HAND))
    assert code(place()) == (409, 10706)
    exotel.press(sid, "agent", "decline")
    assert place().status_code == 200


def test_unknown_exophone_is_10716(exotel: Simulator, place: Place) -> None:
    assert code(place(virtual_number="+918000000799")) == (404, 10716)
    exotel.add_exophone("+918000000799")
    assert place(virtual_number="08000000799").status_code == 200


def test_magic_numbers_are_refused(exotel: Simulator, place: Place) -> None:
    assert code(place("+919000001017")) == (403, 10717)
    assert code(place("+919000001100")) == (500, 1100)
    assert exotel.book.calls == {}
    assert code(place("+919000001101")) == (500, 1100)
    exotel.wait_until_quiet()
    assert [call.status for call in exotel.book.calls.values()] == ["completed"]


def test_every_call_can_be_refused(exotel: Simulator, place: Place) -> None:
    exotel.options.refuse_with = 10724
    answer = place()
    assert code(answer) == (429, 10724)
    assert "Retry-After" not in answer.headers
    exotel.options.retry_after = 30
    assert place().headers["Retry-After"] == "30"
    exotel.options.refuse_with = 1100
    assert code(place()) == (500, 1100)
    with pytest.raises(ValueError, match="refuse_with=7"):
        exotel.options.refuse_with = 7


WRONG: list[dict[str, Any]] = [
    {"from_": None},
    {"from_": ASHA},
    {"from_": {}},
    {"from_": {"user_contact_uri": ASHA, "user_id": "7d1f6a52-0c3e-4b19-9a77-2f5d8e61c0aa"}},
    {"from_": {"user_contact_uri": "Asha"}},
    {"from_": {"user_contact_uri": 919000000101}},
    {"from_": {"user_id": 7}},
    {"to": None},
    {"to": "+919000001001"},
    {"to": {}},
    {"to": {"contact_uri": "+919000001001"}},
    {"to": {"number": "9000001001"}},
    {"to": {"number": None}},
    {"to": {"number": "+919000001001", "customer_contact_uri": "+919000001001"}},
    {"virtual_number": None},
    {"virtual_number": "8000000700"},
    {"virtual_number": 918000000700},
    {"recording": "true"},
    {"recording_channels": "stereo"},
    {"wait_audio_url": "music.wav"},
    {"wait_audio_url": "http://[bad"},
    {"wait_audio_url": 1},
    {"max_time_limit": "600"},
    {"max_time_limit": True},
    {"max_time_limit": 0},
    {"attempt_time_out": -1},
    {"attempt_time_out": 1.5},
    {"custom_field": 12345},
    {"custom_field": "x" * 129},
    {"status_callback": {"event": "terminal", "url": "http://127.0.0.1/"}},
    {"status_callback": ["terminal"]},
    {"status_callback": [{"url": "http://127.0.0.1/"}]},
    {"status_callback": [{"event": "ringing", "url": "http://127.0.0.1/"}]},
    {"status_callback": [{"event": "terminal"}]},
    {"status_callback": [{"event": "terminal", "url": "ftp://127.0.0.1/"}]},
    {"status_callback": [{"event": ["terminal"], "url": "http://127.0.0.1/"}]},
]


def test_body_against_the_documentation_is_10725(exotel: Simulator, place: Place) -> None:
    assert [fields for fields in WRONG if code(place(**fields)) != (400, 10725)] == []
    url = f"{exotel.url}/v2/accounts/simulated1/calls"
    for content in (b"", b"{", b"[]", b'{"from": NaN}', b"\xff", b"[" * 20_000):
        assert code(requests.post(url, data=content, auth=AUTH, timeout=5)) == (400, 10725), content[:20]
    assert exotel.book.calls == {}


def test_to_key_decides_which_key_is_accepted(exotel: Simulator, place: Place) -> None:
    keys = ("number", "customer_contact_uri")
    for key, other in (keys, keys[::-1]):
        exotel.options.set_text("to_key", key)
        assert code(place(to={other: "+919000001001"})) == (400, 10725)
        assert place(to={key: "+919000001001"}).status_code == 200
        exotel.wait_until_quiet()
    exotel.options.to_key = "both"
    assert place(to={"number": "+919000001001"}).status_code == 200


def test_unknown_call_path_or_method(exotel: Simulator) -> None:
    assert code(get_details(exotel, "abc")) == (404, 10744)
    url = f"{exotel.url}/v2/accounts/simulated1/calls"
    assert requests.get(f"{exotel.url}/nowhere", timeout=5).status_code == 404
    assert requests.post(f"{exotel.url}/nowhere", timeout=5).status_code == 404
    assert requests.delete(url, auth=AUTH, timeout=5).status_code == 405
    assert requests.head(exotel.url, timeout=5).content == b""
