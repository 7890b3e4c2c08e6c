"""The figures of many calls, counted by the database in a fixed number of statements."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import connections
from django.db.models import Count, ExpressionWrapper, F, IntegerField, Q, Sum
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from django_exotel_ccm.choices import Outcome, State
from django_exotel_ccm.models import Agent, CallNote
from django_exotel_ccm.models.call_queryset import CallRecordQuerySet
from django_exotel_ccm.services.reports.periods import Period
from django_exotel_ccm.services.reports.quarter_hours import QuarterHour, local_clock

OPEN, NEVER_CONFIRMED = "open", "never_confirmed"
"""Beside the outcomes: calls that are not over yet, and those of which Exotel is not asked any more."""
CUSTOMER_MISSED = [Outcome.CUSTOMER_UNANSWERED, Outcome.BUSY, Outcome.CUSTOMER_NO_DIAL]
OPEN_STATES = [State.REQUESTED, State.UNCONFIRMED, State.ACTIVE]
NOT_SAID = ["", Outcome.UNKNOWN]

placed = ~Q(state=State.REFUSED)
ended = Q(state=State.ENDED)
talked = Q(talk_time__gt=0)
never_confirmed = Q(state__in=OPEN_STATES, gave_up_at__isnull=False)
unknown = ended & Q(outcome__in=NOT_SAID)
still_open = Q(state__in=OPEN_STATES, gave_up_at=None)


@dataclass(slots=True)
class Figures:
    """What is counted of some calls. Refused calls are ``refused``, and in no other figure."""

    calls: int = 0
    refused: int = 0
    ended: int = 0
    reached: int = 0
    ended_reached: int = 0
    """Those of ``reached`` that have ended."""
    talk_time: int = 0
    """Seconds."""
    agent_missed: int = 0
    customer_missed: int = 0
    unknown: int = 0
    open: int = 0

    @property
    def answer_rate(self) -> float | None:
        """The share of the ended calls in which the customer was reached, 0 to 1; None if none has ended."""
        return self.ended_reached / self.ended if self.ended else None

    @property
    def mean_talk_time(self) -> float | None:
        """Seconds of a conversation; None if there was none."""
        return self.talk_time / self.reached if self.reached else None

    @property
    def is_empty(self) -> bool:
        """Whether there was neither a call nor a refusal."""
        return not self.calls and not self.refused

    def count(self, row: Mapping[str, Any]) -> None:
        """Add a row that was counted with :data:`AGGREGATES`."""
        for name in NAMES:
            setattr(self, name, getattr(self, name) + int(row[f"counted_{name}"] or 0))

    def add(self, other: Figures) -> None:
        """Add the figures of other calls."""
        for name in NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))


NAMES = [one.name for one in fields(Figures)]
# Their names are those of no column: behind them, a condition about a column would be one about them.
AGGREGATES = {
    "counted_calls": Count("pk", filter=placed),
    "counted_refused": Count("pk", filter=Q(state=State.REFUSED)),
    "counted_ended": Count("pk", filter=ended),
    "counted_reached": Count("pk", filter=placed & talked),
    "counted_ended_reached": Count("pk", filter=ended & talked),
    "counted_talk_time": Sum("talk_time", filter=placed & talked),
    "counted_agent_missed": Count("pk", filter=ended & Q(outcome=Outcome.AGENT_UNANSWERED)),
    "counted_customer_missed": Count("pk", filter=ended & Q(outcome__in=CUSTOMER_MISSED)),
    "counted_unknown": Count("pk", filter=unknown),
    "counted_open": Count("pk", filter=still_open),
}

# As no index has it: MariaDB would read all calls by the index of tickets, to have those of each kind together.
KIND = ExpressionWrapper(F("ticket_content_type") + 0, IntegerField())


@dataclass(slots=True)
class Row:
    """A line of a table: an agent, an ExoPhone or a kind of ticket, and the figures of its calls."""

    name: str
    figures: Figures = field(default_factory=Figures)


@dataclass(slots=True)
class Report:
    """The figures of a period, in total and in parts. Parts by name have the most calls first."""

    total: Figures
    days: dict[datetime.date, Figures]
    hours: dict[int, Figures]
    agents: list[Row]
    exophones: list[Row]
    ticket_types: list[Row]
    outcomes: dict[str, int]
    """How many calls had it, by outcome, :data:`OPEN` or :data:`NEVER_CONFIRMED`."""
    refusals: dict[str, int]
    """How many calls were refused, by the refusal's code."""
    dispositions: list[Row]
    """A call counts for each disposition that was chosen after it, once. Only ``calls`` and ``reached``."""


def figures_of(calls: CallRecordQuerySet) -> Figures:
    """Return the figures of the calls. Takes one statement."""
    found = Figures()
    found.count(calls.order_by().aggregate(**AGGREGATES))
    return found


def report_of(calls: CallRecordQuerySet, period: Period) -> Report:
    """Return the figures of those of ``calls`` that were placed in ``period``. Takes six statements."""
    calls = within(calls, period).order_by()
    days, hours = _by_time(calls, period)
    outcomes, refusals = _by_result(calls)
    total = Figures()
    for one in days.values():
        total.add(one)
    return Report(
        total=total,
        days=days,
        hours=hours,
        agents=_by(calls, _agent, "agent", "agent__name", "agent__account", "agent_label"),
        exophones=_by(calls, _exophone, "exophone", "exophone__number", "exophone__label", "exophone_number"),
        ticket_types=_by(calls.annotate(kind=KIND), _ticket_type, "kind"),
        outcomes=outcomes,
        refusals=refusals,
        dispositions=_by_disposition(calls),
    )


def within(calls: CallRecordQuerySet, period: Period) -> CallRecordQuerySet:
    """Return those of the calls that were placed in ``period``."""
    return calls.filter(created_at__gte=period.start, created_at__lt=period.end)


def _by_time(calls: CallRecordQuerySet, period: Period) -> tuple[dict[datetime.date, Figures], dict[int, Figures]]:
    """Return the figures of each day, and of each hour of all days, by the user's clock."""
    days = {day: Figures() for day in period.days}
    hours = {hour: Figures() for hour in range(24)}
    clock = local_clock(connections[calls.db])
    by_quarter = calls.values_list(QuarterHour("created_at")).annotate(**AGGREGATES)
    # Of a year there are 35,000. They are summed up by day and hour first, in less than a second.
    sums: defaultdict[tuple[datetime.date, int], list[int]] = defaultdict(lambda: [0] * len(NAMES))
    for quarter, *counts in by_quarter:
        local = clock(quarter)
        key = local.date(), local.hour
        sums[key] = [one + int(count or 0) for one, count in zip(sums[key], counts, strict=True)]
    for (date, hour), counts in sums.items():
        found = Figures(*counts)
        # A clock that is put back over midnight shows the end of the day before once more.
        days[min(max(date, period.first), period.last)].add(found)
        hours[hour].add(found)
    return days, hours


def _by_result(calls: CallRecordQuerySet) -> tuple[dict[str, int], dict[str, int]]:
    outcomes: defaultdict[str, int] = defaultdict(int)
    refusals: defaultdict[str, int] = defaultdict(int)
    counts = {"count": Count("pk"), "given_up": Count("gave_up_at")}
    rows: Iterable[Any] = calls.values("state", "outcome", "refusal_code").annotate(**counts)
    for row in rows:
        match row["state"]:
            case State.REFUSED:
                refusals[row["refusal_code"]] += row["count"]
            case State.ENDED:
                outcomes[row["outcome"] or Outcome.UNKNOWN.value] += row["count"]
            case _state:
                outcomes[OPEN] += row["count"] - row["given_up"]
                outcomes[NEVER_CONFIRMED] += row["given_up"]
    return _most_first(outcomes), _most_first(refusals)


def _most_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(((name, count) for name, count in counts.items() if count), key=lambda one: (-one[1], one[0])))


def _by(
    calls: CallRecordQuerySet, key_and_name: Callable[[Mapping[str, Any]], tuple[Hashable, str]], *columns: str
) -> list[Row]:
    rows: dict[Hashable, Row] = {}
    for row in calls.values(*columns).annotate(**AGGREGATES):
        key, name = key_and_name(row)
        found = rows.setdefault(key, Row(name))
        # Calls of an ExoPhone that was deleted have its number alone, those of one that was added again the label, too.
        found.name = max(found.name, name, key=lambda one: (len(one), one))
        found.figures.count(row)
    return _sorted(rows.values())


def _sorted(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (-row.figures.calls, -row.figures.refused, row.name))


def _agent(row: Mapping[str, Any]) -> tuple[Hashable, str]:
    """An agent has the name of today, and one who was deleted that of the time of the call."""
    if row["agent"] is not None:
        return row["agent"], agent_name(row["agent__name"], row["agent__account"])
    return row["agent_label"], row["agent_label"] or _("No agent")


def agent_name(name: str, account: str) -> str:
    """Return what an agent is called: with the account, as in the list to choose from. One can be an agent of two."""
    return str(Agent(name=name, account=account))


def _exophone(row: Mapping[str, Any]) -> tuple[Hashable, str]:
    number = row["exophone__number"] or row["exophone_number"]
    return number, " ".join(filter(None, (row["exophone__label"], number))) or _("No ExoPhone")


def _ticket_type(row: Mapping[str, Any]) -> tuple[Hashable, str]:
    key = row["kind"]
    if key is None:
        return None, _("No ticket")
    return key, kind_name(key)


def kind_name(key: int) -> str:
    """Return what people call tickets of the content type with this key."""
    kind = ContentType.objects.get_for_id(key)
    model = kind.model_class()
    return str(capfirst(model._meta.verbose_name if model is not None else kind.model))


def _by_disposition(calls: CallRecordQuerySet) -> list[Row]:
    notes = CallNote.objects.filter(call__in=calls.filter(placed).values("pk")).exclude(disposition=None).order_by()
    is_reached = Q(call__talk_time__gt=0)
    counted = notes.values("disposition", "disposition__label").annotate(
        calls=Count("call", distinct=True), reached=Count("call", distinct=True, filter=is_reached)
    )
    return _sorted(
        Row(one["disposition__label"], Figures(calls=one["calls"], reached=one["reached"])) for one in counted
    )
