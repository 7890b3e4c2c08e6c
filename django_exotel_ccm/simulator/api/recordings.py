"""Recordings (docs/exotel.md 10.3): a tone as WAV or silence as MP3, of any size; ranges, and what goes wrong."""

from __future__ import annotations

import functools
import math
import re
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from django_exotel_ccm.simulator.call_flow import SimulatedCall
from django_exotel_ccm.simulator.http_types import HTML, TEXT, WEB_PAGE, Request, Response, response
from django_exotel_ccm.simulator.refusals import RefusedError
from django_exotel_ccm.simulator.state import State

RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
ELSEWHERE = "https://recordings.example.com/exotelrecordings/"
DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
INSTEAD = {
    "not_found": response(404, b"There is no such recording.\n", TEXT),
    "forbidden": response(403, DENIED, "application/xml"),
    "html": response(200, WEB_PAGE, HTML),
}
"""Faults that send something else instead."""

RATE = 8_000  # samples in a second, as telephones have
LONGEST = 5  # seconds: a sample is enough to hear that it plays
AGENT_TONE, CUSTOMER_TONE = 440, 660  # Hz
LOUDNESS = 9_000  # of 32767
WAV_HEADER = 44  # bytes
MP3_FRAME = b"\xff\xfb\x10\xc0" + bytes(100)  # MPEG 1 layer III, 32 kbit/s, 44.1 kHz, mono: 26 ms of silence
MP3_FRAMES = 38  # in a second
CHUNK = 64 * 1024  # bytes


@dataclass(frozen=True)
class Sound:
    """A file: a head, then a pattern over and over, `size` bytes in all. It is never in memory as a whole."""

    content_type: str
    head: bytes
    pattern: bytes
    size: int

    def chunks(self, first: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `first` up to, and without, `end`."""
        while first < end:
            upto = min(end, first + CHUNK)
            yield self._slice(first, upto)
            first = upto

    def endless(self) -> Iterator[bytes]:
        """Yield the head, and the pattern for ever, slowly enough to leave the machine to others."""
        yield self.head
        while True:
            yield self._slice(len(self.head), len(self.head) + CHUNK)
            time.sleep(0.002)

    def _slice(self, first: int, end: int) -> bytes:
        begin = max(first - len(self.head), 0) % len(self.pattern)
        length = end - max(first, len(self.head))
        repeated = self.pattern * math.ceil((begin + max(length, 0)) / len(self.pattern))
        return self.head[first:end] + repeated[begin : begin + max(length, 0)]


def recording_response(state: State, request: Request, call_sid: str, kind: str) -> Response:
    """Return the recording of a call or the range that is asked for, or 404 while there is none."""
    call = state.book.calls.get(call_sid)
    if call is None or not state.recording_ready(call):
        return response(404, b"There is no such recording, or not yet.\n", TEXT)
    return ranged(sound_of(state, call, kind), request.header("Range"))


def faulty_recording_response(state: State, request: Request, call_sid: str, kind: str) -> Response:
    """Return the recording of a call with the fault that the options ask for. RefusedError for a 401."""
    answer = recording_response(state, request, call_sid, kind)
    fault = state.options.recording_fault
    if fault == "none" or answer.status == 404:
        return answer
    state.notifier.note(f"recording_{fault}", call_sid, request.path)
    if fault == "unauthorised":
        raise RefusedError(1010)
    if fault == "redirect_out":
        return response(302, b"", TEXT, {"Location": f"{ELSEWHERE}{call_sid}.{kind}"})
    if fault == "endless":
        sound = sound_of(state, state.book.calls[call_sid], kind)
        return Response(200, sound.content_type, sound.endless(), None)
    return INSTEAD.get(fault) or replace(answer, transmission="reset")


def ranged(sound: Sound, asked: str) -> Response:
    """Return all of a sound or, if a range of it is asked for, 206 with that, or 416 if there is no such range."""
    size = sound.size
    headers = {"Accept-Ranges": "bytes"}
    found = RANGE.fullmatch(asked)
    if not found or found.groups() == ("", ""):  # several ranges, or none that can be read: all of it
        return Response(200, sound.content_type, sound.chunks(0, size), size, headers)
    if found[1]:
        first, last = int(found[1]), min(int(found[2] or size), size - 1)
    else:  # the last so many bytes
        first, last = max(0, size - int(found[2])), size - 1
    if first > last or first >= size:
        return response(416, b"", TEXT, {**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Response(206, sound.content_type, sound.chunks(first, last + 1), last + 1 - first, headers)


def sound_of(state: State, call: SimulatedCall, kind: str) -> Sound:
    """Return the recording of a call: at most 5 s, or the size that the options ask for.

    A WAV has one channel, or two: agent left, customer right.
    """
    seconds = max(1, min(call.talk_time or 0, LONGEST))
    size = state.options.big_recording
    if kind == "mp3":
        return Sound("audio/mpeg", b"", MP3_FRAME, size or len(MP3_FRAME) * MP3_FRAMES * seconds)
    channels = 2 if call.request.get("recording_channels") == "dual" else 1
    size = size or WAV_HEADER + seconds * RATE * 2 * channels
    return Sound("audio/wav", _wav_head(size, channels), _tones(channels), size)


def _wav_head(size: int, channels: int) -> bytes:
    known = min(size, 2**32 - 1)  # a WAV cannot say more than 4 GiB
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, RATE, RATE * 2 * channels, 2 * channels, 16)
    return struct.pack("<4sI4s", b"RIFF", known - 8, b"WAVE") + form + struct.pack("<4sI", b"data", known - WAV_HEADER)


@functools.cache
def _tones(channels: int) -> bytes:
    """Return a second in which the two take turns, half of it each."""
    return b"".join(_frame(index, channels) for index in range(RATE))


def _frame(index: int, channels: int) -> bytes:
    agent_speaks = index < RATE // 2
    tone = AGENT_TONE if agent_speaks else CUSTOMER_TONE
    sample = int(LOUDNESS * math.sin(2 * math.pi * tone * index / RATE))
    if channels == 1:
        return struct.pack("<h", sample)
    return struct.pack("<hh", sample, 0) if agent_speaks else struct.pack("<hh", 0, sample)
