"""Recordings: ranges, types, sizes, and what goes wrong with them."""

from __future__ import annotations

import io
import wave
from typing import Any

import pytest
import requests

from django_exotel_ccm.simulator import Simulator
from tests.simulator.conftest import AUTH, Place


@pytest.fixture
def call_up(exotel: Simulator, place: Place) -> str:
    """The sid of a recorded call whose recording is there."""
    exotel.options.recording_delay = 0
    sid: str = place(recording=True, recording_channels="dual").json()["response"]["call_sid"]
    exotel.wait_until_quiet()
    return sid


def fetch(exotel: Simulator, sid: str, **headers: str) -> requests.Response:
    url = exotel.book.calls[sid].recording_url
    assert url
    return requests.get(url, auth=AUTH, headers=headers, timeout=5, allow_redirects=False)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-43", 0, 43),
        ("bytes=40-99", 40, 99),
        ("bytes=44-100000", 44, 100_000),
        ("bytes=160000-", 160_000, 160_043),
        ("bytes=-5", 160_039, 160_043),
        ("bytes=-999999", 0, 160_043),
        ("bytes=7-999999", 7, 160_043),
    ],
)
def test_a_range(exotel: Simulator, call_up: str, asked: str, first: int, last: int) -> None:
    whole = fetch(exotel, call_up)
    assert (whole.status_code, len(whole.content), whole.headers["Accept-Ranges"]) == (200, 160_044, "bytes")
    part = fetch(exotel, call_up, Range=asked)
    assert (part.status_code, part.headers["Content-Range"]) == (206, f"bytes {first}-{last}/160044")
    assert part.content == whole.content[first : last + 1]
    assert part.headers["Content-Length"] == str(last - first + 1)


@pytest.mark.parametrize("asked", ["bytes=160044-", "bytes=160044-160050", "bytes=9-7", "bytes=-0"])
def test_a_range_that_there_is_not(exotel: Simulator, call_up: str, asked: str) -> None:
    answer = fetch(exotel, call_up, Range=asked)
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */160044")
    assert answer.content == b""


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "seconds=1-2", "bytes=-", "bytes=a-b"])
def test_a_range_that_cannot_be_read_is_no_range(exotel: Simulator, call_up: str, asked: str) -> None:
    answer = fetch(exotel, call_up, Range=asked)
    assert (answer.status_code, len(answer.content)) == (200, 160_044)


def test_the_sound_is_a_wave_file_of_both_speakers(exotel: Simulator, call_up: str) -> None:
    with wave.open(io.BytesIO(fetch(exotel, call_up).content)) as sound:
        assert (sound.getnchannels(), sound.getframerate(), sound.getnframes()) == (2, 8000, 40_000)
        frames = sound.readframes(8000)
    assert max(frames[:16_000]) > 0
    assert frames[:2] == b"\0\0"


def test_mp3(exotel: Simulator, place: Place) -> None:
    exotel.options.recording_delay = 0
    exotel.options.recording_type = "mp3"
    sid = place(recording=True).json()["response"]["call_sid"]
    exotel.wait_until_quiet()
    answer = fetch(exotel, sid)
    assert exotel.book.calls[sid].recording_url == f"{exotel.url}/recordings/simulated1/{sid}.mp3"
    assert (answer.headers["Content-Type"], answer.content[:2]) == ("audio/mpeg", b"\xff\xfb")


def test_a_big_recording_is_not_held_in_memory(exotel: Simulator, call_up: str) -> None:
    exotel.options.big_recording = 5_000_000_000
    url = exotel.book.calls[call_up].recording_url
    assert url
    with requests.get(url, auth=AUTH, timeout=5, stream=True) as answer:
        assert answer.headers["Content-Length"] == "5000000000"
        assert len(next(answer.iter_content(1_000_000))) == 1_000_000
    part = fetch(exotel, call_up, Range="bytes=4999999990-")
    assert (part.status_code, len(part.content)) == (206, 10)


@pytest.mark.parametrize(
    ("fault", "status", "content_type"),
    [
        ("not_found", 404, "text/plain; charset=utf-8"),
        ("unauthorised", 401, "application/json"),
        ("forbidden", 403, "application/xml"),
        ("html", 200, "text/html"),
        ("redirect_out", 302, "text/plain; charset=utf-8"),
    ],
)
def test_something_else_instead(exotel: Simulator, call_up: str, fault: Any, status: int, content_type: str) -> None:
    exotel.options.recording_fault = fault
    answer = fetch(exotel, call_up)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, content_type)
    assert answer.headers.get("Location", "").startswith("https://recordings.example.com/") is (status == 302)
    assert exotel.faults() == {f"recording_{fault}": 1}
    exotel.options.recording_fault = "none"
    assert fetch(exotel, call_up).status_code == 200


def test_a_recording_that_breaks_off(exotel: Simulator, call_up: str) -> None:
    exotel.options.recording_fault = "cut"
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="reset"):
        fetch(exotel, call_up)


def test_a_recording_that_never_ends(exotel: Simulator, call_up: str) -> None:
    exotel.options.recording_fault = "endless"
    url = exotel.book.calls[call_up].recording_url
    assert url
    with requests.get(url, auth=AUTH, timeout=5, stream=True) as answer:
        assert "Content-Length" not in answer.headers
        assert sum(len(chunk) for chunk, _ in zip(answer.iter_content(65_536), range(40), strict=False)) > 2_000_000
    assert fetch_page(exotel, call_up).status_code == 206


def fetch_page(exotel: Simulator, sid: str) -> requests.Response:
    """What the page's player gets: no key, no fault."""
    return requests.get(f"{exotel.url}/page/recordings/{sid}.wav", headers={"Range": "bytes=0-9"}, timeout=5)


def test_the_pages_player_hears_the_recording_whatever_is_switched(exotel: Simulator, call_up: str) -> None:
    exotel.options.recording_fault = "forbidden"
    assert (fetch_page(exotel, call_up).status_code, fetch_page(exotel, call_up).content[:4]) == (206, b"RIFF")


def test_a_recording_of_which_nobody_is_told(exotel: Simulator, place: Place) -> None:
    exotel.options.recordings_shape, exotel.options.recording_delay = "never", 0
    sid = place(recording=True).json()["response"]["call_sid"]
    exotel.wait_until_quiet()
    assert exotel.book.calls[sid].recording_url is None
    details = requests.get(f"{exotel.url}/v2/accounts/simulated1/calls/{sid}", auth=AUTH, timeout=5).json()
    assert details["response"]["call_details"]["recording"] == {"available": False, "url": None}
