"""The filters of each list. Imported only where django-filter is installed."""

from __future__ import annotations

import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import EMPTY_VALUES
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_filters import CharFilter, ChoiceFilter, Filter, FilterSet
from rest_framework import serializers

from django_exotel_ccm import tickets
from django_exotel_ccm.api.errors import Forbidden, invalid_fields
from django_exotel_ccm.api.moments import Moment
from django_exotel_ccm.choices import DoNotCallSource, Origin, Outcome, Permission, State
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.models import CallRecord, DoNotCall, FollowUp
from django_exotel_ccm.models.ticket_link import link_key_of
from django_exotel_ccm.phone_numbers import parse_number

LARGEST = 2**63 - 1  # a 64-bit key
LARGEST_TIME = 2**31 - 1


class _Moment(forms.Field):
    """A moment that every database can compare: in another zone it must still be in a year that there is."""

    default_error_messages = {"invalid": gettext_lazy("Write a moment as 2026-11-26T10:00:00Z.")}

    def to_python(self, value: Any) -> datetime.datetime | None:
        """Return the moment as a column holds it."""
        if value in self.empty_values:
            return None
        try:
            moment = Moment().to_internal_value(value.strip())
        except serializers.ValidationError:
            moment = None
        if moment is None or moment.year not in range(1900, 2200):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return moment


class _MomentFilter(Filter):
    field_class = _Moment
    schema = {"type": "string", "format": "date-time"}


class _WholeNumberFilter(Filter):
    field_class = forms.IntegerField

    def __init__(self, *args: Any, max_value: int = LARGEST, **kwargs: Any) -> None:
        super().__init__(*args, min_value=0, max_value=max_value, **kwargs)
        self.schema = {"type": "integer", "minimum": 0, "maximum": max_value}


class _Described(FilterSet):
    """Filters, each with the help text that describes it. ``request`` is the view of the API."""

    @classmethod
    def parameters(cls) -> list[dict[str, Any]]:
        """Return the filters as OpenAPI describes them."""
        return [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": str(one.extra.get("help_text", "")),
                "schema": _schema_of(one),
            }
            for name, one in cls.base_filters.items()
        ]

    def by_ticket(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the rows about the ticket; none if there is no such ticket, or the user may not see it."""
        view: Any = self.request
        model, key = tickets.model_of(value), value.partition("_")[2]
        if model is None:
            return queryset.none()
        may_see = Permission.VIEW_ALL_CALLS.granted_to(view.request.user) or view.adapter.visible_tickets(
            view.http_request, tickets.type_of(model), [key]
        )
        content_type, text = link_key_of(model, key)
        return queryset.filter(ticket_content_type=content_type, ticket_object_id=text) if may_see else queryset.none()

    def by_number(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the rows with the number. Who may not see numbers may not try them either."""
        view: Any = self.request
        if not Permission.VIEW_NUMBER.granted_to(view.request.user):
            raise Forbidden(Permission.VIEW_NUMBER)
        try:
            return queryset.filter(**{name: parse_number(value)})
        except InvalidNumber as error:
            raise invalid_fields({name: [str(error)]}) from None

    def by_user(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the rows of the user with the key, as the host's model writes it."""
        field: Any = queryset.model._meta.get_field(name).target_field
        try:
            key = field.to_python(value)
            field.run_validators(key)  # SQLite raises OverflowError for a number out of range
        except ValidationError:
            raise invalid_fields({name: [_("That is no key of a user.")]}) from None
        return queryset.filter(**{f"{name}_id": key})


def _schema_of(one: Filter) -> dict[str, Any]:
    if isinstance(one, ChoiceFilter):
        return {"type": "string", "enum": [str(value) for value, _label in one.extra["choices"]]}
    if isinstance(one, CharFilter):
        return {"type": "string", "minLength": 1, "maxLength": one.extra["max_length"]}
    schema: dict[str, Any] = one.schema
    return schema


def _moments(column: str, what: str) -> list[Filter]:
    words = {"gte": "at or after", "gt": "after", "lte": "at or before", "lt": "before"}
    return [
        _MomentFilter(field_name=column, lookup_expr=lookup, help_text=f"{what} {word} this moment (ISO 8601).")
        for lookup, word in words.items()
    ]


def _seconds(column: str, what: str) -> list[Filter]:
    words = {"gte": "at least", "gt": "more than", "lte": "at most", "lt": "less than"}
    return [
        _WholeNumberFilter(
            field_name=column, lookup_expr=lookup, max_value=LARGEST_TIME, help_text=f"{what} {word} so many seconds."
        )
        for lookup, word in words.items()
    ]


_ABOUT = "The ticket by its name, such as ticket_7."


MOST_DAYS = 366
_SPAN = ("created_at__gte", "created_at__gt", "created_at__lte", "created_at__lt")
_BOUNDING = ({"agent"}, {"placed_by"}, {"ticket"}, {"customer_number"}, {"account", "call_sid"})
"""Filters with an index of their own, which bounds what is read to the calls of one agent, one ticket and so on."""
_INDEXED = {"state", *_SPAN}
"""Filters with an index in the order of the list: a page of them reads no more than it shows."""


class CallFilters(_Described):
    """What a list of calls can be filtered by."""

    state = ChoiceFilter(choices=State.choices, help_text="How far the call has come.")
    outcome = ChoiceFilter(choices=Outcome.choices, help_text="How it ended.")
    origin = ChoiceFilter(choices=Origin.choices, help_text="Where it was placed.")
    refusal_code = CharFilter(max_length=40, help_text="Exotel's code, or the name of the rule that said no.")
    account = CharFilter(max_length=50, help_text="The Exotel account, by its alias.")
    call_sid = CharFilter(max_length=64, help_text="Exotel's name for the call.")
    agent = _WholeNumberFilter(field_name="agent_id", help_text="The id of the agent who rings first.")
    exophone = _WholeNumberFilter(field_name="exophone_id", help_text="The id of the ExoPhone.")
    placed_by = CharFilter(method="by_user", max_length=128, help_text="The key of the user who placed it.")
    ticket = CharFilter(method="by_ticket", max_length=128, help_text=_ABOUT)
    customer_number = CharFilter(
        method="by_number", max_length=64, help_text="The customer's number; needs view_customer_number."
    )
    created_at__gte, created_at__gt, created_at__lte, created_at__lt = _moments("created_at", "Placed")
    talk_time__gte, talk_time__gt, talk_time__lte, talk_time__lt = _seconds("talk_time", "Talked for")

    class Meta:
        model = CallRecord
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows. One request may not read every call that there ever was: 400 for what would."""
        given = {name for name, value in self.form.cleaned_data.items() if value not in EMPTY_VALUES}
        unbounded = sorted(given - _INDEXED)
        if unbounded and not any(one <= given for one in _BOUNDING) and not self._is_short():
            told = _("With %(names)s write created_at__gte, too: at most %(days)d days before created_at__lte or now.")
            raise invalid_fields({"created_at__gte": [told % {"names": ", ".join(unbounded), "days": MOST_DAYS}]})
        filtered: QuerySet[Any] = super().filter_queryset(queryset)
        return filtered

    def _is_short(self) -> bool:
        """Return whether the moments of the address are no further apart than ``MOST_DAYS``."""
        first, since, last, until = (self.form.cleaned_data[name] for name in _SPAN)
        starts = [one for one in (first, since) if one is not None]
        ends = [one for one in (last, until, timezone.now()) if one is not None]
        # Whole days: who follows next from page to page needs time, and the present goes on.
        return bool(starts) and (min(ends) - max(starts)).days <= MOST_DAYS


class FollowUpFilters(_Described):
    """What a list of call-backs can be filtered by."""

    # Not a BooleanFilter, which takes what it cannot read for no filter.
    is_done = ChoiceFilter(
        choices=[("true", "true"), ("false", "false")], method="by_done", help_text="Whether it is settled."
    )
    ticket = CharFilter(method="by_ticket", max_length=128, help_text=_ABOUT)
    assigned_to = CharFilter(method="by_user", max_length=128, help_text="The key of the user who is to call.")
    due_at__gte, due_at__gt, due_at__lte, due_at__lt = _moments("due_at", "Due")

    class Meta:
        model = FollowUp
        fields: list[str] = []

    def by_done(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the rows that are settled, or those that are not."""
        return queryset.exclude(Q(done_at=None)) if value == "true" else queryset.filter(done_at=None)


class DoNotCallFilters(_Described):
    """What the do-not-call list can be filtered by."""

    number = CharFilter(method="by_number", max_length=64, help_text="The number; needs view_customer_number.")
    source = ChoiceFilter(choices=DoNotCallSource.choices, help_text="How the number came here.")

    class Meta:
        model = DoNotCall
        fields: list[str] = []
