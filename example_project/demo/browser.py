"""A browser without a window: it keeps cookies, reads forms off pages and sends what a person would have sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self
from urllib.parse import urljoin

import requests

from demo.console import Trouble

TIMEOUT = 60  # seconds; placing a call may take the client's whole deadline


@dataclass
class Form:
    """A form of a page: where it is sent, its fields, and the words on its buttons."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[str] = field(default_factory=list)


@dataclass
class Link:
    """A link of a page."""

    address: str
    text: str = ""


class Page(HTMLParser):
    """What the demo needs of a page: its forms, its links and the admin's messages."""

    def __init__(self, address: str, html: str) -> None:
        super().__init__()
        self.address = address
        self.forms: list[Form] = []
        self.links: list[Link] = []
        self.messages: list[str] = []
        self._inside: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note forms, their fields, links, and where messages begin."""
        has = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(urljoin(self.address, has.get("action", ""))))
        elif tag == "input" and self.forms and has.get("name") and has.get("type") not in ("checkbox", "radio"):
            self.forms[-1].fields[has["name"]] = has.get("value", "")
        elif tag == "button" and self.forms:
            self.forms[-1].buttons.append("")
            self._inside.append("button")
        elif tag == "a" and has.get("href"):
            self.links.append(Link(urljoin(self.address, has["href"])))
            self._inside.append("a")
        elif tag == "ul" and has.get("class") == "messagelist":
            self._inside.append("ul")
        elif tag == "li" and "ul" in self._inside:
            self.messages.append("")

    def handle_endtag(self, tag: str) -> None:
        """Note where buttons, links and messages end."""
        if tag in self._inside:
            self._inside.remove(tag)

    def handle_data(self, data: str) -> None:
        """Note the words of buttons, links and messages."""
        if "button" in self._inside:
            self.forms[-1].buttons[-1] += data.strip()
        if "a" in self._inside:
            self.links[-1].text += data.strip()
        if "ul" in self._inside and self.messages:
            self.messages[-1] += data

    def form(self, button: str) -> Form:
        """Return the form with this button on it."""
        for form in self.forms:
            if button in form.buttons:
                return form
        raise Trouble(f"the page {self.address} has no button {button!r}.")

    def link(self, text: str) -> str:
        """Return where the link with this text leads."""
        for link in self.links:
            if link.text == text:
                return link.address
        raise Trouble(f"the page {self.address} has no link {text!r}.")


class Browser:
    """One person's browser."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._session.close()

    def open(self, address: str) -> Page:
        """Go to an address, as a click on a link does."""
        return self._page(self._session.get(address, timeout=TIMEOUT))

    def send(self, page: Page, form: Form, **typed: str) -> Page:
        """Send a form of ``page``, with what was typed into its fields."""
        answer = self._session.post(
            form.action, data=form.fields | typed, headers={"Referer": page.address}, timeout=TIMEOUT
        )
        return self._page(answer)

    def _page(self, answer: requests.Response) -> Page:
        if not answer.ok:
            raise Trouble(f"the helpdesk answered {answer.status_code} {answer.reason} for {answer.url}")
        return Page(answer.url, answer.text)
