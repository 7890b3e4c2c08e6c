"""The page that asks what a press of the button left open, and shows several tickets to be called one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_exotel_ccm.adapters import MAX_TICKETS, TicketAdapter, next_page_url
from django_exotel_ccm.choices import Permission, State
from django_exotel_ccm.descriptions import (
    colleague_calling_warning,
    describe_call,
    hidden_tickets_message,
    repeated_call_warning,
)
from django_exotel_ccm.masking import visible_to
from django_exotel_ccm.models import Agent, CallRecord, ExoPhone
from django_exotel_ccm.models.call import LONGEST_OVERRIDE_REASON
from django_exotel_ccm.models.ticket_link import LinkKey, link_key
from django_exotel_ccm.policies import Denial
from django_exotel_ccm.services.callers import Missing, Requirements, callable_agents
from django_exotel_ccm.services.readiness import (
    NumbersUnreadable,
    Obstacle,
    agent_obstacle,
    ask_rules,
    denial_of,
    load_related,
    missing_number,
    missing_obstacle,
    number_obstacle,
    preview,
    read_numbers,
)
from django_exotel_ccm.services.selection import number_token, whole_number
from django_exotel_ccm.ticket_numbers import TicketNumber
from django_exotel_ccm.views.access import answer_through
from django_exotel_ccm.views.call_request import CallTarget
from django_exotel_ccm.views.listed import Listed, listed_now

MAX_EXOPHONES = 500


@require_safe
@never_cache
def choose(request: HttpRequest) -> HttpResponseBase:
    """Show for each chosen ticket its numbers and a button, or why it cannot be called. Places no call."""
    return answer_through(
        request,
        request.GET.dict(),
        lambda adapter: _answer(request, adapter),
        permission=Permission.PLACE_CALL,
        back=request.get_full_path(),
    )


def _answer(request: HttpRequest, adapter: TicketAdapter) -> HttpResponse:
    target = CallTarget.of(adapter, request.GET.dict())
    keys = list(dict.fromkeys(request.GET.getlist("exotel_ticket")))[:MAX_TICKETS]
    found = target.adapter.visible_tickets(request, target.ticket_type, keys)
    load_related(target.ticket_type, found)
    return target.adapter.render(request, "choose.html", _context(request, target, keys, found))


def _context(request: HttpRequest, target: CallTarget, keys: list[str], found: list[Model]) -> dict[str, Any]:
    newest = CallRecord.objects.newest_by(request.user, found)
    refused = _refused(request, found)
    others = _calls_of_others(request, found)
    agents = callable_agents(request.user)
    exophones = _exophones(request.user)
    callers = _Callers(request.user, agents, exophones)
    no_agent = callers.obstacle(target.adapter, request)
    next_url = target.next_url(request, request.GET.get("exotel_next", ""))
    read = [(ticket, *_numbers_of(ticket)) for ticket in found]
    denied: Mapping[str, Denial] = {}
    if no_agent is None:
        known = [one.number for _ticket, numbers, _unreadable in read for one in numbers if one.number]
        denied = ask_rules(request.user, agents, ["", *known])
    # After one of several tickets the agent comes back here for the next.
    after_call = next_url if len(keys) == 1 else request.get_full_path()
    rows = []
    for ticket, numbers, unreadable in read:
        key = link_key(ticket)
        row = _row(request, target, ticket, newest.get(key), others.get(key, []))
        row |= _numbers(request, target, ticket, numbers, denied)
        if refused is not None and refused.link_key == key:
            row |= _after_refusal(request, ticket, row, refused)
        row["obstacle"] = Obstacle("", unreadable) if unreadable else no_agent or row["obstacle"]
        if not target.ticket_type.allows(request.user, ticket):
            row["obstacle"] = Obstacle(_("not yours"), _("This ticket is not yours to call."))
        rows.append(row)
    listed = listed_now(request, found[0], request.GET.dict()) if len(found) == 1 else Listed()
    return {
        "title": _("Call customer"),
        "opts": target.ticket_type.model._meta,
        "adapter": target.adapter.name,
        "type": target.ticket_type.label,
        "news": listed.news,
        "listed": listed.query,
        "rows": rows,
        "preview": preview([row["obstacle"] or row["denial"] for row in rows]) if len(rows) > 1 else None,
        "longest_reason": LONGEST_OVERRIDE_REASON,
        "may_override": Permission.OVERRIDE_POLICY.granted_to(request.user),
        "agents": callers.options(),
        "lacks_exophone": callers.exophone_obstacle(target.adapter, request),
        "exophones": _exophone_options(exophones),
        "skipped": hidden_tickets_message(len(keys) - len(found)) if len(keys) > len(found) else "",
        "back_url": next_url,
        "list_url": target.adapter.list_url(target.ticket_type),
        "next_url": after_call,
        # Named in the address too: a login page knows no more of a press.
        "place_url": next_page_url(target.adapter, "place", next_url=after_call),
    }


def _exophones(user: object) -> list[ExoPhone]:
    """Return the ExoPhones from which ``user`` may choose."""
    if not Permission.CHOOSE_EXOPHONE.granted_to(user):
        return []
    return list(ExoPhone.objects.filter(is_active=True).order_by("account", "number")[:MAX_EXOPHONES])


def _exophone_options(phones: list[ExoPhone]) -> list[dict[str, str]]:
    several = len({phone.account for phone in phones}) > 1
    return [
        {"key": str(phone.pk), "label": f"{phone} ({phone.account})" if several else str(phone)} for phone in phones
    ]


class _Callers:
    """The agents whom the page offers, and what calls by them lack."""

    def __init__(self, user: object, agents: list[Agent], exophones: list[ExoPhone]) -> None:
        self._agents = agents
        requirements = Requirements(user)
        found = {agent.pk: requirements.missing(agent) for agent in agents}
        accounts = {phone.account for phone in exophones}
        self._missing: dict[Any, Missing] = {key: missing for key, missing in found.items() if missing is not None}
        self._barred = {
            key: missing
            for key, missing in self._missing.items()
            if not (missing.is_of_exophone and missing.call.account in accounts)
        }

    def obstacle(self, adapter: TicketAdapter, request: HttpRequest) -> Obstacle | None:
        """Return why no agent can call, whatever the user chooses; None if one can."""
        if not self._agents:
            return agent_obstacle(adapter, request)
        if len(self._barred) < len(self._agents):
            return None
        return missing_obstacle(adapter, request, self._barred[self._agents[0].pk])

    def exophone_obstacle(self, adapter: TicketAdapter, request: HttpRequest) -> Obstacle | None:
        """Return why the user has to choose the ExoPhone, whoever calls; None if they need not."""
        if len(self._missing) < len(self._agents):
            return None
        mended = next((missing for key, missing in self._missing.items() if key not in self._barred), None)
        return missing_obstacle(adapter, request, mended) if mended is not None else None

    def options(self) -> list[dict[str, str]]:
        """Return the agents to choose from, each with the ``problem`` of one who cannot call.

        Text, made once, because the page repeats it for every ticket. A locale would put separators into keys.
        """
        barred = {key: missing.title for key, missing in self._barred.items()}
        return [
            {"key": str(agent.pk), "label": str(agent), "problem": barred.get(agent.pk, "")} for agent in self._agents
        ]


def _calls_of_others(request: HttpRequest, found: list[Model]) -> dict[LinkKey, list[CallRecord]]:
    """Return by ``link_key(ticket)`` who else is calling about it now, the newest call first."""
    calls: defaultdict[LinkKey, list[CallRecord]] = defaultdict(list)
    for call in CallRecord.objects.in_progress_of_others(request.user, found).defer("facts"):
        calls[call.link_key].append(call)
    return calls


def _numbers_of(ticket: Model) -> tuple[list[TicketNumber], str]:
    """Return the ticket's numbers, and why they could not be read; "" if they could."""
    try:
        return read_numbers(ticket), ""
    except NumbersUnreadable as error:
        return [], str(error)


def _row(
    request: HttpRequest, target: CallTarget, ticket: Model, newest: CallRecord | None, others: list[CallRecord]
) -> dict[str, Any]:
    """Return what the page says of a ticket and of the calls about it."""
    placed = _just_placed(request, ticket)
    call = placed or newest
    return {
        "ticket": visible_to(str(ticket), request.user),
        "key": str(ticket.pk),
        "url": target.adapter.ticket_url(ticket),
        "after": str(newest.pk if newest is not None else 0),
        "warning": repeated_call_warning(placed) if placed is not None else "",
        "of_others": colleague_calling_warning(others[0], request.user) if others else "",
        "newest": describe_call(call, request.user) if call is not None else "",
        "newest_url": target.adapter.call_url(request, call) if call is not None else "",
        # Whoever presses here has read that these calls go on.
        "confirmed": " ".join(str(one.pk) for one in (call, *others) if one is not None and not one.is_over),
    }


def _numbers(
    request: HttpRequest,
    target: CallTarget,
    ticket: Model,
    numbers: list[TicketNumber],
    denied: Mapping[str, Denial],
) -> dict[str, Any]:
    """Return what the page says of a ticket's numbers, and what stands before a call to any of them."""
    user, usable = request.user, [one for one in numbers if one.number]
    shown = []
    for one in usable:
        denial = denied.get(one.number)
        shown.append(
            {
                "name": number_token(ticket, one.number),
                # Both are the host's text and may hold numbers.
                "label": visible_to(", ".join(filter(None, (one.label, one.note))), user),
                "shown": visible_to(one.number, user),
                "denied": denial.text if denial is not None else "",
                "can_press": denial is None or _can_override(denial, user),
            }
        )
    pressable = [one for one in shown if one["can_press"]]
    of_any, denial = denied.get(""), denial_of([one.number for one in usable] or [""], denied)
    may_type = Permission.ANY_NUMBER.granted_to(user) and (of_any is None or _can_override(of_any, user))
    obstacle = number_obstacle(target.adapter, request, ticket, numbers)
    if obstacle is None and denial is not None and not pressable and not may_type:
        obstacle = Obstacle(denial.title, denial.text)
    return {
        "numbers": shown,
        "chosen": next((one["name"] for one in sorted(pressable, key=lambda one: bool(one["denied"]))), ""),
        "may_type": may_type,
        "is_reason_due": any(one["denied"] for one in pressable) or (of_any is not None and may_type),
        "missing": missing_number(target.adapter, request, ticket, numbers),
        "problems": [one for one in numbers if one.problem] if usable else [],
        "obstacle": obstacle,
        "denial": denial,
    }


def _can_override(denial: Denial, user: Any) -> bool:
    return not denial.is_safety and Permission.OVERRIDE_POLICY.granted_to(user)


def _refused(request: HttpRequest, found: list[Model]) -> CallRecord | None:
    """Return the user's call that a rule has refused, and that they want to place all the same."""
    key = whole_number(request.GET.get("exotel_refused", ""))
    if key is None or not found or not Permission.OVERRIDE_POLICY.granted_to(request.user):
        return None
    refused = CallRecord.objects.about(*found).filter(placed_by_id=request.user.pk, state=State.REFUSED, pk=key)
    return refused.with_advice().first()


def _after_refusal(request: HttpRequest, ticket: Model, row: Mapping[str, Any], call: CallRecord) -> dict[str, Any]:
    """Return what the page says of the ``row`` of a refused call: why, and the same agent and number once more."""
    advice = visible_to(getattr(call, "advice", None) or "", request.user)
    token = number_token(ticket, call.customer_number)
    is_of_ticket = any(one["name"] == token and one["can_press"] for one in row["numbers"])
    # One that was typed is typed again by who may not see numbers: the ticket may have had it then.
    typed = "" if is_of_ticket or not Permission.VIEW_NUMBER.granted_to(request.user) else call.customer_number
    return {
        "refused": advice if advice not in [one["denied"] for one in row["numbers"]] else "",
        "agent": str(call.agent_id),
        "chosen": token if is_of_ticket else "",
        "typed": typed,
        "is_reason_due": True,
    }


def _just_placed(request: HttpRequest, ticket: Model) -> CallRecord | None:
    """Return the call about which the press has to be confirmed. It need not be the newest to all of the numbers."""
    key = whole_number(request.GET.get("exotel_confirmed", ""))
    return CallRecord.objects.about(ticket).filter(placed_by_id=request.user.pk, pk=key).first() if key else None
