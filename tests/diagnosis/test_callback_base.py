"""The address for callbacks: what is in the way is found and named, and when it is gone all is well."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.signing import TimestampSigner

from django_exotel_ccm import probes
from django_exotel_ccm.models import CallEvent, UnverifiedCall
from tests.diagnosis.conftest import Doctor
from tests.diagnosis.host_code import BASE
from tests.servers.faulty_proxy import Proxy
from tests.servers.https_proxy import site_behind_a_proxy
from tests.servers.scripted_http import context_of, serving, silent

LOGIN = b'<form><input name="user"><input type="password" name="password"></form>'
HTML = {"Content-Type": "text/html"}


def test_healthy(doctor: Doctor) -> None:
    assert doctor.wrong() == []
    assert {"callback_address", "proxy_headers"} <= {one["name"] for one in doctor.checks()}


def test_probe_stores_nothing(doctor: Doctor) -> None:
    doctor.checks()

    assert (CallEvent.objects.count(), UnverifiedCall.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("answer", "message", "advice"),
    [
        ((200, HTML, LOGIN), "answers with a login page", "without one"),
        ((302, {"Location": "https://sso.example.com/start?next=/"}, b""), "on to a login page", "without one"),
        ((302, {"Location": "/accounts/login/?next=/exotel/"}, b""), "on to a login page", "without one"),
        ((301, {"Location": "https://www.example.com{path}"}, b""), "redirects to https://www", "https://www.example.com"),
        ((301, {"Location": "https://www.example.com/"}, b""), "redirects to https://www", "Let nothing redirect"),
        ((301, {"Location": "http://www.example.com{path}"}, b""), "redirects to http://www", "Let nothing redirect"),
        ((301, {"Location": "/en/exotel/"}, b""), "to another path", "/exotel/callbacks/"),
        ((401, {"WWW-Authenticate": "Basic"}, b""), "asks for a login (HTTP 401)", "without one"),
        ((403, HTML, b"<h1>Forbidden</h1>"), "in front of the site refuses", "/exotel/callbacks/"),
        ((403, {}, b'{"detail": "You do not have permission"}'), "refuses what this system has signed", "SECRET_KEY"),
        ((404, HTML, b"<h1>Not Found</h1>"), "there is no /exotel/callbacks/", "CALLBACK_BASE_URL"),
        ((200, HTML, b"<h1>Welcome to nginx!</h1>"), "Somebody else answers", "CALLBACK_BASE_URL"),
        ((200, {}, b'{"status": "probe", "receipt": "made.up"}'), "Somebody else answers", "CALLBACK_BASE_URL"),
        ((200, {}, b"[" * 20_000), "Somebody else answers", "CALLBACK_BASE_URL"),
        ((400, HTML, b"<h1>Bad Request</h1>"), "HTTP 400", "log"),
        ((413, HTML, b""), "HTTP 413", "client_max_body_size"),
        ((502, HTML, b"<h1>Bad Gateway</h1>"), "does not reach the site (HTTP 502)", "Start"),
        ((500, HTML, b""), "with HTTP 500", "log"),
    ],
)  # fmt: skip
def test_other_answers(doctor: Doctor, proxy: Proxy, answer: Any, message: str, advice: str) -> None:
    proxy.answer = answer

    wrong = doctor.only()

    assert wrong["name"] == "callback_address"
    assert message in wrong["message"]
    assert advice in wrong["fix"]
    proxy.answer = None
    assert doctor.wrong() == []


@pytest.mark.parametrize("location", ["https://www.example.com{path}", "https://www.example.com/crm{path}"])
def test_words_in_the_random_token_are_no_login_page(
    doctor: Doctor, proxy: Proxy, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_exotel_ccm.probes.new_probe", lambda: "0sso1saml2login3oauth")
    proxy.answer = (301, {"Location": location}, b"")

    assert doctor.only()["message"].endswith(" redirects to https://www.example.com.")


@pytest.mark.parametrize("keeps_length", [False, True])
def test_body_that_is_lost_on_the_way(doctor: Doctor, proxy: Proxy, keeps_length: bool) -> None:
    proxy.keeps_body, proxy.keeps_length = False, keeps_length

    wrong = doctor.only()

    assert (wrong["name"], "without their body" in wrong["message"]) == ("callback_address", True)
    proxy.keeps_body, proxy.keeps_length = True, False
    assert doctor.wrong() == []


def test_code_of_the_host_that_raises(doctor: Doctor, report_to: Callable[[str], None], live_server: Any) -> None:
    report_to("tests.diagnosis.host_code.base_url_that_fails")

    assert doctor.only()["message"] == "This check failed with KeyError: callback_address."


def test_address_without_a_readable_account(doctor: Doctor, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXOTEL_URL")
    proxy.answer = (403, HTML, b"")

    assert [name for name, _text in doctor.wrong()] == ["accounts", "callback_address"]


def test_nothing_listens(doctor: Doctor, report_to: Callable[[str], None], live_server: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    report_to(f"http://127.0.0.1:{port}")

    wrong = doctor.only()

    assert wrong["message"] == f"Nothing listens at http://127.0.0.1:{port}."
    assert wrong["fix"] == f"Type: python manage.py runserver 127.0.0.1:{port}"
    report_to(live_server.url)
    assert doctor.wrong() == []


def test_site_that_hangs(doctor: Doctor, report_to: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_exotel_ccm.diagnosis.finding.LONGEST_RUN", 4.0)
    with serving(silent) as server:
        report_to(f"http://127.0.0.1:{server.port}")

        wrong = doctor.only()

    assert "did not answer in time" in wrong["message"]
    assert "gunicorn --workers 3" in wrong["fix"]


def test_what_there_is_no_time_for_is_no_fault(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_exotel_ccm.diagnosis.finding.LONGEST_RUN", 0.5)

    told = {one["name"]: one["message"] for one in doctor.checks()}

    assert doctor.wrong() == []
    assert told["key"].startswith("Not checked")
    assert told["callback_address"].startswith("Not checked")


def test_connection_that_breaks(doctor: Doctor, report_to: Callable[[str], None]) -> None:
    with serving(lambda visit: visit.reset()) as server:
        report_to(f"http://127.0.0.1:{server.port}")

        assert "broke" in doctor.only()["message"]


def test_host_that_django_refuses(
    doctor: Doctor, settings: Any, report_to: Callable[[str], None], live_server: Any
) -> None:
    settings.ALLOWED_HOSTS = ["crm.example.com"]

    wrong = doctor.only()

    assert wrong["message"] == "The site refuses the host name localhost: it is not in ALLOWED_HOSTS."
    assert 'ALLOWED_HOSTS = ["localhost"]' in wrong["fix"]
    settings.ALLOWED_HOSTS = ["crm.example.com", "localhost"]
    assert doctor.wrong() == []


def test_certificate_that_nobody_trusts(doctor: Doctor, tls_proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted = doctor.wrong()
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")

    wrong = doctor.only()

    assert trusted == []
    assert wrong["message"].startswith("The certificate of localhost is not one that others trust: self-signed")
    assert "certbot --nginx -d localhost" in wrong["fix"]


def test_certificate_of_another_name(
    doctor: Doctor, report_to: Callable[[str], None], certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with serving(silent, tls=context_of(certificate)) as server:
        report_to(f"https://[::1]:{server.port}")
        wrong = doctor.only()
    assert wrong["name"] == "callback_address"


def test_proxy_that_hides_https(doctor: Doctor, tls_proxy: Proxy) -> None:
    tls_proxy.proto = ""

    wrong = doctor.only()

    assert wrong["name"] == "proxy_headers"
    assert "for plain http" in wrong["message"]
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in wrong["fix"]
    tls_proxy.proto = "https"
    assert doctor.wrong() == []


def test_site_that_redirects_to_https_for_ever(
    doctor: Doctor, report_to: Any, settings: Any, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    settings.SECURE_SSL_REDIRECT = True
    with site_behind_a_proxy(certificate) as (url, _behind):
        report_to(url)

        wrong = doctor.only()

        assert wrong["name"] == "callback_address"
        assert "redirects to itself" in wrong["message"]
        assert 'SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")' in wrong["fix"]
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        assert doctor.wrong() == []


def test_proxy_that_hides_the_host(doctor: Doctor, proxy: Proxy) -> None:
    proxy.host = "127.0.0.1:8001"

    wrong = doctor.only()

    assert (wrong["name"], "requests to 127.0.0.1:8001" in wrong["message"]) == ("proxy_headers", True)
    assert "proxy_set_header Host $http_host;" in wrong["fix"]
    proxy.host = ""
    assert doctor.wrong() == []


@pytest.mark.parametrize("name", ["LocalHost", "LOCALHOST"])
def test_capitals_are_the_same_host(
    name: str, doctor: Doctor, report_to: Callable[[str], None], live_server: Any
) -> None:
    port = live_server.url.rpartition(":")[2]

    report_to(f"http://{name}:{port}")

    assert doctor.wrong() == []


@pytest.mark.parametrize(("url", "seen"), [("https://CRM.example.com:443/x", "crm.example.com"),
    ("https://crm.example.com", "crm.example.com:443"), ("http://localhost:80", "localhost"),
    ("https://crm.example.com:8443", "CRM.example.com:8443")])  # fmt: skip
def test_port_of_the_scheme_is_no_other_host(url: str, seen: str) -> None:
    from django_exotel_ccm.diagnosis.callback_base import _address_of, _proxy_headers

    receipt = probes.Receipt("probe", "digest", url.startswith("https"), seen, "process")

    assert _proxy_headers(_address_of(url + "/exotel/callbacks/token/"), receipt).ok


def test_second_path_of_a_host_is_tried_as_well(
    doctor: Doctor, proxy: Proxy, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(BASE, "url", proxy.url)
    monkeypatch.setenv("EXOTEL_SALES", os.environ["EXOTEL_URL"])
    settings.EXOTEL_CCM = {
        **settings.EXOTEL_CCM,
        "ACCOUNTS": {"default": "EXOTEL_URL", "sales": "EXOTEL_SALES"},
        "CALLBACK_BASE_URL": "tests.diagnosis.host_code.base_url_by_account",
    }

    messages = [message for name, message in doctor.wrong() if name == "callback_address"]

    assert messages == [
        f"At {proxy.url} there is no /default/exotel/callbacks/ (HTTP 404).",
        f"At {proxy.url} there is no /sales/exotel/callbacks/ (HTTP 404).",
    ]


def test_token_is_in_no_text(doctor: Doctor, proxy: Proxy) -> None:
    proxy.answer = (301, {"Location": "/moved/exotel/callbacks/"}, b"")
    checks = doctor.checks()

    token = proxy.paths[-1].split("/")[3]
    assert probes.verify(token)
    assert not any(token in text for one in checks for text in one.values() if isinstance(text, str))


@pytest.mark.parametrize("token", ["", "x", "x.y.z", probes.sign("a")[:-1], TimestampSigner(salt="other").sign("a")])
def test_forged_probe_is_refused(token: str) -> None:
    assert probes.verify(token) is None


def test_old_probe_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    token = probes.sign("a")
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 301)

    assert probes.verify(token) is None


def test_probe_opens_no_call(client: Any, db: None) -> None:
    path = f"/exotel/callbacks/{probes.sign('a')}/"

    answer = client.post(path, {"call_sid": "made-up"}, content_type="application/json")

    assert (answer.status_code, answer.json()["status"]) == (200, "probe")
    assert client.get(path).status_code == 405
    assert client.post(path + "account/", {}, content_type="application/json").status_code == 403
    assert CallEvent.objects.count() == 0
