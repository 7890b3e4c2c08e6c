"""The entries of ``POLICIES``, read: shipped rules, classes and functions of the host."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from django_exotel_ccm import conf
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.policies.base import Denial, Policy
from django_exotel_ccm.policies.known import Known

LONGEST_CODE = 40  # the column's
ENTRY = {"NAME", "OPTIONS"}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to be asked. ``code`` is what a call that it refuses has as its ``refusal_code``."""

    code: str
    policy: Policy | None
    """The rule, if it can be asked about many calls at once."""
    function: Callable[[CallRecord], str | None]

    @property
    def depends_on_calls(self) -> bool:
        """Whether other calls decide."""
        return self.policy is not None and self.policy.looks_back(timezone.now()) is not None

    def denial(self, call: CallRecord, known: Known) -> Denial | None:
        """Return why ``call`` may not be placed; None if it may."""
        if self.policy is not None:
            return self.policy.denials([call], known)[0]
        reason = self.function(call)
        return Denial("", str(reason), is_safety=self._is_function_about_safety) if reason else None

    def is_safety(self, call: CallRecord) -> bool:
        """Return whether nobody can override what it says of ``call``. A function is not called for that."""
        if self.policy is None:
            return self._is_function_about_safety
        [denial] = self.policy.denials([call], Known([call], [self.policy]))
        return denial is not None and denial.is_safety

    @property
    def _is_function_about_safety(self) -> bool:
        return bool(getattr(self.function, "is_safety", False))


def rules() -> tuple[Rule, ...]:
    """Return the rules of ``POLICIES``, in their order; raises ``ImproperlyConfigured`` that says what to write."""
    return _rules_of(conf.get_settings())


@functools.lru_cache(maxsize=1)
def _rules_of(settings: conf.Settings) -> tuple[Rule, ...]:
    if settings.policies is None:
        raise ImproperlyConfigured("EXOTEL_CCM['POLICIES'] is not a list of dotted paths and dicts.")
    return tuple(load_rule(entry) for entry in settings.policies)


def load_rule(entry: Any) -> Rule:
    """Return the rule of one entry of ``POLICIES``; raises ``ImproperlyConfigured`` that says what is wrong."""
    name, options = _read(entry)
    found = conf.load(name)
    code = name.rpartition(".")[2][:LONGEST_CODE]
    if not isinstance(found, type):
        if options:
            raise _unusable(name, "is a function, and takes no OPTIONS")
        return Rule(code, None, found)
    try:
        made: Any = found(**options)
    except TypeError as error:
        known = ", ".join(inspect.signature(found).parameters) or "none"
        raise _unusable(name, f"does not take these OPTIONS ({error}). Its options: {known}") from error
    except (ValueError, ImproperlyConfigured) as error:
        raise _unusable(name, f"has a wrong option: {str(error).rstrip('.')}") from error
    if not callable(made):
        raise _unusable(name, "is a class whose objects cannot be called with a call")
    return Rule(code, made if isinstance(made, Policy) else None, made)


def _read(entry: Any) -> tuple[str, Mapping[str, Any]]:
    """Return name and options of an entry, whose NAME is a dotted path."""
    given: Mapping[str, Any] = {"NAME": entry} if isinstance(entry, str) else entry
    options = given.get("OPTIONS") or {}
    if set(given) - ENTRY or not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise _unusable(given["NAME"], "is an entry that has more than NAME and a dict of OPTIONS")
    return given["NAME"], options


def _unusable(name: str, why: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"EXOTEL_CCM['POLICIES'] names {name!r}, which {why}.")
