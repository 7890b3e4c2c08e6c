"""A user's session: reads our pages as a browser does, and presses their buttons with the CSRF token."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from django.test import Client
from django.urls import reverse

AGENT_WORK = (
    "helpdesk.view_ticket",
    "helpdesk.change_ticket",
    "exotel_ccm.place_call",
)
SEES_CALLS = "exotel_ccm.view_callrecord"
SEES_NUMBERS = "exotel_ccm.view_customer_number"
LEDGER = ("exotel_ccm.view_callevent", "exotel_ccm.view_announcement")
BY_HAND = "+919000001009"
"""In the simulator this number rings until the test answers it, so nothing is reported meanwhile."""
OTHER = "+919000001010"


@dataclass
class Form:
    attributes: dict[str, str]
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[dict[str, str]] = field(default_factory=list)

    @property
    def data(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, value in self.fields:
            found.setdefault(name, []).append(value)
        return found


class Page(HTMLParser):
    """The forms and links of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        #: The presses in the list's column: links, of which the script makes buttons.
        self.row_buttons: list[dict[str, str]] = []
        #: "Call customer" on the change form: a link, too; here as the form that the script posts.
        self.call_buttons: list[Form] = []
        #: "Call again" in the history, likewise.
        self.of_again: list[Form] = []
        self._form: Form | None = None
        self._link: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(given)
            self.forms.append(self._form)
        elif tag == "a":
            self._link = given.get("href", "")
            if given.get("class") == "exotel-call exotel-again":
                token = ("csrfmiddlewaretoken", given["data-exotel-csrf"])
                self.of_again.append(Form(given | {"action": given["data-exotel-place"]}, [token]))
            elif given.get("class") == "exotel-call":
                if "data-exotel-csrf" in given:
                    token = ("csrfmiddlewaretoken", given["data-exotel-csrf"])
                    self.call_buttons.append(Form(given | {"action": given["data-exotel-place"]}, [token]))
                else:
                    self.row_buttons.append(given)
        elif self._form is not None and tag == "button":
            self._form.buttons.append(given)
        elif self._form is not None and tag == "input" and "name" in given:
            unchecked = given.get("type") in ("checkbox", "radio") and "checked" not in given
            if not unchecked and given.get("type") != "submit":
                self._form.fields.append((given["name"], given.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "a":
            self._link = None

    def handle_data(self, data: str) -> None:
        if self._link is not None and data.strip():
            self.links[data.strip()] = self._link

    @property
    def text(self) -> str:
        """What is read on the page, in one line."""
        plain = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", self.html, flags=re.DOTALL)
        return " ".join(plain.split())

    @property
    def messages(self) -> str:
        """The messages on top of the page."""
        found = re.search(r'<ul class="messagelist">.*?</ul>', self.html, re.DOTALL)
        return Page(found[0]).text if found else ""

    def of_id(self, identity: str) -> Form:
        return next(form for form in self.forms if form.attributes.get("id") == identity)

    def of_class(self, name: str) -> list[Form]:
        return [form for form in self.forms if name in form.attributes.get("class", "").split()]


class Session:
    """One logged-in user's browser, which checks CSRF as a real one has to."""

    def __init__(self, user: Any, site: str = "admin") -> None:
        self.client = Client(enforce_csrf_checks=True)
        if user is not None:
            self.client.force_login(user)
        self.user = user
        self.site = site
        self.response: Any = None
        #: Keeps a site of one test alive: Django knows its sites weakly.
        self.site_admin: Any = None

    def url(self, name: str, *args: Any) -> str:
        return reverse(f"admin:{name}", args=args, current_app=self.site)

    def get(self, url: str) -> Page:
        self.response = self.client.get(url, follow=True)
        return Page(self.response.content.decode())

    def post(self, url: str, data: Any) -> Page:
        """Post, and follow redirects as a browser does: 307 sends the same form again."""
        self.response = self.client.post(url, data, follow=True)
        return Page(self.response.content.decode())

    @property
    def where(self) -> str:
        """The path and query of the page shown last."""
        return str(self.response.request["PATH_INFO"]) + (
            f"?{self.response.request['QUERY_STRING']}" if self.response.request["QUERY_STRING"] else ""
        )

    # The list.

    def changelist(self, query: str = "", model: str = "helpdesk_ticket") -> Page:
        return self.get(self.url(f"{model}_changelist") + query)

    def run_action(self, tickets: Any, query: str = "", model: str = "helpdesk_ticket", **extra: Any) -> Page:
        """Choose tickets in the list and run "Call customer"."""
        form = self.changelist(query, model).of_id("changelist-form")
        keys = [str(one.pk) for one in tickets]
        chosen = {"action": ["exotel_call_customer"], "index": ["0"], "_selected_action": keys}
        return self.post(self.url(f"{model}_changelist") + query, form.data | chosen | extra)

    def press_row(self, ticket: Any, query: str = "", model: str = "helpdesk_ticket") -> Page:
        """Press "Call" on one row."""
        return self.press_row_of(self.changelist(query, model), ticket)

    def press_row_of(self, page: Page, ticket: Any) -> Page:
        """Press "Call" on one row as the script does: in a form of its own."""
        token = page.of_id("changelist-form").data["csrfmiddlewaretoken"]
        found = (one["data-exotel-place"] for one in page.row_buttons)
        address = next(one for one in found if f"exotel_ticket={ticket.pk}&" in one)
        return self.post(address, {"csrfmiddlewaretoken": token})

    # The form.

    def change_form(self, ticket: Any) -> Page:
        meta = ticket._meta
        return self.get(self.url(f"{meta.app_label}_{meta.model_name}_change", ticket.pk))

    def press_button(self, ticket: Any) -> Page:
        """Press "Call customer" on the change form."""
        return self.press_button_of(self.change_form(ticket))

    def press_button_of(self, page: Page) -> Page:
        """Press "Call customer" as the script does: in a form of its own."""
        [form] = page.call_buttons
        return self.post(form.attributes["action"], form.data)

    def press_choice(self, page: Page, nth: int = 0, **given: str) -> Page:
        """Press "Call" on the choose page."""
        form = page.of_class("exotel-choose-form")[nth]
        return self.post(form.attributes["action"], form.data | {f"exotel_{name}": one for name, one in given.items()})


def orders(exotel: Any) -> list[Any]:
    """Return the calls that Exotel was requested to place."""
    return [seen.body for seen in exotel.book.requests if seen.method == "POST"]
