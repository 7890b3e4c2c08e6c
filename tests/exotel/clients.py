"""Clients of the scripted servers, and the errors of their calls."""

from __future__ import annotations

import socket

import pytest

from django_exotel_ccm.exotel.account import Account, Secret
from django_exotel_ccm.exotel.call_request import CallRequest
from django_exotel_ccm.exotel.client import ExotelClient
from django_exotel_ccm.exotel.errors import ExotelError
from tests.exotel.leaks import KEY, TOKEN, leaks_in, text_of_exception
from tests.exotel.samples import AGENT, PLACED
from tests.servers.scripted_http import Server, http

REQUEST = CallRequest(
    user_id=AGENT,
    to="+919000000202",
    virtual_number="+918000000700",
    status_callback=(("terminal", "https://crm.example.com/signed-zebra"),),
)
ACCEPTED = http(200, PLACED["A"])
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def account_at(port: int, *, tls: bool = False, host: str = "127.0.0.1", to_key: str | None = None) -> Account:
    url = f"http{'s' if tls else ''}://{host}:{port}"
    return Account(sid="acme1", key=Secret(KEY), token=Secret(TOKEN), ccm_url=url, api_url=url, to_key=to_key)


def client_at(server: Server | int, *, to_key: str | None = None, host: str = "127.0.0.1", **times) -> ExotelClient:
    port = server if isinstance(server, int) else server.port
    tls = isinstance(server, Server) and server.tls is not None
    return ExotelClient(account_at(port, tls=tls, to_key=to_key, host=host), **times)


def refused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def error_of(client: ExotelClient) -> ExotelError:
    """Return the error that a call raises; it shows no secret."""
    with pytest.raises(ExotelError) as raised:
        client.make_call(REQUEST)
    assert_shows_nothing(raised.value)
    return raised.value


def assert_shows_nothing(error: ExotelError, skip: str = __file__) -> None:
    assert leaks_in(text_of_exception(error, skip=skip)) == []
    assert error.__context__ is None
    assert error.__cause__ is None
