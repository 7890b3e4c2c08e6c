"""Which calls a report is about, and what can be chosen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.db.models import BigIntegerField, Exists, Func, OuterRef, Q, QuerySet
from django.db.models.lookups import Exact, IsNull
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from django_exotel_ccm.choices import Outcome, Permission, State
from django_exotel_ccm.models import Agent, CallNote, CallRecord, Disposition, ExoPhone
from django_exotel_ccm.models.call_queryset import CallRecordQuerySet
from django_exotel_ccm.services.reports.figures import NEVER_CONFIRMED, OPEN, never_confirmed, still_open, unknown
from django_exotel_ccm.tickets import ticket_types

SEE_FIGURES = (Permission.VIEW_REPORTS, Permission.VIEW_CALL, Permission.PLACE_CALL)
"""Who has one of these may see figures: those of all agents with the first, else their own."""
PEOPLE = ("agent", "group")
"""What only those choose who see the figures of all agents."""
MOST_CHOICES = 200
REFUSED, NO_TICKET = "refused", "none"
OTHER_RESULTS = {
    OPEN: gettext_lazy("not over yet"),
    NEVER_CONFIRMED: gettext_lazy("never confirmed"),
    REFUSED: gettext_lazy("not called: refused"),
}
_KEY = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFilter:
    """What was chosen, as the address has it; "" for everything. What there is not is a choice that fits no call."""

    agent: str = ""
    group: str = ""
    exophone: str = ""
    ticket_type: str = ""
    outcome: str = ""
    disposition: str = ""

    @classmethod
    def read(cls, values: Mapping[str, str], user: Any) -> ReportFilter:
        """Return what an address says, without what ``user`` is not offered."""
        names = [one.name for one in fields(cls) if sees_all_figures(user) or one.name not in PEOPLE]
        return cls(**{name: values.get(name, "").strip() for name in names})

    @property
    def chosen(self) -> dict[str, str]:
        """What an address says, without what is not chosen."""
        return {name: value for name, value in asdict(self).items() if value}

    def apply(self, calls: CallRecordQuerySet) -> CallRecordQuerySet:
        """Return those of the calls that fit."""
        for name, value in self.chosen.items():
            condition = _CONDITIONS[name](value)
            calls = calls.none() if condition is None else calls.filter(condition)
        return calls


def _key(text: str) -> int | None:
    return int(text) if _KEY.fullmatch(text) else None


class _Unindexed(Func):
    """A column that SQLite compares without its index: by that of an ExoPhone it would read the calls of all days.

    It knows that one value of a column is rare only after an ``ANALYZE``, which Django never makes.
    """

    template, arity, output_field = "%(expressions)s", 1, BigIntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Return the column behind a plus, which does no more than that."""
        return super().as_sql(compiler, connection, template="+%(expressions)s", **context)


def _of_agent(value: str) -> Any:
    key = _key(value)
    return None if key is None else Q(agent_id=key)


def _of_group(value: str) -> Any:
    key = _key(value)
    return None if key is None or not _users_have_groups() else Q(agent__in=Agent.objects.filter(user__groups=key))


def _of_exophone(value: str) -> Any:
    key = _key(value)
    if key is None:
        return None
    # One that was deleted and added again has the calls of both, as in the report's table.
    number = ExoPhone.objects.filter(pk=key).values("number")
    is_deleted = Q(IsNull(_Unindexed("exophone"), True), exophone_number__in=number)
    return Q(Exact(_Unindexed("exophone"), key)) | is_deleted


def _of_ticket_type(value: str) -> Any:
    if value == NO_TICKET:
        return IsNull(_Unindexed("ticket_content_type"), True)
    found = ticket_types().get(value)
    if found is None:
        return None
    kind = ContentType.objects.get_for_model(found.model, for_concrete_model=False)
    return Exact(_Unindexed("ticket_content_type"), kind.pk)


def _of_outcome(value: str) -> Any:
    match value:
        case "refused":
            return Q(state=State.REFUSED)
        case "open":
            return still_open
        case "never_confirmed":
            return never_confirmed
        case Outcome.UNKNOWN:
            return unknown
    return Q(state=State.ENDED, outcome=value) if value in Outcome.values else None


def _of_disposition(value: str) -> Any:
    key = _key(value)
    notes = CallNote.objects.filter(call=OuterRef("pk"))
    return None if key is None else Exists(notes.filter(Exact(_Unindexed("disposition"), key)))


_CONDITIONS = {
    "agent": _of_agent,
    "group": _of_group,
    "exophone": _of_exophone,
    "ticket_type": _of_ticket_type,
    "outcome": _of_outcome,
    "disposition": _of_disposition,
}


def sees_all_figures(user: Any) -> bool:
    """Return whether ``user`` may see the figures of all agents, and not only their own."""
    return Permission.VIEW_REPORTS.granted_to(user)


def calls_in_reach_of(user: Any) -> CallRecordQuerySet:
    """Return the calls whose figures ``user`` may see: all with ``view_reports``, else their own.

    Own calls are those that they placed, and those in which their own phone was to ring.
    """
    calls = CallRecord.objects.all()
    if sees_all_figures(user):
        return calls
    own_agents = list(Agent.objects.filter(user_id=user.pk).values_list("pk", flat=True))
    return calls.filter(Q(placed_by_id=user.pk) | Q(agent__in=own_agents))


@dataclass(frozen=True, slots=True)
class Choice:
    """A field of the form: its name in the address, its label, and the values with what people read."""

    name: str
    label: str
    options: list[tuple[str, str]]


def choices_for(user: Any, chosen: ReportFilter) -> list[Choice]:
    """Return the fields that ``user`` can filter by, each with at most :data:`MOST_CHOICES` values and the chosen one.

    Takes a statement for each of agents, groups, ExoPhones and dispositions, and another for each whose chosen value
    is not among the first. Who sees their own figures alone is not offered agents and groups.
    """
    people = _people(chosen) if sees_all_figures(user) else []
    exophones = _offered(ExoPhone.objects.order_by("-is_active", "number"), chosen.exophone)
    dispositions = _offered(Disposition.objects.order_by("position", "pk"), chosen.disposition)
    types = [(label, str(capfirst(one.model._meta.verbose_name))) for label, one in ticket_types().items()]
    results = [(value, str(label)) for value, label in (*Outcome.choices, *OTHER_RESULTS.items())]
    found = [
        *people,
        Choice("exophone", _("ExoPhone"), [(str(one.pk), str(one)) for one in exophones]),
        Choice("ticket_type", _("Kind of ticket"), [*types, (NO_TICKET, _("No ticket"))] if types else []),
        Choice("outcome", pgettext("telephony", "Outcome"), [(value, capfirst(text)) for value, text in results]),
        Choice("disposition", pgettext("telephony", "Disposition"), [(str(one.pk), one.label) for one in dispositions]),
    ]
    return [one for one in found if one.options]


def _offered(rows: QuerySet[Any], chosen: str) -> list[Any]:
    """Return the first of the rows, and the chosen one if it is behind them: the page says whose figures it shows."""
    offered, key = list(rows[:MOST_CHOICES]), _key(chosen)
    if key is not None and len(offered) == MOST_CHOICES and all(one.pk != key for one in offered):
        offered += rows.filter(pk=key)
    return offered


def _people(chosen: ReportFilter) -> list[Choice]:
    found = _offered(Agent.objects.order_by("-is_active", "name", "pk"), chosen.agent)
    agents = [(str(one.pk), str(one)) for one in found]
    groups: list[tuple[str, str]] = []
    if _users_have_groups():
        users = Agent.objects.exclude(user=None).values("user")
        with_agents = Group.objects.filter(user__in=users).distinct().order_by("name")
        groups = [(str(one.pk), one.name) for one in _offered(with_agents, chosen.group)]
    return [
        Choice("agent", pgettext("telephony", "Agent"), agents),
        Choice("group", pgettext("telephony", "Group of agents"), groups),
    ]


def _users_have_groups() -> bool:
    """Return whether the host's users are in groups of Django's: a model of its own may have none."""
    groups = getattr(get_user_model(), "groups", None)
    field = getattr(groups, "field", None)
    return field is not None and field.related_model is Group
