"""What each journey costs: the requests of the browser that our views answer, and our statements in each."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.db import connection

from django_exotel_ccm.services.call_lists import create_call_list
from tests.admin.pages import AGENT_WORK, SEES_CALLS
from tests.browser.conftest import ARTIFACTS, answer_and_hang_up, log_in, press
from tests.helpdesk.models import Ticket

pytestmark = pytest.mark.browser

OUR_TABLES = "exotel_ccm_"
KINDS = {
    "ticket": r"/ticket/\d+/change/$",
    "call list": r"/call-lists/\d+/$",
    "press": r"/place/$",
    "status": r"/status/$",
    "history": r"/timeline/$",
    "note": r"/note/$",
    "my calls": r"/my-calls/$",
    "list of tickets": r"/ticket/$",
}


class Costs:
    """The requests that the site has answered, each with the number of statements about our tables."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, int]] = []
        self._thread = threading.local()

    def begin(self, environ: dict[str, Any], **_signal: Any) -> None:
        self._thread.path, self._thread.statements = environ["PATH_INFO"], 0
        connection.execute_wrappers.append(self.count)

    def count(self, execute: Any, sql: str, *rest: Any) -> Any:
        self._thread.statements += OUR_TABLES in sql
        return execute(sql, *rest)

    def end(self, **_signal: Any) -> None:
        if self.count in connection.execute_wrappers:
            connection.execute_wrappers.remove(self.count)
            self.requests.append((self._thread.path, self._thread.statements))

    def of(self, kind: str) -> list[int]:
        """Return the statements of each request of a kind."""
        return [statements for path, statements in self.requests if re.search(KINDS[kind], path)]

    def most(self) -> dict[str, int]:
        """Return the most statements that a request took, by its kind; of static files and callbacks nothing."""
        return {kind: max(found) for kind in KINDS if (found := self.of(kind))}

    def keep(self, name: str) -> None:
        """Keep what a journey cost: by kind, the requests and the statements of each."""
        ARTIFACTS.mkdir(exist_ok=True)
        costs = {kind: self.of(kind) for kind in KINDS if self.of(kind)}
        (ARTIFACTS / f"costs_{name}.json").write_text(json.dumps(costs, indent=1) + "\n", encoding="utf-8")


@pytest.fixture
def costs() -> Iterator[Costs]:
    found = Costs()
    request_started.connect(found.begin)
    request_finished.connect(found.end)
    yield found
    request_started.disconnect(found.begin)
    request_finished.disconnect(found.end)


@pytest.fixture
def asha(host: Any) -> Any:
    return host.user("asha", *AGENT_WORK, SEES_CALLS, "exotel_ccm.add_callnote")


def test_call_with_a_note(
    asha: Any, host: Any, site: Any, exotel: Any, open_page: Callable[..., Any], costs: Costs
) -> None:
    ticket = host.ticket("Invoice shows the old address")
    page, phones = open_page(), open_page(1000, 800)
    log_in(page, site.url, "asha")
    costs.requests.clear()
    page.goto(f"{site.url}/admin/helpdesk/ticket/{ticket.pk}/change/")
    press(page)
    phones.goto(exotel.url)
    answer_and_hang_up(phones)
    page.wait_for_selector(".exotel-headline:has-text('Talked with Ravi')")
    page.fill("form.exotel-note-box:not([hidden]) textarea", "Sends the new address")
    page.click(".exotel-save")
    page.wait_for_selector(".exotel-calls >> text=Sends the new address")
    # The page reads itself once more for what the end of the call has changed, while the note is written.
    until = time.monotonic() + 20
    while costs.most()["ticket"] < 6:
        assert time.monotonic() < until
        page.wait_for_timeout(50)
    costs.keep("call_with_a_note")
    assert costs.most() == {"ticket": 6, "press": 12, "status": 1, "history": 4, "note": 6}
    # The history is asked for at the press, when a phone was picked up, at the end, and after the note.
    assert [len(costs.of(kind)) for kind in ("press", "note", "history")] == [1, 2, 4]


def test_call_list(asha: Any, host: Any, site: Any, open_page: Callable[..., Any], costs: Costs) -> None:
    keys = [host.ticket(subject).pk for subject in ("Wants the yearly plan", "Ceiling fan hums at night")]
    made = create_call_list(owner=asha, name="Renewals November", model=Ticket, keys=keys)
    page = open_page()
    log_in(page, site.url, "asha")
    costs.requests.clear()
    page.goto(f"{site.url}/exotel/call-lists/{made.pk}/")
    press(page)
    page.click("text=Next")
    page.wait_for_selector("h2:has-text('Ceiling fan hums at night')")
    page.goto(f"{site.url}/exotel/my-calls/")
    page.goto(f"{site.url}/admin/helpdesk/ticket/")
    costs.keep("call_list")
    assert costs.most() == {"call list": 8, "press": 16, "history": 5, "my calls": 6, "list of tickets": 2}
    assert [len(costs.of(kind)) for kind in ("press", "history")] == [1, 1]
