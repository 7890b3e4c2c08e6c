"""Call Details when all is not well, and who asked for them how often."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import requests

from django_exotel_ccm.simulator import Simulator
from tests.simulator.conftest import AUTH, Place


def ask(exotel: Simulator, sid: str, timeout: float = 5) -> requests.Response:
    return requests.get(f"{exotel.url}/v2/accounts/simulated1/calls/{sid}", auth=AUTH, timeout=timeout)


@pytest.fixture
def ended(exotel: Simulator, place: Place) -> str:
    """The sid of a call that is over."""
    sid: str = place(recording=True).json()["response"]["call_sid"]
    exotel.wait_until_quiet()
    return sid


def test_stale_details_read_as_active(exotel: Simulator, ended: str) -> None:
    exotel.speed = 1.0
    exotel.options.recording_delay = 0
    exotel.options.details_fault = "stale"
    exotel.options.details_stale_for = 1e9
    for shape in ("A", "B", "C"):
        exotel.options.details_shape = shape  # type: ignore[assignment]
        response = ask(exotel, ended).json()["response"]
        inner = response.get("call_details") or response["data"]
        assert inner.get("state", inner.get("call_state")) == "active"
        for name in ("status", "call_status", "end_time", "total_duration", "duration", "total_talk_time", "talk_time"):
            assert inner.get(name) is None
        assert (exotel.book.calls[ended].recording_url or "") not in str(inner)
    assert exotel.faults() == {"details_stale": 3}

    exotel.options.details_stale_for = 0
    assert "completed" in str(ask(exotel, ended).json()["response"])
    assert exotel.book.calls[ended].state == "terminal"
    assert exotel.faults() == {"details_stale": 3}


def test_details_may_be_refused(exotel: Simulator, ended: str) -> None:
    for fault, expected in {
        "not_found": (404, 10744),
        "unauthorised": (401, 1010),
        "too_many": (429, 10724),
    }.items():
        exotel.options.details_fault = fault  # type: ignore[assignment]
        exotel.options.retry_after = None
        answer = ask(exotel, ended)
        assert (answer.status_code, answer.json()["response"]["error_data"]["code"]) == expected
        assert "Retry-After" not in answer.headers
        exotel.options.retry_after = 7
        assert ask(exotel, ended).headers.get("Retry-After") == ("7" if fault == "too_many" else None)
        assert exotel.faults()[f"details_{fault}"] == 2


def test_details_may_be_a_web_page(exotel: Simulator, ended: str) -> None:
    exotel.options.details_fault = "bad_gateway"
    answer = ask(exotel, ended)
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html")


def test_details_may_never_come(exotel: Simulator, ended: str) -> None:
    exotel.options.details_fault = "hang"
    with pytest.raises(requests.ReadTimeout):
        ask(exotel, ended, timeout=0.2)
    assert [seen.status for seen in exotel.details_requests()] == [None]


def test_details_may_be_cut_in_the_middle(exotel: Simulator, ended: str) -> None:
    exotel.options.details_fault = "cut"
    url = f"{exotel.url}/v2/accounts/simulated1/calls/{ended}"
    with requests.get(url, auth=AUTH, timeout=5, stream=True) as answer:
        assert (answer.status_code, int(answer.headers["Content-Length"]) > 100) == (200, True)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            answer.content  # noqa: B018 - reading it is the test
    exotel.options.details_fault = "none"
    assert ask(exotel, ended).status_code == 200


def test_stop_does_not_wait_for_a_hanging_answer(exotel: Simulator, ended: str) -> None:
    exotel.options.details_fault = "hang"
    with pytest.raises(requests.ReadTimeout):
        ask(exotel, ended, timeout=0.1)
    began = datetime.now(UTC)
    exotel.stop()
    assert datetime.now(UTC) - began < timedelta(seconds=1)


def test_requests_for_details_are_recorded(exotel: Simulator, place: Place, ended: str) -> None:
    other = place().json()["response"]["call_sid"]
    before = datetime.now(UTC)
    for sid in (ended, other, ended, "nobody's"):
        ask(exotel, sid)
    requests.post(f"{exotel.url}/v2/accounts/simulated1/calls/{ended}", auth=AUTH, timeout=5)
    assert [seen.details_of for seen in exotel.details_requests()] == [ended, other, ended, "nobody's"]
    assert [seen.status for seen in exotel.details_requests("nobody's")] == [404]
    of_ended = exotel.details_requests(ended)
    assert len(of_ended) == 2
    assert before <= of_ended[0].wall_time < of_ended[1].wall_time <= datetime.now(UTC)
    assert (of_ended[1].at - of_ended[0].at) > 100 * (of_ended[1].wall_time - of_ended[0].wall_time)
    book = requests.get(f"{exotel.url}/book.json", timeout=5).json()
    assert [one["details_of"] for one in book["requests"] if one["details_of"]] == [ended, other, ended, "nobody's"]
