"""What goes on right now: who is on the phone, who waits for a call, whose phone is off."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.db.models import Count, Max, Q
from django.utils import timezone

from django_exotel_ccm.choices import State
from django_exotel_ccm.local_time import start_of_today
from django_exotel_ccm.models import Agent, CallRecord, Device, FollowUp
from django_exotel_ccm.models.call_queryset import RINGING, UNANSWERED, CallRecordQuerySet, is_in_progress
from django_exotel_ccm.models.device import is_busy_still
from django_exotel_ccm.services.reports.figures import Figures, figures_of

MOST_CALLS, MOST_WAITING, MOST_DEVICES = 100, 50, 1_000


@dataclass(frozen=True, slots=True)
class AgentPhone:
    """An agent whom Exotel knows, and the device that tells whether calls can ring: the one that is on, if one is."""

    agent: Agent
    device: Device
    is_on: bool
    """Whether calls can ring: a call that Exotel has accepted since says more than an older state."""
    is_verified: bool
    """Whether any device of the agent is verified, and so can be turned on."""


@dataclass(frozen=True, slots=True)
class LiveBoard:
    """The present moment, in lists of a bounded length."""

    calls: list[CallRecord]
    """Those that go on, as far as is known, the oldest first."""
    talking: int
    """How many of all that go on had a phone picked up. There can be more than are in the list."""
    ringing: int
    """How many had none."""
    waiting: list[FollowUp]
    """Call-backs whose time has come, the most overdue first."""
    has_more_waiting: bool
    free: list[AgentPhone]
    """Agents whose phone is on and who have no call."""
    off: list[AgentPhone]
    """Agents whose phones are all off, or not verified."""
    knows_phones: bool
    """Whether Exotel has told of any agent's phone."""
    today: Figures


def live_board() -> LiveBoard:
    """Return what goes on now, for users who may see the figures of all agents. Takes four statements, and another
    one each when a phone is off or busy, and when more calls go on than are in the list.

    Agents are known to be free, or to have their phone off, as far as Exotel has told of their devices.
    """
    going_on = CallRecord.objects.filter(_goes_on())
    in_order = going_on.select_related("agent").defer("facts").order_by("created_at", "pk")
    calls = list(in_order[: MOST_CALLS + 1])
    in_call, talking, ringing = _counted(going_on, calls)
    due = FollowUp.objects.due(timezone.now()).select_related("call").defer("call__facts")
    waiting = list(due[: MOST_WAITING + 1])
    devices = Device.objects.filter(agent__is_active=True).select_related("agent")
    phones = _phones(list(devices.order_by("agent__name", "agent", "pk")[:MOST_DEVICES]))
    return LiveBoard(
        calls=calls[:MOST_CALLS],
        talking=talking,
        ringing=ringing,
        waiting=waiting[:MOST_WAITING],
        has_more_waiting=len(waiting) > MOST_WAITING,
        free=[one for one in phones if one.is_on and not is_busy_still(one.device) and one.agent.pk not in in_call],
        off=[one for one in phones if not one.is_on],
        knows_phones=bool(phones),
        today=figures_of(CallRecord.objects.filter(created_at__gte=start_of_today())),
    )


def _counted(going_on: CallRecordQuerySet, listed: Sequence[CallRecord]) -> tuple[set[Any], int, int]:
    """Return the keys of the agents in a call, how many calls had a phone picked up, and how many had none."""
    rows = [(call.agent_id, int(call.answered_at is not None), 1) for call in listed]
    if len(listed) > MOST_CALLS:  # then the database counts, for each agent
        rows = list(going_on.order_by().values_list("agent").annotate(Count("answered_at"), Count("pk")))
    talking = sum(answered for _agent, answered, _all in rows)
    return {agent for agent, *_counts in rows}, talking, sum(count for *_rest, count in rows) - talking


def _goes_on() -> Q:
    """Return the condition that a phone of the call rings, or was picked up, and that nobody has told of its end.

    The rules let go of such a call earlier (:func:`busy_until`), for they stand in the way of the next one.
    """
    now = timezone.now()
    is_active = Q(state=State.ACTIVE) & (Q(answered_at__isnull=False) | Q(created_at__gt=now - RINGING))
    return is_in_progress() & (is_active | Q(created_at__gt=now - UNANSWERED))


def _phones(devices: Sequence[Any]) -> list[AgentPhone]:
    newest = _newest_calls({one.agent_id for one in devices if not one.is_on or not one.is_verified or one.is_busy})
    for device in devices:
        device.has_later_call = newest.get(device.agent_id, device.seen_at) > device.seen_at
    return [_phone(list(of_agent)) for _key, of_agent in groupby(devices, key=lambda device: device.agent_id)]


def _newest_calls(agents: Collection[Any]) -> dict[Any, datetime.datetime]:
    """Return when the newest call of each of the agents was placed that Exotel has accepted since yesterday.

    Not ``with_later_call``: for all devices at once, MariaDB would read every call of their agents.
    """
    since = timezone.now() - datetime.timedelta(days=1)
    accepted = CallRecord.objects.filter(agent__in=agents, created_at__gt=since, state__in=[State.ACTIVE, State.ENDED])
    return dict(accepted.order_by().values_list("agent").annotate(Max("created_at"))) if agents else {}


def _phone(devices: Sequence[Any]) -> AgentPhone:
    """Return which of an agent's devices tells whether calls can ring, and what it tells."""
    verified = [device for device in devices if device.is_verified]
    on = [device for device in verified if device.is_on]
    device = max(on or devices, key=lambda one: one.seen_at)
    return AgentPhone(device.agent, device, bool(on) or device.has_later_call, bool(verified))
