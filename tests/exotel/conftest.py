from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from django_exotel_ccm.exotel import client
from django_exotel_ccm.exotel.account import Account
from tests.exotel.recordings import BUCKET, OTHER_HOST, OWN, account_at
from tests.servers.scripted_http import Proxy, Server, Visit, context_of, make_certificate, serving


@pytest.fixture(autouse=True)
def fresh_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without connections, proxies and certificate authorities of before."""
    for name in [*os.environ]:
        if name.lower().endswith("_proxy") or name in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"}:
            monkeypatch.delenv(name)
    _forget_connections()  # of tests in other folders, whichever ran before
    yield
    _forget_connections()


def _forget_connections() -> None:
    for connections in client._connections_of.values():
        connections.close()
    client._connections_of.clear()
    client._working_to_keys.clear()


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    return context_of(certificate)


@pytest.fixture(scope="session")
def host_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = [f"DNS:{name}" for name in (OWN, "recordings.exotel.in", BUCKET, OTHER_HOST)]
    return make_certificate(tmp_path_factory.mktemp("names"), *names)


@pytest.fixture(scope="session")
def other_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("other_server"), "DNS:another.example")


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch, host_certificate: Path) -> Any:
    """An HTTPS proxy that connects host names to servers of this machine."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(host_certificate))
    found = Proxy()
    with serving(found) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.port}")
        yield found


@pytest.fixture
def secure(host_certificate: Path) -> ssl.SSLContext:
    return context_of(host_certificate)


@pytest.fixture
def loopback() -> Any:
    """Serve on loopback, as the simulator does: ``loopback(script)`` returns account, URL and server."""
    running: list[Any] = []

    def start(*scripts: Callable[[Visit], None]) -> tuple[Account, str, Server]:
        context = serving(*scripts)
        server = context.__enter__()
        running.append(context)
        url = f"http://127.0.0.1:{server.port}"
        return account_at(url), f"{url}/recordings/acme1/x.mp3", server

    yield start
    for context in running:
        context.__exit__(None, None, None)
