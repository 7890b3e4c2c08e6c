"""Of an address in a text nothing is left but where it leads to, however the text spells it."""

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
    "in JSON with escaped slashes in a form": f"d={quote_plus(AS_JSON.replace('/', chr(92) + '/'))}&Status=completed",
    "several in a form": f"a={quote_plus(URL)}&b={quote_plus(URL)}&Status=completed",
    "of multipart": f'--x\r\nContent-Disposition: form-data; name="RecordingUrl"\r\n\r\n{URL}\r\n--x--\r\n',
    "in a Python list": repr([URL, URL]),
    "in HTML": f'<a href="{URL}">secret.mp3</a>'.replace(">secret.mp3", ">"),
    "with a query alone": f"https://{HOST}?secret",
    "with a fragment alone": f"https://{HOST}#secret",
}


@pytest.mark.parametrize("spelling", SPELLED)
def test_nothing_is_left_but_the_host(spelling: str) -> None:
    shown = redact(SPELLED[spelling])

    assert "secret" not in shown
    assert HOST in shown


@pytest.mark.parametrize("piece", ["http%3a%2f%2fa&", "http%3a%2f%2f", "http://[", "%22"])
def test_a_text_of_many_addresses_takes_linear_time(piece: str) -> None:
    def seconds(length: int) -> float:
        text = piece * (length // len(piece))
        began = time.perf_counter()
        redact(text)
        return time.perf_counter() - began

    # 256 KiB is the largest body that is stored. Quadratic work on that would take minutes.
    assert seconds(256 * 1024) < 2


@pytest.mark.parametrize("spelling", ["in a form", "several in a form", "in JSON in a form", "in JSON"])
def test_what_stands_beside_the_address_stays(spelling: str) -> None:
    shown = redact(SPELLED[spelling])

    assert "Status=completed" in shown or '"talk_time": 42' in shown


def test_the_host_of_six_groups_stays() -> None:
    assert redact("http://[::1]:8900/secret.mp3") == "http://[::1]/[…]"


@pytest.mark.parametrize(
    "text", ["", "https://crm.example.com", "see https://crm.example.com or ask", "//recordings/1.mp3", "a https b"]
)
def test_what_leads_to_no_file_is_shown_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_each_text_of_a_json_value_is_changed_and_no_name() -> None:
    value = {"a": ["a", {"b": "b"}], "n": 1, "none": None, "yes": True}

    assert each_text(value, str.upper) == {"a": ["A", {"b": "B"}], "n": 1, "none": None, "yes": True}
