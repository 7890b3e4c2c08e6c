"""Button and panel on the pages of a host without the admin, behind a strict policy, in a real browser."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.browser.conftest import CALLING, answer_and_hang_up, keep_picture, violations
from tests.run import ROOT

pytestmark = pytest.mark.browser
#: Runs our scripts once more, as a page does that has them in the body that it swaps.
RUN_AGAIN = """() => Promise.all([...document.querySelectorAll("script[src*='/assets/']")].map(
  ({src, nonce}) => new Promise((onload) => {
    document.body.append(Object.assign(document.createElement("script"), {src, nonce, onload}));
  })
))"""
LOOKS = {"wide": {}, "dark": {"dark": True}, "narrow": {"width": 360, "height": 800}}


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """The addresses of a running host, and of its simulated phones."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.plain_host", str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield SimpleNamespace(**json.loads(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


class Agent:
    """An agent's browser; ``complaints`` is what it refused or could not do."""

    def __init__(self, crm: SimpleNamespace, open_page: Callable[..., Any], **look: Any) -> None:
        self.crm, self.page, self.phones = crm, open_page(**look), open_page(1000, 800)
        self.complaints: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(f"{crm.url}/login/")
        self.page.fill("[name=username]", "asha@example.com")
        self.page.fill("[name=password]", "pw")
        self.page.click("main form button")
        self.page.wait_for_selector("text=Orders")

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning") and "favicon" not in str(message.location):
            self.complaints.append(message.text)

    def open(self, key: str) -> None:
        self.page.goto(f"{self.crm.url}/orders/{key}/")

    def press(self) -> None:
        self.page.click("button.exotel-call")
        self.page.wait_for_selector(CALLING)

    def wait_for(self, headline: str) -> None:
        self.page.wait_for_selector(f".exotel-panel:not([data-exotel-empty]) .exotel-headline:has-text('{headline}')")

    def panels(self) -> int:
        return int(self.page.locator(".exotel-panel:not([data-exotel-empty])").count())


@pytest.fixture
def open_agent(crm: SimpleNamespace, open_page: Callable[..., Any]) -> Callable[..., Agent]:
    return lambda **look: Agent(crm, open_page, **look)


@pytest.mark.parametrize("look", LOOKS)
def test_call_from_a_page_of_the_host(crm: Any, open_agent: Callable[..., Agent], look: str) -> None:
    agent = open_agent(**LOOKS[look])
    agent.open(crm.order)
    keep_picture(agent.page, f"host_page_{look}")
    found = violations(agent.page)
    agent.page.fill("[name=remarks]", "Wants it in red")

    agent.press()
    keep_picture(agent.page, f"host_page_{look}_calling")
    found += violations(agent.page)
    agent.phones.goto(crm.phones)
    answer_and_hang_up(agent.phones)
    agent.wait_for("Talked with")
    agent.page.wait_for_selector(".exotel-calls >> text=Talked")  # the history has followed, too
    keep_picture(agent.page, f"host_page_{look}_ended")
    agent.page.fill("form.exotel-note-box textarea", "Red is sold out")
    keep_picture(agent.page, f"host_page_{look}_note")
    found += violations(agent.page)
    agent.page.click(".exotel-save")
    agent.page.wait_for_selector(".exotel-said:has-text('Saved.')")
    agent.page.wait_for_selector(".exotel-calls >> text=Red is sold out")

    assert found == []
    assert agent.panels() == 1
    assert agent.page.input_value("[name=remarks]") == "Wants it in red"
    assert agent.complaints == []
    assert agent.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("look", LOOKS)
def test_phone_is_turned_off_and_on(crm: Any, open_agent: Callable[..., Agent], look: str) -> None:
    agent = open_agent(**LOOKS[look])
    agent.open(crm.order)
    page, line = agent.page, ".exotel-phone [role=status]"
    page.wait_for_selector(f"{line} >> text=Your calls ring on +919000000101.")
    page.click(".exotel-phone >> text=My phone")
    page.click("button:has-text('Turn it off')")
    page.wait_for_selector(".exotel-said:has-text('Your calls do not ring on +919000000101 any more.')")
    page.wait_for_selector(f"{line} >> text=Your phone is off in Exotel")
    keep_picture(page, f"host_page_{look}_phone_off")
    found = violations(page)
    page.fill("[name=remarks]", "Wants it in red")
    page.click("button.exotel-switch")
    page.wait_for_selector(f"{line} >> text=Your calls ring on +919000000101 now.")

    assert found == []
    assert page.input_value("[name=remarks]") == "Wants it in red"
    assert agent.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def call_and_note(agent: Agent, crm: Any, text: str, call_back: str = "") -> list[str]:
    """Press the first button, talk, write a note in the box; return what axe finds with the box open."""
    agent.page.evaluate("window.isSamePage = true")
    agent.press()
    agent.phones.goto(crm.phones)
    answer_and_hang_up(agent.phones)
    agent.wait_for("Talked with")
    agent.page.fill("form.exotel-note-box textarea", text)
    agent.page.check(f"form.exotel-note-box [name=exotel_call_back][value='{call_back}']", force=True)
    found = violations(agent.page)
    agent.page.click(".exotel-save")
    agent.page.wait_for_selector(".exotel-said:has-text('Saved.')")
    assert agent.page.evaluate("window.isSamePage")
    return found


@pytest.mark.parametrize("look", LOOKS)
def test_my_calls_in_the_frame_of_the_host(crm: Any, open_agent: Callable[..., Agent], look: str) -> None:
    agent = open_agent(**LOOKS[look])
    agent.page.goto(f"{crm.url}/exotel/my-calls/")
    keep_picture(agent.page, f"host_my_calls_{look}")
    found = violations(agent.page)
    assert "asks for red" in agent.page.inner_text(".exotel-is-overdue")
    weight = "getComputedStyle(document.querySelector('.exotel-is-overdue p')).fontWeight"
    assert agent.page.evaluate(weight) == "400"

    found += call_and_note(agent, crm, "Took the blue one", "tomorrow")
    agent.page.wait_for_selector("[aria-labelledby=exotel-follow-ups] >> text=Took the blue one")
    keep_picture(agent.page, f"host_my_calls_{look}_saved")
    found += violations(agent.page)

    assert found == []
    assert agent.complaints == []
    assert agent.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert agent.page.locator(".exotel-is-overdue").count() == 0  # the call has settled it
    assert agent.page.locator(".exotel-empty").count() == 0
    assert "Talked for" in agent.page.inner_text("[aria-labelledby=exotel-today]")


@pytest.mark.parametrize("look", LOOKS)
def test_call_list_in_the_frame_of_the_host(crm: Any, open_agent: Callable[..., Agent], look: str) -> None:
    agent = open_agent(**LOOKS[look])
    agent.page.goto(f"{crm.url}/exotel/my-calls/")
    agent.page.click("text=Go on")
    agent.page.wait_for_selector("h2:has-text('Blue carpet')")
    keep_picture(agent.page, f"host_call_list_{look}")
    found = violations(agent.page)

    found += call_and_note(agent, crm, "Took the blue one")
    agent.page.wait_for_selector(".exotel-calls >> text=Took the blue one")
    keep_picture(agent.page, f"host_call_list_{look}_saved")
    agent.page.click("button[value=next]")
    agent.page.wait_for_selector("h2:has-text('Roses for today')")
    agent.page.click("button[value=skip]")
    agent.page.wait_for_selector("h2:has-text('Asked for a quote')")
    agent.page.click("button[value=skip]")
    agent.page.wait_for_selector("text=The end of the list")
    keep_picture(agent.page, f"host_call_list_{look}_end")
    found += violations(agent.page)
    agent.page.click("text=Rename or delete the list")
    agent.page.fill("[name=exotel_name]", "Reminders of November")
    agent.page.click("button[value=rename]")
    assert agent.page.inner_text(".exotel-said") == "The call list has its new name."  # the host has no messages
    keep_picture(agent.page, f"host_call_list_{look}_renamed")
    found += violations(agent.page)
    left_over = [" ".join(row.split()) for row in agent.page.locator("main .exotel-line").all_inner_texts()]
    agent.press()  # the one that was skipped

    assert left_over == ["Skipped Roses for today Call", "Skipped Asked for a quote no number"]
    assert found == []
    assert agent.complaints == []
    assert agent.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    agent.page.click(".exotel-ticket:has-text('Roses for today')")
    agent.page.wait_for_selector("h1:has-text('Roses for today')")


def test_child_with_uuid_key(crm: Any, open_agent: Callable[..., Agent]) -> None:
    agent = open_agent()
    agent.open(crm.rush)

    agent.press()

    assert agent.complaints == []


def test_ticket_without_a_number_says_so(crm: Any, open_agent: Callable[..., Agent]) -> None:
    agent = open_agent()
    agent.open(crm.none)

    assert agent.page.is_disabled("button.exotel-call")
    assert "There is no phone number." in agent.page.inner_text(".exotel-press")
    keep_picture(agent.page, "host_page_obstacle")
    assert violations(agent.page) == []


def test_swapped_pages(crm: Any, open_agent: Callable[..., Agent]) -> None:
    """The body is swapped, as htmx does it: new buttons work, the panel follows, and nothing happens twice."""
    agent = open_agent()
    agent.page.evaluate("window.isSamePage = true")
    presses: list[str] = []
    agent.page.on("request", lambda request: "/place/" in request.url and presses.append(request.url))
    for _time in range(2):
        agent.page.click("text=Blue carpet")
        agent.page.wait_for_selector("button.exotel-call")
        agent.page.click("text=All orders")
        agent.page.wait_for_selector("h1:has-text('Orders')")
    agent.page.click("text=Blue carpet")
    agent.page.evaluate(RUN_AGAIN)

    agent.press()
    assert len(presses) == 1
    agent.page.click("text=All orders")
    agent.page.wait_for_selector("h1:has-text('Orders')")
    agent.wait_for("Your phone rings first: pick up.")
    asked: list[str] = []
    agent.page.on("response", lambda answer: "/status/" in answer.url and asked.append(answer.url))
    agent.page.wait_for_timeout(3500)
    # Only the panel that is on the page asks, once a second.
    assert 2 <= len(asked) <= 4
    agent.phones.goto(crm.phones)
    answer_and_hang_up(agent.phones)
    agent.wait_for("Talked with")
    agent.page.wait_for_selector("form.exotel-note-box")
    assert agent.page.locator("form.exotel-note-box, button.exotel-note-open").count() == 2  # one of each

    assert agent.page.evaluate("window.isSamePage")
    assert agent.complaints == []


def test_note_survives_swapped_pages(crm: Any, open_agent: Callable[..., Agent]) -> None:
    """No browser asks before a swap, so the note comes back where the box does."""
    agent = open_agent()
    page, box = agent.page, "form.exotel-note-box"
    agent.open(crm.order)
    agent.press()
    agent.phones.goto(crm.phones)
    answer_and_hang_up(agent.phones)
    agent.wait_for("Talked with")
    page.fill(f"{box} textarea", "Five minutes of typing")
    page.check(f"{box} input[value=voicemail]", force=True)
    page.fill(f"{box} textarea", "Six minutes of typing")
    page.check(f"{box} input[value=chosen]", force=True)
    page.fill(f"{box} .exotel-when", "2027-06-01T10:00")
    page.evaluate("window.isSamePage = true")
    page.click("text=All orders")
    page.wait_for_selector("h1:has-text('Orders')")
    assert page.locator(box).count() == 0

    page.click("text=Blue carpet")
    page.wait_for_selector(f"{box}:not([hidden])")

    assert page.input_value(f"{box} textarea") == "Six minutes of typing"
    assert page.is_checked(f"{box} input[value=voicemail]")
    assert page.input_value(f"{box} .exotel-when") == "2027-06-01T10:00"
    page.click(".exotel-save")
    page.wait_for_selector(".exotel-said:has-text('Saved. Call back on ')")
    page.click("text=All orders")
    page.wait_for_selector("h1:has-text('Orders')")
    page.click("text=Blue carpet")
    page.wait_for_selector(".exotel-calls >> text=Six minutes of typing")
    page.click("button.exotel-note-open")
    page.wait_for_selector(f"{box}:not([hidden])")
    assert page.input_value(f"{box} textarea") == ""
    assert page.evaluate("window.isSamePage")
    assert agent.complaints == []


def test_without_script(crm: Any, open_agent: Callable[..., Agent]) -> None:
    agent = open_agent(java_script_enabled=False)
    agent.open(crm.order)
    assert agent.page.locator("button.exotel-call").count() == 0  # it could do nothing
    with agent.page.expect_popup() as opened:
        agent.page.click("a.exotel-call")
    page = opened.value
    page.wait_for_selector("text=Rings first: Asha")
    keep_picture(page, "host_page_choose")

    page.click("button.exotel-call")

    page.wait_for_selector(".exotel-panel >> text=Your phone rings first: pick up.")
    assert page.url == f"{crm.url}/orders/{crm.order}/"
    agent.phones.goto(crm.phones)
    answer_and_hang_up(agent.phones)
    for _second in range(15):  # until Exotel has reported
        page.click("text=Reload to see how it goes")
        page.wait_for_timeout(1000)
        if "Talked with" in page.inner_text("main"):
            break
    assert "Talked with" in page.inner_text(".exotel-panel:not([data-exotel-empty])")
