"""Failed connections: Unreachable when nothing was sent, else OutcomeUnknown. Connections are reused."""

from __future__ import annotations

import os
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from django_exotel_ccm.exotel import client as client_module
from django_exotel_ccm.exotel import transport
from django_exotel_ccm.exotel.account import Account, Secret
from django_exotel_ccm.exotel.client import ExotelClient
from django_exotel_ccm.exotel.errors import OutcomeUnknown, Unreachable
from tests.exotel.clients import (
    ACCEPTED,
    CHUNKED,
    REQUEST,
    account_at,
    assert_shows_nothing,
    client_at,
    error_of,
    refused_port,
)
from tests.exotel.leaks import KEY, TOKEN
from tests.exotel.samples import SID
from tests.servers.scripted_http import (
    Visit,
    answering,
    dripping,
    http,
    reset_after_request,
    reset_at_once,
    serving,
    silent,
)


class TestUnreachable:
    def test_connection_refused(self):
        error = error_of(client_at(refused_port()))

        assert type(error) is Unreachable
        assert (error.code, error.http_status, error.tries) == ("unreachable", None, 1)
        assert error.text == "NewConnectionError: Connection refused"

    def test_unresolvable_host(self):
        account = Account(
            sid="a",
            key=Secret(KEY),
            token=Secret(TOKEN),
            ccm_url="https://nonexistent.invalid",
            api_url="https://nonexistent.invalid",
        )

        assert type(error_of(ExotelClient(account))) is Unreachable

    def test_connect_timeout(self):
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            port = listener.getsockname()[1]
            waiting = [socket.socket() for _ in range(4)]
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", port))
            error = error_of(client_at(port, connect_timeout=0.3))
            for sock in waiting:
                sock.close()

        assert type(error) is Unreachable

    def test_untrusted_certificate(self, tls):
        with serving(answering(ACCEPTED), tls=tls) as server:
            error = error_of(client_at(server))

        assert type(error) is Unreachable
        assert "CERTIFICATE_VERIFY_FAILED" in error.text
        assert server.requests == []

    @pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad\r\n\r\n", b""])
    def test_handshake_with_plain_text(self, greeting):
        def other(visit: Visit) -> None:
            visit.sock.recv(1)
            visit.sock.sendall(greeting)

        with serving(other) as server:
            error = error_of(ExotelClient(account_at(server.port, tls=True)))

        assert type(error) is Unreachable

    def test_handshake_timeout(self):
        with serving(lambda visit: visit.pause(10)) as server:
            began = time.monotonic()
            error = error_of(ExotelClient(account_at(server.port, tls=True), connect_timeout=0.3))

        assert type(error) is Unreachable
        assert time.monotonic() - began < 2

    @pytest.mark.parametrize("answer", [http(407), b"", b"nonsense\r\n\r\n"], ids=range(3))
    def test_proxy_refuses(self, answer, monkeypatch):
        def proxy(visit: Visit) -> None:
            visit.sock.recv(65536)
            visit.sock.sendall(answer)

        with serving(proxy) as server:
            monkeypatch.setenv("HTTPS_PROXY", f"http://user:planted-key%2Fzebra@127.0.0.1:{server.port}")
            error = error_of(ExotelClient(account_at(443, tls=True, host="ccm.example.com")))

        assert type(error) is Unreachable

    def test_dripping_proxy(self, monkeypatch):
        with serving(dripping(b"HTTP/1.1 200 " + b"x" * 1000)) as server:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.port}")
            began = time.monotonic()
            error = error_of(ExotelClient(account_at(443, tls=True, host="ccm.example.com"), deadline=0.6))

        assert type(error) is Unreachable
        assert time.monotonic() - began < 2

    def test_unreachable_proxy(self, monkeypatch):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{refused_port()}")

        assert type(error_of(ExotelClient(account_at(443, tls=True, host="ccm.example.com")))) is Unreachable

    def test_expired_deadline_sends_nothing(self):
        with serving(answering(ACCEPTED)) as server:
            error = error_of(client_at(server, deadline=0))

        assert type(error) is Unreachable
        assert server.requests == []


class TestOutcomeUnknown:
    @pytest.mark.parametrize(
        "script",
        [
            reset_at_once,
            reset_after_request,
            lambda visit: visit.read_request() and None,
            lambda visit: visit.read_request() and visit.sock.sendall(ACCEPTED[:-5]),
            answering(b"nonsense\r\n\r\n"),
        ],
        ids=["reset at once", "reset", "closed", "cut off", "not HTTP"],
    )
    def test_lost_connection(self, script):
        with serving(script) as server:
            error = error_of(client_at(server))

        assert (type(error), error.code) == (OutcomeUnknown, "connection_lost")
        assert server.connections == 1

    @pytest.mark.parametrize("method", ["make_call", "call_details"])
    def test_silence(self, method):
        with serving(silent) as server:
            client = client_at(server, read_timeout=0.3)
            with pytest.raises(OutcomeUnknown) as raised:
                getattr(client, method)(REQUEST if method == "make_call" else SID)

        assert raised.value.code == "timeout"
        assert_shows_nothing(raised.value, skip=__file__)
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("method", "answer", "at_once"),
        [
            ("make_call", ACCEPTED, 0),
            ("make_call", ACCEPTED, 30),
            ("make_call", ACCEPTED, len(ACCEPTED) - 100),
            ("make_call", CHUNKED + b"1\r\nx\r\n" * 100, len(CHUNKED)),
            ("call_details", ACCEPTED, 30),
        ],
        ids=["status", "headers", "body", "chunks", "details"],
    )
    def test_dripping_answer(self, method, answer, at_once):
        with serving(dripping(answer, at_once=at_once)) as server:
            client = client_at(server, deadline=0.6)
            began = time.monotonic()
            with pytest.raises(OutcomeUnknown) as raised:
                getattr(client, method)(REQUEST if method == "make_call" else SID)

        assert raised.value.code == "timeout"
        assert_shows_nothing(raised.value, skip=__file__)
        assert 0.4 < time.monotonic() - began < 2

    def test_closed_after_handshake(self, tls, certificate, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

        with serving(lambda visit: None, tls=tls) as server:
            error = error_of(client_at(server))

        assert (type(error), error.code) == (OutcomeUnknown, "connection_lost")

    def test_dripping_answer_over_tls(self, tls, certificate, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

        with serving(dripping(ACCEPTED, at_once=40), tls=tls) as server:
            error = error_of(client_at(server, deadline=0.6))

        assert (type(error), error.code) == (OutcomeUnknown, "timeout")

    def test_error_while_parsing(self, monkeypatch):
        def broken(payload):
            raise ZeroDivisionError(TOKEN)

        monkeypatch.setattr(client_module, "facts_of_answer", broken)
        with serving(answering(ACCEPTED)) as server:
            error = error_of(client_at(server))

        assert (type(error), error.text) == (OutcomeUnknown, "ZeroDivisionError")


class TestConnections:
    def test_connection_is_reused(self):
        with serving(answering(ACCEPTED)) as server:
            for _ in range(3):
                client_at(server).make_call(REQUEST)

        assert (server.connections, len(server.requests)) == (1, 3)

    def test_idle_connection_is_renewed(self, monkeypatch):
        def once(visit: Visit) -> None:
            visit.read_request()
            visit.sock.sendall(ACCEPTED)
            # The connection is dead from here on, but stays open.
            visit.pause(10)

        with serving(once, answering(ACCEPTED)) as server:
            client = client_at(server, read_timeout=0.5)
            client.make_call(REQUEST)
            monkeypatch.setattr(transport, "clock", lambda: time.monotonic() + 21)
            client.make_call(REQUEST)

        assert (server.connections, len(server.requests)) == (2, 2)

    def test_closed_connection_is_renewed(self):
        def once(visit: Visit) -> None:
            visit.read_request()
            visit.sock.sendall(ACCEPTED)

        with serving(once) as server:
            client = client_at(server)
            for _ in range(3):
                client.make_call(REQUEST)
                time.sleep(0.05)

        assert server.connections == 3

    def test_forked_process_opens_own_connection(self, monkeypatch):
        with serving(answering(ACCEPTED)) as server:
            client = client_at(server)
            client.make_call(REQUEST)
            pid = os.getpid()
            monkeypatch.setattr(client_module.os, "getpid", lambda: pid + 1)
            client.make_call(REQUEST)

        assert server.connections == 2

    def test_threads_share_a_session(self):
        with serving(answering(ACCEPTED)) as server, ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _number: client_at(server).make_call(REQUEST), range(80)))

        assert [answer.facts.call_sid for answer in answers] == [SID] * 80
        assert server.connections <= 8
        assert len(client_module._connections_of) == 1

    def test_proxy_over_tls(self, tls, certificate, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

        def proxy(visit: Visit) -> None:
            request = visit.sock.recv(65536)
            assert request.startswith(b"CONNECT localhost:443 ")
            assert b"Authorization: Basic" not in request
            visit.sock.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            inner = tls.wrap_socket(visit.sock, server_side=True)
            visit.sock = inner
            answering(ACCEPTED)(visit)
            with suppress(OSError, ssl.SSLError):
                inner.close()

        with serving(proxy) as server:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.port}")
            client = ExotelClient(account_at(443, tls=True, host="localhost"))
            answers = [client.make_call(REQUEST) for _ in range(2)]

        assert [answer.facts.call_sid for answer in answers] == [SID, SID]
        assert server.connections == 1

    def test_tls(self, tls, certificate, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

        with serving(answering(ACCEPTED), tls=tls) as server:
            assert client_at(server).make_call(REQUEST).facts.call_sid == SID

    def test_plain_http_proxy_gets_absolute_urls(self, monkeypatch):
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        with serving(answering(ACCEPTED)) as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
            client_at(1).make_call(REQUEST)

        assert proxy.requests[0].startswith(b"POST http://127.0.0.1:1/v2/accounts/acme1/calls HTTP/1.1\r\n")
        assert b"\r\nHost: 127.0.0.1:1\r\n" in proxy.requests[0]

    def test_socks_proxy_is_not_bypassed(self, monkeypatch):
        # Without the optional library for SOCKS this is an error, never a direct connection.
        monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")

        with serving(answering(ACCEPTED)) as server:
            error = error_of(client_at(server))

        assert type(error) is Unreachable
        assert server.connections == 0
