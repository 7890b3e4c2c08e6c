"""What the list and the page of calls show of a call: a ticket's name and number only to who may see the ticket."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm.admin.adapter import AdminAdapter
from django_exotel_ccm.admin.lists import column
from django_exotel_ccm.admin.notes import is_ticket_visible
from django_exotel_ccm.choices import State
from django_exotel_ccm.descriptions import describe_customer, describe_override, describe_result, describe_time
from django_exotel_ccm.masking import visible_to
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.timeline import detail_of, icon_of, player


class CallColumns:
    """The columns for the user of ``request`` on an admin site."""

    def __init__(self, request: HttpRequest, site: AdminSite) -> None:
        self._request = request
        self._site = site
        self._adapter = AdminAdapter(site)

    def result(self) -> Callable[[Any], str]:
        """Return the column that says how it went, and why a call was refused to users who may see the ticket."""

        def result(call: CallRecord) -> str:
            load_advice([call])
            shown, user = self._as_seen(call)
            context = {"icon": icon_of(call), "result": describe_result(shown, user)}
            if shown is call:
                context["detail"] = detail_of(call, user)
            return render_to_string("exotel_ccm/admin/result.html", context)

        return column("result", _("how it went"), result)

    def customer(self) -> Callable[[Any], str]:
        """Return the column with the customer's name and number."""
        return self._column("customer", pgettext_lazy("telephony", "customer"), _customer)

    def ticket(self, *, link: bool = False) -> Callable[[Any], str]:
        """Return the column with the ticket's name; ``link`` adds a link to its page."""

        def name(call: CallRecord, user: Any) -> str:
            if user is None:
                return str(_("not yours to see"))
            label, url = visible_to(call.ticket_label, user), self._adapter.ticket_url_of(call) if link else ""
            return format_html('<a href="{}">{}</a>', url, label or "-") if url else label

        return self._column("ticket_name", pgettext_lazy("telephony", "ticket"), name)

    def recording(self) -> Callable[[Any], str]:
        """Return the column with the player."""

        def recording(call: CallRecord, user: Any) -> str:
            return player(self._adapter, call, is_open=True) if user is not None else ""

        return self._column("recording", pgettext_lazy("telephony", "recording"), recording)

    def override(self) -> Callable[[Any], str]:
        """Return the column with the reason to call although a rule said no."""
        return self._column("override", _("called anyway"), _override)

    def refusal(self) -> Callable[[Any], str]:
        """Return the column with the code of a refusal, and what it means."""
        return self._column("refusal", pgettext_lazy("telephony", "refusal"), _refusal)

    def custom_field(self) -> Callable[[Any], str]:
        """Return the column with the ticket's name in Exotel."""
        return self._column("name", _("custom field"), lambda call, user: visible_to(call.custom_field, user))

    def title(self, call: CallRecord) -> str:
        """Return how the call's page is called, after people and time."""
        words = {
            "agent": call.agent_label or gettext("an agent"),
            "customer": describe_customer(*self._as_seen(call)),
            "when": describe_time(call.created_at),
        }
        return gettext("Call by %(agent)s to %(customer)s, %(when)s") % words

    def _column(self, name: str, label: Any, text: Callable[[CallRecord, Any], str]) -> Callable[[Any], str]:
        """Return a column of ``text(call, user)``. ``user`` is None when they may not see the ticket."""
        return column(name, label, lambda call: text(call, self._request.user if self._is_visible(call) else None))

    def _as_seen(self, call: CallRecord) -> tuple[CallRecord, Any]:
        """Return the call and its reader as the texts need them: of a hidden ticket, without the customer."""
        if self._is_visible(call):
            return call, self._request.user
        shown = copy.copy(call)
        shown.customer_label = shown.customer_number = shown.ticket_label = ""
        return shown, AnonymousUser()

    def _is_visible(self, call: CallRecord) -> bool:
        return is_ticket_visible(self._request, self._site, call)


def load_advice(calls: Sequence[Any]) -> None:
    """Find out why those of ``calls`` were not called that were refused, in one statement if there are any."""
    refused = [call for call in calls if call.state == State.REFUSED and not hasattr(call, "advice")]
    if refused:
        found: Any = CallRecord.objects.filter(pk__in=[call.pk for call in refused]).with_advice()
        advice = dict(found.values_list("pk", "advice"))
        for call in refused:
            call.advice = advice.get(call.pk)


def _customer(call: CallRecord, user: Any) -> str:
    if call.erased_at is not None:
        return str(_("erased on request"))
    name = call.customer_label if user is not None else ""  # without a user, the ticket is not theirs to see
    return visible_to(", ".join(filter(None, (name, call.customer_number))), user)


def _override(call: CallRecord, user: Any) -> str:
    return describe_override(call, user) if user is not None else str(_("not yours to see"))


def _refusal(call: CallRecord, user: Any) -> str:
    if not call.refusal_code:
        return ""
    if call.state in (State.ACTIVE, State.ENDED):
        return str(_("%(code)s, but Exotel reported the call later")) % {"code": call.refusal_code}
    event = call.events.filter(verdict=State.REFUSED).order_by("-pk").first()
    return visible_to(f"{call.refusal_code}: {event.advice}" if event is not None else call.refusal_code, user)
