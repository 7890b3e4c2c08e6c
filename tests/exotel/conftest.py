from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from django_exotel_ccm.exotel import client
from tests.servers.scripted_http import context_of


@pytest.fixture(autouse=True)
def fresh_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without connections, proxies and certificate authorities of before."""
    for name in [*os.environ]:
        if name.lower().endswith("_proxy") or name in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"}:
            monkeypatch.delenv(name)
    yield
    for connections in client._connections_of.values():
        connections.close()
    client._connections_of.clear()
    client._working_to_keys.clear()


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    return context_of(certificate)
