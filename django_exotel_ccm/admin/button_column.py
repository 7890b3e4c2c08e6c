"""The column of buttons on the list of tickets."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext, pgettext_lazy

from django_exotel_ccm.adapters import TicketAdapter
from django_exotel_ccm.admin.last_calls import ListedCalls
from django_exotel_ccm.admin.shown import ShownInput
from django_exotel_ccm.call_button import CallButton, call_buttons
from django_exotel_ccm.masking import visible_to
from django_exotel_ccm.models.ticket_link import link_key
from django_exotel_ccm.tickets import TicketType

SEEN = "exotel_seen"
"""Our one field in the host's list. It holds, as JSON, the key of the newest call by the key of its ticket."""


def seen_by(request: HttpRequest, key: str) -> str:
    """Return the key of the ticket's newest call on the list, "0" for none; "" if the form does not say it."""
    try:
        seen = json.loads(request.POST.get(SEEN, ""))
    except (ValueError, RecursionError):
        return ""
    return str(seen.get(key, 0)) if isinstance(seen, dict) else ""


class ButtonColumn:
    """The list's column of buttons, for one request.

    A row has a link to the choose page. Our script replaces it by a button that calls at once. A button in the host's
    own form would be pressed by Enter.
    """

    __name__ = "exotel_call"
    short_description = pgettext_lazy("telephony", "call")

    def __init__(self, adapter: TicketAdapter, ticket_type: TicketType, request: HttpRequest) -> None:
        self._adapter = adapter
        self._ticket_type = ticket_type
        self._request = request
        self.listed = ListedCalls()
        self._buttons: dict[str, CallButton | None] = {}
        self._first = ""
        self._attributes = SafeString()
        self._seen = SafeString()
        self._input: ShownInput | None = None

    def prepare(self, changelist: ChangeList) -> None:
        """Find out which rows can be called, and note this user's newest call about each."""
        rows = list(changelist.result_list)
        own = self.listed.own
        buttons = call_buttons(self._adapter, self._request, rows, own, ticket_type=self._ticket_type)
        self._buttons = {str(ticket.pk): button for ticket, button in zip(rows, buttons, strict=True)}
        self._first = next(iter(self._buttons), "")
        linked = {str(ticket.pk): own.get(link_key(ticket)) for ticket in rows}
        newest = {key: str(call.pk) for key, call in linked.items() if call is not None}
        self._seen = format_html('<input type="hidden" name="{}" value="{}">', SEEN, json.dumps(newest))
        if changelist.list_editable:
            # Without our script the link opens another tab, so that edits in the list are not lost.
            unsaved = " data-exotel-unsaved" if self._request.method == "POST" else ""
            self._attributes = SafeString(f' target="_blank"{unsaved}')

    def show_edited_rows(self, changelist: ChangeList) -> bool:
        """Show the rows whose edits came back with errors; return whether the list has other rows now.

        A call may have moved a ticket out of the filtered list, and Django would show its error nowhere.
        """
        formset: Any = changelist.formset
        if formset is None or not formset.is_bound:
            return False
        rows = [form.instance for form in formset.initial_forms]
        if {row.pk for row in rows} == {row.pk for row in changelist.result_list}:
            return False
        changelist.result_list = rows
        return True

    def show_stored(self, changelist: ChangeList, response: HttpResponse) -> None:
        """Say in the form of an editable list what its rows show."""
        formset: Any = changelist.formset
        if formset is not None:
            self._input = ShownInput.of_list(formset)
            self._input.warn_if_missing(response)

    def __call__(self, ticket: Model) -> SafeString:
        """Return the row's link. The first row adds our fields of the list's form."""
        key = str(ticket.pk)
        button = self._buttons.get(key)
        press = self._press(ticket, button) if button is not None else SafeString()
        if key != self._first:
            return press
        shown = self._input.draw_once() if self._input is not None else ""
        return format_html("{}{}{}", press, self._seen, shown)

    def _press(self, ticket: Model, button: CallButton) -> SafeString:
        # No template: it would take five times as long, for each row.
        obstacle = button.obstacle
        if obstacle is not None:
            # No title alone: neither a finger nor a keyboard gets to see one.
            folded = '<details class="exotel-obstacle"><summary>{}</summary>{}</details>'
            shown = format_html(folded, obstacle.title, obstacle.text)
            if not obstacle.url:
                return shown
            return format_html('{} <a href="{}">{}</a>', shown, obstacle.url, obstacle.link_text)
        return format_html(
            '<a href="{}" class="exotel-call" data-exotel-place="{}" data-exotel-waiting="{}"{} aria-label="{}">{}</a>',
            button.choose_url,
            button.place_url,
            pgettext("telephony", "Calling…"),
            self._attributes,
            _("Call customer: %(ticket)s") % {"ticket": visible_to(str(ticket), self._request.user)},
            pgettext("telephony", "Call"),
        )
