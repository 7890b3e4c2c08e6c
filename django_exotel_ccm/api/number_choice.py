"""Which number a POST calls: what its ``to`` stands for, and who may write a number there."""

from __future__ import annotations

import re
from typing import Any

from django.db.models import Model
from django.http import Http404
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from django_exotel_ccm import tickets
from django_exotel_ccm.api.base import BaseView
from django_exotel_ccm.api.errors import Conflict, Forbidden, invalid_fields
from django_exotel_ccm.api.tickets import visible_ticket
from django_exotel_ccm.choices import Permission
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.masking import visible_to
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.phone_numbers import parse_number
from django_exotel_ccm.services.readiness import NumbersUnreadable, read_numbers
from django_exotel_ccm.services.selection import choose_number, number_token

_TOKEN = re.compile(r"[0-9a-f]{32}")


def check_may_write_number(user: Any, to: str) -> None:
    """Raise when ``to`` is a number, and the user neither sees numbers nor dials any.

    Asked first of all, also of a request that is sent again: each later answer would tell whether it is the customer's.
    """
    allowed = (Permission.ANY_NUMBER, Permission.VIEW_NUMBER)
    if to and not _TOKEN.fullmatch(to) and not any(one.granted_to(user) for one in allowed):
        raise Forbidden(Permission.ANY_NUMBER)


def number_to_call(user: Any, ticket: Model, to: str) -> str | None:
    """Return the number that ``to`` stands for; None to leave it to the ticket."""
    is_token = _TOKEN.fullmatch(to) is not None
    try:
        if to and not is_token and not Permission.ANY_NUMBER.granted_to(user):
            return _own_number(ticket, to)
        number = choose_number(user, ticket, named=to if is_token else "", typed="" if is_token else to)
    except InvalidNumber as error:
        raise invalid_fields({"to": [str(error)]}) from None
    except NumbersUnreadable as error:
        raise Conflict("numbers_unreadable", str(error)) from None
    if number is None and is_token:
        raise invalid_fields({"to": [_("The ticket does not have this number any more.")]})
    return number


def _own_number(ticket: Model, to: str) -> str:
    """Return the number if it is one of the ticket's."""
    number = parse_number(to)
    if any(one.number == number for one in read_numbers(ticket)):
        return number
    raise Forbidden(Permission.ANY_NUMBER)


def is_number_of(call: CallRecord, to: str) -> bool:
    """Return whether ``to`` stands for the number that was called, as far as the call's first ticket still says."""
    if _TOKEN.fullmatch(to):
        ticket = tickets.find(call.custom_field)
        return ticket is None or constant_time_compare(number_token(ticket, call.customer_number), to)
    try:
        return parse_number(to) == call.customer_number
    except InvalidNumber:
        return False


def number_choices(view: BaseView, ticket_name: str) -> list[dict[str, str]]:
    """Return the numbers of a ticket that has several, each with the ``to`` that stands for it; [] if it is gone."""
    try:
        _ticket_type, ticket = visible_ticket(view.http_request, view.adapter, ticket_name)
        numbers = read_numbers(ticket)
    except (Http404, NumbersUnreadable):
        return []
    user = view.request.user
    return [
        {"label": one.label, "number": visible_to(one.number, user), "to": number_token(ticket, one.number)}
        for one in numbers
        if one.number
    ]
