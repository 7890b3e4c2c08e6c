"""The client's requests, what it makes of answers, and what it logs."""

from __future__ import annotations

import base64
import json
import logging
from importlib import metadata

import pytest

from django_exotel_ccm.exotel import client as client_module
from django_exotel_ccm.exotel.account import Account, Secret
from django_exotel_ccm.exotel.client import ExotelClient
from django_exotel_ccm.exotel.errors import (
    AgentDeviceBusy,
    CallNotFound,
    InvalidRequest,
    NotPlaced,
    OutcomeUnknown,
    TooManyRequests,
)
from tests.exotel.clients import ACCEPTED, REQUEST, assert_shows_nothing, client_at, error_of, refused_port
from tests.exotel.leaks import KEY, TOKEN, leaks_in
from tests.exotel.samples import DETAILS, PLACED, SID, refusal
from tests.servers.scripted_http import Server, Visit, answering, http, serving


class TestRequests:
    def test_make_call_request(self):
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

    def test_call_details_request(self):
        with serving(answering(http(200, DETAILS["B"]))) as server:
            answer = client_at(server, version="9").call_details("a/b c")

        assert server.requests[0].startswith(b"GET /v2/accounts/acme1/calls/a%2Fb%20c HTTP/1.1\r\n")
        assert b"User-Agent: django-exotel-ccm/9\r\n" in server.requests[0]
        assert b"Content-Type" not in server.requests[0]
        assert (answer.facts.status, answer.facts.talk_time) == ("completed", 141)

    def test_account_sid_is_percent_encoded(self):
        with serving(answering(ACCEPTED)) as server:
            url = f"http://127.0.0.1:{server.port}"
            account = Account(sid="a/../b ?", key=Secret("k"), token=Secret("t"), ccm_url=url, api_url=url)
            ExotelClient(account).make_call(REQUEST)

        assert server.requests[0].startswith(b"POST /v2/accounts/a%2F..%2Fb%20%3F/calls HTTP/1.1\r\n")

    @pytest.mark.parametrize("call_sid", ["", ".", ".."])
    def test_call_details_need_a_sid(self, call_sid):
        with pytest.raises(ValueError, match="no call SID"):
            client_at(1).call_details(call_sid)

    @pytest.mark.parametrize("url", ["http://ccm.example.com", "http://10.0.0.1:8000"])
    def test_tls_is_required_except_on_loopback(self, url):
        account = Account(sid="a", key=Secret("k"), token=Secret("t"), ccm_url=url, api_url=url)

        with pytest.raises(ValueError, match="need TLS"):
            ExotelClient(account)

    def test_netrc_and_cookies_are_ignored(self, tmp_path, monkeypatch):
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

    def test_request_id_from_header(self):
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

    def test_unknown_refusal_keeps_its_text(self):
        with serving(answering(http(409, refusal(409, 77777, "New.")))) as server:
            error = error_of(client_at(server))

        assert error.text == "New.: because"
        assert str(error) == ("New.: because (code 77777, HTTP 409, request 0b5c7e1fa2d94e8c9d3c6a1b7f20e4d5)")

    @pytest.mark.parametrize(("header", "seconds"), [("30", 30), ("soon", None), ("-1", None)])
    def test_retry_after(self, header, seconds):
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

    def test_answer_size_is_bounded(self):
        def huge(visit: Visit) -> None:
            visit.read_request()
            visit.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            # Ends when the client has had enough and closes the connection.
            visit.sock.sendall(b"x" * 50_000_000)

        with serving(huge) as server:
            error = error_of(client_at(server))

        assert (type(error), error.code) == (OutcomeUnknown, "unreadable_answer")

    def test_echoed_credentials_are_masked(self):
        pair = base64.b64encode(f"{KEY}:{TOKEN}".encode()).decode()
        page = f"<pre>{KEY} {TOKEN} {pair} planted%40token%3Awalrus%25</pre>".encode()
        with serving(answering(http(502, page), http(409, refusal(409, 1, f"Not you, {KEY}!")))) as server:
            client = client_at(server)
            first, second = error_of(client), error_of(client)

        assert first.raw == b"<pre>******** ******** ******** ********</pre>"
        assert second.text == "Not you, ********!: because"

    def test_short_words_are_not_masked(self):
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
    def test_call_details_errors(self, answer, kind, code):
        with serving(answering(answer)) as server, pytest.raises(kind) as raised:
            client_at(server).call_details(SID)

        assert raised.value.code == code
        assert_shows_nothing(raised.value, skip=__file__)


class TestCustomerKey:
    REJECTED = http(400, refusal(400, 10725))

    def keys(self, server: Server) -> list[str]:
        return [next(iter(body["to"])) for body in server.bodies]

    def test_other_key_is_tried_once_and_cached(self):
        with serving(answering(self.REJECTED, ACCEPTED)) as server:
            client = client_at(server)
            first, second = client.make_call(REQUEST), client_at(server).make_call(REQUEST)

        assert (first.tries, second.tries) == (2, 1)
        assert self.keys(server) == ["number", "customer_contact_uri", "customer_contact_uri"]

    def test_second_answer_is_reported(self):
        with serving(answering(self.REJECTED, http(409, refusal(409, 10706)))) as server:
            error = error_of(client_at(server))

        assert (type(error), error.tries) == (AgentDeviceBusy, 2)
        assert self.keys(server) == ["number", "customer_contact_uri"]

    def test_failed_key_is_not_cached(self):
        with serving(answering(self.REJECTED)) as server:
            client = client_at(server)
            first, second = error_of(client), error_of(client)

        assert (type(first), first.tries, second.tries) == (InvalidRequest, 2, 2)
        assert self.keys(server) == ["number", "customer_contact_uri"] * 2

    def test_lost_second_try_is_unknown(self):
        def lost(visit: Visit) -> None:
            visit.read_request()
            visit.sock.sendall(TestCustomerKey.REJECTED)
            visit.read_request()
            visit.reset()

        with serving(lost) as server:
            error = error_of(client_at(server))

        assert (type(error), error.code, error.tries) == (OutcomeUnknown, "connection_lost", 2)

    @pytest.mark.parametrize("to_key", ["number", "customer_contact_uri"])
    def test_pinned_key_is_never_replaced(self, to_key):
        with serving(answering(self.REJECTED)) as server:
            error = error_of(client_at(server, to_key=to_key))

        assert (type(error), error.tries) == (InvalidRequest, 1)
        assert self.keys(server) == [to_key]

    @pytest.mark.parametrize(
        "answer",
        [http(422, refusal(422, 10725)), http(400, refusal(400, 1007)), http(400), http(200, refusal(400, 10725))],
    )
    def test_other_errors_are_not_retried(self, answer):
        with serving(answering(answer)) as server:
            error = error_of(client_at(server))

        assert isinstance(error, NotPlaced)
        assert len(server.requests) == 1

    def test_both_tries_share_one_deadline(self):
        def slow(visit: Visit) -> None:
            while visit.read_request():
                visit.pause(0.8)
                visit.sock.sendall(TestCustomerKey.REJECTED)

        with serving(slow) as server:
            error = error_of(client_at(server, deadline=1.5))

        assert (type(error), error.code, error.tries) == (OutcomeUnknown, "timeout", 2)


class TestLogs:
    def test_each_request_is_logged_on_one_line(self, caplog):
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

    def test_logs_show_no_secret(self, caplog):
        caplog.set_level(logging.DEBUG)
        with serving(answering(ACCEPTED, http(502, b"<html>"))) as server:
            client = client_at(server)
            client.make_call(REQUEST)
            error_of(client)
        error_of(client_at(refused_port()))

        text = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
        assert any(record.name.startswith("urllib3") for record in caplog.records)
        assert leaks_in(text) == []
        assert "919000000202" not in text
        assert "signed" not in text


def test_repr_of_client_shows_no_secret():
    assert leaks_in(repr(vars(client_at(1)))) == []


def test_version_without_distribution(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(client_module.metadata, "version", missing)

    assert client_module.own_version.__wrapped__() == "unknown"
