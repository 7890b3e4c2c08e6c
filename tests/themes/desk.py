"""An agent's desk under an admin theme: lists, forms and calls as a person uses them."""

from __future__ import annotations

import time
from typing import Any

from django_exotel_ccm.models import CallRecord
from tests.browser.conftest import press
from tests.themes.looks import PANEL_OUT_OF_SIGHT, RECORD_SHIFTS, SHIFTS, STILL, look_at, open_tools

TALK = 1.2  # seconds; simulated seconds are whole, and a talk of none is no conversation
PHONE: dict[str, Any] = {"width": 360, "height": 760, "is_mobile": True, "has_touch": True}
LOOKS: dict[str, dict[str, Any]] = {"wide": {}, "phone": PHONE}
BOX = "form.exotel-note-box:not([hidden])"


class Desk:
    """A page of the agent's browser, and the phones. ``problems`` is what was wrong with the page's looks."""

    def __init__(self, page: Any, exotel: Any, look: str) -> None:
        self.page, self.exotel, self.name = page, exotel, look
        self.problems: list[str] = []
        page.on("pageerror", self._note_error)

    def open(self, address: str) -> None:
        self.page.goto(address)

    def look(self, name: str) -> None:
        """Look at the page as it is, and at its dark side where the theme has one."""
        self.problems += look_at(self.page, f"{self.name}_{name}")

    def press(self, selector: str = "button.exotel-call") -> None:
        """Press, and see the call in the panel without scrolling."""
        open_tools(self.page)
        self.page.wait_for_load_state()  # a theme's own scripts move its side bar until then
        self.page.evaluate(STILL)
        self.page.evaluate(RECORD_SHIFTS)
        press(self.page, selector)
        self.page.wait_for_selector(".el-notification", state="hidden")  # django-simpleui's, above all for some seconds
        self._ask(PANEL_OUT_OF_SIGHT)

    def answer(self) -> None:
        """Answer both phones; the panel says so, and nothing on the page has moved by itself."""
        self.pick_up()
        self.see("In progress with Ravi")
        self._ask(SHIFTS)

    def hang_up(self) -> None:
        """End the talk; the panel says how long it was."""
        self.put_down()
        self.see("Talked with Ravi for")

    def pick_up(self) -> None:
        """Answer both phones."""
        for leg in ("agent", "customer"):
            self.exotel.press(self._sid, leg)
        self.answered_at = time.monotonic()

    def put_down(self) -> None:
        """End the talk."""
        time.sleep(max(0.0, self.answered_at + TALK - time.monotonic()))
        self.exotel.press(self._sid, "agent", "hang_up")

    def _note_error(self, error: Any) -> None:
        if "exotel" in (error.stack or ""):  # a theme's own scripts fail without what they load from other hosts
            self.problems.append(f"{self.name} {self.page.url}: {error.stack}")

    def _ask(self, script: str) -> None:
        self.problems += [f"{self.name} {self.page.url}: {one[:250]}" for one in self.page.evaluate(script)]

    @property
    def _sid(self) -> str:
        sid = CallRecord.objects.newest_first()[0].call_sid
        assert sid
        return sid

    def see(self, headline: str) -> None:
        self.page.wait_for_selector(f".exotel-panel:not([data-exotel-empty]) .exotel-headline:has-text('{headline}')")

    def note(self, text: str, disposition: str, call_back: str = "") -> None:
        """Fill in the box after the call."""
        self.page.check(f"{BOX} input[value={disposition}]", force=True)
        self.page.fill(f"{BOX} textarea", text)
        if call_back:
            self.page.check(f"{BOX} input[value={call_back}]", force=True)

    def save_note(self) -> None:
        self.page.click(f"{BOX} .exotel-save")
        self.page.wait_for_selector(".exotel-said:has-text('Saved.')")


def run_action(page: Any, name: str, *keys: Any) -> None:
    """Choose rows and run an action: by its button, where the theme makes buttons of actions, else by the menu."""
    # Themes hide the boxes and the menu, and draw others.
    for key in keys:
        page.eval_on_selector(f"[name=_selected_action][value='{key}']", "box => box.click()")
    button = page.locator(f".actions button[data-name={name}]")
    if button.count():
        button.click()
    else:
        page.select_option("select[name=action]", name, force=True)
        page.click("button[name=index]")
