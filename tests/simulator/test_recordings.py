"""Recordings: ranges, types, sizes, and what goes wrong with them."""

from __future__ import annotations

import io
import json
import wave

import pytest
import requests

from django_exotel_ccm.simulator import Simulator
from tests.simulator.conftest import AUTH, Application, Place, get_details, sid_of


@pytest.fixture
def recorded(exotel: Simulator, place: Place) -> str:
    """The sid of a call whose recording can be fetched."""
    exotel.options.recording_delay = 0
    sid = sid_of(place(recording=True, recording_channels="dual"))
    exotel.wait_until_quiet()
    return sid


def fetch(exotel: Simulator, sid: str, **headers: str) -> requests.Response:
    url = exotel.book.calls[sid].recording_url
    assert url
    return requests.get(url, auth=AUTH, headers=headers, timeout=5, allow_redirects=False)


def test_recording_needs_the_key_and_time(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.options.recording_delay = 1e9
    sid = sid_of(place(recording=True, recording_channels="dual", status_callback=application.entries()))
    exotel.wait_until_quiet()
    (url,) = json.loads(application.received[-1].content)["call_details"]["recordings"]
    assert url == f"{exotel.url}/recordings/simulated1/{sid}.wav"
    assert requests.get(url, timeout=5).status_code == 401
    assert requests.get(url, auth=AUTH, timeout=5).status_code == 404
    exotel.options.recording_delay = 0.0
    recording = requests.get(url, auth=AUTH, timeout=5)
    assert (recording.status_code, recording.headers["Content-Type"]) == (200, "audio/wav")
    assert requests.get(f"{exotel.url}/page/recordings/{sid}.wav", timeout=5).content == recording.content


RANGES = [
    ("bytes=0-0", 0, 0),
    ("bytes=0-43", 0, 43),
    ("bytes=40-99", 40, 99),
    ("bytes=44-100000", 44, 100_000),
    ("bytes=160000-", 160_000, 160_043),
    ("bytes=-5", 160_039, 160_043),
    ("bytes=-999999", 0, 160_043),
    ("bytes=7-999999", 7, 160_043),
]


def test_ranges(exotel: Simulator, recorded: str) -> None:
    whole = fetch(exotel, recorded)
    assert (whole.status_code, len(whole.content), whole.headers["Accept-Ranges"]) == (200, 160_044, "bytes")
    for asked, first, last in RANGES:
        part = fetch(exotel, recorded, Range=asked)
        assert (part.status_code, part.headers["Content-Range"]) == (206, f"bytes {first}-{last}/160044"), asked
        assert part.content == whole.content[first : last + 1]
        assert part.headers["Content-Length"] == str(last - first + 1)
    for asked in ("bytes=160044-", "bytes=160044-160050", "bytes=9-7", "bytes=-0"):
        absent = fetch(exotel, recorded, Range=asked)
        assert (absent.status_code, absent.headers["Content-Range"]) == (416, "bytes */160044"), asked
        assert absent.content == b""
    for asked in ("bytes=0-1,5-6", "seconds=1-2", "bytes=-", "bytes=a-b"):  # no one range: all of it
        answer = fetch(exotel, recorded, Range=asked)
        assert (answer.status_code, len(answer.content)) == (200, 160_044), asked


def test_recording_is_a_wave_file_of_both_speakers(exotel: Simulator, recorded: str) -> None:
    with wave.open(io.BytesIO(fetch(exotel, recorded).content)) as sound:
        assert (sound.getnchannels(), sound.getframerate(), sound.getnframes()) == (2, 8000, 40_000)
        frames = sound.readframes(8000)
    assert max(frames[:16_000]) > 0
    assert frames[:2] == b"\0\0"


def test_recording_can_be_mp3(exotel: Simulator, place: Place) -> None:
    exotel.options.recording_delay = 0
    exotel.options.recording_type = "mp3"
    sid = sid_of(place(recording=True))
    exotel.wait_until_quiet()
    answer = fetch(exotel, sid)
    assert exotel.book.calls[sid].recording_url == f"{exotel.url}/recordings/simulated1/{sid}.mp3"
    assert (answer.headers["Content-Type"], answer.content[:2]) == ("audio/mpeg", b"\xff\xfb")


def test_big_recording_is_not_held_in_memory(exotel: Simulator, recorded: str) -> None:
    exotel.options.big_recording = 5_000_000_000
    url = exotel.book.calls[recorded].recording_url
    assert url
    with requests.get(url, auth=AUTH, timeout=5, stream=True) as answer:
        assert answer.headers["Content-Length"] == "5000000000"
        assert len(next(answer.iter_content(1_000_000))) == 1_000_000
    part = fetch(exotel, recorded, Range="bytes=4999999990-")
    assert (part.status_code, len(part.content)) == (206, 10)


def test_something_else_is_sent_instead(exotel: Simulator, recorded: str) -> None:
    for fault, status, content_type in (
        ("not_found", 404, "text/plain; charset=utf-8"),
        ("unauthorised", 401, "application/json"),
        ("forbidden", 403, "application/xml"),
        ("html", 200, "text/html"),
        ("redirect_out", 302, "text/plain; charset=utf-8"),
    ):
        exotel.options.set_text("recording_fault", fault)
        answer = fetch(exotel, recorded)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, content_type)
        assert answer.headers.get("Location", "").startswith("https://recordings.example.com/") is (status == 302)
        assert exotel.faults()[f"recording_{fault}"] == 1
    exotel.options.recording_fault = "none"
    assert fetch(exotel, recorded).status_code == 200


def test_recording_can_break_off(exotel: Simulator, recorded: str) -> None:
    exotel.options.recording_fault = "cut"
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="reset"):
        fetch(exotel, recorded)


def test_recording_can_be_endless(exotel: Simulator, recorded: str) -> None:
    exotel.options.recording_fault = "endless"
    url = exotel.book.calls[recorded].recording_url
    assert url
    with requests.get(url, auth=AUTH, timeout=5, stream=True) as answer:
        assert "Content-Length" not in answer.headers
        assert sum(len(chunk) for chunk, _ in zip(answer.iter_content(65_536), range(40), strict=False)) > 2_000_000


def test_player_of_the_page_gets_no_fault(exotel: Simulator, recorded: str) -> None:
    exotel.options.recording_fault = "forbidden"
    url = f"{exotel.url}/page/recordings/{recorded}.wav"
    answer = requests.get(url, headers={"Range": "bytes=0-9"}, timeout=5)
    assert (answer.status_code, answer.content[:4]) == (206, b"RIFF")


def test_recording_can_stay_unreported(exotel: Simulator, place: Place) -> None:
    exotel.options.recordings_shape, exotel.options.recording_delay = "never", 0
    sid = sid_of(place(recording=True))
    exotel.wait_until_quiet()
    assert exotel.book.calls[sid].recording_url is None
    details = get_details(exotel, sid).json()
    assert details["response"]["call_details"]["recording"] == {"available": False, "url": None}
