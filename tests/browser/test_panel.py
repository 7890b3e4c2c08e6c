"""The panel in a real browser: it follows the call without a reload, and asks no more than it has to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.admin.pages import AGENT_WORK
from tests.browser.conftest import PATIENCE, answer_and_hang_up, keep_picture, log_in, press, violations

pytestmark = pytest.mark.browser

WAITING = "About Invoice shows the old address. Then we dial the customer."
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""


class Desk:
    """An agent's page about a ticket, and the simulated phones."""

    def __init__(self, site: Any, exotel: Any, ticket: Any, open_page: Callable[..., Any], **options: Any) -> None:
        self.site, self.exotel, self.ticket = site, exotel, ticket
        self.page, self.phones = open_page(**options), open_page(1000, 800)
        self.questions: list[int] = []
        log_in(self.page, site.url, "asha")
        self.page.goto(f"{site.url}/admin/helpdesk/ticket/{ticket.pk}/change/")

    def press(self) -> None:
        press(self.page)
        self.page.on("response", lambda answer: "/status/" in answer.url and self.questions.append(answer.status))

    def wait_for(self, headline: str) -> None:
        """Wait until the panel says so, on the page that was pressed on."""
        self.page.wait_for_selector(f".exotel-headline:has-text('{headline}')")
        assert self.page.evaluate("window.isSamePage")

    def hint(self) -> str:
        return str(self.page.inner_text(".exotel-hint"))


@pytest.fixture
def open_desk(host: Any, exotel: Any, site: Any, open_page: Callable[..., Any]) -> Callable[..., Desk]:
    host.user("asha", *AGENT_WORK)
    ticket = host.ticket("Invoice shows the old address")
    return lambda **options: Desk(site, exotel, ticket, open_page, **options)


@pytest.mark.parametrize("options", [{}, {"dark": True}, {"width": 360}], ids=["wide", "dark", "narrow"])
def test_panel_follows_the_call(open_desk: Callable[..., Desk], exotel: Any, options: dict[str, Any]) -> None:
    desk, name = open_desk(**options), f"panel_{next(iter(options), 'wide')}"
    desk.press()
    desk.wait_for("Calling Ravi. Your phone rings first: pick up.")
    keep_picture(desk.page, f"{name}_calling")
    found = violations(desk.page)
    heights = {desk.page.evaluate("document.querySelector('.exotel-panel').offsetHeight")}

    desk.phones.goto(exotel.url)
    desk.phones.click("#phone-agent .answer >> visible=true")
    desk.phones.click("#phone-customer .answer >> visible=true")
    desk.wait_for("In progress with Ravi: a phone was picked up")
    assert desk.hint() == "About Invoice shows the old address"
    keep_picture(desk.page, f"{name}_in_progress")
    found += violations(desk.page)
    heights.add(desk.page.evaluate("document.querySelector('.exotel-panel').offsetHeight"))

    desk.phones.wait_for_selector("#phone-customer [data-action=hang_up] >> visible=true")
    desk.phones.wait_for_timeout(1200)
    desk.phones.click("#phone-agent [data-action=hang_up] >> visible=true")
    desk.wait_for("Talked with Ravi for")
    keep_picture(desk.page, f"{name}_ended")
    found += violations(desk.page)
    heights.add(desk.page.evaluate("document.querySelector('.exotel-panel').offsetHeight"))

    assert found == []
    assert len(heights) == 1  # what stands below never moves
    asked = len(desk.questions)
    desk.page.wait_for_timeout(2500)
    assert len(desk.questions) == asked
    assert 304 in desk.questions
    desk.page.reload()
    assert "Talked with Ravi for" in desk.page.inner_text(".exotel-panel")


REGION = ".exotel-panel [role=status]"
SAID = """() => { const region = document.querySelector(".exotel-panel [role=status]");
  window.said = []; window.region = region;
  new MutationObserver(() => window.said.push(region.innerText.trim())).observe(
    region, {childList: true, characterData: true, subtree: true}); }"""


def is_in_accessibility_tree(page: Any, selector: str) -> bool:
    """Return whether a screen reader knows the element."""
    tools = page.context.new_cdp_session(page)
    tools.send("DOM.enable")
    found = tools.send("Runtime.evaluate", {"expression": f"document.querySelector({selector!r})"})["result"]
    node = tools.send("DOM.describeNode", {"objectId": found["objectId"]})["node"]["backendNodeId"]
    nodes = tools.send("Accessibility.getFullAXTree")["nodes"]
    return any(one.get("backendDOMNodeId") == node and not one["ignored"] for one in nodes)


@pytest.mark.parametrize("width", [1280, 360])
def test_first_words_come_into_a_region_that_is_there(open_desk: Callable[..., Desk], width: int) -> None:
    """A screen reader says what changes in a region that it knows, and may pass over one that appears."""
    desk = open_desk(width=width)
    page = desk.page
    before = is_in_accessibility_tree(page, REGION), page.inner_text(REGION)
    page.evaluate(SAID)

    desk.press()

    assert before == (True, "")
    assert is_in_accessibility_tree(page, REGION)
    assert page.evaluate(f"window.region === document.querySelector('{REGION}')")
    assert page.evaluate("window.said[0]") == "Calling…"
    assert page.get_attribute(".exotel-panel", "aria-label") == "Your call"


@pytest.mark.parametrize("path", ["", "{key}/change/"])
@pytest.mark.parametrize("width", [1280, 360])
def test_empty_panel_takes_no_place(open_desk: Callable[..., Desk], site: Any, width: int, path: str) -> None:
    desk = open_desk(width=width)
    page = desk.page
    page.goto(f"{site.url}/admin/helpdesk/ticket/{path.format(key=desk.ticket.pk)}")
    places = """() => [...document.querySelectorAll("h1, h2, form, table, .object-tools, .exotel-call")].map(
      (one) => [one.getBoundingClientRect().x, one.getBoundingClientRect().y])"""

    with_panel = page.evaluate(places)
    stops = page.evaluate("document.querySelectorAll('.exotel-panel a').length")
    seen = page.locator(".exotel-panel a >> visible=true").count()
    page.evaluate("document.querySelector('.exotel-panel').style.setProperty('display', 'none', 'important')")

    assert page.evaluate(places) == with_panel
    assert (stops, seen) == (1, 0)
    assert violations(page) == []


def test_every_page_finds_the_call_again(open_desk: Callable[..., Desk], exotel: Any, site: Any, host: Any) -> None:
    desk, other = open_desk(), host.ticket("Another matter", phone="+919000001002")
    desk.press()

    for path in ("", f"{other.pk}/change/", f"{desk.ticket.pk}/change/"):
        desk.page.goto(f"{site.url}/admin/helpdesk/ticket/{path}")
        desk.page.wait_for_selector(".exotel-panel >> text=Calling Ravi. Your phone rings first: pick up.")
    desk.page.goto(f"{site.url}/admin/helpdesk/ticket/")
    desk.page.evaluate("window.isSamePage = true")
    keep_picture(desk.page, "panel_on_the_list")
    assert violations(desk.page) == []
    desk.phones.goto(exotel.url)
    answer_and_hang_up(desk.phones)
    desk.wait_for("Talked with Ravi for")


def test_press_far_below_shows_the_panel(open_desk: Callable[..., Desk], site: Any, host: Any) -> None:
    for number in range(40):
        host.ticket(f"Ticket {number}")
    desk = open_desk(width=360)
    desk.page.goto(f"{site.url}/admin/helpdesk/ticket/")

    press(desk.page, "#result_list tr:last-child button.exotel-call")

    box = desk.page.locator(".exotel-panel").bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= desk.page.viewport_size["height"]
    assert desk.page.evaluate("document.activeElement.matches('button.exotel-call')")


def test_hidden_page_asks_nothing(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    desk.press()
    desk.wait_for("Calling Ravi")

    desk.page.evaluate(HIDE, True)
    desk.page.wait_for_timeout(300)
    asked = len(desk.questions)
    desk.page.wait_for_timeout(2500)
    assert len(desk.questions) == asked

    desk.page.evaluate(HIDE, False)
    desk.page.wait_for_timeout(500)
    assert len(desk.questions) == asked + 1


def test_lost_connection_is_said_and_tried_again(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    desk.press()
    desk.page.route("**/status/**", lambda route: route.abort())
    desk.page.wait_for_selector(".exotel-hint:has-text('No connection. Trying again…')")
    desk.page.unroute("**/status/**")

    desk.page.wait_for_selector(f".exotel-hint:has-text('{WAITING}')")


def test_answer_that_does_not_come_is_given_up(open_desk: Callable[..., Desk]) -> None:
    desk = open_desk()
    desk.press()
    desk.page.route("**/status/**", lambda route: None)
    desk.page.wait_for_selector(".exotel-hint:has-text('No connection. Trying again…')")
    desk.page.unroute("**/status/**")

    desk.page.wait_for_selector(f".exotel-hint:has-text('{WAITING}')")


@pytest.mark.parametrize(
    ("status", "hint", "is_asked_again"),
    [
        (401, "You are logged out. The call goes on.", False),
        (302, "You are logged out. The call goes on.", False),
        (404, "This call cannot be shown any more.", False),
        (429, "No connection. Trying again…", True),
        (502, "No connection. Trying again…", True),
    ],
)
def test_answer_that_is_no_status(open_desk: Callable[..., Desk], status: int, hint: str, is_asked_again: bool) -> None:
    desk = open_desk()
    desk.press()
    headers = {"Location": "/admin/login/"} if status == 302 else {}
    desk.page.route("**/status/**", lambda route: route.fulfill(status=status, headers=headers, body="<p>Sorry</p>"))
    desk.page.wait_for_selector(f".exotel-hint:has-text('{hint}')")

    asked = len(desk.questions)
    desk.page.wait_for_timeout(3000)

    assert (len(desk.questions) > asked) == is_asked_again


def test_without_script_the_panel_says_to_reload(open_desk: Callable[..., Desk], site: Any, exotel: Any) -> None:
    desk = open_desk()
    desk.press()
    bare = desk.page.context.browser.new_context(
        java_script_enabled=False, storage_state=desk.page.context.storage_state()
    )
    page = bare.new_page()
    page.goto(f"{site.url}/admin/helpdesk/ticket/{desk.ticket.pk}/change/")

    page.set_default_timeout(PATIENCE)

    assert "Calling Ravi. Your phone rings first: pick up." in page.inner_text(".exotel-panel")
    desk.phones.goto(exotel.url)
    answer_and_hang_up(desk.phones)
    exotel.wait_until_quiet(timeout=20)
    page.click("text=Reload to see how it goes")
    page.wait_for_selector(".exotel-panel >> text=Talked with Ravi for")
    bare.close()
