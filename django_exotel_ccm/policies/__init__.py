"""Rules asked before dialling, each with a reason that a person understands (docs/rules.md).

An entry of ``EXOTEL_CCM["POLICIES"]`` is ``{"NAME": dotted path of a class, "OPTIONS": {…}}``, or the dotted path of a
class or of a function. A function gets the ``CallRecord`` that is about to be dialled (not saved yet), and returns None
if it may be dialled, else the reason as text. The name of the class or function is then the call's refusal code.
"""

from __future__ import annotations

from django_exotel_ccm.policies.asking import (
    asks_again,
    asks_do_not_call_list,
    can_be_overridden,
    denials,
    first_refusal,
    has_rules,
    refusal_by_other_calls,
)
from django_exotel_ccm.policies.base import Denial, Policy, Refusal
from django_exotel_ccm.policies.hours import CallingHours
from django_exotel_ccm.policies.known import Known
from django_exotel_ccm.policies.loading import load_rule
from django_exotel_ccm.policies.numbers import AllowedCountries, DoNotCall, OwnNumbers
from django_exotel_ccm.policies.other_calls import CallsPerDay, CoolDown, OneCallAtATime
from django_exotel_ccm.policies.requirements import callbacks_of

__all__ = [
    "AllowedCountries",
    "CallingHours",
    "CallsPerDay",
    "CoolDown",
    "Denial",
    "DoNotCall",
    "Known",
    "OneCallAtATime",
    "OwnNumbers",
    "Policy",
    "Refusal",
    "asks_again",
    "asks_do_not_call_list",
    "callbacks_of",
    "can_be_overridden",
    "denials",
    "first_refusal",
    "has_rules",
    "load_rule",
    "refusal_by_other_calls",
]
