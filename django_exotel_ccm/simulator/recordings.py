"""Recordings: a few seconds of an audible tone, as a WAV file."""

from __future__ import annotations

import functools
import io
import math
import struct
import wave

RATE = 8_000  # samples in a second, as telephones have
LONGEST = 5  # seconds: a sample is enough to hear that it plays
AGENT_TONE, CUSTOMER_TONE = 440, 660  # Hz
LOUDNESS = 9_000  # of 32767


@functools.lru_cache(maxsize=16)
def recording(talk_time: int, channels: int) -> bytes:
    """A WAV of the call: at most 5 s; one channel, or two: agent left, customer right (contract 10.3)."""
    seconds = max(1, min(talk_time, LONGEST))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(b"".join(_frame(index, channels) for index in range(seconds * RATE)))
    return buffer.getvalue()


def _frame(index: int, channels: int) -> bytes:
    # The two take turns, half a second each.
    agent_speaks = (index // (RATE // 2)) % 2 == 0
    agent = _sample(index, AGENT_TONE) if agent_speaks else 0
    customer = 0 if agent_speaks else _sample(index, CUSTOMER_TONE)
    return struct.pack("<hh", agent, customer) if channels == 2 else struct.pack("<h", agent + customer)


def _sample(index: int, tone: int) -> int:
    return int(LOUDNESS * math.sin(2 * math.pi * tone * index / RATE))
