"""Asks the rules: about one call that is to be placed, or about many that could be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from django_exotel_ccm import conf
from django_exotel_ccm.models import CallRecord
from django_exotel_ccm.policies.base import Denial, Policy, Refusal
from django_exotel_ccm.policies.known import Known
from django_exotel_ccm.policies.loading import Rule, rules
from django_exotel_ccm.policies.numbers import DoNotCall
from django_exotel_ccm.policies.requirements import missing_requirement


def first_refusal(call: CallRecord) -> Refusal | None:
    """Return the first reason not to dial ``call``; None if there is none.

    First comes what every call needs, then the rules of ``POLICIES`` in their order. The caller enters
    ``WORK_CONTEXT``. An exception of a host's rule is not caught: nothing is dialled then.
    """
    return missing_requirement(call) or _refusal_by_rules(call, using=None, again=False)


def asks_again() -> bool:
    """Return whether a rule has to be asked again where no other press can go on: other calls decide."""
    return any(rule.depends_on_calls for rule in rules())


def has_rules() -> bool:
    """Return whether :func:`denials` has anything to ask, or would say that a rule cannot be asked."""
    return conf.get_settings().policies != ()


def asks_do_not_call_list() -> bool:
    """Return whether one of the rules is ``DoNotCall``: without it, nobody on the list is spared a call."""
    try:
        return any(isinstance(rule.policy, DoNotCall) for rule in rules())
    except ImproperlyConfigured:  # nobody is called then
        return True


def refusal_by_other_calls(call: CallRecord, using: str) -> Refusal | None:
    """Ask the rules again that depend on other calls, inside the transaction that writes ``call``."""
    return _refusal_by_rules(call, using=using, again=True)


def _refusal_by_rules(call: CallRecord, *, using: str | None, again: bool) -> Refusal | None:
    """Return the first no that counts, and note on the call which rules its ``override_reason`` has overridden."""
    try:
        asked = [rule for rule in rules() if rule.depends_on_calls or not again]
    except ImproperlyConfigured as error:
        text = _("Calls cannot be placed: a rule cannot be asked. An administrator corrects this: %(problem)s")
        return Refusal("not_configured", text % {"problem": error})
    overridden = call.overridden_rules.split(", ") if call.overridden_rules else []
    known = Known([call], _policies_of(asked), using)
    for rule in asked:
        denial = rule.denial(call, known)
        if denial is None:
            continue
        if denial.is_safety or not call.override_reason:
            return Refusal(rule.code, denial.text)
        overridden.append(rule.code)
    longest = CallRecord._meta.get_field("overridden_rules").max_length
    call.overridden_rules = ", ".join(dict.fromkeys(overridden))[:longest]
    return None


def can_be_overridden(call: CallRecord) -> bool:
    """Return whether a rule has refused ``call`` to which a reason is an answer: no requirement, and not about safety.

    Costs at most the statements of that rule.
    """
    try:
        refused_by = [rule for rule in rules() if rule.code == call.refusal_code]
    except ImproperlyConfigured:
        return False
    return bool(refused_by) and not any(rule.is_safety(call) for rule in refused_by)


def denials(calls: Sequence[CallRecord], *, with_own_call: bool = False) -> list[Denial | None]:
    """Return for each of the calls, none of which is saved, the first no of the rules; None if it can be pressed.

    For pages that show many tickets: it costs a fixed number of statements. A host's own function is asked at the press
    alone, because it answers for one call at a time. An agent's own call in progress counts ``with_own_call``; pages
    leave it out, because it may be over when the button is pressed, and the panel shows it.
    """
    if not calls:
        return []
    try:
        asked = _policies_of(rules())
    except ImproperlyConfigured as error:
        return [Denial(_("not set up"), str(error), is_safety=True)] * len(calls)
    found: list[Denial | None] = [None] * len(calls)
    known = Known(calls, asked)
    for policy in asked:
        for place, denial in enumerate(policy.denials(calls, known)):
            if found[place] is None and denial is not None and (with_own_call or not denial.is_own_call):
                found[place] = denial
    return found


def _policies_of(asked: Iterable[Rule]) -> list[Policy]:
    return [rule.policy for rule in asked if rule.policy is not None]
