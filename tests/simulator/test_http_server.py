"""The server: for this machine and for no foreign page, and nothing is left when it stops."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import threading
import time
import urllib.parse

import pytest
import requests

from django_exotel_ccm import simulator
from django_exotel_ccm.simulator import Simulator
from tests.simulator.conftest import AGENT_UNANSWERED, ASHA, AUTH, BY_HAND, Place, post_call


def test_it_serves_this_machine_only() -> None:
    for host in ("0.0.0.0", "192.168.0.1", "example.com", "", "::"):
        with pytest.raises(ValueError, match=re.escape("write host='127.0.0.1'")):
            simulator.running(host=host)
    with simulator.running(host="localhost") as exotel:
        assert requests.get(exotel.url, timeout=5).status_code == 200


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_it_serves_ipv6_loopback() -> None:
    try:
        running = simulator.running(host="::1")
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with running as exotel:
        assert exotel.url.startswith("http://[::1]:")
        assert requests.get(exotel.url, timeout=5).status_code == 200


def test_another_host_is_refused(exotel: Simulator) -> None:
    """A foreign name that was made to lead here (DNS rebinding) makes Host and Origin agree."""
    url = f"{exotel.url}/v2/accounts/simulated1/calls"
    for host in ("evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example"):
        for method in ("GET", "POST", "PATCH"):
            headers = {"Host": host, "Origin": f"http://{host}"}
            assert requests.request(method, url, headers=headers, timeout=5).status_code == 403, (host, method)
    assert exotel.book.requests == []


def test_foreign_origin_reaches_nothing(exotel: Simulator) -> None:
    """A page of another site, open in the developer's browser, sends its own Origin with each such request."""
    host = exotel.url.removeprefix("http://")
    origins = ("http://evil.example", "http://127.0.0.1:1", "http://127.0.0.1", f"https://{host}", "null", "")
    methods = ("POST", "GET", "PUT", "DELETE", "OPTIONS")
    paths = ("/v2/accounts/simulated1/calls", "/page/options", "/page/state.json")
    body = {"from": {"user_contact_uri": ASHA}, "to": {"number": BY_HAND}, "virtual_number": "+918000000700"}
    for method, path, origin in itertools.product(methods, paths, origins):
        headers = {"Origin": origin, "X-Page-Token": exotel._page.token}
        answer = requests.request(method, f"{exotel.url}{path}", json=body, headers=headers, auth=AUTH, timeout=5)
        is_shared = "Access-Control-Allow-Origin" in answer.headers
        assert (answer.status_code, is_shared) == (403, False), (method, path, origin)
    assert exotel.book.calls == {}
    assert exotel.book.requests == []


def test_foreign_page_embeds_nothing_but_may_link(exotel: Simulator) -> None:
    """A browser sends no Origin with the GET of an image or a link, but says from where it comes."""
    for path, mode, expected in (
        ("/v2/accounts/simulated1/calls/abc", "no-cors", 403),
        ("/page/recordings/abc.wav", "no-cors", 403),
        ("/", "navigate", 200),
    ):
        for site in ("cross-site", "same-site"):
            headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
            assert requests.get(f"{exotel.url}{path}", headers=headers, auth=AUTH, timeout=5).status_code == expected


def test_account_url_can_be_taken_apart() -> None:
    account = simulator.Account(key="k/e:y", token="t@k", sid="acme1")
    with simulator.running(account=account) as exotel:
        parts = urllib.parse.urlsplit(exotel.account_url)
        assert urllib.parse.unquote(parts.username or "") == "k/e:y"
        assert urllib.parse.unquote(parts.password or "") == "t@k"
        assert f"http://{parts.hostname}:{parts.port}" == exotel.url
        assert (parts.scheme, parts.path, parts.query) == ("exotel", "/acme1", "tls=off")
        url = f"{exotel.url}/v2/accounts/acme1/calls/abc"
        assert requests.get(url, auth=("k/e:y", "t@k"), timeout=5).json()["response"]["error_data"]["code"] == 10744
    assert "t@k" not in repr(account)


def test_strange_targets_are_answered(exotel: Simulator) -> None:
    host = exotel.url.removeprefix("http://")
    name, _, port = host.partition(":")
    for target in ("//evil", "http://[", "/%00", "/v2/accounts/%2e/calls/%ff?limit=%ff"):
        with socket.create_connection((name, int(port)), timeout=5) as connection:
            connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(100).split()[1] in (b"404", b"401"), target


def test_connection_is_kept(exotel: Simulator) -> None:
    with requests.Session() as session:
        session.get(exotel.url, timeout=5)
        (adapter,) = {id(one): one for one in session.adapters.values() if one.poolmanager.pools}.values()
        for _ in range(5):
            session.get(f"{exotel.url}/page/state.json", timeout=5)
            session.post(f"{exotel.url}/v2/accounts/simulated1/calls", data=b"{", auth=AUTH, timeout=5)
        (pool,) = (adapter.poolmanager.pools.get(key) for key in adapter.poolmanager.pools.keys())  # noqa: SIM118
        assert pool.num_connections == 1


def test_stop_is_quick_and_leaves_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    before = set(threading.enumerate())
    exotel = simulator.running(speed=1.0)
    exotel.options.answer_fault = "late"

    def post() -> None:
        with contextlib.suppress(requests.ConnectionError):
            post_call(exotel, BY_HAND)
            raise AssertionError("the answer came though the simulator was stopped")

    with requests.Session() as session:
        session.get(exotel.url, timeout=5)  # its connection is kept
        client = threading.Thread(target=post)
        client.start()
        while not exotel.book.requests:
            time.sleep(0.01)
        began = time.monotonic()
        exotel.stop()
        client.join()
        assert time.monotonic() - began < 1.0
    assert set(threading.enumerate()) <= before
    with pytest.raises(requests.ConnectionError):
        requests.get(exotel.url, timeout=1)
    assert caplog.text == ""


def test_taken_port_leaves_no_thread(exotel: Simulator) -> None:
    before = set(threading.enumerate())
    port = int(exotel.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        simulator.running(port=port)
    assert set(threading.enumerate()) <= before


def test_errors_are_logged(
    exotel: Simulator, place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError(f"a bug with {arguments[-1]}")

    exotel.on_call = broken
    assert place().status_code == 500
    exotel.on_call = None
    monkeypatch.setattr(exotel.notifier, "notify", broken)
    place(AGENT_UNANSWERED)
    deadline = time.monotonic() + 5
    while "a bug with terminal" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.01)
    monkeypatch.undo()
    assert place(AGENT_UNANSWERED).status_code == 200
    monkeypatch.setattr(exotel._page, "respond", broken)
    with pytest.raises(requests.ConnectionError):
        requests.get(exotel.url, timeout=5)
    assert caplog.text.count("RuntimeError: a bug with ") == 3
    assert "a bug with terminal" in caplog.text
