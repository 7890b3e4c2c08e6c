"""The newest call of each ticket on the list of tickets, and the filter for what was called today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db.models import Count, F, Max, Min, Model, OuterRef, Q, Subquery, Window
from django.db.models.functions import RowNumber
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext, pgettext_lazy

from django_exotel_ccm import tickets
from django_exotel_ccm.choices import State
from django_exotel_ccm.descriptions import describe_age, describe_result
from django_exotel_ccm.local_time import start_of_today
from django_exotel_ccm.models import CallRecord, FollowUp
from django_exotel_ccm.models.call_queryset import in_progress_of
from django_exotel_ccm.models.ticket_link import LinkKey, about, link_key
from django_exotel_ccm.timeline import icon_of

MOST_KEYS = 10_000
"""To how many tickets the filter narrows a list at most: they are parameters of the host's own query. The page says
so when there are more."""


@dataclass
class ListedCalls:
    """What a list of tickets shows of calls, by ``link_key(ticket)``. Takes one statement."""

    newest: dict[LinkKey, CallRecord] = field(default_factory=dict)
    own: dict[LinkKey, CallRecord] = field(default_factory=dict)
    """The newest that the user placed."""
    attempts: dict[LinkKey, int] = field(default_factory=dict)
    """How many calls were placed today; refused ones are none."""
    in_progress: CallRecord | None = None

    @classmethod
    def load(cls, user: Any, rows: Sequence[Model]) -> ListedCalls:
        """Return the calls about these tickets, and the user's call in progress."""
        listed = cls()
        for call in _newest_about(rows, user):
            key, is_own = call.link_key, call.placed_by_id == user.pk
            listed.newest.setdefault(key, call)
            listed.attempts[key] = call.attempts_today or 0
            if is_own and (key not in listed.own or call.pk > listed.own[key].pk):
                listed.own[key] = call
            if is_own and call.is_in_progress and listed.in_progress is None:
                listed.in_progress = call
        return listed


def _newest_about(rows: Sequence[Model], user: Any) -> Any:
    """Return the newest call about each ticket, the newest of those that ``user`` placed, and theirs in progress.

    The newest first. Those in progress may be about other tickets.
    """
    ticket = [F("ticket_content_type"), F("ticket_object_id")]
    # By its time: a call that was placed elsewhere is stored later than it was placed, so its key says nothing.
    by_time = Window(RowNumber(), partition_by=ticket, order_by=["-created_at", "-pk"])
    by_user = Window(RowNumber(), partition_by=[*ticket, F("placed_by")], order_by=["-pk"])
    numbered = CallRecord.objects.filter(about(*rows) | in_progress_of(user)).annotate(by_time=by_time, by_user=by_user)
    is_shown = Q(by_time=1) | Q(by_user=1, placed_by_id=user.pk) | in_progress_of(user)
    same = {name: OuterRef(name) for name in ("ticket_content_type", "ticket_object_id")}
    of_today = CallRecord.objects.filter(**same, created_at__gte=start_of_today()).exclude(state=State.REFUSED)
    attempts = of_today.order_by().values("ticket_content_type").annotate(count=Count("pk")).values("count")
    shown = CallRecord.objects.filter(pk__in=numbered.filter(is_shown).values("pk")).select_related("agent")
    return shown.annotate(attempts_today=Subquery(attempts)).newest_first()


class LastCallColumn:
    """The list's column with each ticket's newest call, for one request."""

    __name__ = "exotel_last_call"
    short_description = gettext_lazy("last call")

    def __init__(self, user: Any) -> None:
        self._user = user
        self.listed = ListedCalls()

    def __call__(self, ticket: Model) -> str:
        """Return how the call went, how often the ticket was called today, and how long ago."""
        key = link_key(ticket)
        call = self.listed.newest.get(key)
        if call is None:
            return pgettext("telephony", "never")
        attempts = self.listed.attempts.get(key, 0)
        result = describe_result(call, self._user)
        several = ngettext("%(result)s, %(count)d time today", "%(result)s, %(count)d times today", attempts)
        context = {
            "call": call,
            "icon": icon_of(call),
            "result": several % {"result": result, "count": attempts} if attempts > 1 else result,
            "age": describe_age(call.created_at),
        }
        return render_to_string("exotel_ccm/last_call.html", context)


class CalledTodayFilter(admin.SimpleListFilter):
    """Tickets by today's calls in the current time zone, and those whose call-back is due.

    The keys are made in Python, since calls keep the ticket's key as text.
    """

    title = pgettext_lazy("telephony", "calls")
    parameter_name = "exotel_calls"
    is_cut = False
    """Whether more than :data:`MOST_KEYS` tickets are of the chosen kind."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer three choices besides all."""
        self._type = tickets.declared_type(model_admin.model)
        return [
            ("not_reached", gettext_lazy("Not reached today")),
            ("reached", gettext_lazy("Reached today")),
            ("due", gettext_lazy("Call back due")),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the tickets of the chosen kind: at most :data:`MOST_KEYS`."""
        match self.value():
            case "not_reached":
                texts = self._called_today().filter(talked=0)
            case "reached":
                texts = self._called_today().filter(talked__gt=0)
            case "due":
                due = FollowUp.objects.due(timezone.now()).filter(ticket_content_type=self._kind())
                by_ticket = due.order_by().values("ticket_object_id").annotate(first=Min("due_at"))
                texts = by_ticket.order_by("first", "ticket_object_id").values_list("ticket_object_id", flat=True)
            case _value:
                return queryset
        found = list(texts[: MOST_KEYS + 1])
        self.is_cut = len(found) > MOST_KEYS
        keys = [key for key in map(self._type.key, found[:MOST_KEYS]) if key is not None]
        # A child with a key of its own has inherited this field, too.
        return queryset.filter(**{f"{self._type.model._meta.pk.name}__in": keys})

    def _kind(self) -> ContentType:
        return ContentType.objects.get_for_model(self._type.model, for_concrete_model=False)

    def _called_today(self) -> Any:
        """Return the keys of the tickets that were called today, each with the longest talk of the day."""
        # The states by name, not "all but refused": so each is a range of the index.
        placed = [state for state in State if state != State.REFUSED]
        of_today = CallRecord.objects.filter(state__in=placed, created_at__gte=start_of_today())
        calls = of_today.filter(ticket_content_type=self._kind())
        by_ticket = calls.order_by("ticket_object_id").values("ticket_object_id")
        longest = by_ticket.annotate(talked=Max("talk_time", default=0))
        return longest.values_list("ticket_object_id", flat=True)


def said_of_cut_filter(changelist: Any) -> str:
    """Return what to say above a list that our filter has cut; "" if it shows every ticket of the chosen kind."""
    if not any(isinstance(one, CalledTodayFilter) and one.is_cut for one in changelist.filter_specs):
        return ""
    most = number_format(MOST_KEYS, force_grouping=True)
    return _("More than %(most)s tickets belong here. Some may be missing in this list.") % {"most": most}
