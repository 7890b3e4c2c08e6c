from __future__ import annotations

import base64
import json
import logging
import os
import socket
import ssl
import threading
import time
from contextlib import suppress
from importlib import metadata

import pytest

from django_exotel_ccm.exotel import client as client_module
from django_exotel_ccm.exotel import transport
from django_exotel_ccm.exotel.account import Account, Secret
from django_exotel_ccm.exotel.calls import CallRequest
from django_exotel_ccm.exotel.client import ExotelClient
from django_exotel_ccm.exotel.errors import (
    AgentDeviceBusy,
    CallNotFound,
    ExotelError,
    InvalidRequest,
    NotPlaced,
    OutcomeUnknown,
    TooManyRequests,
    Unreachable,
)
from tests.exotel.leaks import KEY, TOKEN, leaks_in, text_of_exception
from tests.exotel.samples import AGENT, DETAILS, PLACED, SID, refusal
from tests.servers.scripted_http import (
    Server,
    Visit,
    answering,
    dripping,
    http,
    reset_after_request,
    reset_at_once,
    serving,
    silent,
)

REQUEST = CallRequest(
    user_id=AGENT,
    to="+919000000202",
    virtual_number="+918000000700",
    status_callback=(("terminal", "https://crm.example.com/signed-zebra"),),
)
ACCEPTED = http(200, PLACED["A"])


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
    """The error of a call, which must show nothing secret."""
    with pytest.raises(ExotelError) as raised:
        client.make_call(REQUEST)
    assert_shows_nothing(raised.value)
    return raised.value


def assert_shows_nothing(error: ExotelError) -> None:
    assert leaks_in(text_of_exception(error, skip=__file__)) == []
    assert error.__context__ is None
    assert error.__cause__ is None


class TestWhatIsSent:
    def test_the_request(self):
        with serving(answering(ACCEPTED)) as server:
            client_at(server).make_call(REQUEST)

        head, _, body = server.requests[0].decode().partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        assert first == "POST /v2/accounts/acme1/calls HTTP/1.1"
        assert json.loads(body) == REQUEST.payload()
        assert headers["content-type"] == "application/json"
        assert headers["accept"] == "application/json"
        assert headers["user-agent"] == f"django-exotel-ccm/{metadata.version('django-exotel-ccm')}"
        assert "cookie" not in headers
        pair = next(line for line in lines if line.startswith("Authorization: Basic ")).split()[2]
        assert base64.b64decode(pair).decode() == f"{KEY}:{TOKEN}"

    def test_the_question_for_details(self):
        with serving(answering(http(200, DETAILS["B"]))) as server:
            answer = client_at(server, version="9").call_details("a/b c")

        assert server.requests[0].startswith(b"GET /v2/accounts/acme1/calls/a%2Fb%20c HTTP/1.1\r\n")
        assert b"User-Agent: django-exotel-ccm/9\r\n" in server.requests[0]
        assert b"Content-Type" not in server.requests[0]
        assert (answer.facts.status, answer.facts.talk_time) == ("completed", 141)

    def test_a_sid_with_odd_letters_stays_in_its_place(self):
        with serving(answering(ACCEPTED)) as server:
            url = f"http://127.0.0.1:{server.port}"
            account = Account(sid="a/../b ?", key=Secret("k"), token=Secret("t"), ccm_url=url, api_url=url)
            ExotelClient(account).make_call(REQUEST)

        assert server.requests[0].startswith(b"POST /v2/accounts/a%2F..%2Fb%20%3F/calls HTTP/1.1\r\n")

    @pytest.mark.parametrize("call_sid", ["", ".", ".."])
    def test_no_sid_no_question(self, call_sid):
        with pytest.raises(ValueError, match="no call SID"):
            client_at(1).call_details(call_sid)

    @pytest.mark.parametrize("url", ["http://ccm.example.com", "http://10.0.0.1:8000"])
    def test_only_this_machine_is_asked_without_tls(self, url):
        account = Account(sid="a", key=Secret("k"), token=Secret("t"), ccm_url=url, api_url=url)

        with pytest.raises(ValueError, match="need TLS"):
            ExotelClient(account)

    def test_netrc_is_not_consulted_and_cookies_are_not_kept(self, tmp_path, monkeypatch):
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login other password other\n")
        monkeypatch.setenv("NETRC", str(netrc))

        with serving(answering(http(200, PLACED["A"], "Set-Cookie: a=b; Path=/"))) as server:
            client = client_at(server)
            client.make_call(REQUEST)
            client.make_call(REQUEST)

        pair = base64.b64encode(f"{KEY}:{TOKEN}".encode())
        assert all(b"Authorization: Basic " + pair in request for request in server.requests)
        assert b"cookie" not in server.requests[1].lower()


class TestAnswers:
    @pytest.mark.parametrize("shape", PLACED)
    def test_accepted(self, shape):
        with serving(answering(http(200, PLACED[shape]))) as server:
            answer = client_at(server).make_call(REQUEST)

        assert (answer.http_status, answer.facts.call_sid, answer.tries) == (200, SID, 1)
        assert json.loads(answer.raw) == PLACED[shape]
        assert answer.request_id == ("" if shape == "C" else "0b5c7e1fa2d94e8c9d3c6a1b7f20e4d5")

    def test_the_request_id_may_stand_in_a_header(self):
        with serving(answering(http(200, PLACED["C"], "X-Request-Id: a-1;\x0bforged"))) as server:
            assert client_at(server).make_call(REQUEST).request_id == "a-1forged"

    @pytest.mark.parametrize(
        ("answer", "verdict", "code"),
        [
            (http(409, refusal(409, 10706)), AgentDeviceBusy, "10706"),
            (http(500, refusal(500, 1100)), OutcomeUnknown, "1100"),
            (http(409, refusal(409, 77777, "New.")), NotPlaced, "77777"),
            (http(401, b"<html>"), NotPlaced, "http_401"),
            (http(204), OutcomeUnknown, "no_call_sid"),
            (http(200, b"{}"), OutcomeUnknown, "no_call_sid"),
            (http(200, b"<html>"), OutcomeUnknown, "unreadable_answer"),
            (http(200, b"[" * 100_000), OutcomeUnknown, "unreadable_answer"),
            (http(408, b""), OutcomeUnknown, "http_408"),
            (http(502, b"<html>Bad gateway"), OutcomeUnknown, "http_502"),
            (http(503, refusal(503, 10724)), TooManyRequests, "10724"),
        ],
    )
    def test_not_accepted(self, answer, verdict, code):
        with serving(answering(answer)) as server:
            error = error_of(client_at(server))

        assert isinstance(error, verdict)
        assert error.code == code
        assert error.tries == 1
        assert len(server.requests) == 1
        assert error.raw in answer

    def test_an_unknown_refusal_keeps_its_words(self):
        with serving(answering(http(409, refusal(409, 77777, "New.")))) as server:
            error = error_of(client_at(server))

        assert error.text == "New.: because"
        assert str(error) == ("New.: because (code 77777, HTTP 409, request 0b5c7e1fa2d94e8c9d3c6a1b7f20e4d5)")

    @pytest.mark.parametrize(("header", "seconds"), [("30", 30), ("soon", None), ("-1", None)])
    def test_how_long_to_wait(self, header, seconds):
        with serving(answering(http(429, b"", f"Retry-After: {header}"))) as server:
            error = error_of(client_at(server))

        assert isinstance(error, TooManyRequests)
        assert error.retry_after == seconds

    @pytest.mark.parametrize("status", [302, 308])
    def test_redirects_are_not_followed(self, status):
        with (
            serving(answering(ACCEPTED)) as other,
            serving(answering(http(status, b"x" * 100, f"Location: http://127.0.0.1:{other.port}/"))) as server,
        ):
            error = error_of(client_at(server))

        assert isinstance(error, OutcomeUnknown)
        assert error.code == f"http_{status}"
        assert other.connections == 0

    def test_a_huge_answer_is_read_in_part(self):
        def huge(visit: Visit) -> None:
            visit.read_request()
            visit.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            # Ends when the client has had enough and closes the connection.
            visit.sock.sendall(b"x" * 50_000_000)

        with serving(huge) as server:
            error = error_of(client_at(server))

        assert (type(error), error.code) == (OutcomeUnknown, "unreadable_answer")

    def test_credentials_that_an_answer_echoes_are_blotted_out(self):
        pair = base64.b64encode(f"{KEY}:{TOKEN}".encode()).decode()
        page = f"<pre>{KEY} {TOKEN} {pair} planted%40token%3Awalrus%25</pre>".encode()
        with serving(answering(http(502, page), http(409, refusal(409, 1, f"Not you, {KEY}!")))) as server:
            client = client_at(server)
            first, second = error_of(client), error_of(client)

        assert first.raw == b"<pre>******** ******** ******** ********</pre>"
        assert second.text == "Not you, ********!: because"

    def test_short_words_are_not_blotted_out(self):
        with serving(answering(http(409, refusal(409, 1, "a key")))) as server:
            url = f"http://127.0.0.1:{server.port}"
            account = Account(sid="a", key=Secret("key"), token=Secret("a"), ccm_url=url, api_url=url)
            error = error_of(ExotelClient(account))

        assert error.text == "a key: because"

    @pytest.mark.parametrize(
        ("answer", "kind", "code"),
        [
            (http(404, refusal(404, 10744)), CallNotFound, "10744"),
            (http(404, b""), CallNotFound, "http_404"),
            (http(200, b"{}"), OutcomeUnknown, "no_call_sid"),
            (http(500, b""), OutcomeUnknown, "http_500"),
            (http(429, b"", "Retry-After: 5"), TooManyRequests, "http_429"),
        ],
    )
    def test_details_that_are_not_given(self, answer, kind, code):
        with serving(answering(answer)) as server, pytest.raises(kind) as raised:
            client_at(server).call_details(SID)

        assert raised.value.code == code
        assert_shows_nothing(raised.value)


class TestNothingWasSent:
    def test_a_refused_port(self):
        error = error_of(client_at(refused_port()))

        assert type(error) is Unreachable
        assert (error.code, error.http_status, error.tries) == ("unreachable", None, 1)
        assert error.text == "NewConnectionError: Connection refused"

    def test_a_name_that_does_not_resolve(self):
        account = Account(
            sid="a",
            key=Secret(KEY),
            token=Secret(TOKEN),
            ccm_url="https://nonexistent.invalid",
            api_url="https://nonexistent.invalid",
        )

        assert type(error_of(ExotelClient(account))) is Unreachable

    def test_a_connection_that_is_not_accepted(self):
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

    def test_a_handshake_that_fails_for_want_of_trust(self, tls):
        with serving(answering(ACCEPTED), tls=tls) as server:
            error = error_of(client_at(server))

        assert type(error) is Unreachable
        assert "CERTIFICATE_VERIFY_FAILED" in error.text
        assert server.requests == []

    @pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad\r\n\r\n", b""])
    def test_a_handshake_with_something_else(self, greeting):
        def other(visit: Visit) -> None:
            visit.sock.recv(1)
            visit.sock.sendall(greeting)

        with serving(other) as server:
            error = error_of(ExotelClient(account_at(server.port, tls=True)))

        assert type(error) is Unreachable

    def test_a_handshake_without_end(self):
        with serving(lambda visit: visit.pause(10)) as server:
            began = time.monotonic()
            error = error_of(ExotelClient(account_at(server.port, tls=True), connect_timeout=0.3))

        assert type(error) is Unreachable
        assert time.monotonic() - began < 2

    @pytest.mark.parametrize("answer", [http(407), b"", b"nonsense\r\n\r\n"], ids=range(3))
    def test_a_proxy_that_refuses(self, answer, monkeypatch):
        def proxy(visit: Visit) -> None:
            visit.sock.recv(65536)
            visit.sock.sendall(answer)

        with serving(proxy) as server:
            monkeypatch.setenv("HTTPS_PROXY", f"http://user:planted-key%2Fzebra@127.0.0.1:{server.port}")
            error = error_of(ExotelClient(account_at(443, tls=True, host="ccm.example.com")))

        assert type(error) is Unreachable

    def test_a_proxy_that_drips_its_answer(self, monkeypatch):
        with serving(dripping(b"HTTP/1.1 200 " + b"x" * 1000)) as server:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.port}")
            began = time.monotonic()
            error = error_of(ExotelClient(account_at(443, tls=True, host="ccm.example.com"), deadline=0.6))

        assert type(error) is Unreachable
        assert time.monotonic() - began < 2

    def test_a_proxy_that_is_away(self, monkeypatch):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{refused_port()}")

        assert type(error_of(ExotelClient(account_at(443, tls=True, host="ccm.example.com")))) is Unreachable

    def test_a_deadline_that_has_passed(self):
        with serving(answering(ACCEPTED)) as server:
            error = error_of(client_at(server, deadline=0))

        assert type(error) is Unreachable
        assert server.requests == []


class TestThePhoneMayBeRinging:
    @pytest.mark.parametrize("script", [reset_at_once, reset_after_request], ids=["body unread", "body read"])
    def test_a_reset(self, script):
        with serving(script) as server:
            error = error_of(client_at(server))

        assert (type(error), error.code) == (OutcomeUnknown, "connection_lost")
        assert server.connections == 1

    def test_a_close_without_answer(self):
        with serving(lambda visit: visit.read_request() and None) as server:
            error = error_of(client_at(server))

        assert (type(error), error.code) == (OutcomeUnknown, "connection_lost")
        assert len(server.requests) == 1

    def test_an_answer_that_breaks_off(self):
        def partial(visit: Visit) -> None:
            visit.read_request()
            visit.sock.sendall(ACCEPTED[:-5])

        with serving(partial) as server:
            error = error_of(client_at(server))

        assert (type(error), error.code) == (OutcomeUnknown, "connection_lost")

    def test_nonsense_instead_of_http(self):
        with serving(answering(b"nonsense\r\n\r\n")) as server:
            error = error_of(client_at(server))

        assert (type(error), error.code) == (OutcomeUnknown, "connection_lost")

    @pytest.mark.parametrize("asked", ["make_call", "call_details"])
    def test_silence(self, asked):
        with serving(silent) as server:
            client = client_at(server, read_timeout=0.3)
            with pytest.raises(OutcomeUnknown) as raised:
                getattr(client, asked)(REQUEST if asked == "make_call" else SID)

        assert raised.value.code == "timeout"
        assert_shows_nothing(raised.value)
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("asked", "at_once"),
        [("make_call", 0), ("make_call", 30), ("make_call", len(ACCEPTED) - 100), ("call_details", 30)],
        ids=["status", "headers", "body", "details"],
    )
    def test_an_answer_that_drips(self, asked, at_once):
        with serving(dripping(ACCEPTED, at_once=at_once)) as server:
            client = client_at(server, deadline=0.6)
            began = time.monotonic()
            with pytest.raises(OutcomeUnknown) as raised:
                getattr(client, asked)(REQUEST if asked == "make_call" else SID)

        assert raised.value.code == "timeout"
        assert_shows_nothing(raised.value)
        assert 0.4 < time.monotonic() - began < 2

    def test_a_chunked_answer_that_drips(self):
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        with serving(dripping(head + b"1\r\nx\r\n" * 100, at_once=len(head))) as server:
            error = error_of(client_at(server, deadline=0.5))

        assert (type(error), error.code) == (OutcomeUnknown, "timeout")

    def test_a_close_after_the_handshake(self, tls, certificate, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

        with serving(lambda visit: None, tls=tls) as server:
            error = error_of(client_at(server))

        assert (type(error), error.code) == (OutcomeUnknown, "connection_lost")

    def test_a_drip_over_tls(self, tls, certificate, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

        with serving(dripping(ACCEPTED, at_once=40), tls=tls) as server:
            error = error_of(client_at(server, deadline=0.6))

        assert (type(error), error.code) == (OutcomeUnknown, "timeout")

    def test_a_bug_while_reading(self, monkeypatch):
        def broken(payload):
            raise ZeroDivisionError(TOKEN)

        monkeypatch.setattr(client_module, "facts_of_answer", broken)
        with serving(answering(ACCEPTED)) as server:
            error = error_of(client_at(server))

        assert (type(error), error.text) == (OutcomeUnknown, "ZeroDivisionError")


class TestTheKeyOfTheCustomer:
    REJECTED = http(400, refusal(400, 10725))

    def keys(self, server: Server) -> list[str]:
        return [next(iter(body["to"])) for body in server.bodies]

    def test_the_other_key_is_tried_once_and_remembered(self):
        with serving(answering(self.REJECTED, ACCEPTED)) as server:
            client = client_at(server)
            first, second = client.make_call(REQUEST), client_at(server).make_call(REQUEST)

        assert (first.tries, second.tries) == (2, 1)
        assert self.keys(server) == ["number", "customer_contact_uri", "customer_contact_uri"]

    def test_the_second_answer_is_the_one_reported(self):
        with serving(answering(self.REJECTED, http(409, refusal(409, 10706)))) as server:
            error = error_of(client_at(server))

        assert (type(error), error.tries) == (AgentDeviceBusy, 2)
        assert self.keys(server) == ["number", "customer_contact_uri"]

    def test_what_did_not_work_is_not_remembered(self):
        with serving(answering(self.REJECTED)) as server:
            client = client_at(server)
            first, second = error_of(client), error_of(client)

        assert (type(first), first.tries, second.tries) == (InvalidRequest, 2, 2)
        assert self.keys(server) == ["number", "customer_contact_uri"] * 2

    def test_a_lost_second_try_leaves_the_outcome_open(self):
        def lost(visit: Visit) -> None:
            visit.read_request()
            visit.sock.sendall(TestTheKeyOfTheCustomer.REJECTED)
            visit.read_request()
            visit.reset()

        with serving(lost) as server:
            error = error_of(client_at(server))

        assert (type(error), error.code, error.tries) == (OutcomeUnknown, "connection_lost", 2)

    @pytest.mark.parametrize("to_key", ["number", "customer_contact_uri"])
    def test_a_pinned_key_is_the_only_one(self, to_key):
        with serving(answering(self.REJECTED)) as server:
            error = error_of(client_at(server, to_key=to_key))

        assert (type(error), error.tries) == (InvalidRequest, 1)
        assert self.keys(server) == [to_key]

    @pytest.mark.parametrize(
        "answer",
        [http(422, refusal(422, 10725)), http(400, refusal(400, 1007)), http(400), http(200, refusal(400, 10725))],
    )
    def test_nothing_else_is_tried_again(self, answer):
        with serving(answering(answer)) as server:
            error = error_of(client_at(server))

        assert isinstance(error, NotPlaced)
        assert len(server.requests) == 1

    def test_both_tries_share_one_deadline(self):
        def slow(visit: Visit) -> None:
            while visit.read_request():
                visit.pause(0.8)
                visit.sock.sendall(TestTheKeyOfTheCustomer.REJECTED)

        with serving(slow) as server:
            error = error_of(client_at(server, deadline=1.5))

        assert (type(error), error.code, error.tries) == (OutcomeUnknown, "timeout", 2)


class TestConnections:
    def test_a_connection_is_used_again(self):
        with serving(answering(ACCEPTED)) as server:
            for _ in range(3):
                client_at(server).make_call(REQUEST)

        assert (server.connections, len(server.requests)) == (1, 3)

    def test_an_idle_connection_is_renewed_before_it_costs_a_call(self, monkeypatch):
        def once(visit: Visit) -> None:
            visit.read_request()
            visit.sock.sendall(ACCEPTED)
            # From now on this connection is dead, but nobody tells.
            visit.pause(10)

        with serving(once, answering(ACCEPTED)) as server:
            client = client_at(server, read_timeout=0.5)
            client.make_call(REQUEST)
            monkeypatch.setattr(transport, "clock", lambda: time.monotonic() + 21)
            client.make_call(REQUEST)

        assert (server.connections, len(server.requests)) == (2, 2)

    def test_a_connection_that_the_server_closed_is_renewed(self):
        def once(visit: Visit) -> None:
            visit.read_request()
            visit.sock.sendall(ACCEPTED)

        with serving(once) as server:
            client = client_at(server)
            for _ in range(3):
                client.make_call(REQUEST)
                time.sleep(0.05)

        assert server.connections == 3

    def test_another_process_has_connections_of_its_own(self, monkeypatch):
        with serving(answering(ACCEPTED)) as server:
            client = client_at(server)
            client.make_call(REQUEST)
            pid = os.getpid()
            monkeypatch.setattr(client_module.os, "getpid", lambda: pid + 1)
            client.make_call(REQUEST)

        assert server.connections == 2

    def test_threads_share_a_session(self):
        answers = []
        gate = threading.Barrier(8)

        def calling(client: ExotelClient) -> None:
            gate.wait(5)
            answers.extend(client.make_call(REQUEST).facts.call_sid for _ in range(10))

        with serving(answering(ACCEPTED)) as server:
            threads = [threading.Thread(target=calling, args=(client_at(server),)) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(10)

        assert answers == [SID] * 80
        assert server.connections <= 8
        assert len(client_module._connections_of) == 1

    def test_a_call_through_a_proxy_over_tls(self, tls, certificate, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

        def proxy(visit: Visit) -> None:
            asked = visit.sock.recv(65536)
            assert asked.startswith(b"CONNECT localhost:443 ")
            assert b"Authorization: Basic" not in asked
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

    def test_a_call_over_tls(self, tls, certificate, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))

        with serving(answering(ACCEPTED), tls=tls) as server:
            assert client_at(server).make_call(REQUEST).facts.call_sid == SID

    def test_a_proxy_for_plain_http_gets_whole_addresses(self, monkeypatch):
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        with serving(answering(ACCEPTED)) as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
            client_at(1).make_call(REQUEST)

        assert proxy.requests[0].startswith(b"POST http://127.0.0.1:1/v2/accounts/acme1/calls HTTP/1.1\r\n")
        assert b"\r\nHost: 127.0.0.1:1\r\n" in proxy.requests[0]

    def test_a_socks_proxy_is_not_passed_by(self, monkeypatch):
        # Without the optional library for SOCKS this is an error, never a direct connection.
        monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")

        with serving(answering(ACCEPTED)) as server:
            error = error_of(client_at(server))

        assert type(error) is Unreachable
        assert server.connections == 0


class TestLogs:
    def test_one_line_tells_each_request(self, caplog):
        caplog.set_level(logging.DEBUG)
        with serving(answering(ACCEPTED, http(409, refusal(409, 10706)), http(200, DETAILS["A"]))) as server:
            client = client_at(server)
            client.make_call(REQUEST)
            error_of(client)
            client.call_details(SID)
        error_of(client_at(refused_port()))

        ours = [record for record in caplog.records if record.name == "django_exotel_ccm.exotel"]
        request = "request 0b5c7e1fa2d94e8c9d3c6a1b7f20e4d5"
        expected = [
            f"POST call: accepted, HTTP 200, {request}, ",
            f"POST call: AgentDeviceBusy 10706, HTTP 409, {request}, ",
            f"GET call details: accepted, HTTP 200, {request}, ",
            "POST call: Unreachable unreachable, HTTP -, request -, ",
        ]
        assert [record.levelname for record in ours] == ["INFO"] * 4
        for record, beginning in zip(ours, expected, strict=True):
            assert record.getMessage().startswith(beginning)
            assert record.getMessage().endswith(" ms")

    def test_no_line_of_anybody_shows_a_secret(self, caplog):
        caplog.set_level(logging.DEBUG)
        with serving(
            answering(ACCEPTED, http(502, b"<html>")),
        ) as server:
            client = client_at(server)
            client.make_call(REQUEST)
            error_of(client)
        error_of(client_at(refused_port()))

        text = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
        assert any(record.name.startswith("urllib3") for record in caplog.records)
        assert leaks_in(text) == []
        assert "919000000202" not in text
        assert "signed" not in text


def test_a_client_prints_nothing_secret():
    assert leaks_in(repr(vars(client_at(1)))) == []


def test_without_a_distribution_the_version_is_unknown(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(client_module.metadata, "version", missing)

    assert client_module.own_version.__wrapped__() == "unknown"
