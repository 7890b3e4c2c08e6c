"""Recordings of the scripted servers, and the errors of their downloads."""

from __future__ import annotations

import base64

import pytest

from django_exotel_ccm.exotel.account import Account, Secret
from django_exotel_ccm.exotel.download import RecordingStream, open_recording
from django_exotel_ccm.exotel.ranges import parse_range
from django_exotel_ccm.exotel.recordings import RecordingError
from tests.exotel.leaks import KEY, TOKEN, leaks_in, text_of_exception
from tests.servers.scripted_http import http

OWN = "recordings.exotel.com"
BUCKET = "s3-ap-southeast-1.amazonaws.com"
OTHER_HOST = "evil.example"
RECORDING = f"https://{OWN}/exotelrecordings/acme1/5f0c.mp3?signature=planted-signature"
IN_BUCKET = f"https://{BUCKET}/exotelrecordings/acme1/5f0c.mp3"
SOUND = bytes(range(256)) * 40
TYPE = "Content-Type: audio/mpeg"
PAIR = base64.b64encode(f"{KEY}:{TOKEN}".encode())


def account_at(ccm_url: str, api_url: str = "") -> Account:
    return Account(sid="acme1", key=Secret(KEY), token=Secret(TOKEN), ccm_url=ccm_url, api_url=api_url or ccm_url)


MUMBAI = account_at("https://ccm-api.in.exotel.com", "https://api.in.exotel.com")


def read_all(opened: RecordingStream) -> bytes:
    pieces = iter(opened.read, b"")
    whole = b"".join(pieces)
    opened.close()
    return whole


def error_of(account: Account, url: str, header: str = "") -> RecordingError:
    with pytest.raises(RecordingError) as raised:
        open_recording(account, url, parse_range(header))
    assert leaks_in(text_of_exception(raised.value, skip=__file__)) == []
    assert raised.value.__context__ is None
    assert url not in str(raised.value)
    return raised.value


def moved(location: str, status: int = 302) -> bytes:
    return http(status, b"x" * 100, f"Location: {location}")
