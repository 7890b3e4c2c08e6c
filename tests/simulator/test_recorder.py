"""The book: what it records, and that it shows no secret."""

from __future__ import annotations

import json
from datetime import datetime

import requests

from django_exotel_ccm.simulator import Simulator
from django_exotel_ccm.simulator.recorder import masked_text
from tests.simulator.conftest import AGENT_UNANSWERED, CUSTOMER_UNANSWERED, Application, Place


def test_book_has_the_truth_of_every_call(exotel: Simulator, place: Place, application: Application) -> None:
    exotel.options.loss_rate = 1.0
    place(recording=True, status_callback=application.entries())
    exotel.wait_until_quiet()
    place(CUSTOMER_UNANSWERED, recording=True)
    exotel.wait_until_quiet()
    book = requests.get(f"{exotel.url}/book.json", timeout=5).json()
    talked, silent = book["calls"]
    assert (talked["status"], talked["talk_time"], talked["total_duration"]) == ("completed", 42, 51)
    assert datetime.fromisoformat(talked["answered_at"]) == exotel.book.calls[talked["call_sid"]].answered_at
    assert talked["recording_url"] == f"{exotel.url}/recordings/simulated1/{talked['call_sid']}.wav"
    assert datetime.fromisoformat(talked["ended_at"]) == exotel.book.calls[talked["call_sid"]].ended_at
    assert (silent["status"], silent["answered_at"], silent["recording_url"]) == ("customer_unanswered", None, None)
    assert [(one["name"], one["call_sid"], one["what"]) for one in book["faults"]] == [
        ("lost", talked["call_sid"], "answered"),
        ("lost", talked["call_sid"], "terminal"),
    ]


def test_book_is_served_without_secrets(exotel: Simulator, place: Place, application: Application) -> None:
    secret = "a-very-long-secret-token.with-a-signature"
    url = f"{application.url}/exotel/callbacks/{secret}/?key=abc"
    place(AGENT_UNANSWERED, status_callback=[{"event": "terminal", "url": url}])
    exotel.wait_until_quiet()
    text = requests.get(f"{exotel.url}/book.json", timeout=5).text
    assert secret not in text
    assert "key=abc" not in text
    assert "sim-token" not in text
    book = json.loads(text)
    assert book["deliveries"][0]["url"] == f"{application.url}/exotel/callbacks/a-very…/?…"
    assert book["requests"][0]["body"]["status_callback"][0]["url"] == book["deliveries"][0]["url"]
    assert book["calls"][0]["status"] == "agent_unanswered"
    assert exotel.book.deliveries[0].url == url


def test_tokens_and_passwords_are_masked() -> None:
    assert masked_text("http://user:pass@127.0.0.1/a") == "http://127.0.0.1/a"
    assert masked_text("http://a-very-long-host.example.com/a") == "http://a-very-long-host.example.com/a"
    assert masked_text("refused with url: /cb/0123456789abcdefgh/?k=v (x)") == "refused with url: /cb/012345…/?… (x)"
    assert masked_text("https://crm.example.com/cb/0123456789abcdefgh/") == "https://crm.example.com/cb/012345…/"
