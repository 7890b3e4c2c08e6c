"""Who calls which number from which ExoPhone: what a user may choose for a call, on a page or over the API."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.utils.crypto import constant_time_compare, salted_hmac

from django_exotel_ccm.choices import Permission
from django_exotel_ccm.models import Agent, ExoPhone
from django_exotel_ccm.phone_numbers import parse_number
from django_exotel_ccm.services.placing import agents_for
from django_exotel_ccm.services.readiness import read_numbers
from django_exotel_ccm.ticket_numbers import only_number

MAX_KEY_DIGITS = 18  # every such number is a 64-bit key


def whole_number(text: str) -> int | None:
    """Return the number that ``text`` writes in decimal digits; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_KEY_DIGITS else None


def choose_agent(user: object, wanted: str) -> Agent | None:
    """Return the agent with the key ``wanted``, else the user's only one; None when the user has to choose.

    Raises ``PermissionDenied`` for an agent that the user may not use.
    """
    own = agents_for(user)
    if not wanted:
        return own[0] if len(own) == 1 else None
    found = next((agent for agent in own if str(agent.pk) == wanted), None)
    key = whole_number(wanted)
    if found is None and key is not None and Permission.FOR_OTHERS.granted_to(user):
        found = Agent.objects.active().select_related("exophone").filter(pk=key).first()
    if found is None:
        raise PermissionDenied
    return found


def choose_exophone(user: object, wanted: str) -> ExoPhone | None:
    """Return the active ExoPhone with the key ``wanted``; None when the user leaves the choice to ``EXOPHONE_CHOICE``.

    Raises ``PermissionDenied`` without the permission, and ``ExoPhone.DoesNotExist`` for one that is gone.
    """
    if not wanted:
        return None
    if not Permission.CHOOSE_EXOPHONE.granted_to(user):
        raise PermissionDenied
    key = whole_number(wanted)
    if key is None:
        raise ExoPhone.DoesNotExist
    return ExoPhone.objects.get(pk=key, is_active=True)


def number_token(ticket: Model, number: str) -> str:
    """Return what stands for a number in a form, because users who may not see a number may still call it."""
    value = f"{ticket._meta.label_lower}|{ticket.pk}|{number}"
    return salted_hmac("django_exotel_ccm.number", value, algorithm="sha256").hexdigest()[:32]


def choose_number(user: object, ticket: Model, *, named: str, typed: str) -> str | None:
    """Return the number (E.164) to call; None when the user has to choose.

    ``typed`` is a number, ``named`` the :func:`number_token` of one of the ticket's. Without both it is the ticket's
    only number. Raises ``PermissionDenied`` for a typed number without the permission, ``InvalidNumber`` for text that
    is no number, and :class:`~.readiness.NumbersUnreadable`.
    """
    if typed:
        # Refused before it is read or compared, because the answer would tell whether it is the ticket's.
        if not Permission.ANY_NUMBER.granted_to(user):
            raise PermissionDenied
        return parse_number(typed)
    numbers = [one for one in read_numbers(ticket) if one.number]
    if named:
        tokens = {one.number: number_token(ticket, one.number) for one in numbers}
        return next((number for number, token in tokens.items() if constant_time_compare(token, named)), None)
    return only_number(numbers) or None
