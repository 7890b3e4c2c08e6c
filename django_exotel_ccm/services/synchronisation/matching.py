"""Whose phone a co-worker's is: ``AGENT_MATCH`` finds the Django user of an Exotel user."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from django_exotel_ccm import conf
from django_exotel_ccm.exotel.directory import ExotelUser

logger = logging.getLogger("django_exotel_ccm.services")


class Match(NamedTuple):
    """The user of a co-worker, or None; ``note`` says in a sentence what was odd about it."""

    user: Any = None
    note: str = ""


def match_users(users: Sequence[ExotelUser]) -> dict[str, Match]:
    """Return for each Exotel user, by id, the Django user whom ``AGENT_MATCH`` says. Users are never created."""
    path = conf.get_settings().agent_match
    if path != conf.BY_EMAIL:
        match = conf.load(path)
        return {user.id: _of_host(match, user) for user in users}
    found = _users_by_email({fold(user.email) for user in users if user.email})
    return {user.id: _by_email(user, found.get(fold(user.email), [])) for user in users}


def fold(email: str) -> str:
    """Return the form in which two spellings of an e-mail address are equal."""
    return email.strip().casefold()


def _by_email(user: ExotelUser, found: list[Any]) -> Match:
    if len(found) <= 1:
        return Match(found[0] if found else None)
    text = _("%(name)s: several users have the e-mail %(email)s, so none was linked.")
    return Match(note=text % {"name": user.name, "email": user.email})


def _users_by_email(emails: set[str]) -> dict[str, list[Any]]:
    """Return the active Django users with these e-mail addresses, with one query."""
    model = get_user_model()
    name = model.get_email_field_name()
    found: dict[str, list[Any]] = defaultdict(list)
    try:
        model._meta.get_field(name)
    except FieldDoesNotExist:
        return found
    if emails:
        # A database may fold fewer letters than Python, and then finds nobody; it never finds too many.
        rows = model._default_manager.annotate(exotel_folded=Lower(name)).filter(exotel_folded__in=emails)
        for user in rows.order_by("pk"):
            if getattr(user, "is_active", True):
                found[fold(getattr(user, name))].append(user)
    return found


def _of_host(match: Callable[..., Any], user: ExotelUser) -> Match:
    """Ask the host's callable. Its error concerns one co-worker, and not the run."""
    try:
        found = match(user)
        if found is not None and (not isinstance(found, get_user_model()) or found.pk is None):
            raise TypeError(f"AGENT_MATCH returned {type(found).__name__}, which is no saved user")
    except Exception:
        logger.exception("AGENT_MATCH failed for the Exotel user %s.", user.id)
        return Match(note=_("%(name)s: AGENT_MATCH failed, see the log.") % {"name": user.name})
    return Match(found)
