"""A ticket's phone numbers: where its entry in ``TICKETS`` says that they stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ObjectDoesNotExist
from django.db.models import Model

from django_exotel_ccm import conf
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.phone_numbers import find_numbers, is_phone_number
from django_exotel_ccm.tickets import TicketType, type_of

MAX_VALUES = 100
"""How many values of one ticket are read for phone numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketNumber:
    """One phone number of a ticket: E.164 in ``number``, or the reason in ``problem`` why it cannot be called."""

    label: str
    number: str = ""
    problem: str = ""
    note: str = ""
    """Words beside the number, such as "wife" or "x45". A person has to read them before the call."""


def numbers_of(ticket: Model) -> list[TicketNumber]:
    """Return the ticket's phone numbers, each once. Those that cannot be called say why; empty values are left out.

    A text may hold several numbers. At most ``MAX_VALUES`` values are read: an iterable may have no end.
    """
    found: dict[str, TicketNumber] = {}
    for label, value in islice(_labelled(type_of(ticket), ticket), MAX_VALUES):
        for number in _read_numbers(label, value):
            key = number.number or f"{label}: {number.problem}"
            known = found.setdefault(key, number)
            found[key] = replace(known, note=known.note or number.note)
    return list(found.values())


def only_number(numbers: Iterable[TicketNumber]) -> str:
    """Return the only number that can be called (E.164); "" if there is none, several, or one with a note."""
    usable = [one for one in numbers if one.number]
    return usable[0].number if len(usable) == 1 and not usable[0].note else ""


def number_holder(ticket: Model) -> Model:
    """Return the object that has the ticket's number: the one on its first phone path, else the ticket itself."""
    relations = next(iter(type_of(ticket).phone), "").rpartition(".")[0]
    holder = _follow(ticket, relations) if relations else None
    return holder if isinstance(holder, Model) else ticket


def customer_of(ticket: Model, number: str) -> Model | None:
    """Return the row, other than the ticket, that has the number (E.164) at a phone path; None if there is none."""
    for path in type_of(ticket).phone:
        relations = path.rpartition(".")[0]
        holder = _follow(ticket, relations) if relations else None
        if isinstance(holder, Model):
            values = islice(_spread("", _follow(ticket, path)), MAX_VALUES)
            if any(one.number == number for label, value in values for one in _read_numbers(label, value)):
                return holder
    return None


def _labelled(ticket_type: TicketType, ticket: Model) -> Iterable[tuple[str, Any]]:
    if ticket_type.numbers is None:
        for path in ticket_type.phone:
            yield from _spread(_name_of(ticket.__class__, path), _follow(ticket, path))
        return
    numbers = conf.load(ticket_type.numbers) if isinstance(ticket_type.numbers, str) else ticket_type.numbers
    yield from _spread("", numbers(ticket))


def _name_of(model: type[Model] | None, path: str) -> str:
    """Return a phone path as the host's own forms call its fields, in the active language; else the words it is of."""
    words = []
    for name in path.split("."):
        try:
            found: Any = model._meta.get_field(name) if model is not None else None
        except FieldDoesNotExist:
            found = None
        words.append(str(getattr(found, "verbose_name", name.replace("_", " "))))
        model = getattr(found, "related_model", None)
    return " ".join(words)


def _follow(ticket: Model, path: str) -> Any:
    value: Any = ticket
    for name in path.split("."):
        try:
            value = getattr(value, name)
        except ObjectDoesNotExist:
            return None
        except AttributeError as error:
            if error.name != name or error.obj is not value:
                raise  # the host's own, from inside a property
            raise ImproperlyConfigured(
                f"The phone path {path!r} of {ticket._meta.label} leads nowhere: "
                f"{type(value).__name__} has no attribute {name!r}."
            ) from None
        if value is None:
            return None
    return value() if callable(value) else value


def _spread(label: str, value: Any) -> Iterable[tuple[str, Any]]:
    """Yield (label, number) for one number, for an iterable of numbers or of such pairs, and for a mapping."""
    if is_phone_number(value) or not isinstance(value, Iterable) or isinstance(value, bytes):
        yield label, value
        return
    for item in value.items() if isinstance(value, Mapping) else value:
        match item:
            case (name, number):
                yield str(name or label), number
            case (number,):  # a row of QuerySet.values_list
                yield label, number
            case _:
                yield label, item


def _read_numbers(label: str, value: object) -> list[TicketNumber]:
    try:
        found = find_numbers(value)
    except InvalidNumber as error:
        return [TicketNumber(label=label, problem=str(error))]
    labels = [one.label or (str(place) if len(found) > 1 else "") for place, one in enumerate(found, 1)]
    return [
        TicketNumber(label=" ".join(filter(None, (label, its))), number=one.number, note=one.note)
        for its, one in zip(labels, found, strict=True)
    ]
