"""Two hundred panels, on as many pages of one agent and their supervisor, follow one call to its end."""

from __future__ import annotations

import http.client
import json
import logging
import threading
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from tests.concurrency.callbacks import DETAILS, accepted, callback
from tests.concurrency.clients import deliver_all
from tests.concurrency.web_process import Web
from tests.helpdesk.models import Ticket

logger = logging.getLogger("tests.concurrency")

PANELS = 200
BROWSERS = 16
ANSWERED, TALKED = DETAILS[:2]
MOST_QUESTIONS = 100 * PANELS  # a panel that never sees the end fails the test instead of hanging it


@dataclass
class Panel:
    """One panel: what it remembers between two questions, and what it was told."""

    etag: str = ""
    steps: list[str] = field(default_factory=list)
    is_over: bool = False
    answers: list[int] = field(default_factory=list)

    def ask(self, connection: http.client.HTTPConnection, path: str, cookie: str) -> None:
        """Ask as panel.js does."""
        connection.request("GET", path, headers={"Cookie": cookie, "If-None-Match": self.etag})
        response = connection.getresponse()
        body = response.read()
        assert response.status in (200, 304), body
        self.answers.append(response.status)
        if response.status == 200:
            told = json.loads(body)
            self.steps.append(told["step"])
            self.etag, self.is_over = response.headers["ETag"], told["is_over"]


@pytest.fixture
def cookie(host: Any, transactional_db: None) -> str:
    client = Client()
    client.force_login(host.user("asha", "helpdesk.view_ticket", "exotel_ccm.view_callrecord"))
    return "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())


def test_panels_see_every_change_once(servers: list[Web], cookie: str) -> None:
    call = accepted("followed", Ticket.objects.create(subject="Fan"))
    path = reverse("exotel_ccm:status", args=[call.reference]) + "?exotel_adapter=admin"
    panels = [Panel() for _panel in range(PANELS)]
    waiting, all_know = deque(panels), {step: threading.Event() for step in ("accepted", "answered")}

    def follow(server: Web) -> None:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
        for _question in range(MOST_QUESTIONS):
            try:
                panel = waiting.popleft()
            except IndexError:
                break
            panel.ask(connection, path, cookie)
            if not panel.is_over:
                waiting.append(panel)
            for step, known in all_know.items():
                if not known.is_set() and all(step in one.steps for one in panels):
                    known.set()
        connection.close()

    with ThreadPoolExecutor(BROWSERS) as browsers:
        following = [browsers.submit(follow, servers[number % len(servers)]) for number in range(BROWSERS)]
        for step, (event, details) in zip(all_know, [ANSWERED, TALKED], strict=True):
            while not all_know[step].wait(1):
                assert not any(one.done() for one in following), [one.result() for one in following if one.done()]
            news = callback(call, "followed", event, details=details)
            assert deliver_all([servers[0].url], [news], clients=1).all() == [200]

    answers = Counter(status for panel in panels for status in panel.answers)
    logger.info("%d panels, answers: %s", PANELS, dict(answers))
    assert {tuple(panel.steps) for panel in panels} == {("accepted", "answered", "ended")}
    assert answers[200] == 3 * PANELS  # each change once; in between, that nothing is new
