"""Addresses in texts are cut to their host, in any spelling or encoding."""

from __future__ import annotations

import json
import time
from urllib.parse import quote, quote_plus

import pytest

from django_exotel_ccm.exotel.redact import each_text, redact

HOST = "s3-ap-south-1.amazonaws.com"
URL = f"https://{HOST}/exotel-mum1-recordings/secret.mp3?X-Amz-Signature=secret&X-Amz-Expires=secret"
AS_JSON = json.dumps({"recordings": [{"url": URL}], "talk_time": 42})

SPELLED = {
    "plain": URL,
    "in a sentence": f"HTTPError: 403 for url: {URL}",
    "with a port": URL.replace(HOST, f"{HOST}:443"),
    "with a user": URL.replace(HOST, f"{HOST}@secret"),
    "in capitals": URL.replace("https", "HTTPS"),
    "in JSON": AS_JSON,
    "in JSON with escaped slashes": AS_JSON.replace("/", "\\/"),
    "in JSON with escaped letters": AS_JSON.replace("/", "\\u002f").replace("https:", "https\\u003a"),
    "in JSON in JSON": json.dumps({"body": AS_JSON}),
    "in a form": f"RecordingUrl={quote_plus(URL)}&Status=completed",
    "in a form, not encoded": f"Status=completed&RecordingUrl={URL}",
    "in a form, encoded twice": f"RecordingUrl={quote(quote_plus(URL))}&Status=completed",
    "in JSON in a form": f"call_details={quote_plus(AS_JSON)}&Status=completed",
    "several in a form": f"a={quote_plus(URL)}&b={quote_plus(URL)}&Status=completed",
    "of multipart": f'--x\r\nContent-Disposition: form-data; name="RecordingUrl"\r\n\r\n{URL}\r\n--x--\r\n',
    "in HTML": f'<a href="{URL}">secret.mp3</a>'.replace(">secret.mp3", ">"),
    "with a query alone": f"https://{HOST}?secret",
    "with a fragment alone": f"https://{HOST}#secret",
}


@pytest.mark.parametrize("spelling", SPELLED)
def test_only_the_host_is_left(spelling: str) -> None:
    shown = redact(SPELLED[spelling])

    assert "secret" not in shown
    assert HOST in shown


@pytest.mark.parametrize("piece", ["http%3a%2f%2fa&", "http%3a%2f%2f", "http://[", "%22"])
def test_linear_time(piece: str) -> None:
    def seconds(length: int) -> float:
        text = piece * (length // len(piece))
        began = time.perf_counter()
        redact(text)
        return time.perf_counter() - began

    # 256 KiB is the largest body that is stored. Quadratic work on that would take minutes.
    assert seconds(256 * 1024) < 2


def test_text_beside_the_address_is_unchanged() -> None:
    for spelling in ("in a form", "several in a form", "in JSON in a form"):
        assert "Status=completed" in redact(SPELLED[spelling])
    assert '"talk_time": 42' in redact(SPELLED["in JSON"])


def test_ipv6_host_is_left() -> None:
    assert redact("http://[::1]:8900/secret.mp3") == "http://[::1]/[…]"


def test_other_text_is_unchanged() -> None:
    for text in (
        "",
        "https://crm.example.com",
        "see https://crm.example.com now",
        "//recordings/1.mp3",
        "a https b",
    ):
        assert redact(text) == text


def test_each_text() -> None:
    value = {"a": ["a", {"b": "b"}], "n": 1, "none": None, "yes": True}

    assert each_text(value, str.upper) == {"a": ["A", {"b": "B"}], "n": 1, "none": None, "yes": True}
