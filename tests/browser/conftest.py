"""A real Chromium at a real site: static files served, screenshots and accessibility findings in artifacts/."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django
import pytest

from tests.servers import chromium as browser

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ARTIFACTS = Path(__file__).parents[2] / "artifacts"
# Before 6.1 breadcrumbs and search bar of the stock admin hold links that differ from text by colour only.
# Its search field has a picture for a label, which axe does not count beside a description such as ours.
CONTEXT = {"exclude": [[".breadcrumbs"], ["#toolbar"]] if django.VERSION < (6, 1) else [["#searchbar"]]}
CALLING = ".exotel-panel:not([data-exotel-empty]) .exotel-headline:has-text('Your phone rings first: pick up.')"
PATIENCE = 15_000  # milliseconds until a page that does not do what it should fails its test


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Start the machine's own Chromium, headless; skip where there is none."""
    executable = browser.executable()
    if executable is None:
        pytest.skip(browser.MISSING)
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Open a page in a new browser context, without cookies."""
    contexts = []

    def open_one(width: int = 1280, height: int = 900, *, dark: bool = False, **options: Any) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", **options
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        return context.new_page()

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture
def site(live_server: Any, exotel: Any) -> Any:
    """The live site, whose phones ring until the test answers them."""
    exotel.options.by_hand = True
    exotel.speed = 1.0
    return live_server


def log_in(page: Any, url: str, username: str) -> None:
    """Give the browser the session of a user: quicker than the form, which is not what most tests show."""
    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.test import Client

    client = Client()
    client.force_login(get_user_model().objects.get(username=username))
    name = settings.SESSION_COOKIE_NAME
    cookie = {"name": name, "value": client.cookies[name].value, "url": url, "httpOnly": True, "sameSite": "Lax"}
    page.context.add_cookies([cookie])


def log_in_by_form(page: Any, url: str, username: str) -> None:
    """Log in as people do."""
    page.goto(f"{url}/admin/")
    page.fill("#id_username", username)
    page.fill("#id_password", "pw")
    page.click("input[type=submit]")
    page.wait_for_selector("#user-tools")


def press(page: Any, selector: str = "button.exotel-call") -> None:
    """Press, and wait until the panel shows the call; the page has to stay."""
    page.evaluate("window.isSamePage = true")
    page.click(selector)
    page.wait_for_selector(CALLING)
    assert page.evaluate("window.isSamePage")
    assert len(page.context.pages) == 1


def answer_and_hang_up(phones: Any) -> None:
    """Answer both phones on the simulator's page, talk a moment, hang up."""
    phones.click("#phone-agent .answer >> visible=true")
    phones.click("#phone-customer .answer >> visible=true")
    phones.wait_for_selector("#phone-customer [data-action=hang_up] >> visible=true")
    phones.wait_for_timeout(1200)  # simulated seconds are whole: a talk of none is no conversation
    phones.click("#phone-agent [data-action=hang_up] >> visible=true")
    phones.wait_for_selector("#phone-agent [data-action=hang_up]", state="hidden")


def keep_picture(page: Any, name: str) -> None:
    """Keep a screenshot for people to look at."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)


def keep_findings(found: dict[str, list[str]]) -> None:
    """Keep what axe found on each page."""
    ARTIFACTS.mkdir(exist_ok=True)
    counts = {"count": sum(map(len, found.values())), "pages": found}
    (ARTIFACTS / "axe.json").write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")


def violations(page: Any) -> list[str]:
    """Return the accessibility violations that axe finds on the page: rule and place."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context=CONTEXT).response["violations"]
    return sorted(f"{rule['id']}: {node['target']}" for rule in found for node in rule["nodes"])


assert os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")  # playwright runs an event loop in the thread that uses the ORM
