"""Rules about the calls that there are already: one at a time, so many a day, so long after the last."""

from __future__ import annotations

import datetime
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_exotel_ccm.local_time import day_of, start_of_day
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.models.call_queryset import RINGING, TALKING, busy_until
from django_exotel_ccm.policies.base import Denial, Policy, count_option, is_by_its_agent, moment
from django_exotel_ccm.policies.known import Known, OtherCall

WEEK = 7 * 24 * 60  # minutes
MINUTE = datetime.timedelta(minutes=1)


class OneCallAtATime(Policy):
    """No call of an agent who has one in progress, and none to a customer whom somebody is calling.

    A call counts until it ends. If nobody reports the end, it stops to count by itself: one that no phone was picked
    up in after ``ringing`` minutes (5), any other after ``longest`` minutes (60), and one of which it is not known
    whether Exotel accepted it after 1. On by default: Exotel refuses an agent who is busy, and two colleagues on one
    customer's phone are one too many.
    """

    def __init__(self, ringing: int = RINGING // MINUTE, longest: int = TALKING // MINUTE) -> None:
        self._ringing = count_option("ringing", ringing) * MINUTE
        self._longest = max(self._ringing, count_option("longest", longest) * MINUTE)

    def looks_back(self, now: datetime.datetime) -> datetime.datetime:
        """Look as far back as a call can count."""
        return now - self._longest

    def denials(self, calls: Sequence[CallRecord], known: Known) -> list[Denial | None]:
        """Find the calls in progress of these agents and to these customers."""
        of_customers: defaultdict[str, list[tuple[OtherCall, datetime.datetime]]] = defaultdict(list)
        of_agents: dict[Any, datetime.datetime] = {}
        for other in known.other_calls:
            until, agent = busy_until(other, ringing=self._ringing, talking=self._longest), other.agent_id
            if until is not None:
                of_agents[agent] = max(until, of_agents.get(agent, until))
                of_customers[other.customer_number].append((other, until))
        return [self._denial(call, of_agents, of_customers) for call in calls]

    def _denial(
        self,
        call: CallRecord,
        of_agents: Mapping[Any, datetime.datetime],
        of_customers: Mapping[str, Sequence[tuple[OtherCall, datetime.datetime]]],
    ) -> Denial | None:
        of_customer = of_customers.get(call.customer_number, ()) if call.customer_number else ()
        by_others = [until for other, until in of_customer if not _is_own(other, call)]
        if by_others:
            text = _(
                "Somebody is calling this customer right now. Call again when that call is over. "
                "If nobody reports its end, it counts until %(until)s."
            )
            return Denial(_("being called"), text % {"until": moment(max(by_others))})
        until = of_agents.get(call.agent_id) if call.agent_id is not None else None
        if until is not None:
            own, other = (
                _(
                    "You are in a call. Call again when it is over. "
                    "If nobody reports its end, it counts until %(until)s."
                ),
                _(
                    "The agent is in a call. Call again when it is over. "
                    "If nobody reports its end, it counts until %(until)s."
                ),
            )
            text = own if is_by_its_agent(call) else other
            return Denial(_("call in progress"), text % {"until": moment(until)}, is_own_call=True)
        if of_customer:
            text = _(
                "You are calling this customer already. Call again when that call is over. "
                "If nobody reports its end, it counts until %(until)s."
            )
            last = max(until for _other, until in of_customer)
            return Denial(_("call in progress"), text % {"until": moment(last)}, is_own_call=True)
        return None


def _is_own(other: OtherCall, call: CallRecord) -> bool:
    """Return whether the ``other`` call is the same agent's, or the same user's with any agent's phone."""
    is_of_agent = other.agent_id is not None and other.agent_id == call.agent_id
    return is_of_agent or (other.placed_by_id is not None and other.placed_by_id == call.placed_by_id)


class CallsPerDay(Policy):
    """An agent places at most ``agent`` calls a day (300), and a customer is called at most ``customer`` times (10).

    The day is that of ``TIME_ZONE``; refused calls do not count. On by default, and generous: who works by hand does
    not come near, but a stolen login or a script that runs wild is stopped. None switches off one of the two.
    """

    def __init__(self, agent: int | None = 300, customer: int | None = 10) -> None:
        self._agent = None if agent is None else count_option("agent", agent)
        self._customer = None if customer is None else count_option("customer", customer)

    def looks_back(self, now: datetime.datetime) -> datetime.datetime:
        """Look back to the beginning of the day."""
        zone = timezone.get_default_timezone()
        return start_of_day(day_of(now, zone), zone)

    def denials(self, calls: Sequence[CallRecord], known: Known) -> list[Denial | None]:
        """Count today's calls of the agents, and to the customers."""
        zone = timezone.get_default_timezone()
        day = day_of(timezone.now(), zone)
        midnight = start_of_day(day, zone)
        today = [other for other in known.other_calls if other.created_at >= midnight]
        by_agent = Counter(other.agent_id for other in today if other.agent_id is not None)
        by_customer = Counter(other.customer_number for other in today if other.customer_number)
        tomorrow = moment(start_of_day(day + datetime.timedelta(days=1), zone))
        return [
            self._of_customer(by_customer[call.customer_number], tomorrow)
            or self._of_agent(by_agent[call.agent_id], tomorrow, is_own=is_by_its_agent(call))
            for call in calls
        ]

    def _of_customer(self, of_customer: int, tomorrow: str) -> Denial | None:
        if self._customer and of_customer >= self._customer:
            text = ngettext(
                "This customer was called %(count)d time today, and more is not allowed. "
                "They can be called again from %(from)s on.",
                "This customer was called %(count)d times today, and more is not allowed. "
                "They can be called again from %(from)s on.",
                of_customer,
            )
            return Denial(_("called often today"), text % {"from": tomorrow, "count": of_customer})
        return None

    def _of_agent(self, of_agent: int, tomorrow: str, *, is_own: bool) -> Denial | None:
        if self._agent and of_agent >= self._agent:
            own = ngettext(
                "You have placed %(count)d call today, and more is not allowed. "
                "The next one can be placed from %(from)s on.",
                "You have placed %(count)d calls today, and more is not allowed. "
                "The next one can be placed from %(from)s on.",
                of_agent,
            )
            other = ngettext(
                "This agent has placed %(count)d call today, and more is not allowed. "
                "The next one can be placed from %(from)s on.",
                "This agent has placed %(count)d calls today, and more is not allowed. "
                "The next one can be placed from %(from)s on.",
                of_agent,
            )
            text = own if is_own else other
            return Denial(_("enough for today"), text % {"from": tomorrow, "count": of_agent})
        return None


class CoolDown(Policy):
    """A customer is not called again within ``minutes`` (30) of the last call, whoever placed it.

    Off by default: who could not reach a customer often tries again at once, and should. Refused calls do not count.
    """

    def __init__(self, minutes: int = 30) -> None:
        self._pause = count_option("minutes", minutes, most=WEEK) * MINUTE

    def looks_back(self, now: datetime.datetime) -> datetime.datetime:
        """Look back for as long as the pause is."""
        return now - self._pause

    def denials(self, calls: Sequence[CallRecord], known: Known) -> list[Denial | None]:
        """Find the newest call to each customer."""
        newest: dict[str, datetime.datetime] = {}
        for other in known.other_calls:
            newest[other.customer_number] = max(other.created_at, newest.get(other.customer_number, other.created_at))
        newest.pop("", None)
        return [self._denial(newest.get(call.customer_number)) for call in calls]

    def _denial(self, newest: datetime.datetime | None) -> Denial | None:
        if newest is None or newest + self._pause <= timezone.now():
            return None
        text = _("This customer was called a short time ago. They can be called again from %(from)s on.")
        return Denial(_("called a short time ago"), text % {"from": moment(newest + self._pause)})
