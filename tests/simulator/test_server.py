from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import re
import socket
import threading
import time
import urllib.parse

import pytest
import requests

from django_exotel_ccm import simulator
from django_exotel_ccm.simulator import SCRIPTS, Simulator
from django_exotel_ccm.simulator.clock import Clock, StoppedError
from django_exotel_ccm.simulator.options import FIELDS, text_of
from django_exotel_ccm.simulator.recorder import masked_text
from tests.simulator.conftest import ASHA, AUTH, BY_HAND, Application, Place


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.1", "example.com", "", "::"])
def test_it_serves_this_machine_only(host: str) -> None:
    with pytest.raises(ValueError, match=re.escape("write host='127.0.0.1'")):
        simulator.running(host=host)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_it_serves_loopback(host: str) -> None:
    with simulator.running(host=host) as exotel:
        assert requests.get(exotel.url, timeout=5).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example"])
def test_another_host_is_refused(exotel: Simulator, host: str) -> None:
    """A foreign name that was made to lead here (DNS rebinding) makes Host and Origin agree."""
    headers = {"Host": host, "Origin": f"http://{host}"}
    for method in ("GET", "POST", "PATCH"):
        answer = requests.request(method, f"{exotel.url}/v2/accounts/simulated1/calls", headers=headers, timeout=5)
        assert answer.status_code == 403
    assert exotel.book.requests == []


FOREIGN = ["http://evil.example", "http://127.0.0.1:1", "http://127.0.0.1", "https://{host}", "null", ""]


@pytest.mark.parametrize("origin", FOREIGN)
def test_foreign_origin_reaches_nothing(exotel: Simulator, origin: str) -> None:
    """A page of another site, open in the developer's browser, sends its own Origin with each such request."""
    headers = {"Origin": origin.format(host=exotel.url.removeprefix("http://")), "X-Page-Token": token(exotel)}
    body = {"from": {"user_contact_uri": ASHA}, "to": {"number": BY_HAND}, "virtual_number": "+918000000700"}
    paths = ("/v2/accounts/simulated1/calls", "/page/options", "/page/state.json")
    for method, path in itertools.product(("POST", "GET", "PUT", "DELETE", "OPTIONS"), paths):
        answer = requests.request(method, f"{exotel.url}{path}", json=body, headers=headers, auth=AUTH, timeout=5)
        assert (answer.status_code, "Access-Control-Allow-Origin" in answer.headers) == (403, False), (method, path)
    assert exotel.book.calls == {}
    assert exotel.book.requests == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_foreign_page_embeds_nothing_but_may_link(exotel: Simulator, site: str) -> None:
    """A browser sends no Origin with the GET of an image or a link, but says from where it comes."""

    def status(path: str, mode: str) -> int:
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
        return requests.get(f"{exotel.url}{path}", headers=headers, auth=AUTH, timeout=5).status_code

    assert status("/v2/accounts/simulated1/users", "no-cors") == 403
    assert status("/page/recordings/abc.wav", "no-cors") == 403
    assert status("/", "navigate") == 200


def test_account_url_can_be_taken_apart() -> None:
    account = simulator.Account(key="k/e:y", token="t@k", sid="acme1")
    with simulator.running(account=account) as exotel:
        parts = urllib.parse.urlsplit(exotel.account_url)
        assert urllib.parse.unquote(parts.username or "") == "k/e:y"
        assert urllib.parse.unquote(parts.password or "") == "t@k"
        assert f"http://{parts.hostname}:{parts.port}" == exotel.url
        assert (parts.scheme, parts.path, parts.query) == ("exotel", "/acme1", "tls=off")
        url = f"{exotel.url}/v2/accounts/acme1/users"
        assert requests.get(url, auth=("k/e:y", "t@k"), timeout=5).status_code == 200
    assert "t@k" not in repr(account)


def test_a_large_body_is_413(exotel: Simulator) -> None:
    url = f"{exotel.url}/v2/accounts/simulated1/calls"
    answer = requests.post(url, data=b"x" * (64 * 1024 + 1), auth=AUTH, timeout=5)
    assert (answer.status_code, answer.headers["Connection"]) == (413, "close")


@pytest.mark.parametrize(
    "length", [b"Content-Length: 99999999999999", b"Content-Length: -1", b"Transfer-Encoding: chunked"]
)
def test_a_body_of_unknown_length_is_refused(exotel: Simulator, length: bytes) -> None:
    host = exotel.url.removeprefix("http://")
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=5) as connection:
        connection.sendall(b"POST /v2 HTTP/1.1\r\nHost: " + host.encode() + b"\r\n" + length + b"\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100).split()[1] in (b"411", b"413")


def test_a_connection_is_kept(exotel: Simulator) -> None:
    with requests.Session() as session:
        session.get(exotel.url, timeout=5)
        (adapter,) = {id(one): one for one in session.adapters.values() if one.poolmanager.pools}.values()
        for _ in range(5):
            session.get(f"{exotel.url}/page/state.json", timeout=5)
            session.post(f"{exotel.url}/v2/accounts/simulated1/calls", data=b"{", auth=AUTH, timeout=5)
        (pool,) = (adapter.poolmanager.pools.get(key) for key in adapter.poolmanager.pools.keys())  # noqa: SIM118
        assert pool.num_connections == 1


def test_stop_is_quick_and_leaves_no_thread_though_connections_are_idle() -> None:
    before = set(threading.enumerate())
    exotel = simulator.running(speed=1.0)
    with requests.Session() as session:
        session.get(exotel.url, timeout=5)
        began = time.monotonic()
        exotel.stop()
        assert time.monotonic() - began < 1.0
    assert set(threading.enumerate()) <= before
    with pytest.raises(requests.ConnectionError):
        requests.get(exotel.url, timeout=1)


def test_stop_does_not_wait_for_an_answer_that_is_late(caplog: pytest.LogCaptureFixture) -> None:
    exotel = simulator.running(speed=1.0)
    exotel.options.answer_fault = "late"
    body = {
        "from": {"user_contact_uri": ASHA},
        "to": {"number": BY_HAND},
        "virtual_number": "+918000000700",
    }
    failures = []

    def post() -> None:
        try:
            requests.post(f"{exotel.url}/v2/accounts/simulated1/calls", json=body, auth=AUTH, timeout=5)
        except requests.ConnectionError as error:
            failures.append(error)

    client = threading.Thread(target=post)
    client.start()
    while not exotel.book.requests:
        time.sleep(0.01)
    began = time.monotonic()
    exotel.stop()
    client.join()
    assert time.monotonic() - began < 1.0
    assert len(failures) == 1
    assert caplog.text == ""


def test_a_bug_in_the_simulator_is_logged(
    exotel: Simulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(request: object) -> None:
        raise RuntimeError("a bug of the page")

    monkeypatch.setattr(exotel._page, "respond", broken)
    with pytest.raises(requests.ConnectionError):
        requests.get(exotel.url, timeout=5)
    assert "a bug of the page" in caplog.text


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_it_serves_ipv6_loopback() -> None:
    try:
        running = simulator.running(host="::1")
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with running as exotel:
        assert exotel.url.startswith("http://[::1]:")
        assert requests.get(exotel.url, timeout=5).status_code == 200


@pytest.mark.parametrize("target", ["//evil", "http://[", "/%00", "/v2/accounts/%2e/users?limit=%ff"])
def test_strange_targets_are_answered(exotel: Simulator, target: str) -> None:
    host = exotel.url.removeprefix("http://")
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=5) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert connection.recv(100).split()[1] in (b"404", b"401")


def test_many_calls_at_once(exotel: Simulator, application: Application) -> None:
    agents = [exotel.add_agent(f"sip:agent{number}") for number in range(60)]

    def post(uri: str) -> None:
        body = {
            "from": {"user_contact_uri": uri},
            "to": {"number": "+919000001001"},
            "virtual_number": "+918000000700",
            "status_callback": application.entries(),
        }
        requests.post(f"{exotel.url}/v2/accounts/simulated1/calls", json=body, auth=AUTH, timeout=10)

    threads = [threading.Thread(target=post, args=(agent.uri,)) for agent in agents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    exotel.wait_until_quiet(timeout=15)
    assert {(call.status, call.talk_time) for call in exotel.book.calls.values()} == {("completed", 42)}
    assert len(exotel.book.deliveries) == len(application.heard) == 120
    assert {delivery.status for delivery in exotel.book.deliveries} == {200}


def test_a_port_that_is_taken_leaves_nothing_behind(exotel: Simulator) -> None:
    before = set(threading.enumerate())
    port = int(exotel.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        simulator.running(port=port)
    assert set(threading.enumerate()) <= before


def test_a_hook_that_raises_is_told_like_an_internal_error(
    exotel: Simulator, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(payload: object) -> None:
        raise RuntimeError("a bug of the test")

    exotel.on_call = broken
    assert place().status_code == 500
    assert "a bug of the test" in caplog.text


def test_a_bug_in_the_course_of_a_call_is_logged(
    exotel: Simulator, place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(call: object, event: str) -> None:
        raise RuntimeError(f"a bug when {event} is told")

    monkeypatch.setattr(exotel.notifier, "notify", broken)
    place("+919000001003")
    deadline = time.monotonic() + 5
    while "a bug when terminal is told" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "a bug when terminal is told" in caplog.text
    monkeypatch.undo()
    assert place("+919000001003").status_code == 200


# The clock


def test_a_clock_runs_as_fast_as_it_is_told() -> None:
    clock = Clock(speed=1000.0)
    began = time.monotonic()
    clock.wait(100)
    assert 0.05 < time.monotonic() - began < 2.0
    assert clock.moment() >= 100
    assert clock.now().utcoffset() is not None


def test_the_speed_may_change_while_somebody_waits() -> None:
    clock = Clock(speed=1.0)
    threading.Timer(0.05, lambda: setattr(clock, "speed", 100_000.0)).start()
    began = time.monotonic()
    clock.wait(1000)
    assert time.monotonic() - began < 2.0
    for speed in (0, -1.0, float("nan"), 1e9):
        with pytest.raises(ValueError, match="speed="):
            clock.speed = speed


def test_a_clock_that_stops_wakes_everybody() -> None:
    clock = Clock(speed=1.0)
    threading.Timer(0.05, clock.stop).start()
    with pytest.raises(StoppedError):
        clock.wait(1000)


# The page


def token(exotel: Simulator) -> str:
    found = re.search(r'name="page-token" content="([^"]+)"', requests.get(exotel.url, timeout=5).text)
    assert found
    return found[1]


def test_the_page_renders(exotel: Simulator) -> None:
    page = requests.get(exotel.url, timeout=5)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert "{{" not in page.text
    for script in SCRIPTS:
        assert script.number in page.text
    for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript")):
        assert requests.get(f"{exotel.url}/page/{name}", timeout=5).headers["Content-Type"].startswith(kind)


def test_the_page_shows_and_leads_a_call(exotel: Simulator, place: Place) -> None:
    exotel.speed = 1.0
    sid = place(BY_HAND).json()["response"]["call_sid"]
    state = requests.get(f"{exotel.url}/page/state.json", timeout=5).json()
    assert state["calls"][0]["presses"] == [["agent", "answer"], ["agent", "decline"]]
    assert state["requests"][0]["path"] == "/v2/accounts/simulated1/calls"
    headers = {"X-Page-Token": token(exotel), "Origin": exotel.url}
    press = {"call_sid": sid, "leg": "agent", "action": "answer"}
    assert requests.post(f"{exotel.url}/page/press", json=press, headers=headers, timeout=5).status_code == 200
    assert exotel.book.calls[sid].phase == "customer_ringing"
    again = requests.post(f"{exotel.url}/page/press", json=press, headers=headers, timeout=5)
    assert again.status_code == 400
    assert "customer_ringing" in again.json()["error"]


def test_the_page_switches(exotel: Simulator) -> None:
    headers = {"X-Page-Token": token(exotel), "Origin": exotel.url}

    def post(path: str, body: object) -> int:
        return requests.post(f"{exotel.url}/page/{path}", json=body, headers=headers, timeout=5).status_code

    assert post("speed", {"speed": 10}) == 200
    assert post("options", {"by_hand": "True"}) == 200
    assert (exotel.speed, exotel.options.by_hand) == (10, True)
    assert post("device", {"user_id": exotel.agent(ASHA).user_id, "device": "off"}) == 200
    assert exotel.agent(ASHA).device == "off"
    for path, body in (
        ("speed", {"speed": "fast"}),
        ("speed", {"speed": "nan"}),
        ("options", 7),
        ("device", {"user_id": "nobody", "device": "on"}),
        ("device", {"user_id": ASHA, "device": "asleep"}),
        ("press", []),
        ("press", {"call_sid": "none", "leg": "agent", "action": "answer"}),
    ):
        assert post(path, body) == 400


def post_to_page(exotel: Simulator, path: str, body: object) -> requests.Response:
    headers = {"X-Page-Token": token(exotel), "Origin": exotel.url}
    return requests.post(f"{exotel.url}/page/{path}", json=body, headers=headers, timeout=5)


TEXTS: dict[str, tuple[str, object]] = {
    "refuse_with": ("10724", 10724),
    "retry_after": ("30", 30),
    "lost_events": ("answered, terminal", frozenset({"answered", "terminal"})),
    "account_callback_url": ("http://127.0.0.1:1/account/", "http://127.0.0.1:1/account/"),
    "seed": ("7", 7),
    "loss_rate": ("0.25", 0.25),
    "big_recording": ("100000", 100_000),
    "in_order": ("off", False),
}


def test_every_switch_is_on_the_page_with_its_text(exotel: Simulator) -> None:
    page = requests.get(exotel.url, timeout=5).text
    controls = dict(re.findall(r'name="(\w+)" data-first="([^"]*)"', page))
    first = requests.get(f"{exotel.url}/page/state.json", timeout=5).json()["options"]
    assert controls == {name: text for name, text in first.items() if name != "by_hand"}
    assert set(first) == {one.name for one in dataclasses.fields(simulator.Options)}
    for name in controls:
        assert re.search(rf'<p id="text-{name}">.{{10,}}?\.</p>', page), name


def test_every_switch_is_set_from_the_page_and_from_texts(exotel: Simulator) -> None:
    for name, option in FIELDS.items():
        words = [word for word in option.metadata["kind"].words if word not in ("none", text_of(option.default))]
        text, value = TEXTS.get(name) or (words[0] if words else "0.5", None)
        assert post_to_page(exotel, "options", {name: text}).status_code == 200, name
        assert getattr(exotel.options, name) != option.default
        assert value is None or getattr(exotel.options, name) == value
        shown = requests.get(f"{exotel.url}/page/state.json", timeout=5).json()["options"][name]
        assert post_to_page(exotel, "options", {name: shown}).status_code == 200
        assert text_of(getattr(exotel.options, name)) == shown
        assert post_to_page(exotel, "options", {name: text_of(option.default)}).status_code == 200
        assert getattr(exotel.options, name) == option.default
        refused = post_to_page(exotel, "options", {name: "nonsense"})
        assert (refused.status_code, f"{name}='nonsense': write " in refused.json()["error"]) == (400, True)
    assert "There is no option 'colour'" in post_to_page(exotel, "options", {"colour": "red"}).json()["error"]


def test_the_page_places_calls_elsewhere(exotel: Simulator) -> None:
    body = {"customer_number": "+919000001003", "agent": ASHA, "recording": True}
    assert post_to_page(exotel, "elsewhere", body).status_code == 200
    assert [call.elsewhere for call in exotel.book.calls.values()] == [True]
    assert post_to_page(exotel, "elsewhere", {**body, "agent": "nobody"}).status_code == 400


def test_the_page_cuts_the_power(exotel: Simulator) -> None:
    for wrong in ({"seconds": -1, "deliveries": "kept"}, {"seconds": 1, "deliveries": "mislaid"}, {"seconds": "nan"}):
        assert post_to_page(exotel, "restart", wrong).status_code == 400
    assert post_to_page(exotel, "restart", {"seconds": 0.3, "deliveries": "lost"}).status_code == 200
    exotel.clock.wait_until(float("inf"), unless=lambda: "power_cut" in exotel.faults())
    with pytest.raises(requests.ConnectionError):
        requests.get(exotel.url, timeout=1)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.ConnectionError):
            assert requests.get(exotel.url, timeout=5).status_code == 200
            break
        time.sleep(0.05)
    assert requests.get(exotel.url, timeout=5).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Page-Token": "wrong"}, {"Origin": "http://evil.example"}, {"Origin": ""}, {"X-Page-Token": "é"}],
)
def test_only_the_page_itself_may_change_anything(exotel: Simulator, headers: dict[str, str]) -> None:
    sent = {"X-Page-Token": token(exotel), "Origin": exotel.url, **headers}
    if not headers:
        sent = {}
    encoded = {name: value.encode("utf-8") for name, value in sent.items()}
    answer = requests.post(f"{exotel.url}/page/options", json={"by_hand": "True"}, headers=encoded, timeout=5)
    assert answer.status_code == 403
    assert exotel.options.by_hand is False


def test_the_book_is_served_without_secrets(exotel: Simulator, place: Place, application: Application) -> None:
    secret = "a-very-long-secret-token.with-a-signature"
    url = f"{application.url}/exotel/callbacks/{secret}/?key=abc"
    place("+919000001003", status_callback=[{"event": "terminal", "url": url}])
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


def test_masking() -> None:
    assert masked_text("http://user:pass@127.0.0.1/a") == "http://127.0.0.1/a"
    assert masked_text("http://a-very-long-host.example.com/a") == "http://a-very-long-host.example.com/a"
    assert masked_text("refused with url: /cb/0123456789abcdefgh/?k=v (x)") == "refused with url: /cb/012345…/?… (x)"
    assert masked_text("https://crm.example.com/cb/0123456789abcdefgh/") == "https://crm.example.com/cb/012345…/"
