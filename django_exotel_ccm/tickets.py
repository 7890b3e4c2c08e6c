"""The host's objects that calls are about: which models, and their names in ``custom_field``."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist, ValidationError
from django.db import router
from django.db.models import Model

from django_exotel_ccm import conf
from django_exotel_ccm.exotel.call_request import OPTIONS, check_option

ENTRY = ("prefix", "phone", "numbers", "can_call", "call")
_PREFIX = re.compile(r"[a-z][a-z0-9]*")
_registered: dict[str, TicketType] = {}
_when_registered: list[Callable[[], None]] = []


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
