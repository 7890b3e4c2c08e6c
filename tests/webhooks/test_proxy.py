"""The matrix again where it is real: over TLS, through a proxy, to a site that is mounted below a path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from django_exotel_ccm.choices import State
from tests.factories import Calls, body_of
from tests.servers.https_proxy import site_behind_a_proxy
from tests.webhooks.test_access import HOSTS, TOKENS, Door, client_of

HEADERS = {"Content-Type": "application/json"}


@pytest.fixture
def door(real_calls: Calls, settings: Any) -> Door:
    return Door(real_calls, settings)


@pytest.fixture
def urls(settings: Any, certificate: Path) -> Iterator[tuple[str, str]]:
    """The site's URL through its proxy, and past it."""
    client_of(HOSTS["all at once"], settings)
    with site_behind_a_proxy(certificate) as urls:
        yield urls


@pytest.mark.parametrize("kind", TOKENS)
def test_who_is_let_in_through_a_proxy(kind: str, door: Door, urls: tuple[str, str], certificate: Path) -> None:
    url, (status, state) = urls[0] + door.path(kind), TOKENS[kind]

    def send(method: str) -> int:
        return requests.request(
            method, url, data=body_of(), headers=HEADERS, verify=certificate, timeout=20
        ).status_code

    if kind == "its own, once more":
        send("POST")

    assert send("GET") == send("HEAD") == (404 if kind == "none" else 405)
    assert send("POST") == status
    assert len(door.kept()) == int(status == 200)
    assert door.state() == (state, State.ACTIVE)


def test_past_the_proxy_nobody_is_let_in(door: Door, urls: tuple[str, str]) -> None:
    url = urls[1] + door.path("its own")

    plain = requests.post(url, body_of(), headers=HEADERS, timeout=20, allow_redirects=False)

    assert (plain.status_code, plain.headers["Location"].split(":")[0]) == (301, "https")
    assert (door.kept(), door.state()) == ([], (State.ACTIVE, State.ACTIVE))
