"""Tickets: whether their numbers can be read, by a sample of rows of each type."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.db.models import Model
from django.utils.translation import gettext as _

from django_exotel_ccm import conf, tickets
from django_exotel_ccm.diagnosis.finding import Finding, Run, ok
from django_exotel_ccm.diagnosis.suggested_tickets import suggest_tickets
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.services.readiness import load_related
from django_exotel_ccm.ticket_numbers import TicketNumber, numbers_of
from django_exotel_ccm.tickets import TicketType

NAME = "ticket_numbers"
SAMPLE = 50  # the newest tickets of each type


def check_ticket_numbers(run: Run) -> Iterator[Finding]:
    """Read the numbers of the newest tickets of each type, as the button does."""
    try:
        types = tickets.ticket_types().values()
    except ImproperlyConfigured:
        return  # a system check says what is wrong
    if not types and not CallRecord.objects.exists():  # with calls, it is code that places them
        yield _no_tickets()
    for ticket_type in types:
        try:
            model = ticket_type.model
        except ImproperlyConfigured:
            continue
        yield _look(ticket_type, model)


def _no_tickets() -> Finding:
    entries = suggest_tickets() or ['"app.Model": {"prefix": "…", "phone": "…"}']
    return Finding(
        name=NAME,
        message=_("No model is a ticket."),
        why=_("There is no button yet."),
        fix=_("Write in EXOTEL_CCM of the settings, of these what you call about: %(entries)s")
        % {"entries": '"TICKETS": {' + ", ".join(entries) + "}"},
    )


def _look(ticket_type: TicketType, model: type[Model]) -> Finding:
    names: dict[str, Any] = {"model": model._meta.label}
    try:
        found = list(model._default_manager.order_by("-pk")[:SAMPLE])
        load_related(ticket_type, found)
        read, unreadable, without = _read(found)
    except DatabaseError:
        message = _("%(model)s: its rows cannot be read from here.") % names
        if conf.get_settings().work_context:
            # Where each tenant has tables of its own, there may be none outside of a tenant's work.
            return ok(name=NAME, message=message)
        return Finding(
            name=NAME, message=message, why=_("Its button can call nobody."), fix=_("Type: python manage.py migrate")
        )
    except Exception as error:  # noqa: BLE001 - the host's own code may raise anything
        return Finding(
            name=NAME,
            message=_("%(model)s: reading a ticket's numbers raises %(error)s, at %(place)s.")
            % {**names, "error": type(error).__name__, "place": _place_of(error)},
            why=_("Its button can call nobody."),
            fix=_("Correct the code there, or the entry of %(model)s in EXOTEL_CCM['TICKETS'].") % names,
        )
    return _judge(names | {"tickets": len(found), "read": read, "unreadable": unreadable, "without": without})


def _judge(names: dict[str, Any]) -> Finding:
    """Return what the counts in ``names`` mean."""
    if not names["tickets"]:
        return ok(name=NAME, message=_("%(model)s: there is no ticket yet.") % names)
    if names["unreadable"] and names["unreadable"] >= names["read"]:
        return Finding(
            name=NAME,
            message=_(
                "%(model)s, newest tickets: %(tickets)s. Numbers that cannot be read: %(unreadable)s; "
                "that can: %(read)s."
            )
            % names,
            why=_("What cannot be read with certainty is not dialled."),
            fix=_("Write numbers with their country code, or set NUMBER_REGION to the country that they belong to."),
        )
    if not names["read"]:
        return Finding(
            name=NAME,
            message=_("%(model)s, newest tickets: %(tickets)s. None has a phone number.") % names,
            why=_("Its button can call nobody."),
            fix=_('Correct "phone" or "numbers" of %(model)s in EXOTEL_CCM[\'TICKETS\'].') % names,
        )
    return ok(
        name=NAME,
        message=_(
            "%(model)s: newest tickets %(tickets)s, numbers that can be called %(read)s, that cannot be read "
            "%(unreadable)s; tickets without a number %(without)s."
        )
        % names,
    )


def _read(found: Sequence[Model]) -> tuple[int, int, int]:
    """Return how many numbers can be read and how many cannot, and how many tickets have none."""
    numbers = [_numbers_of(ticket) for ticket in found]
    every = [number for of_one in numbers for number in of_one]
    read = sum(bool(number.number) for number in every)
    return read, len(every) - read, sum(not of_one for of_one in numbers)


def _numbers_of(ticket: Model) -> list[TicketNumber]:
    with conf.get_settings().work_context_for(CallRecord(ticket=ticket)):
        return numbers_of(ticket)


def _place_of(error: Exception) -> str:
    """Return file and line where an exception was raised. Its text may quote a number, so it is left out."""
    frames: Any = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
