"""As whom a user may call, and what every call by such an agent lacks, whatever the ticket is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from django_exotel_ccm import callback_urls, exophone_choice
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.models import Agent, CallRecord, ExoPhone
from django_exotel_ccm.models.agent import AgentQuerySet
from django_exotel_ccm.phone_numbers import parse_number
from django_exotel_ccm.policies import Refusal
from django_exotel_ccm.policies.requirements import (
    EXOPHONE_CODES,
    account_refusal,
    agent_refusal,
    callbacks_of,
    exophone_refusal,
)
from django_exotel_ccm.services.drafts import add_exophone
from django_exotel_ccm.services.placing import agents_for


def callable_agents(user: Any) -> list[Agent]:
    """Return the agents as whom ``user`` may call: their own first, and all others with the permission."""
    own = agents_for(user)
    return [*own, *_others(own)] if Permission.FOR_OTHERS.granted_to(user) else own


def has_callable_agent(user: Any, own: Sequence[Agent]) -> bool:
    """Return whether :func:`callable_agents` returns any, without loading all of them. ``own`` are the user's own."""
    return bool(own) or (Permission.FOR_OTHERS.granted_to(user) and _others([]).exists())


def _others(own: Sequence[Agent]) -> AgentQuerySet:
    others = Agent.objects.active().exclude(pk__in=[agent.pk for agent in own])
    return others.select_related("exophone").with_usual_number().order_by("name", "pk")


class Missing(NamedTuple):
    """Why every call by an agent would be refused, and such a call, which is not saved."""

    refusal: Refusal
    call: CallRecord

    @property
    def is_of_exophone(self) -> bool:
        """Whether another ExoPhone mends it."""
        return self.refusal.code in EXOPHONE_CODES

    @property
    def title(self) -> str:
        """Two or three words, for a button that cannot be pressed."""
        if self.is_of_exophone:
            return _("no ExoPhone")
        return _("not set up") if self.refusal.code == "not_configured" else _("no phone")


def way_around(user: Any, missing: Missing) -> str:
    """Return what ``user`` can choose on the choose page, and so call all the same; "" if nothing.

    Costs two statements at most.
    """
    agent, phones = missing.call.agent, ExoPhone.objects.filter(account=missing.call.account, is_active=True)
    if missing.is_of_exophone and Permission.CHOOSE_EXOPHONE.granted_to(user) and phones.exists():
        return _("Choose an ExoPhone")
    if agent is None or missing.refusal.code == "not_configured" or not Permission.FOR_OTHERS.granted_to(user):
        return ""
    others = _others([agent]).filter(exophone__is_active=True) if missing.is_of_exophone else _others([agent])
    return _("Call as another agent") if others.exists() else ""


class Requirements:
    """What presses by ``user`` lack who choose no ExoPhone: one answer for all tickets of a page.

    It asks what ``place_call`` asks. What a function of the host's decides is asked at the press alone.
    """

    def __init__(self, user: Any) -> None:
        self._user = user
        self._of_accounts: dict[str, Refusal | None] = {}

    def missing(self, agent: Agent) -> Missing | None:
        """Return why every press as ``agent`` would be refused; None if that is not known.

        Costs no statement while the agent's account has a default ExoPhone, or only one; else a few for the user's own
        agents, and one for all others together. ``agent`` is one of :func:`callable_agents`.
        """
        call = CallRecord(account=agent.account, agent=agent, placed_by=self._user)
        try:
            refusal = self._account_refusal(call) or agent_refusal(call) or self._exophone_refusal(call, agent)
        except ImproperlyConfigured as error:
            refusal = Refusal("not_configured", str(error))
        return Missing(refusal, call) if refusal is not None else None

    def _account_refusal(self, call: CallRecord) -> Refusal | None:
        if call.account not in self._of_accounts:
            refusal = account_refusal(call)
            if refusal is None and not callback_urls.depend_on_call():
                found = callbacks_of(call)
                refusal = found if isinstance(found, Refusal) else None
            self._of_accounts[call.account] = refusal
        return self._of_accounts[call.account]

    def _exophone_refusal(self, call: CallRecord, agent: Agent) -> Refusal | None:
        own, usual = exophone_choice.of_agent(call), getattr(agent, "usual_number", None)
        # One whom AGENT_FOR_USER returned has no usual_number. Of their own agents users have few.
        is_theirs = agent.user_id == self._user.pk or not hasattr(agent, "usual_number")
        if own is None and usual and exophone_choice.has_default() and not (is_theirs and _is_invalid(usual)):
            return None
        if is_theirs and not exophone_choice.depends_on_ticket():
            add_exophone(call, None)
            return exophone_refusal(call)
        return None if own is not None or agent.account in self._accounts else exophone_refusal(call)

    @cached_property
    def _accounts(self) -> set[str]:
        """The accounts that have an ExoPhone from which an agent may call who has none, and no default."""
        phones = ExoPhone.objects.filter(is_active=True)
        if not exophone_choice.depends_on_ticket():
            phones = phones.exclude(groups=None)
        return set(phones.values_list("account", flat=True).distinct())


def _is_invalid(number: str) -> bool:
    """Return whether code has stored what is no phone number."""
    try:
        parse_number(number)
    except InvalidNumber:
        return True
    return False
