"""The filters of the list of calls."""

from __future__ import annotations

import re
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from django_exotel_ccm import tickets
from django_exotel_ccm.admin.adapter import TICKET_PARAMETER, AdminAdapter
from django_exotel_ccm.choices import Outcome, State
from django_exotel_ccm.masking import visible_to
from django_exotel_ccm.models import Agent

MOST_AGENTS = 200
_KEY = re.compile(r"[0-9]{1,18}")


class NeverConfirmedFilter(admin.SimpleListFilter):
    """Calls without a reported end, about which Exotel is not asked any more."""

    title = _("never confirmed")
    parameter_name = "never_confirmed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer one choice besides all."""
        return [("yes", pgettext_lazy("telephony", "Yes"))]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the given up calls without an end; by their state, which has an index."""
        if self.value() != "yes":
            return queryset
        return queryset.filter(state__in=[State.UNCONFIRMED, State.ACTIVE], gave_up_at__isnull=False)


class ResultFilter(admin.SimpleListFilter):
    """How calls went, in the words of the history."""

    title = _("how it went")
    parameter_name = "result"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer what an agent looks for."""
        return [
            ("talked", pgettext_lazy("telephony", "Talked")),
            ("missed", _("Nobody talked")),
            ("refused", _("Not called")),
            ("going_on", _("In progress")),
            ("unknown", _("We don't know")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the chosen calls; by their state first, which has an index."""
        unclear = Q(outcome__in=["", Outcome.COMPLETED, Outcome.UNKNOWN], talk_time=None)
        open_states = [State.REQUESTED, State.UNCONFIRMED, State.ACTIVE]
        match self.value():
            case "talked":
                return queryset.filter(state=State.ENDED, talk_time__gt=0)
            case "missed":
                return queryset.filter(state=State.ENDED).exclude(talk_time__gt=0).exclude(unclear)
            case "refused":
                return queryset.filter(state=State.REFUSED)
            case "going_on":
                return queryset.filter(state__in=open_states, gave_up_at=None)
            case "unknown":
                given_up = Q(state__in=open_states, gave_up_at__isnull=False)
                return queryset.filter(given_up | Q(unclear, state=State.ENDED))
        return queryset


class AgentFilter(admin.SimpleListFilter):
    """The agents; Django's own filter would offer any number of them."""

    title = pgettext_lazy("telephony", "agent")
    parameter_name = "agent"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the agents by name, at most :data:`MOST_AGENTS`, active ones first; and the one in the address."""
        agents = list(Agent.objects.order_by("-is_active", "name", "pk")[:MOST_AGENTS])
        chosen = request.GET.get(self.parameter_name, "")
        if _KEY.fullmatch(chosen) and int(chosen) not in {agent.pk for agent in agents}:
            agents += Agent.objects.filter(pk=chosen)
        return [(str(agent.pk), str(agent)) for agent in agents]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the agent's calls."""
        offered = {key for key, _name in self.lookup_choices}
        if not self.value():
            return queryset
        return queryset.filter(agent_id=self.value()) if self.value() in offered else queryset.none()


class TicketFilter(admin.SimpleListFilter):
    """The calls about one ticket, to which its page links. Who may not see the ticket finds none."""

    title = pgettext_lazy("telephony", "ticket")
    parameter_name = TICKET_PARAMETER

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the ticket that the address names, by its ``custom_field``, and no other one."""
        text = request.GET.get(TICKET_PARAMETER, "")
        model = tickets.model_of(text)
        self._ticket = None
        if model is not None:
            adapter, key = AdminAdapter(model_admin.admin_site), text.partition("_")[2]
            found = adapter.visible_tickets(request, tickets.type_of(model), [key])
            self._ticket = next(iter(found), None)
        name = visible_to(str(self._ticket), request.user) if self._ticket is not None else str(_("not yours to see"))
        return [(text, name)] if text else []

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the calls about the ticket."""
        if not self.value():
            return queryset
        return queryset.about(self._ticket) if self._ticket is not None else queryset.none()
