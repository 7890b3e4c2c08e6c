"""The settings, by the system checks: what ``manage.py check`` says of this package, check by check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage
from django.core.checks.registry import registry
from django.db import router
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from django_exotel_ccm.diagnosis.finding import Finding, Run, failed, ok
from django_exotel_ccm.models import CallRecord

PACKAGE = "django_exotel_ccm."
ELSEWHERE = "check_reconciling"  # looked at more closely by check_reconciler

# What to say when the check of this name finds nothing, and why it matters when it does. Each of our checks has one.
TEXTS: dict[str, tuple[str | Promise, str | Promise]] = {
    "settings": (_("EXOTEL_CCM can be read."), _("What cannot be read is ignored, or no call can be placed.")),
    "accounts": (_("Key, token, account and region are in the environment."), _("Without them no call can be placed.")),
    "callbacks": (_("Account and CALLBACK_BASE_URL fit each other."), _("The ends of calls are not reported.")),
    "policies": (_("The rules of POLICIES can be loaded."), _("No call is placed while a rule cannot be asked.")),
    "tickets": (_("TICKETS can be read."), _("The button is missing, or can call nobody.")),
    "attached": ("", _("Nobody sees a button.")),
    "urls": (_("The URLs are included."), _("No call can be placed.")),
    "runner": (
        _("RUNNER can be used."),
        _("Receivers, such as those that update your tickets, wait until exotel_reconcile calls them."),
    ),
    "receivers": ("", _("Your code may hear of a call twice, or not at all.")),
    "databases": ("", _("Your code may hear of a call twice.")),
    "do_not_call": ("", _("Customers who asked not to be called are called.")),
    "relations": ("", _("Calls are history, also those of tickets that are gone.")),
}


def check_set_up(run: Run) -> Iterator[Finding]:
    """Yield what each of our system checks says, whether or not the site's other checks pass."""
    registered: Iterable[Any] = registry.get_checks()
    ours = {check.__name__: check for check in registered if check.__module__.startswith(PACKAGE)}
    named = {function.removeprefix("check_"): check for function, check in ours.items() if function != ELSEWHERE}
    for name in sorted(named, key=list(TEXTS).index):
        check, (right, why) = named[name], TEXTS[name]
        try:
            messages = [one for one in _messages(check) if not one.is_silenced()]
        except Exception as error:  # noqa: BLE001 - such as a URLconf that cannot be imported
            yield failed(name, error)
            continue
        for message in messages:
            text, fix = _text_and_fix(message)
            yield Finding(name=name, message=text, why=str(why), fix=fix)
        if right and not messages:
            yield ok(name=name, message=str(right))


def _text_and_fix(message: CheckMessage) -> tuple[str, str]:
    """Return what is wrong, and the line to write, with which some messages end themselves."""
    text, write, line = str(message.msg).partition("Write")
    if write:
        return text.strip(), write + line
    return text, str(message.hint or _("Correct it in EXOTEL_CCM in the settings."))


def _messages(check: Callable[..., Any]) -> Sequence[CheckMessage]:
    found: Sequence[CheckMessage] = check(app_configs=None, databases=[router.db_for_read(CallRecord)])
    return found
