"""Access over real TLS, through a real proxy, to a site that is mounted below a path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from django_exotel_ccm.choices import State
from tests.factories import Calls, body_of
from tests.servers.https_proxy import site_behind_a_proxy
from tests.webhooks.test_access import HOSTS, TOKENS, CallbackAccess, client_of

HEADERS = {"Content-Type": "application/json"}


@pytest.fixture
def access(real_calls: Calls, settings: Any) -> CallbackAccess:
    return CallbackAccess(real_calls, settings)


@pytest.fixture
def urls(settings: Any, certificate: Path) -> Iterator[tuple[str, str]]:
    """The site's URL through its proxy, and its own URL behind it."""
    client_of(HOSTS["all at once"], settings)
    with site_behind_a_proxy(certificate) as urls:
        yield urls


@pytest.mark.parametrize("kind", ["none", "a wrong signature", "another call's", "its own"])
def test_access_through_a_proxy(kind: str, access: CallbackAccess, urls: tuple[str, str], certificate: Path) -> None:
    url, (status, state) = urls[0] + access.path(kind), TOKENS[kind]

    def send(method: str) -> int:
        return requests.request(
            method, url, data=body_of(), headers=HEADERS, verify=certificate, timeout=20
        ).status_code

    assert send("GET") == send("HEAD") == (404 if kind == "none" else 405)
    assert send("POST") == status
    assert len(access.stored()) == int(status == 200)
    assert access.state() == (state, State.ACTIVE)


def test_request_past_the_proxy_is_redirected(access: CallbackAccess, urls: tuple[str, str]) -> None:
    url = urls[1] + access.path("its own")

    plain = requests.post(url, body_of(), headers=HEADERS, timeout=20, allow_redirects=False)

    assert (plain.status_code, plain.headers["Location"].split(":")[0]) == (301, "https")
    assert (access.stored(), access.state()) == ([], (State.ACTIVE, State.ACTIVE))
