"""What rules know of the numbers and agents that they are asked about: one statement for all rules and all calls."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Cast
from django.utils import timezone

from django_exotel_ccm.choices import State
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.models import CallRecord, Device, DoNotCall, ExoPhone
from django_exotel_ccm.phone_numbers import parse_number

if TYPE_CHECKING:
    from django_exotel_ccm.policies.base import Policy


class OtherCall(NamedTuple):
    """What the rules need of a call that there is."""

    customer_number: str
    created_at: datetime.datetime
    agent_id: Any
    placed_by_id: Any
    state: str
    answered_at: datetime.datetime | None
    gave_up_at: datetime.datetime | None


class Known:
    """What rules that are asked together read once, about all the calls that they are asked about."""

    def __init__(self, calls: Sequence[CallRecord], policies: Iterable[Policy], using: str | None = None) -> None:
        self._using = using
        since = (policy.looks_back(timezone.now()) for policy in policies)
        self._since = min((at for at in since if at is not None), default=None)
        self._agents = {call.agent_id: call.agent for call in calls if call.agent is not None}
        self._numbers = {call.customer_number for call in calls if call.customer_number}

    @cached_property
    def other_calls(self) -> list[OtherCall]:
        """The calls of these agents and to these customers, as far back as one of the rules looks.

        Without those that were refused.
        """
        return [OtherCall(*row) for row in self._rows["call"]]

    @cached_property
    def exophone_numbers(self) -> set[str]:
        """Those of the customers' numbers (E.164) that are numbers of ExoPhones."""
        return {row[0] for row in self._rows["exophone"]}

    @cached_property
    def phone_numbers(self) -> dict[Any, set[str]]:
        """The numbers (E.164) of the agents' own phones, by the key of the agent."""
        written = [(key, agent.contact_uri or "") for key, agent in self._agents.items()]
        listed = [(row[2], row[0]) for row in self._rows["device"]]
        found: defaultdict[Any, set[str]] = defaultdict(set)
        for key, contact_uri in [*written, *listed]:
            try:
                found[key].add(parse_number(contact_uri))
            except InvalidNumber:  # a SIP address
                continue
        return found

    @cached_property
    def do_not_call(self) -> dict[str, datetime.datetime | None]:
        """Those of the customers' numbers that are not to be called, each with until when; None is for always."""
        return {row[0]: row[1] for row in self._rows["do_not_call"]}

    @cached_property
    def _rows(self) -> dict[str, list[Sequence[Any]]]:
        """The rows of all tables, by what they are rows of, each with the columns of :class:`OtherCall`."""
        queries: list[Any] = []
        # Calls first: Django reads the values of a union as those of its first query.
        if self._since is not None and (self._agents or self._numbers):
            asked = Q(agent_id__in=self._agents) | Q(customer_number__in=self._numbers)
            calls = CallRecord.objects.filter(asked, created_at__gt=self._since).exclude(state=State.REFUSED)
            queries.append(_as_calls("call", calls, **{name: name for name in OtherCall._fields}))
        if self._numbers:
            exophones = ExoPhone.objects.filter(number__in=self._numbers)
            entries = DoNotCall.objects.in_force().filter(number__in=self._numbers)
            queries.append(_as_calls("exophone", exophones, customer_number="number"))
            queries.append(_as_calls("do_not_call", entries, customer_number="number", created_at="expires_at"))
        if self._agents:
            devices = Device.objects.filter(agent__in=self._agents)
            queries.append(_as_calls("device", devices, customer_number="contact_uri", agent_id="agent_id"))
        found: defaultdict[str, list[Sequence[Any]]] = defaultdict(list)
        if queries:
            first, *others = queries
            for kind, *row in first.using(self._using).union(*others, all=True):
                found[kind].append(row)
        return found


def _as_calls(kind: str, rows: QuerySet[Any], **columns: str) -> Any:
    """Return rows of ``kind`` with the columns of :class:`OtherCall`, NULL where ``columns`` names none of theirs."""

    def nothing(name: str) -> Cast:
        # With its type: PostgreSQL takes a bare NULL for text.
        column: Any = CallRecord._meta.get_field(name)
        return Cast(Value(None), column)

    return rows.order_by().values_list(Value(kind), *(columns.get(name) or nothing(name) for name in OtherCall._fields))
