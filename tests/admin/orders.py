"""An admin of orders, whose form is open in a browser while a call changes the order."""

from __future__ import annotations

from typing import Any

from tests.admin.pages import Page, Session
from tests.helpdesk.models import Order

TICKETS = {"helpdesk.Order": {"prefix": "order", "phone": "phone"}}


class WholePage(Page):
    """Reads selects and text areas of forms too."""

    def __init__(self, html: str) -> None:
        self._select: dict[str, str] | None = None
        self._chosen: list[str] = []
        self._options = 0
        self._area: dict[str, str] | None = None
        self._text = ""
        super().__init__(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        given = {name: value or "" for name, value in attrs}
        if given.get("type") == "checkbox" and "checked" in given and "value" not in given and self._form is not None:
            self._form.fields[-1] = (given["name"], "on")
        if tag == "select":
            self._select, self._chosen, self._options = given, [], 0
        elif tag == "option" and self._select is not None:
            # A select that takes one value sends its first option when none is chosen.
            if "selected" in given or ("multiple" not in self._select and self._options == 0):
                self._chosen = [*self._chosen, given["value"]] if "multiple" in self._select else [given["value"]]
            self._options += 1
        elif tag == "textarea":
            self._area, self._text = given, ""

    def handle_data(self, data: str) -> None:
        super().handle_data(data)
        if self._area is not None:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        super().handle_endtag(tag)
        if tag == "select" and self._select is not None:
            self._send(self._select.get("name", ""), *self._chosen)
            self._select = None
        elif tag == "textarea" and self._area is not None:
            # Browsers drop the first line break and send the others as \r\n.
            self._send(
                self._area.get("name", ""), self._text.replace("\r\n", "\n").removeprefix("\n").replace("\n", "\r\n")
            )
            self._area = None

    def _send(self, name: str, *values: str) -> None:
        if self._form is not None and name:
            self._form.fields += [(name, value) for value in values]


class OpenForm:
    """A form as the user sees it, with what they enter."""

    def __init__(self, session: Session, url: str, form_id: str = "order_form") -> None:
        self.session, self.url, self.form_id = session, url, form_id
        session.get(url)
        self._read()

    def _read(self) -> None:
        self.page = WholePage(self.session.response.content.decode())
        found = [form for form in self.page.forms if form.attributes.get("id") == self.form_id]
        self.data = found[0].data if found else {}

    def enter(self, **values: Any) -> OpenForm:
        """Enter values; None takes a tick away."""
        for name, value in values.items():
            html_name = name.replace("__", "-")
            if value is None:
                self.data.pop(html_name, None)
            else:
                self.data[html_name] = value if isinstance(value, list) else [value]
        return self

    def save(self, button: str = "_continue", **files: Any) -> bool:
        """Press Save; return whether it was saved. If not, the page that came back is the open form."""
        self.session.post(self.url, self.data | {button: ["Save"]} | files)
        assert self.session.response.status_code == 200, self.session.response.status_code
        is_saved = bool(self.session.response.redirect_chain)
        self._read()
        return is_saved

    @property
    def errors(self) -> list[str]:
        """What the page says about fields and rows that it asks about."""
        found = self.page.html.split('class="errorlist')[1:]
        return [Page(f"<ul {one.partition('</ul>')[0]}</ul>").text for one in found]


def open_order(session: Session, order: Order, query: str = "") -> OpenForm:
    return OpenForm(session, session.url("helpdesk_order_change", order.pk) + query)
