"""Call Details: in every shape, when all is not well, and who asked for them how often."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from django_exotel_ccm.simulator import Simulator
from tests.simulator.conftest import AUTH, BY_HAND, Place, get_details, sid_of

FINAL = ("status", "call_status", "end_time", "total_duration", "duration", "total_talk_time", "talk_time")


def details(exotel: Simulator, sid: str, shape: str) -> dict[str, Any]:
    """Return the inner part of the answer of Call Details."""
    exotel.options.set_text("details_shape", shape)
    answer = get_details(exotel, sid)
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["http_code"], body["method"]) == (200, 200, "GET")
    inner: dict[str, Any] = body["response"].get("call_details") or body["response"]["data"]
    return inner


@pytest.fixture
def ended(exotel: Simulator, place: Place) -> str:
    """The sid of a call that is over."""
    sid = sid_of(place(recording=True, custom_field="ticket_1"))
    exotel.wait_until_quiet()
    return sid


def test_ended_call_in_every_shape(exotel: Simulator, ended: str) -> None:
    exotel.options.recording_delay = 0.0
    a, b, c = (details(exotel, ended, shape) for shape in "ABC")
    assert (a["sid"], a["state"], a["status"], a["custom_field"]) == (ended, "terminal", "completed", "ticket_1")
    assert (a["total_talk_time"], a["total_duration"], a["recording"]["available"]) == (42, 51, True)
    assert (b["call_sid"], b["call_status"]) == (ended, "completed")
    assert b["recordings"][0]["url"] == a["recording"]["url"] == c["recording_url"]
    assert (c["call_status"], c["talk_time"], c["duration"]) == ("completed", 42, 51)
    assert c["end_time"].endswith("+05:30")


def test_running_call_has_no_final_values(exotel: Simulator, place: Place) -> None:
    exotel.speed = 1.0
    sid = sid_of(place(BY_HAND))
    for shape in "ABC":
        inner = details(exotel, sid, shape)
        assert inner.get("state", inner.get("call_state")) == "active"
        assert [name for name in FINAL if inner.get(name) is not None] == []


def test_stale_details_read_as_active(exotel: Simulator, ended: str) -> None:
    exotel.speed = 1.0
    exotel.options.recording_delay = 0
    exotel.options.details_fault = "stale"
    exotel.options.details_stale_for = 1e9
    for shape in "ABC":
        inner = details(exotel, ended, shape)
        assert inner.get("state", inner.get("call_state")) == "active"
        assert [name for name in FINAL if inner.get(name) is not None] == []
        assert (exotel.book.calls[ended].recording_url or "") not in str(inner)
    assert exotel.faults() == {"details_stale": 3}

    exotel.options.details_stale_for = 0
    assert "completed" in details(exotel, ended, "A").values()
    assert exotel.book.calls[ended].state == "terminal"
    assert exotel.faults() == {"details_stale": 3}


def test_details_may_be_refused(exotel: Simulator, ended: str) -> None:
    for fault, expected in {
        "not_found": (404, 10744),
        "unauthorised": (401, 1010),
        "too_many": (429, 10724),
    }.items():
        exotel.options.set_text("details_fault", fault)
        exotel.options.retry_after = None
        answer = get_details(exotel, ended)
        assert (answer.status_code, answer.json()["response"]["error_data"]["code"]) == expected
        assert "Retry-After" not in answer.headers
        exotel.options.retry_after = 7
        assert get_details(exotel, ended).headers.get("Retry-After") == ("7" if fault == "too_many" else None)
        assert exotel.faults()[f"details_{fault}"] == 2


def test_details_may_be_a_web_page_or_cut(exotel: Simulator, ended: str) -> None:
    exotel.options.details_fault = "bad_gateway"
    answer = get_details(exotel, ended)
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html")
    exotel.options.details_fault = "cut"
    url = f"{exotel.url}/v2/accounts/simulated1/calls/{ended}"
    with requests.get(url, auth=AUTH, timeout=5, stream=True) as answer:
        assert (answer.status_code, int(answer.headers["Content-Length"]) > 100) == (200, True)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            answer.content  # noqa: B018 - reading it is the test
    exotel.options.details_fault = "none"
    assert get_details(exotel, ended).status_code == 200


def test_details_may_never_come(exotel: Simulator, ended: str) -> None:
    exotel.options.details_fault = "hang"
    with pytest.raises(requests.ReadTimeout):
        get_details(exotel, ended, timeout=0.2)
    assert [one.status for one in exotel.details_requests()] == [None]
    began = time.monotonic()
    exotel.stop()
    assert time.monotonic() - began < 1


def test_requests_for_details_are_recorded(exotel: Simulator, place: Place, ended: str) -> None:
    other = sid_of(place())
    before = datetime.now(UTC)
    for sid in (ended, other, ended, "nobody's"):
        get_details(exotel, sid)
    requests.post(f"{exotel.url}/v2/accounts/simulated1/calls/{ended}", auth=AUTH, timeout=5)
    assert [one.details_of for one in exotel.details_requests()] == [ended, other, ended, "nobody's"]
    assert [one.status for one in exotel.details_requests("nobody's")] == [404]
    first, second = exotel.details_requests(ended)
    assert before <= first.wall_time < second.wall_time <= datetime.now(UTC)
    assert (second.at - first.at) > 100 * (second.wall_time - first.wall_time)
    book = requests.get(f"{exotel.url}/book.json", timeout=5).json()
    assert [one["details_of"] for one in book["requests"] if one["details_of"]] == [ended, other, ended, "nobody's"]
