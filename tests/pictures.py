"""Renews the pictures of README and docs: ``python -m tests.pictures``, which is what ``make pictures`` runs.

They show the demo's helpdesk in Chromium, with a simulated Exotel's calls of now and some of the days before.
"""

from __future__ import annotations

import datetime
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "images"
WIDE, PHONE = 1060, 390
SHARPNESS = 1.5
LESS_SHARP = {"device_scale_factor": 1.25}  # for long pages
AFTERNOON = 14
TALK = 192  # simulated seconds
HURRY = 64.0  # a talk of three minutes takes three seconds
NOTE = "Moved to Panampilly Nagar in May. Sends the new address by mail."
HEADLINE = ".exotel-panel:not([data-exotel-empty]) .exotel-headline:has-text('{}')"
BOX = "form.exotel-note-box:not([hidden])"
CLOSED_MENU = "localStorage.setItem('django.admin.navSidebarIsOpen', 'false')"


def main() -> None:
    """Take all pictures."""
    sys.path.insert(0, str(ROOT / "example_project"))
    from demo.running import new_site, serve

    from django_exotel_ccm import simulator

    with ExitStack() as stack:
        data = stack.enter_context(tempfile.TemporaryDirectory())
        exotel = stack.enter_context(simulator.running(speed=1.0))
        site = stack.enter_context(new_site(0))
        url = f"http://127.0.0.1:{site.server_port}"
        os.environ |= {"EXOTEL_URL": exotel.account_url, "CALLBACK_BASE_URL": url, "HELPDESK_DATA": data}
        os.environ |= {"DJANGO_SETTINGS_MODULE": "config.settings", "DJANGO_ALLOW_ASYNC_UNSAFE": "1"}
        serve(site, stack)
        stack.enter_context(clock_of(AFTERNOON))
        exotel.options.by_hand = True
        Studio(stack, url, exotel).take_all()


def clock_of(hour: int) -> Any:
    """Have the helpdesk's clocks show about this hour, whenever the pictures are taken."""
    from django.test import override_settings

    west = datetime.datetime.now(datetime.UTC).hour - hour
    return override_settings(TIME_ZONE=f"Etc/GMT{west:+}")


class Studio:
    """The running helpdesk, its phones, and a browser."""

    def __init__(self, stack: ExitStack, url: str, exotel: Any) -> None:
        from playwright.sync_api import sync_playwright

        self.url, self.exotel = url, exotel
        from tests.servers import chromium

        running = stack.enter_context(sync_playwright())
        self.browser = running.chromium.launch(executable_path=chromium.executable(), args=["--no-sandbox"])
        stack.callback(self.browser.close)

    def take_all(self) -> None:
        """Take the pictures one after the other: an agent's day, a supervisor's look at it, and Hindi."""
        from tests.pictures_data import fill_in_english

        self.follow_a_call(f"/admin/helpdesk/ticket/{fill_in_english().pk}/change/")
        self.work_on()
        self.supervise()
        self.speak_hindi()

    def follow_a_call(self, ticket: str) -> None:
        """Take the pictures of one call; each shows it a step further."""
        self.exotel.book.requests.clear()  # the page of the phones would show a refusal
        phone = self.open(ticket, PHONE)
        self.press(phone, "Calling Meera Nair")
        self.keep(phone, "ticket-phone", ".exotel-calls")
        phones = self.open(self.exotel.url, WIDE, user="")
        self.exotel.press(self.sid, "agent")
        phones.wait_for_selector("#phone-customer .answer >> visible=true")
        self.keep(phones, "simulated-phones", "#phone-customer")
        dark = self.open(ticket, WIDE, color_scheme="dark")
        self.answer(dark, "In progress")
        self.keep(dark, "ticket-dark", ".exotel-calls")
        self.hang_up(dark, "Talked with")

        wide = self.open(ticket, WIDE)
        self.write(wide, "reached", NOTE)
        self.keep(wide, "ticket", ".exotel-calls")
        wide.click(f"{BOX} .exotel-save")
        wide.wait_for_selector(".exotel-said:has-text('Saved.')")

    def work_on(self) -> None:
        """Take the pictures of the agent's other pages."""
        from tests.pictures_data import ask_not_to_call, list_of_calls

        self.keep(self.open("/exotel/my-calls/", WIDE), "my-calls", "#content-main")
        calls = self.open(f"/exotel/call-lists/{list_of_calls().pk}/", WIDE)
        self.keep(calls, "call-list", "#content-main")
        stopped = self.open(f"/admin/helpdesk/ticket/{ask_not_to_call().pk}/change/", WIDE)
        self.keep(stopped, "do-not-call", ".exotel-calls")

    def supervise(self) -> None:
        """Take the pictures of a week's figures, and of a busy moment."""
        from django.test import override_settings

        from tests.pictures_data import fill_in_moment, fill_in_week

        with override_settings(TIME_ZONE="Asia/Kolkata"):  # the page names it
            days = fill_in_week()
            reports = self.open(f"/exotel/reports/?from={days[0]}&to={days[-1]}", WIDE, user="admin", **LESS_SHARP)
            reports.click("[aria-labelledby=exotel-days] summary")
            self.keep(reports, "reports", "[aria-labelledby=exotel-days] summary")
        fill_in_moment()
        live = self.open("/exotel/live/", WIDE, user="admin", **LESS_SHARP)
        self.keep(live, "live", "#content-main")

    def speak_hindi(self) -> None:
        """Take the picture of a call by an agent who reads Hindi."""
        from tests.pictures_data import fill_in_hindi

        ticket = f"/admin/helpdesk/ticket/{fill_in_hindi().pk}/change/"
        hindi = self.open(ticket, WIDE, locale="hi-IN")
        self.press(hindi, "पहले आपका फ़ोन बजेगा")
        self.exotel.press(self.sid, "agent")
        self.answer(hindi, "कॉल चल रही है")
        self.hang_up(hindi, "बात हुई")
        self.write(hindi, "call_later", "दुकान पर हैं। कल सुबह बात करेंगी।")
        self.keep(hindi, "ticket-hindi", ".exotel-calls")

    def open(self, address: str, width: int, *, user: str = "asha", **options: Any) -> Any:
        """Return a page in the browser of a user, or of nobody; sharp on a good screen, and not much larger."""
        usual = {"viewport": {"width": width, "height": 1400}, "device_scale_factor": SHARPNESS}
        page = self.browser.new_context(base_url=self.url, **usual | options).new_page()
        page.add_init_script(CLOSED_MENU)
        if user:
            page.goto("/admin/")
            page.fill("#id_username", user)
            page.fill("#id_password", "demo")
            page.click("[type=submit]")
            page.wait_for_selector("#user-tools")
        page.goto(address)
        page.wait_for_load_state("networkidle")
        return page

    def keep(self, page: Any, name: str, last: str) -> None:
        """Keep the page down to the end of ``last`` as a picture."""
        page.evaluate("document.activeElement?.blur()")
        page.mouse.move(0, 0)
        box = page.locator(last).bounding_box()
        clip = {"x": 0, "y": 0, "width": page.viewport_size["width"], "height": box["y"] + box["height"] + 24}
        page.screenshot(path=PICTURES / f"{name}.png", clip=clip, full_page=True)
        print(PICTURES / f"{name}.png")  # noqa: T201 - the command's output

    def press(self, page: Any, headline: str) -> None:
        """Press, and wait until the history follows and the clock runs."""
        page.click("button.exotel-call")
        page.wait_for_selector(HEADLINE.format(headline))
        page.wait_for_timeout(3000)

    def answer(self, page: Any, headline: str) -> None:
        """Answer the customer's phone, and talk for some seconds."""
        self.exotel.press(self.sid, "customer")
        page.wait_for_selector(HEADLINE.format(headline))
        page.wait_for_timeout(7000)

    def hang_up(self, page: Any, headline: str) -> None:
        """End the call after some minutes of its own clock."""
        self.exotel.speed = HURRY
        time.sleep(TALK / HURRY)
        self.exotel.press(self.sid, "agent", "hang_up")
        self.exotel.wait_until_quiet()
        self.exotel.speed = 1.0
        page.wait_for_selector(HEADLINE.format(headline))
        page.wait_for_timeout(2000)

    def write(self, page: Any, disposition: str, text: str) -> None:
        """Fill in the box after the call."""
        page.check(f"{BOX} input[value={disposition}]", force=True)
        page.fill(f"{BOX} textarea", text)
        page.check(f"{BOX} input[value=tomorrow]", force=True)

    @property
    def sid(self) -> str:
        """The newest call."""
        return str(next(reversed(self.exotel.book.calls)))


if __name__ == "__main__":
    main()
