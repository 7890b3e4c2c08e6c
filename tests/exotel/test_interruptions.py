"""An interruption (Ctrl-C, a worker's shutdown, a greenlet that is killed) carries no credential in its traceback."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from django_exotel_ccm.exotel import client as client_module
from django_exotel_ccm.exotel.account import Account, Secret, account_from_parts, account_from_url
from django_exotel_ccm.exotel.call_request import CallRequest
from django_exotel_ccm.exotel.client import ExotelClient
from django_exotel_ccm.exotel.download import open_recording
from django_exotel_ccm.exotel.errors import ExotelError
from tests.exotel.leaks import (
    KEY,
    TOKEN,
    Killed,
    assert_interruptions_show_nothing,
    interrupted_at,
    leaks_in,
    places_with_secrets,
    text_of_exception,
)
from tests.exotel.samples import PLACED
from tests.servers.scripted_http import Visit, answering, http, serving

# An interruption can come between the making of a socket and the line that stores it.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

REQUEST = CallRequest(user_id="7d1f", to="+919000000202", virtual_number="+918000000700")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Leave no unclosed socket to the next test."""
    yield
    gc.collect()


def account_at(port: int) -> Account:
    url = f"http://127.0.0.1:{port}"
    return Account(sid="acme1", key=Secret(KEY), token=Secret(TOKEN), ccm_url=url, api_url=url)


def test_interrupted_call() -> None:
    with serving(answering(http(200, PLACED["A"]))) as server:
        account = account_at(server.port)

        def run() -> None:
            client_module._connections_of.clear()
            ExotelClient(account).make_call(REQUEST)

        assert_interruptions_show_nothing(run, "urlopen", "putheader", skip=__file__)


def test_interrupted_recording() -> None:
    with serving(answering(http(200, b"sound", "Content-Type: audio/wav"))) as server:
        account = account_at(server.port)

        def run() -> None:
            opened = open_recording(account, f"{account.api_url}/recordings/acme1/x.wav")
            opened.read()
            opened.close()

        assert_interruptions_show_nothing(run, "putheader", skip=__file__)


@pytest.mark.parametrize("holder", ["url", "parts"])
def test_interrupted_account_parsing(holder: str) -> None:
    url, key, token = (
        Secret(f"exotel://{KEY.replace('/', '%2F')}:zebra%40walrus@mumbai/acme1"),
        Secret(KEY),
        Secret(TOKEN),
    )
    runs = {
        "url": lambda: account_from_url(url, variable="EXOTEL_URL"),
        "parts": lambda: account_from_parts(key=key, token=token, sid="acme1", region="mumbai"),
    }

    assert_interruptions_show_nothing(runs[holder], "_check", skip=__file__)


def test_ctrl_c_during_silence() -> None:
    main = threading.main_thread().ident
    assert main is not None

    def pressing(visit: Visit) -> None:
        visit.read_request()
        signal.pthread_kill(main, signal.SIGINT)
        visit.pause(10)

    with serving(pressing) as server, pytest.raises(KeyboardInterrupt) as raised:
        ExotelClient(account_at(server.port)).make_call(REQUEST)

    assert leaks_in(text_of_exception(raised.value, skip=__file__)) == []


def test_handled_error_keeps_its_locals() -> None:
    account = account_at(1)

    def fail() -> None:
        ticket = "kept"
        raise LookupError(len(ticket))

    def run() -> None:
        try:
            fail()
        except LookupError:
            with suppress(ExotelError):
                ExotelClient(account).make_call(REQUEST)

    place = places_with_secrets(run, skip=__file__)[0]
    killed = interrupted_at(run, place)

    assert isinstance(killed, Killed)
    assert isinstance(killed.__context__, LookupError)
    assert "ticket = 'kept'" in text_of_exception(killed, skip="")
