"""An agent's browser at the tests' host with an admin theme."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.admin.pages import AGENT_WORK, LEDGER, SEES_CALLS, SEES_NUMBERS
from tests.browser.conftest import chromium, open_page, site  # noqa: F401

SUPERVISES = ("dial_any_number", "place_call_for_others", "listen_recording", "change_announcement")
WRITES_NOTES = ("exotel_ccm.add_callnote", "exotel_ccm.change_followup")
FILES = Path(os.environ["THEME_FILES"]) if os.environ.get("THEME_FILES") else None

Browse = Callable[..., Any]


@pytest.fixture
def visit(site: Any, open_page: Callable[..., Any]) -> Browse:  # noqa: F811
    """Return a page of a browser that nobody has logged in with, and that loads nothing from other hosts."""

    def visit(**look: Any) -> Any:
        page = open_page(base_url=site.url, **look)
        page.route(re.compile(rf"^(?!{site.url}/)"), answer_for_others)
        return page

    return visit


@pytest.fixture
def browse(host: Any, client: Any, site: Any, visit: Browse) -> Browse:  # noqa: F811
    """Return a page of asha's browser."""
    permissions = (SEES_CALLS, SEES_NUMBERS, *WRITES_NOTES, *LEDGER, *(f"exotel_ccm.{name}" for name in SUPERVISES))
    host.user("asha", *AGENT_WORK, *permissions)
    host.agent("Vik", "sip:vik4c1d77e2")
    client.login(username="asha", password="pw")
    session = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": site.url}

    def browse(**look: Any) -> Any:
        page = visit(**look)
        page.context.add_cookies([session])
        return page

    return browse


def answer_for_others(route: Any) -> None:
    """Answer for another host with the file that the environment's THEME_FILES has of its package, else not at all."""
    file = FILES and FILES / urlsplit(route.request.url).path.partition("@")[2].partition("/")[2]
    if file and file.is_file():
        route.fulfill(path=file, headers={"Access-Control-Allow-Origin": "*"})
    else:
        route.abort()
