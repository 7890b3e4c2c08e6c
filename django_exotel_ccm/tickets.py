"""The host's objects that calls are about: which models, their phone numbers, and their names in ``custom_field``."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured, ObjectDoesNotExist, ValidationError
from django.db import router
from django.db.models import Model

from django_exotel_ccm import conf
from django_exotel_ccm.exceptions import InvalidNumber
from django_exotel_ccm.exotel.calls import OPTIONS, check_option
from django_exotel_ccm.phone_numbers import find_numbers, is_phone_number

ENTRY = ("prefix", "phone", "numbers", "can_call", "call")
MAX_VALUES = 100
"""How many values of one ticket are read for phone numbers."""
_PREFIX = re.compile(r"[a-z][a-z0-9]*")
_registered: dict[str, TicketType] = {}
_when_registered: list[Callable[[], None]] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketNumber:
    """One phone number of a ticket: E.164 in ``number``, or the reason in ``problem`` why it cannot be called."""

    label: str
    number: str = ""
    problem: str = ""
    note: str = ""
    """Words beside the number, such as "wife" or "x45". A person has to read them before the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketType:
    """One entry of ``TICKETS``: a model, its prefix in ``custom_field`` and where its phone numbers stand."""

    label: str
    prefix: str
    phone: tuple[str, ...] = ()
    numbers: Callable[[Any], Any] | str | None = None
    can_call: Callable[[Any, Any], bool] | str | None = None
    call: Mapping[str, Any] = field(default_factory=dict)
    """Options of ``place_call`` for a press of the button, such as ``recording``."""

    @property
    def model(self) -> type[Model]:
        """The model class. Raises ``ImproperlyConfigured`` if there is none of that name."""
        try:
            return apps.get_model(self.label)
        except (LookupError, ValueError):
            problem = f"EXOTEL_CCM['TICKETS'] names {self.label!r}, but there is no such model."
        raise ImproperlyConfigured(problem)

    def key(self, text: str) -> Any:
        """Return the primary key written in ``text``; None if that is no key of the model."""
        return _key(self.model, text)

    def allows(self, user: Any, ticket: Model) -> bool:
        """Return what the entry's ``can_call`` says about a call by ``user``; True if there is no ``can_call``."""
        if self.can_call is None:
            return True
        can_call = conf.load(self.can_call) if isinstance(self.can_call, str) else self.can_call
        return bool(can_call(user, ticket))


def register(
    model: type[Model] | str,
    *,
    prefix: str,
    phone: str | Iterable[str] | None = None,
    numbers: Callable[[Any], Any] | str | None = None,
    can_call: Callable[[Any, Any], bool] | str | None = None,
    call: Mapping[str, Any] | None = None,
) -> TicketType:
    """Declare that calls can be about objects of ``model`` (a class, or "app.Model").

    ``phone`` is an attribute path, such as "customer.phone", or several. ``numbers`` is instead a callable or its
    dotted path: it gets the ticket and returns one number, an iterable of numbers or of (label, number), or a dict of
    label: number. ``can_call(user, ticket)`` returns False to forbid a call. ``call`` holds options of ``place_call``
    for a press of the button, such as ``{"recording": True}``.

    Raises ``ImproperlyConfigured`` that says what to write.
    """
    label = model if isinstance(model, str) else model._meta.label
    options = {"prefix": prefix, "phone": phone, "numbers": numbers, "can_call": can_call, "call": call}
    given = {name: value for name, value in options.items() if value is not None}
    ticket_type = _new_type(label, given, ticket_types().values())
    _registered[ticket_type.label] = ticket_type
    for function in _when_registered:
        function()
    return ticket_type


def call_when_registered(function: Callable[[], None]) -> None:
    """Call ``function`` after each later :func:`register`."""
    if function not in _when_registered:
        _when_registered.append(function)


def unregister(model: type[Model]) -> None:
    """Undo :func:`register`."""
    _registered.pop(model._meta.label_lower, None)


def ticket_types() -> dict[str, TicketType]:
    """Return all ticket types by model label in lower case. One that is registered replaces that of the settings."""
    return _declared_in(conf.get_settings()) | _registered


@functools.lru_cache(maxsize=1)
def _declared_in(settings: conf.Settings) -> dict[str, TicketType]:
    found: dict[str, TicketType] = {}
    for label, options in settings.tickets.items():
        found[label.lower()] = _new_type(label, options, found.values())
    return found


def _new_type(label: str, options: Mapping[str, Any], known: Iterable[TicketType]) -> TicketType:
    """Return the checked entry; raises ``ImproperlyConfigured`` that says what to write."""
    unknown = sorted(set(options) - set(ENTRY))
    if unknown:
        raise ImproperlyConfigured(
            f"EXOTEL_CCM['TICKETS'][{label!r}] has no option {unknown[0]!r}. Known options: {', '.join(ENTRY)}."
        )
    phone = options.get("phone") or ()
    paths = tuple(phone) if isinstance(phone, Iterable) and not isinstance(phone, str) else (phone,)
    named = {"label": label.lower(), "prefix": options.get("prefix", ""), "phone": paths}
    ticket_type = TicketType(**{**options, **named})
    for problem in _problems_of(ticket_type, [other for other in known if other.label != ticket_type.label]):
        raise ImproperlyConfigured(f"The ticket type {ticket_type.label!r} {problem}")
    return ticket_type


def _problems_of(ticket_type: TicketType, others: Iterable[TicketType]) -> Iterator[str]:
    prefix, phone, call = ticket_type.prefix, ticket_type.phone, ticket_type.call
    same = [other.label for other in others if other.prefix == prefix]
    if not _PREFIX.fullmatch(str(prefix)):
        yield 'needs a prefix of small letters and digits. Write "prefix": "ticket".'
    if same:
        yield f"and {same[0]!r} share the prefix {prefix!r}. Give each its own."
    if bool(phone) == bool(ticket_type.numbers):
        yield 'needs either "phone", an attribute path such as "customer.phone", or "numbers", a callable.'
    if not all(isinstance(path, str) for path in phone):
        yield 'has a phone that is no attribute path. Write "phone": "customer.phone".'
    if not isinstance(call, dict) or set(call) - set(OPTIONS):
        yield f'has a "call" that is no dict of {", ".join(OPTIONS)}.'
        return
    try:
        for name, value in call.items():
            check_option(name, value)
    except (TypeError, ValueError) as error:
        yield f'has a wrong option in "call": {error}'


def type_of(ticket: Model | type[Model]) -> TicketType:
    """Return the ticket type of an object or a model, which may be a proxy or a child of a declared model.

    Raises ``ImproperlyConfigured`` for a model that is not declared.
    """
    # The admin of the child or proxy decides who sees which ticket, so the type has its label.
    return replace(declared_type(ticket), label=ticket._meta.label_lower)


def declared_type(ticket: Model | type[Model]) -> TicketType:
    """Return the ticket type as it is declared, whose model is the one that calls are linked to.

    Raises ``ImproperlyConfigured`` as :func:`type_of`.
    """
    types = ticket_types()
    # Not type(): of an object that Django loads lazily (SimpleLazyObject) that is no model.
    for base in ticket.__class__.__mro__ if isinstance(ticket, Model) else ticket.__mro__:
        meta = getattr(base, "_meta", None)
        if meta is not None and not meta.abstract and meta.label_lower in types:
            return types[meta.label_lower]
    label = ticket._meta.label
    raise ImproperlyConfigured(
        f"{label} is not declared as a ticket. "
        f'Write EXOTEL_CCM = {{"TICKETS": {{"{label}": {{"prefix": "…", "phone": "…"}}}}}}.'
    )


def link_of(ticket: Model) -> tuple[type[Model], str]:
    """Return the model and the key, as text, under which calls about ``ticket`` are stored.

    The model is the declared one, also for its children and proxies, so one ticket has one name. For a model that is
    not declared it is the model itself.
    """
    try:
        model = declared_type(ticket).model
    except ImproperlyConfigured:
        model = ticket.__class__
    return model, str(getattr(ticket, model._meta.pk.attname))


def custom_field(ticket: Model) -> str:
    """Return the ticket's name in Exotel's ``custom_field``: "<prefix>_<pk>"."""
    return f"{type_of(ticket).prefix}_{link_of(ticket)[1]}"


def model_of(text: str) -> type[Model] | None:
    """Return the model whose prefix a ``custom_field`` has; None if no model has it."""
    prefix, underscore, _key = text.partition("_")
    for ticket_type in ticket_types().values():
        if underscore and ticket_type.prefix == prefix:
            return ticket_type.model
    return None


def find(text: str, *, using: str | None = None) -> Model | None:
    """Return the ticket that a ``custom_field`` names; None if there is none. ``using`` is as in :func:`load`."""
    model = model_of(text)
    return None if model is None else load(model, text.partition("_")[2], using=using)


def load(model: type[Model], key_text: str, *, using: str | None = None) -> Model | None:
    """Return the object of ``model`` with the primary key written in ``key_text``; None if there is none.

    ``using`` is the database of the open transaction. If the model is stored there, it is read there and not from a
    replica.
    """
    key = _key(model, key_text)
    if key is None:
        return None
    rows = model._base_manager.all()
    if using is not None and router.allow_migrate_model(using, model):
        rows = rows.using(using)
    try:
        return rows.get(pk=key)
    except ObjectDoesNotExist:
        return None


def _key(model: type[Model], text: str) -> Any:
    field: Any = model._meta.pk
    while field.remote_field is not None:
        field = field.target_field  # the key of a child's parent
    try:
        key = field.to_python(text)
        field.run_validators(key)  # SQLite raises OverflowError for a number out of range
    except ValidationError:
        return None
    # int() also reads "1_0" and " 10", which are no names of ours; PostgreSQL cannot compare a NUL.
    return key if str(key) == text and "\0" not in text else None


# A ticket's phone numbers.


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
