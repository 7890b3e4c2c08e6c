"""Recordings (docs/exotel.md 10.3): a tone as WAV or silence as MP3, of any size; ranges, and what goes wrong."""

from __future__ import annotations

import functools
import math
import re
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django_exotel_ccm.simulator.call_flow import SimulatedCall
from django_exotel_ccm.simulator.http_server import HTML, TEXT, WEB_PAGE, Request, Response, response
from django_exotel_ccm.simulator.refusals import RefusedError

if TYPE_CHECKING:
    from django_exotel_ccm.simulator.simulator import Simulator

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
MAX_SECONDS = 5  # a sample is enough to hear that it plays
AGENT_TONE, CUSTOMER_TONE = 440, 660  # Hz
LOUDNESS = 9_000  # of 32767
WAV_HEADER = "<4sI4s4sIHHIIHH4sI"
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
        for begin in range(first, end, CHUNK):
            yield self._slice(begin, min(end, begin + CHUNK))

    def endless(self) -> Iterator[bytes]:
        """Yield the head, and the pattern for ever, slowly enough to leave the machine to others."""
        yield self.head
        while True:
            yield self._slice(len(self.head), len(self.head) + CHUNK)
            time.sleep(0.002)

    def _slice(self, first: int, end: int) -> bytes:
        head = self.head[first:end]
        left = end - first - len(head)
        begin = max(first - len(self.head), 0) % len(self.pattern)
        repeated = self.pattern * math.ceil((begin + left) / len(self.pattern))
        return head + repeated[begin : begin + left]


def recording_response(exotel: Simulator, request: Request, call_sid: str, kind: str) -> Response:
    """Return the recording of a call or the range that is requested, or 404 while there is none."""
    call = exotel.book.calls.get(call_sid)
    if call is None or not exotel.recording_ready(call):
        return response(404, b"There is no such recording, or not yet.\n", TEXT)
    return ranged(sound_of(call, kind, exotel.options.big_recording), request.headers.get("Range", ""))


def faulty_recording_response(exotel: Simulator, request: Request, call_sid: str, kind: str) -> Response:
    """Return the recording of a call with the fault that the options set. RefusedError for a 401."""
    answer = recording_response(exotel, request, call_sid, kind)
    fault = exotel.options.recording_fault
    if fault == "none" or answer.status == 404:
        return answer
    exotel.notifier.record_fault(f"recording_{fault}", call_sid, request.path)
    if fault == "unauthorised":
        raise RefusedError(1010)
    if fault == "redirect_out":
        return response(302, b"", TEXT, {"Location": f"{ELSEWHERE}{call_sid}.{kind}"})
    if fault == "endless":
        sound = sound_of(exotel.book.calls[call_sid], kind, None)
        return Response(200, sound.content_type, sound.endless(), None)
    return INSTEAD.get(fault) or replace(answer, transmission="reset")


def ranged(sound: Sound, wanted: str) -> Response:
    """Return all of a sound or, if a range of it is requested, 206 with that, or 416 if there is no such range."""
    size = sound.size
    headers = {"Accept-Ranges": "bytes"}
    found = RANGE.fullmatch(wanted)
    if not found or found.groups() == ("", ""):  # several ranges, or none that can be read: all of it
        return Response(200, sound.content_type, sound.chunks(0, size), size, headers)
    if found[1]:
        first, end = int(found[1]), min(int(found[2] or size) + 1, size)
    else:  # the last so many bytes
        first, end = max(0, size - int(found[2])), size
    if first >= end:
        return response(416, b"", TEXT, {**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    return Response(206, sound.content_type, sound.chunks(first, end), end - first, headers)


def sound_of(call: SimulatedCall, kind: str, size: int | None) -> Sound:
    """Return the recording of a call: at most 5 s, or of this size.

    A WAV has one channel, or two: agent left, customer right.
    """
    seconds = max(1, min(call.talk_time or 0, MAX_SECONDS))
    if kind == "mp3":
        return Sound("audio/mpeg", b"", MP3_FRAME, size or len(MP3_FRAME) * MP3_FRAMES * seconds)
    channels = 2 if call.request.get("recording_channels") == "dual" else 1
    header = struct.calcsize(WAV_HEADER)
    size = size or header + seconds * RATE * 2 * channels
    known = min(size, 2**32 - 1)  # a WAV cannot name more than 4 GiB
    form = (b"fmt ", 16, 1, channels, RATE, RATE * 2 * channels, 2 * channels, 16)
    head = struct.pack(WAV_HEADER, b"RIFF", known - 8, b"WAVE", *form, b"data", known - header)
    return Sound("audio/wav", head, _tones(channels), size)


@functools.cache
def _tones(channels: int) -> bytes:
    """Return a second in which the two take turns, half of it each."""
    silence = [0] * (RATE // 2)
    agent, customer = (
        [int(LOUDNESS * math.sin(2 * math.pi * tone * index / RATE)) for index in range(RATE // 2)]
        for tone in (AGENT_TONE, CUSTOMER_TONE)
    )
    samples = agent + customer
    if channels == 2:
        samples = [sample for pair in zip(agent + silence, silence + customer, strict=True) for sample in pair]
    return struct.pack(f"<{len(samples)}h", *samples)
