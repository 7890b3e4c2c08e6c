"""Recordings: an audible tone as WAV, or silence as MP3; of any size, without holding it in memory."""

from __future__ import annotations

import functools
import io
import math
import struct
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass

from django_exotel_ccm.simulator.exchange import Stream

RATE = 8_000  # samples in a second, as telephones have
LONGEST = 5  # seconds: a sample is enough to hear that it plays
AGENT_TONE, CUSTOMER_TONE = 440, 660  # Hz
LOUDNESS = 9_000  # of 32767
WAV_HEADER = 44  # bytes
MP3_FRAME = b"\xff\xfb\x10\xc0" + bytes(100)  # MPEG 1 layer III, 32 kbit/s, 44.1 kHz, mono: 26 ms of silence
MP3_FRAMES = 38  # in a second
CHUNK = 64 * 1024  # bytes
TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}


@dataclass(frozen=True)
class Sound:
    """A file: a head, then a pattern over and over, `size` bytes in all."""

    content_type: str
    head: bytes
    pattern: bytes
    size: int

    def stream(self, first: int = 0, last: int | None = None) -> Stream:
        """The bytes from `first` to `last`, both included; without `last` to the end."""
        end = self.size if last is None else last + 1
        return Stream(self._chunks(first, end), end - first)

    def endless(self) -> Stream:
        """The head, and the pattern for ever, slowly enough to leave the machine to others."""
        return Stream(self._for_ever(), None)

    def _chunks(self, first: int, end: int) -> Iterator[bytes]:
        while first < end:
            upto = min(end, first + CHUNK)
            yield self._slice(first, upto)
            first = upto

    def _slice(self, first: int, end: int) -> bytes:
        if first < len(self.head):
            rest = self._slice(len(self.head), end) if end > len(self.head) else b""
            return self.head[first:end] + rest
        skipped = (first - len(self.head)) % len(self.pattern)
        times = math.ceil((skipped + end - first) / len(self.pattern))
        return (self.pattern * times)[skipped : skipped + end - first]

    def _for_ever(self) -> Iterator[bytes]:
        yield self.head
        while True:
            yield self._slice(len(self.head), len(self.head) + CHUNK)
            time.sleep(0.002)


def recording(talk_time: int, channels: int, kind: str, size: int | None = None) -> Sound:
    """The recording of a call: at most 5 s of sound, or `size` bytes.

    WAV has one channel, or two: agent left, customer right (docs/exotel.md 10.3).
    """
    seconds = max(1, min(talk_time, LONGEST))
    if kind == "mp3":
        return Sound(TYPES[kind], b"", MP3_FRAME, size or len(MP3_FRAME) * MP3_FRAMES * seconds)
    pattern = _tones(channels)
    size = size or WAV_HEADER + seconds * RATE * 2 * channels
    return Sound(TYPES[kind], _wav_head(size, channels), pattern, size)


def _wav_head(size: int, channels: int) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(b"")
    head = buffer.getvalue()
    # The sizes of the file and of its data; a WAV cannot say more than 4 GiB.
    known = min(size, 2**32 - 1)
    return head[:4] + struct.pack("<I", known - 8) + head[8:40] + struct.pack("<I", known - WAV_HEADER)


@functools.cache
def _tones(channels: int) -> bytes:
    """A second in which the two take turns, half of it each."""
    return b"".join(_frame(index, channels) for index in range(RATE))


def _frame(index: int, channels: int) -> bytes:
    agent_speaks = index < RATE // 2
    agent = _sample(index, AGENT_TONE) if agent_speaks else 0
    customer = 0 if agent_speaks else _sample(index, CUSTOMER_TONE)
    return struct.pack("<hh", agent, customer) if channels == 2 else struct.pack("<h", agent + customer)


def _sample(index: int, tone: int) -> int:
    return int(LOUDNESS * math.sin(2 * math.pi * tone * index / RATE))
