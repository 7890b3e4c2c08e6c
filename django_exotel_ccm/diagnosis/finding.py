"""A finding: what one check found, in plain sentences."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from django_exotel_ccm import accounts
from django_exotel_ccm.exotel.account import Account
from django_exotel_ccm.models import Agent

logger = logging.getLogger("django_exotel_ccm.diagnosis")

LONGEST_REQUEST = 8.0  # seconds
SHORTEST_REQUEST = 3.0  # seconds
LONGEST_RUN = 45.0  # seconds for all requests together: gunicorn's worker has 75 by our own advice


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is right, or what is wrong, why it matters, and what exactly to type or to click. No text has a secret."""

    name: str
    ok: bool = False
    message: str
    why: str = ""
    fix: str = ""


ok = partial(Finding, ok=True)


def failed(name: str, error: Exception) -> Finding:
    """Return the finding that a check itself raised an exception, which is logged. Its text may hold a secret."""
    logger.error("The check %s failed.", name, exc_info=error)
    return Finding(
        name=name,
        message=_("This check failed with %(error)s: %(name)s.") % {"error": type(error).__name__, "name": name},
        why=_("What it looks at may be wrong as well."),
        fix=_("Look at the log below django_exotel_ccm.diagnosis."),
    )


@dataclass(slots=True)
class Run:
    """One run of all checks: its accounts, its time, and what a check leaves to later ones."""

    accounts: Mapping[str, Account] = field(default_factory=dict)
    ends_at: float = field(default_factory=lambda: time.monotonic() + LONGEST_RUN)
    has_database: bool = True
    reached: set[str] = field(default_factory=set)
    """The aliases of the accounts whose key Exotel accepts."""
    processes: set[str] = field(default_factory=set)
    """The processes of the site that have answered a probe."""
    linked: list[Agent] = field(default_factory=list)
    """Active agents with the users who press for them; no more than are asked about their permissions."""

    def seconds(self, most: float = LONGEST_REQUEST) -> float:
        """Return how long the next request may take."""
        return min(most, max(self.ends_at - time.monotonic(), SHORTEST_REQUEST))

    @property
    def is_over(self) -> bool:
        """Whether the time is too short for another request. What would time out then is no finding."""
        return self.ends_at - time.monotonic() < SHORTEST_REQUEST

    def of(self, alias: str) -> str:
        """Return the words that name an account where there are several."""
        return f" ({alias})" if len(self.accounts) > 1 else ""


def new_run() -> Run:
    """Return a run with the accounts that can be read. Of the others, a system check says what is wrong."""
    found: dict[str, Account] = {}
    for alias in accounts.aliases():
        with suppress(ImproperlyConfigured):
            found[alias] = accounts.get_account(alias)
    return Run(found)


def no_time(name: str) -> Finding:
    """Return that something was not looked at."""
    return ok(
        name=name, message=_("Not checked, because Exotel or the site took too long before: %(name)s.") % {"name": name}
    )
